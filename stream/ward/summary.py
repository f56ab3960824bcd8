"""What remains of a ward on the terminal: a row a stream, and where every sample went."""

from __future__ import annotations

from typing import TextIO

from rich.cells import cell_len, set_cell_size

from stream.monitor.line import shorten
from stream.monitor.words import headline
from stream.snapshot import Ledger
from stream.ward.names import fitting
from stream.ward.rows import brief, seconds
from stream.ward.snapshot import Row, WardSnapshot

_HEADS = ("stream", "last answer", "bpm", "quality", "lost", "end")
_LEAST_NAME, _LEAST_ANSWER, _LEAST_END = 12, 24, 12


def table(last: WardSnapshot, width: int) -> list[str]:
    """A line for each stream below one that names the columns, each of at most `width` cells.

    Names are shortened in their middle, and answers; where that is not enough the end is left out, then what was
    lost, then the quality.
    """
    told = [_HEADS, *map(_cells, last.rows)]
    longest = [max(map(cell_len, column)) for column in zip(*told, strict=True)]
    name_least, answer_least = min(longest[0], _LEAST_NAME), min(longest[1], _LEAST_ANSWER)
    fixed = [*longest[2:5], min(longest[5], _LEAST_END)]
    while len(fixed) > 1 and _taken(fixed) + name_least + answer_least > width:
        fixed.pop()
    room = max(width - _taken(fixed), name_least + answer_least)
    name = min(longest[0], max(name_least, room - longest[1]))
    answer = min(longest[1], room - name)
    if len(fixed) == len(longest) - 2:
        fixed[-1] = min(longest[5], fixed[-1] + room - name - answer)
    names = {_HEADS[0]: _HEADS[0], **fitting(tuple(row.name for row in last.rows), name, ascii_only=False)}
    cells = [(names[each[0]], brief(each[1], answer), *each[2:]) for each in told]
    return [_line(row, [name, answer, *fixed]) for row in cells]


def _taken(widths: list[int]) -> int:
    """By columns and the two blanks before each, and before the answer."""
    return sum(width + 2 for width in widths) + 2


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    padded = [set_cell_size(shorten(cell, width), width) for cell, width in zip(cells, widths, strict=False)]
    return "  ".join(padded).rstrip()


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
