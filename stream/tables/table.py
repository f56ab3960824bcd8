"""A table of results in a file: begun anew or gone on with; each row is written at once, in one piece."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO, FileIO
from pathlib import Path

from models.errors import LaennecError, SettingError
from stream.put_away import put_away
from stream.sinks.log_file import utc_now
from stream.tables import again
from stream.tables import origin as origins
from stream.tables.lines import Row, lines
from stream.tables.origin import Origin

_LONGEST_FIRST_ROW = 1 << 20


class Table:
    """CSV or JSON lines.

    Args:
        path: ends in .csv or .jsonl; a link is followed.
        columns: their order.
        origin: what makes the rows.
        resume: go on with the table that is there, which a killed writer's last line is cut off from; rows that were
            made again take their places. Else an older one is put away, once there is a first row.
        at_first: is called before that row, where nothing is gone on with.

    Raises:
        SettingError: the file can't be written, holds something else than such a table, or one of another origin.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        origin: Origin,
        resume: bool = False,
        at_first: Callable[[], object] = lambda: None,
    ) -> None:
        self._name = str(path)
        self._path = path if _is_special(path) else Path(os.path.realpath(path))
        self._columns, self._origin = columns, origin
        self._lines = lines(path, columns)
        self._again: Table | None = None
        with _writable(self._name):
            begun = self._path.is_file() and self._path.stat().st_size > 0
            if begun:
                self._check_begin(resume)
            self._at_first = None if resume else at_first
            self._is_older = begun and not resume
            if begun and resume:
                origin.check(path, origins.read(self._path))
            elif not begun:
                self._begin(begun)
            end = self._end() if begun and resume else 0
            self._file = self._path.open("ab", buffering=0) if self._is_older else self._opened(end)
        try:
            if not self._is_older:
                self.settle()
        except BaseException:
            self.close()
            raise

    def write(self, row: Row) -> None:
        """Add a row.

        Raises:
            LaennecError: the disk is full.
        """
        with _writable(self._name):
            self._start()
        with told(self._name):
            _write(self._file, self._lines.line(row))

    def _start(self) -> None:
        """Before the first row: whatever fails earlier leaves an older table in its place."""
        if self._at_first:
            self._at_first()
            self._at_first = None
        if self._is_older:
            self._begin(True)
            self._is_older = False
            self._file.close()
            self._file = self._opened(0)

    def write_again(self, row: Row) -> None:
        """Keep a row, on disk at once, that is to take the place of one that holds an error.

        Raises:
            SettingError: the file beside the table can't be made.
            LaennecError: the disk is full.
        """
        self._beside().write(row)

    def settle(self) -> None:
        """The rows that were made again take their places.

        Raises:
            SettingError: the file that they are in is damaged.
            LaennecError: the disk is full; they stay where they are.
        """
        path = again.beside(self._path)
        if not path.exists():
            return
        self._beside().close()  # what a killed writer left is cut off
        self._again = None
        if path.stat().st_size:
            self.replace(again.merged(self.rows(), path, self._columns))
        with told(str(path)):
            path.unlink()
            origins.beside(path).unlink(missing_ok=True)

    def _beside(self) -> Table:
        if self._again is None:
            self._again = Table(again.beside(self._path), self._columns, self._origin, resume=True)
        return self._again

    def rows(self) -> Iterator[Row]:
        """The rows that are there. Of CSV the values are text."""
        if _is_special(self._path) or self._is_older:
            return
        with self._path.open("rb") as file:
            yield from (row for row, _ in self._lines.rows(file))

    def replace(self, rows: Iterable[Row]) -> None:
        """Other rows in place of those that are there, all of them or none.

        Raises:
            LaennecError: the disk is full.
        """
        draft = self._path.with_name(f"{self._path.name}.draft")
        with told(self._name):
            try:
                with draft.open("wb", buffering=1 << 16) as file:
                    file.write(_encoded(self._lines.head))
                    file.writelines(_encoded(self._lines.line(row)) for row in rows)
                os.replace(draft, self._path)  # noqa: PTH105 - the atomic one
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
            self._file.close()
            self._file = self._path.open("ab", buffering=0)

    def close(self) -> None:
        """Let go of the file."""
        for file in (self._file, self._again):
            with contextlib.suppress(OSError):  # what could not be written was told already
                if file:
                    file.close()

    def _check_begin(self, resume: bool) -> None:
        with self._path.open("rb") as file:
            head = file.read(_LONGEST_FIRST_ROW)
        begin = self._lines.begin.encode("ascii")
        killed_at_once = resume and begin.startswith(head)
        try:
            if not (head.startswith(begin) or killed_at_once):
                raise ValueError
            next(self._lines.rows(BytesIO(head)), None)
        except ValueError as error:
            raise SettingError(
                f"{self._name}: is no table of these columns, and is left as it is; give another --out"
            ) from error

    def _end(self) -> int:
        """Where the last whole row of the table that is there ends."""
        end = rows = 0
        try:
            with self._path.open("rb") as file:
                for rows, (_, end) in enumerate(self._lines.rows(file), 1):  # noqa: B007 - the last ones count
                    pass
        except ValueError as error:
            raise SettingError(
                f"{self._name}: is damaged after {rows} rows, and is left as it is; give another --out, or leave out "
                "--resume"
            ) from error
        return end

    def _begin(self, begun: bool) -> None:
        if _is_special(self._path):
            return
        kept = put_away(self._path, utc_now()) if begun else None
        for name in (origins.beside, again.beside, lambda path: origins.beside(again.beside(path))):
            with contextlib.suppress(FileNotFoundError):  # few tables have each
                name(self._path).replace(name(kept)) if kept else name(self._path).unlink()
        origins.write(self._path, self._origin)

    def _opened(self, end: int) -> FileIO:
        file = self._path.open("wb" if _is_special(self._path) else "ab", buffering=0)
        try:
            if not _is_special(self._path):
                file.truncate(end)
            if end == 0:
                with told(self._name):
                    _write(file, self._lines.head)
        except BaseException:
            file.close()
            raise
        return file


def _is_special(path: Path) -> bool:
    """A pipe or device."""
    return path.exists() and not path.is_file()


def _encoded(text: str) -> bytes:
    # A file's name may hold bytes that are no text.
    return text.encode("utf-8", "replace")


def _write(file: FileIO, text: str) -> None:
    left = memoryview(_encoded(text))
    while left:
        left = left[file.write(left) :]


@contextlib.contextmanager
def _writable(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SettingError(f"{name}: can't be written: {error.strerror}; give another --out") from error


@contextlib.contextmanager
def told(name: str) -> Iterator[None]:
    """Put a failure to write into words. A BrokenPipeError (`| head`) passes through."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise LaennecError(f"{name}: can't be written any more: {error.strerror}; free some space") from error
