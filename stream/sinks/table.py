"""Rows of results as CSV or JSON lines, each written and flushed at once."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from models.errors import SettingError

Write = Callable[[dict[str, Any]], None]


@contextlib.contextmanager
def table(path: Path | None, columns: Sequence[str]) -> Iterator[Write]:
    """A function that writes a row.

    Args:
        path: ends in .csv or .jsonl; None is CSV on standard output.
        columns: their order.

    Raises:
        SettingError: another suffix, or the file can't be written.
    """
    if path is None:
        yield _csv(sys.stdout, columns)
        return
    if path.suffix not in {".csv", ".jsonl"}:
        raise SettingError(f"{path}: can't write {path.suffix or 'a name without ending'}; use .csv or .jsonl")
    try:
        file = path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise SettingError(f"{path}: can't be written: {error.strerror}; give another --out") from error
    with file:
        yield _jsonl(file) if path.suffix == ".jsonl" else _csv(file, columns)


def _csv(file: TextIO, columns: Sequence[str]) -> Write:
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()

    def write(row: dict[str, Any]) -> None:
        writer.writerow(row)
        file.flush()

    return write


def _jsonl(file: TextIO) -> Write:
    def write(row: dict[str, Any]) -> None:
        file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        file.flush()

    return write
