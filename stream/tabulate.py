"""Recordings to rows of a table, those left out that it holds already."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from stream.ending import Tally
from stream.tables.lines import Row
from stream.tables.out import Out

#: Where a recording is: a path, or by its text, which may be a URL.
Place = TypeVar("Place", bound=Path | str)


def tabulate(
    paths: Sequence[Place], hear: Callable[[Sequence[Place]], Generator[Row, None, None]], out: Out, tally: Tally
) -> Iterator[Row]:
    """Write a row for each recording that has none yet. Those whose row holds an error are tried again.

    A row that is made again takes the old one's place, so that the table is as if made in one go.

    Args:
        paths: all recordings.
        hear: makes the rows of recordings, in their order.
        out: takes them, and holds those of earlier runs.
        tally: is kept up to date.

    Yields:
        Each row, once it is there.
    """
    left, again = _split(paths, out.rows())
    tally.begun = tally.written = len(paths) - len(left)
    tally.todo = len(left) + len(again)
    if again:
        made: defaultdict[str, deque[Row]] = defaultdict(deque)
        with closing(hear(again)) as rows:
            for row in rows:
                made[_key(row)].append(row)
                yield row
        out.replace(_merged(out.rows(), made))
    with closing(hear(left)) as rows:
        for row in rows:
            tally.begun += 1
            out.write(row)
            tally.written += 1
            yield row


def _split(paths: Sequence[Place], rows: Iterator[Row]) -> tuple[Sequence[Place], list[Place]]:
    """The recordings that have no row, and those to be tried again. One that is named twice has two rows."""
    held: Counter[tuple[str, bool]] = Counter((_key(row), bool(row["error"])) for row in rows)
    if not held:
        return paths, []
    left, again = [], []
    for path in paths:
        name = _shown(str(path))
        kind = next((failed for failed in (False, True) if held[name, failed]), None)
        if kind is None:
            left.append(path)
        else:
            held[name, kind] -= 1
            if kind:
                again.append(path)
    return left, again


def _merged(rows: Iterator[Row], made: dict[str, deque[Row]]) -> Iterator[Row]:
    for row in rows:
        anew = made.get(_key(row)) if row["error"] else None
        yield anew.popleft() if anew else row


def _key(row: Row) -> str:
    return _shown(row["path"])


def _shown(name: str) -> str:
    """As a table shows it, which holds no bytes that are no text."""
    return name.encode("utf-8", "replace").decode("utf-8")
