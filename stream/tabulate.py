"""Recordings to rows of a table, those left out that it holds already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from stream.ending import Tally
from stream.tables.again import key, shown
from stream.tables.lines import Row
from stream.tables.out import Out

#: Where a recording is: a path, or by its text, which may be a URL.
Place = TypeVar("Place", bound=Path | str)


def tabulate(
    paths: Sequence[Place], hear: Callable[[Sequence[Place]], Generator[Row, None, None]], out: Out, tally: Tally
) -> Iterator[Row]:
    """Write a row for each recording that has none yet. Those whose row holds an error are tried again.

    A row that is made again takes the old one's place once all are, so that the table is as if made in one go; until
    then it is kept beside the table.

    Args:
        paths: all recordings.
        hear: makes the rows of recordings, in their order.
        out: takes them, and holds those of earlier runs.
        tally: is kept up to date.

    Yields:
        Each row, once it is there.
    """
    left, again = _split(paths, out.rows())
    tally.todo = len(left) + len(again)
    tally.begun = tally.written = len(paths) - tally.todo
    if again:
        yield from _told(hear(again), out.write_again, tally)
        out.settle()
    yield from _told(hear(left), out.write, tally)


def _told(made: Generator[Row, None, None], write: Callable[[Row], None], tally: Tally) -> Iterator[Row]:
    with closing(made) as rows:
        for row in rows:
            tally.begun += 1
            write(row)
            tally.written += 1
            yield row


def _split(paths: Sequence[Place], rows: Iterator[Row]) -> tuple[Sequence[Place], list[Place]]:
    """The recordings that have no row, and those to be tried again. One that is named twice has two rows."""
    held: Counter[tuple[str, bool]] = Counter((key(row), bool(row["error"])) for row in rows)
    if not held:
        return paths, []
    left, again = [], []
    for path in paths:
        name = shown(str(path))
        kind = next((failed for failed in (False, True) if held[name, failed]), None)
        if kind is None:
            left.append(path)
        else:
            held[name, kind] -= 1
            if kind:
                again.append(path)
    return left, again
