"""The keys, explained in a box over the screen."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from stream.monitor.line import fit, styled
from stream.monitor.theme import FAINT

#: Each key, and what it does.
Keys = Sequence[tuple[str, str]]

_WIDTH = 52
_KEYS: Keys = (
    ("space", "pause, counted as lost; go on"),
    ("m", "mark this moment, and type a note"),
    ("r", "recording on, off"),
    ("d  c", "next device, channel (`listen` only)"),
    ("v", "trace: wide, bell, diaphragm"),
    ("+ −", "zoom in, out in time"),
    ("↑ ↓  a", "gain of the trace; automatic"),
    ("f", "freeze what is shown; go on"),
    ("← →", "back and forth through the last 5 min"),
    ("Home End", "the oldest, the newest"),
    ("?  Esc", "close this"),
    ("q", "quit, as Ctrl-C"),
)


def over(lines: list[Text], width: int, keys: Keys = _KEYS) -> list[Text]:
    """The lines of a screen, each of `width` cells or less, with the box in the middle; the last one stays free."""
    box = _box(keys)
    top, left = max(0, (len(lines) - 1 - len(box)) // 2), (width - _WIDTH) // 2
    covered = list(lines)
    for number, row in enumerate(box[: len(lines) - 1], top):
        under = _cropped(lines[number], width)
        after = len(_cropped(under, left + _WIDTH).plain)
        covered[number] = Text.assemble(_cropped(under, left), row, under[after:])
    return covered


def _box(keys: Keys) -> list[Text]:
    inside = _WIDTH - 4
    rows = [fit(Text.assemble((f"{key:<10}", "bold"), words), inside) for key, words in keys]
    side = styled("│", FAINT)
    return [
        styled("┌─ keys " + "─" * (_WIDTH - 9) + "┐", FAINT),
        *(Text.assemble(side, " ", row, " ", side) for row in rows),
        styled("└" + "─" * (_WIDTH - 2) + "┘", FAINT),
    ]


def _cropped(line: Text, width: int) -> Text:
    """Its first cells; half of a wide character is a blank."""
    line = line.copy()
    line.truncate(width, overflow="crop", pad=True)
    return line
