"""From lines of text to the control sequences of a terminal: only those for what changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.style import Style
from rich.text import Text

from stream.monitor.palette import Theme, themed

#: What stands in one cell, and the sequence that sets its style; the second cell of a wide character is empty.
Cell = tuple[str, str]

_width = cache(cell_len)
_RESET = "\x1b[0m"
_MARK = "x"
# Only to look up and combine styles, which it does the same for any terminal.
_STYLES = Console(force_terminal=True, color_system="truecolor", legacy_windows=False)


class Pen:
    """Knows how styles are written for a theme and a terminal.

    Args:
        theme: its colours.
        system: the colours that the terminal has; None for none.
    """

    def __init__(self, theme: Theme, system: ColorSystem | None) -> None:
        self._theme = theme
        self._system = system
        self._sequences: dict[Style, str] = {}
        self._lines: dict[int, tuple[Text, list[Cell]]] = {}

    @property
    def clear(self) -> str:
        """Empties the screen, in the theme's background."""
        return f"{self._sequence(Style.null())}\x1b[2J"

    def page(self, lines: Iterable[RenderableType], width: int, height: int) -> list[list[Cell]]:
        """The lines as `height` rows of `width` cells; blank where there are fewer."""
        rows = [self._row(number, line, width) for number, line in enumerate(lines) if isinstance(line, Text)]
        return [*rows[:height], *([self._cells(Text(" " * width))] * (height - len(rows)))]

    def _row(self, number: int, line: Text, width: int) -> list[Cell]:
        """A line's cells; those of the last time where it is still the same."""
        before = self._lines.get(number)
        if before and before[0] == line and len(before[1]) == width:
            return before[1]
        line.append(" " * (width - line.cell_len))
        cells = self._cells(line)
        self._lines[number] = (line, cells)
        return cells

    def _cells(self, line: Text) -> list[Cell]:
        cells: list[Cell] = []
        line.end = ""
        for text, style, _ in line.render(_STYLES):
            sequence = self._sequence(style or Style.null())
            for character in text:
                width = _width(character)
                if width:
                    cells.append((character, sequence))
                    cells += [("", sequence)] * (width - 1)
                elif cells:  # what combines with the character before it
                    cells[-1] = (cells[-1][0] + character, sequence)
        return cells

    def _sequence(self, style: Style) -> str:
        """Sets this style, whatever was set before."""
        if style not in self._sequences:
            shown = themed(style, self._theme)
            if self._system is None:
                shown = shown.without_color
            written = shown.render(_MARK, color_system=self._system or ColorSystem.STANDARD)
            codes = written.partition(_MARK)[0].removeprefix("\x1b[")
            self._sequences[style] = f"\x1b[0;{codes}" if codes else _RESET
        return self._sequences[style]


def changes(before: Sequence[Sequence[Cell]], after: Sequence[Sequence[Cell]]) -> str:
    """What turns one page into another on the terminal; empty where they are the same.

    Args:
        before: what is shown; no rows where nothing is known of that.
        after: what is to be shown, of the same size.
    """
    parts: list[str] = []
    for number, row in enumerate(after):
        shown = before[number] if before else [None] * len(row)
        if row is not shown and row != shown:
            _row_changes(number, shown, row, parts)
    return "".join([*parts, _RESET]) if parts else ""


def _row_changes(number: int, shown: Sequence[Cell | None], row: Sequence[Cell], parts: list[str]) -> None:
    at, style = -1, None
    for column, cell in enumerate(row):
        if cell == shown[column]:
            continue
        if column != at:
            parts.append(f"\x1b[{number + 1};{column + 1}H")
        at = column + 1
        character, sequence = cell
        if sequence != style:
            parts.append(sequence)
            style = sequence
        parts.append(character)
