"""The last line: the keys; for a moment what the last one did; and the note of a mark while it is typed."""

from __future__ import annotations

from dataclasses import replace

from rich.cells import cell_len
from rich.text import Text

from stream.monitor import panels
from stream.monitor.line import clean, first_fit, fit, styled
from stream.monitor.theme import FAINT
from stream.monitor.view import Mark, View
from stream.monitor.words import clock

_KEYS = "? help  q quit  space pause  m mark  r record"
_VIEW = "v view  f freeze"
_CAUTION = "research and education, not a medical device"
_FORMS = (
    f"{_KEYS}  {_VIEW}  +− zoom  ↑↓ gain  ←→ back · {_CAUTION}",
    f"{_KEYS}  {_VIEW}  +− zoom  ↑↓ gain  ←→ back · not a medical device",
    f"{_KEYS}  {_VIEW} · not a medical device",
    f"{_KEYS} · not a medical device",
    "? help  q quit · for education, not a medical device",
)


def printable(view: View, ascii_only: bool) -> View:
    """The view without what could move the cursor or can't be shown."""
    said, mark = clean(view.said, ascii_only), view.noting
    return replace(view, said=said, noting=mark and Mark(mark.t_s, clean(mark.note, ascii_only)))


def line(view: View, width: int) -> Text:
    """One line of `width` cells."""
    if view.noting:
        return _note(view.noting, width)
    if view.said:
        return fit(Text.assemble((view.said, "bold"), (" · ? help", FAINT)), width)
    return fit(styled(first_fit(width, _FORMS), FAINT), width) if view.keyboard else panels.footer(width)


def _note(mark: Mark, width: int) -> Text:
    """The end of the note is where the typing goes on, so its beginning gives way."""
    head = f"mark at {clock(mark.t_s)}, note: "
    tail = "  Enter keeps it, Esc drops the mark" if width >= 76 else "  Enter keeps, Esc drops"
    note = mark.note
    while note and cell_len(head + note + "_" + tail) > width:
        note = note[1:]
    return fit(Text.assemble((f"{head}{note}", "bold"), ("_", "bold reverse"), (tail, FAINT)), width)
