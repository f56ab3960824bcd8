"""Rows of recordings that were heard again: on disk at once beside a table, until they take their places in it."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from stream.tables.lines import Jsonl, Row


def beside(table: Path) -> Path:
    """The file that holds them."""
    return table.with_name(f"{table.name}.again.jsonl")


def merged(rows: Iterable[Row], path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a table, of which those that hold an error give way to the file's, by recording and in their order.

    Where a row begins in the file is all that is kept of it.

    Args:
        rows: the table's.
        path: of the file; its lines are whole.
        columns: of both.
    """
    starts: defaultdict[str, deque[int]] = defaultdict(deque)
    with path.open("rb") as file:
        start = 0
        for row, end in Jsonl(columns).rows(file):
            starts[key(row)].append(start)
            start = end
        for row in rows:
            left = starts.get(key(row)) if row["error"] else None
            if left:
                file.seek(left.popleft())
                yield json.loads(file.readline())
            else:
                yield row


def key(row: Row) -> str:
    """By which the rows of a recording are known."""
    return shown(row["path"])


def shown(name: str) -> str:
    """As a table shows it, which holds no bytes that are no text."""
    return name.encode("utf-8", "replace").decode("utf-8")
