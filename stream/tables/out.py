"""Where rows go: standard output, a table in a file, or, by way of one, Parquet."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from models.errors import SettingError
from stream.put_away import put_away
from stream.sinks.log_file import utc_now
from stream.tables import lock, parquet
from stream.tables import origin as origins
from stream.tables.lines import Csv, Row
from stream.tables.origin import Origin
from stream.tables.table import Table, told

_ENDINGS = (".csv", ".jsonl", ".parquet")


class Out(Protocol):
    """Takes rows."""

    def write(self, row: Row) -> None:
        """Add a row."""
        ...

    def rows(self) -> Iterator[Row]:
        """Those that were there before."""
        ...

    def write_again(self, row: Row) -> None:
        """Keep a row that is to take the place of one that holds an error, by `settle` or when it is gone on with."""
        ...

    def settle(self) -> None:
        """The rows that were made again take their places."""
        ...


def check(path: Path | None, resume: bool) -> None:
    """Refuse, before any work is done, what can't be written.

    Args:
        path: None is standard output.
        resume: whether a table is to be gone on with.

    Raises:
        SettingError: another ending, a folder, no such folder, what may not be written, or a package is missing.
    """
    if path is None:
        if resume:
            raise SettingError("--resume goes on with a table: name it by --out")
        return
    if path.suffix.lower() not in _ENDINGS:
        raise SettingError(
            f"{path}: can't write {path.suffix or 'a name without ending'}; use .csv, .jsonl or .parquet"
        )
    special = path.suffix.lower() == ".parquet" and path.exists() and not path.is_file()
    try:
        if special or os.path.isdir(path):  # noqa: PTH112 - never raises, as Path's does
            raise IsADirectoryError(0, "Is a directory or device")
        os.stat(os.path.join(path.parent, ""))  # noqa: PTH116, PTH118 - with the slash: raises where it is no folder
        for wanted in (path.parent, path):
            if wanted.exists() and not os.access(wanted, os.W_OK):
                raise PermissionError(0, "Permission denied")
    except OSError as error:
        raise SettingError(f"{path}: can't be written: {error.strerror}; give another --out") from error
    if path.suffix.lower() == ".parquet":
        parquet.check()


@contextlib.contextmanager
def opened(path: Path | None, columns: Sequence[str], origin: Origin, resume: bool = False) -> Iterator[Out]:
    """What takes rows, each of which is written at once.

    Args:
        path: as `check` had it; None is CSV on standard output.
        columns: their order.
        origin: what makes the rows.
        resume: go on with the table that is there. Else an older one is put away, once there is a first row.

    Raises:
        SettingError: as `Table`; or another command writes to it at the moment.
        LaennecError: the disk is full.
    """
    if path is None:
        yield _StandardOutput(columns)
        return
    with lock.held(path):
        if path.suffix.lower() == ".parquet":
            with _parquet(Path(os.path.realpath(path)), columns, origin, resume) as table:
                yield table
        else:
            with contextlib.closing(Table(path, columns, origin, resume)) as table:
                yield table


class _StandardOutput:
    def __init__(self, columns: Sequence[str]) -> None:
        self._lines = Csv(columns)
        self._write(self._lines.head)

    def write(self, row: Row) -> None:
        self._write(self._lines.line(row))

    def rows(self) -> Iterator[Row]:
        return iter(())

    def write_again(self, row: Row) -> None:
        """Is not asked for: what was printed stays."""

    def settle(self) -> None:
        """See there."""

    def _write(self, text: str) -> None:
        # A file's name may hold bytes that are no text.
        encoding = sys.stdout.encoding or "utf-8"
        with told("standard output"):
            sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
            sys.stdout.flush()


@contextlib.contextmanager
def _parquet(path: Path, columns: Sequence[str], origin: Origin, resume: bool) -> Iterator[Out]:
    """Rows go to FILE.parquet.part.jsonl, which becomes FILE.parquet once all are there.

    Parquet's own end holds where its rows are: a file whose writer was killed could neither be read nor gone on with.
    """
    part = path.with_name(f"{path.name}.part.jsonl")
    held = _held(path, columns, origin, resume) and not (part.exists() and part.stat().st_size)

    def put_older_away() -> None:
        if path.exists() and not resume:
            with told(str(path)):
                put_away(path, utc_now())

    with contextlib.closing(Table(part, columns, origin, resume, put_older_away)) as table:
        if held:
            _copied(path, part, table)
        yield table
        put_older_away()  # where there was no row at all
        with told(str(path)):
            parquet.write(path, columns, table.rows(), origin)
    part.unlink()
    origins.beside(part).unlink(missing_ok=True)


def _copied(path: Path, part: Path, table: Table) -> None:
    """The rows of a whole table into its part; where they can't be read, as if there had been no part."""
    try:
        table.replace(parquet.rows(path))
    except SettingError:
        part.unlink()
        origins.beside(part).unlink(missing_ok=True)
        raise


def _held(path: Path, columns: Sequence[str], origin: Origin, resume: bool) -> bool:
    """Whether a table is there to go on with; what is none is refused."""
    if not path.exists():
        return False
    found = parquet.origin_of(path, columns)
    if resume:
        origin.check(path, found)
    return resume
