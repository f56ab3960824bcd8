"""What a ward listens to: several streams at once, in rounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from models.errors import LaennecError
from stream.block import Block, Condition


class Member(NamedTuple):
    """One of the streams.

    Attributes:
        name: by which it is told from the others; part of file names.
        rate_hz: of its blocks.
        description: as `Source.description`.
    """

    name: str
    rate_hz: int
    description: dict[str, object]


class Over(NamedTuple):
    """A stream has ended; others may go on.

    Attributes:
        reason: why, for the log.
        error: what failed, if anything did.
    """

    reason: str
    error: LaennecError | None = None


#: What some of the streams give at the same time: which one, by its index, and what. None is there twice.
Round = Sequence[tuple[int, Block | Condition | Over]]


class Feed(Protocol):
    """Several streams that can be listened to, once.

    Attributes:
        members: the streams, in their order.
        name: of them all, for a screen.
        reads: files that are read, as `Path.resolve` gives them: nothing may be written there.
    """

    members: tuple[Member, ...]
    name: str
    reads: frozenset[Path]

    def rounds(self) -> Iterator[Round]:
        """Of each stream what a `Source` yields, until all have ended or `stop` is called.

        Raises:
            LaennecError: none of them can be heard any further.
        """

    def stop(self) -> None:
        """Ask `rounds` to end soon. May be called from another thread or a signal handler; returns at once."""

    def close(self) -> None:
        """Release files or device. Never hangs, may be called twice."""


def unique(names: Sequence[str]) -> list[str]:
    """The same names, a number added to those that were there before: a, b, a-2. Capitals make no difference."""
    taken: set[str] = set()
    found = []
    for name in names:
        number, own = 1, name
        while own.casefold() in taken:
            number += 1
            own = f"{name}-{number}"
        taken.add(own.casefold())
        found.append(own)
    return found
