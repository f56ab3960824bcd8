"""What remains of a ward on the terminal: a row a stream, and where every sample went."""

from __future__ import annotations

from typing import TextIO

from stream.monitor.words import headline
from stream.snapshot import Ledger
from stream.ward.rows import seconds
from stream.ward.snapshot import Row, WardSnapshot

_HEADS = ("stream", "last answer", "bpm", "quality", "lost", "end")


def table(last: WardSnapshot) -> list[str]:
    """A line for each stream below one that names the columns."""
    cells = [_HEADS, *map(_cells, last.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def total(last: WardSnapshot) -> str:
    """The ledgers of all streams, added up."""
    summed = [sum(getattr(row.ledger, name) for row in last.rows) for name in vars(Ledger())]
    captured, analysed, dropped, discarded = summed
    return (
        f"total of {len(last.rows)} stream{'s' * (len(last.rows) != 1)}: {captured} samples captured = "
        f"{analysed} analysed + {dropped} lost + {discarded} discarded"
    )


def say(text: str, stream: TextIO) -> None:
    """A line, in the characters that the stream can show.

    Raises:
        BrokenPipeError: nobody reads it any more.
    """
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()


def _cells(row: Row) -> tuple[str, ...]:
    made = row.decision
    rate = f"{made.heart_rate_bpm:.0f}" if made and made.heart_rate_bpm is not None else "–"
    quality = f"{made.quality:.2f}" if made and made.quality is not None else "–"
    return (row.name, headline(made), rate, quality, seconds(row.lost_s), row.ended or "broken off")
