"""Where the listener marked a moment: a triangle over a line."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from stream.monitor.theme import NOTICE

_SIGN = "▼"


def over(line: Text, columns: Iterable[int]) -> Text:
    """The line with a sign at each of some columns; those outside it are left out."""
    for at in {at for at in columns if 0 <= at < len(line.plain)}:
        line = Text.assemble(line[:at], (_SIGN, f"bold {NOTICE}"), line[at + 1 :])
    return line
