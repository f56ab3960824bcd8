"""Where the listener marked a moment: a triangle over a line."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from stream.monitor.theme import NOTICE

_SIGN = "▼"


def over(line: Text, columns: Iterable[int]) -> Text:
    """The line with a sign at each of some columns, or beside it where words stand; those outside are left out."""
    for column in {at for at in columns if 0 <= at < len(line.plain)}:
        at = next((at for at in (column, column + 1, column - 1, column + 2) if _free(line.plain, at)), column)
        line = Text.assemble(line[:at], (_SIGN, f"bold {NOTICE}"), line[at + 1 :])
    return line


def _free(line: str, at: int) -> bool:
    return 0 <= at < len(line) and line[at] in " ─"
