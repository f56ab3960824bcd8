"""The five probabilities as bars: smoothed, as decided, and beside that the newest window's own."""

from __future__ import annotations

import math

from rich.text import Text

from models.classes import CLASSES, WORDS
from models.decide import Decision, of_window
from stream.monitor.line import bar, styled
from stream.monitor.theme import FAINT, LETTERS, STYLES

_LEAST_BAR = 18


def bars(decision: Decision | None, width: int) -> list[Text]:
    """A line for each class: letter, name, bar, percent; a thin mark where the newest window alone would end it."""
    smoothed = decision.probabilities if decision else None
    newest = of_window(decision) if decision else None
    words = list(WORDS.values())
    if width - max(map(len, words)) < _LEAST_BAR:  # too little left for a bar: leave out what stands in brackets
        words = [word.split(" (")[0] for word in words]
    name_width = max(map(len, words))
    unsure = decision is None or decision.label is None  # probabilities without a label must not look like an answer
    lines = []
    for index, (name, word) in enumerate(zip(CLASSES, words, strict=True)):
        p = known(smoothed[index]) if smoothed is not None else None
        mark = known(newest[index]) if newest is not None else None
        stands = decision is not None and decision.label == name
        line = styled(f"{LETTERS[name]} ", STYLES[name]).append(f"{word:{name_width}} ", "bold" if stands else "")
        line.append_text(bar(p, width - name_width - 9, FAINT if unsure else STYLES[name], mark))
        lines.append(line.append(f"{percent(p):>6}", "bold" if stands else ""))
    return lines


def known(value: float | None) -> float | None:
    """The value, or None where it is no number."""
    return value if value is not None and math.isfinite(value) else None


def percent(share: float | None) -> str:
    """In whole percent; a dash where it is not known."""
    return "–" if share is None else f"{100 * share:.0f} %"
