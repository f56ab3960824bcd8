"""One line of the screen: fitting text to an exact width."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from stream.monitor.theme import FAINT


def styled(text: str, style: str) -> Text:
    """A text whose style is its own: what is appended to it doesn't inherit it."""
    return Text.assemble((text, style))


def clean(text: str, ascii_only: bool) -> str:
    """Text from outside with `?` for what could move the cursor, and on request for all beyond ASCII."""
    return "".join(c if c.isprintable() and (c.isascii() or not ascii_only) else "?" for c in text)


def shorten(text: str, width: int) -> str:
    """At most `width` cells of a text, ending in an ellipsis where something was cut; width >= 0."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 0 else ""


def first_fit(width: int, texts: Iterable[str]) -> str:
    """The first text that fits into `width` cells; otherwise the last one, shortened."""
    text = ""
    for text in texts:
        if cell_len(text) <= width:
            return text
    return shorten(text, width)


def by_commas(text: str) -> list[str]:
    """A text and what is left of it without its last part, last two parts, ...: nothing is cut in its middle."""
    parts = text.split(", ")
    return [", ".join(parts[:count]) for count in range(len(parts), 0, -1)]


def fit(line: Text, width: int) -> Text:
    """The line at exactly `width` cells: padded, or cut with an ellipsis."""
    line = line.copy()
    line.no_wrap = True
    line.truncate(width, overflow="ellipsis", pad=True)
    return line


def spread(left: Text, right: Text, width: int) -> Text:
    """Two texts at the two ends of a line; the left one gives way."""
    room = max(0, width - right.cell_len - 2)
    return fit(fit(left, room).append("  ").append_text(right), width)


def rule(titles: Iterable[str], width: int) -> Text:
    """A thin line that carries the first of several titles that fits."""
    title = first_fit(width - 3, titles)
    line = styled("─ ", FAINT).append(f"{title} ")
    return fit(line.append("─" * (width - line.cell_len), FAINT), width)


def bar(share: float | None, width: int, style: str, mark: float | None = None) -> Text:
    """A horizontal bar of `width` cells, and on request a thin mark; both in [0, 1], or None for none."""
    filled = 0 if share is None else round(width * min(1.0, max(0.0, share)))
    line = styled("▆" * filled, style).append("─" * (width - filled), FAINT)
    if mark is None or not width:
        return line
    at = min(width - 1, int(width * max(0.0, mark)))
    return Text.assemble(line[:at], ("┃", "bold"), line[at + 1 :])


def wrapped(text: str, width: int, most: int) -> list[str]:
    """A text in at most `most` lines of `width` cells, broken between words; the last is shortened if it must be."""
    lines: list[str] = []
    rest = text
    while rest and len(lines) < most - 1 and cell_len(rest) > width:
        head = set_cell_size(rest, width)
        # A word longer than a line is broken anywhere.
        cut = len(head) if rest[len(head) : len(head) + 1] == " " else head.rfind(" ")
        cut = cut if cut > 0 else max(1, len(head.rstrip()))
        lines.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*lines, shorten(rest, width)] if rest and most > 0 else lines
