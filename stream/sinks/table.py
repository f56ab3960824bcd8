"""Rows of results as CSV or JSON lines, each written and flushed at once."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from models.errors import LaennecError, SettingError
from stream.put_away import put_away
from stream.sinks.log_file import utc_now

Write = Callable[[dict[str, Any]], None]
_LONGEST_FIRST_LINE = 1 << 20


@contextlib.contextmanager
def table(path: Path | None, columns: Sequence[str]) -> Iterator[Write]:
    """A function that writes a row.

    Args:
        path: ends in .csv or .jsonl; None is CSV on standard output. An older table there is put away; a link is
            followed.
        columns: their order.

    Raises:
        SettingError: another suffix, the file can't be written, or holds something else than such a table.
        LaennecError: from the function, when the disk is full.
    """
    if path is None:
        yield _csv(sys.stdout, "standard output", columns)
        return
    if path.suffix.lower() not in {".csv", ".jsonl"}:
        raise SettingError(f"{path}: can't write {path.suffix or 'a name without ending'}; use .csv or .jsonl")
    try:
        file = _opened(path, columns)
    except OSError as error:
        raise SettingError(f"{path}: can't be written: {error.strerror}; give another --out") from error
    try:
        yield _jsonl(file, str(path)) if path.suffix.lower() == ".jsonl" else _csv(file, str(path), columns)
    finally:
        # What could not be written is tried once more here; it was told already.
        with contextlib.suppress(OSError):
            file.close()


def _opened(path: Path, columns: Sequence[str]) -> TextIO:
    if path.is_file() and path.stat().st_size:
        if not _is_table(path, columns):
            raise SettingError(f"{path}: is no table of these columns, and is left as it is; give another --out")
        put_away(path.resolve(), utc_now())
    return path.open("w", encoding="utf-8", newline="")


def _is_table(path: Path, columns: Sequence[str]) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        first = file.readline(_LONGEST_FIRST_LINE)
    if path.suffix.lower() == ".csv":
        return first.rstrip() == ",".join(columns)
    try:
        return list(json.loads(first)) == list(columns)
    except (ValueError, RecursionError, TypeError):
        return False


def _csv(file: TextIO, name: str, columns: Sequence[str]) -> Write:
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    with _told(name):
        writer.writeheader()
        file.flush()
    encoding = file.encoding or "utf-8"

    def write(row: dict[str, Any]) -> None:
        # A file's name may hold bytes that are no text.
        shown = {k: v.encode(encoding, "replace").decode(encoding) if isinstance(v, str) else v for k, v in row.items()}
        with _told(name):
            writer.writerow(shown)
            file.flush()

    return write


def _jsonl(file: TextIO, name: str) -> Write:
    def write(row: dict[str, Any]) -> None:
        with _told(name):
            file.write(json.dumps(row, allow_nan=False) + "\n")
            file.flush()

    return write


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    """Put a failure to write into words. A BrokenPipeError (`| head`) passes through."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise LaennecError(f"{name}: can't be written any more: {error.strerror}; free some space") from error
