"""The whole recording line by line, as a long electrocardiogram is printed: every beat can be seen.

A line is so long that there are `_MOST` of them at most.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from stream.report import sound_strips, strips, svg
from stream.report.axis import LEFT, PLOT, WIDTH, Axis, moment
from stream.report.heard import Early, Heard
from stream.report.sound import Extremes, Sound

#: Of a line.
COLUMNS = PLOT
_LENGTHS_S = (10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_MOST, _A_FIGURE = 60, 20
_HEIGHT, _BETWEEN, _ROOM_FOR_EARLY = 32.0, 8.0, 9.0
#: A shorter session is shown as well by the figure of the whole.
_LEAST_S = 15.0


def length_s(span_s: float) -> int:
    """How long a line is; 0 where the session needs none."""
    if span_s < _LEAST_S:
        return 0
    fits = (s for s in _LENGTHS_S if span_s / s <= _MOST)
    return next(fits, 3600 * math.ceil(span_s / 3600 / _MOST))


def count(span_s: float) -> int:
    """How many lines there are."""
    line_s = length_s(span_s)
    return math.ceil(span_s / line_s) if line_s else 0


def figures(heard: Heard, early: Sequence[Early], sound: Sound) -> Iterator[str]:
    """Some lines each, so that they fit on a sheet of paper."""
    full = sound_strips.full_scale(sound.fine.low, sound.fine.high)
    lines = count(heard.span_s)
    for first in range(0, lines, _A_FIGURE):
        shown = range(first, min(lines, first + _A_FIGURE))
        drawn = [_line(heard, early, sound.fine, full, k, _top(k - first)) for k in shown]
        bottom = _top(len(shown)) - _BETWEEN
        line_s = length_s(heard.span_s)
        seconds = Axis(0.0, float(line_s))
        marks = strips.time_marks(seconds, bottom, f"time from each line's beginning, {seconds.form}")
        title = f"Phonocardiogram from {moment(first * line_s, fine=False)}, a line every {line_s} s"
        words = "Each line goes on where the one above ends; triangles are early beats, hatched is lost audio."
        yield svg.figure(bottom + marks.height, f"lines-{first}", title, words, [*drawn, marks.body], WIDTH)


def _top(line: int) -> float:
    return _ROOM_FOR_EARLY + line * (_HEIGHT + _BETWEEN)


def _line(heard: Heard, early: Sequence[Early], fine: Extremes, full: float, line: int, top: float) -> str:
    line_s = length_s(heard.span_s)
    axis = Axis(float(line * line_s), float((line + 1) * line_s))
    own = slice(line * COLUMNS, (line + 1) * COLUMNS)
    xs = LEFT + np.arange(COLUMNS) + 0.5
    trace = sound_strips.phonocardiogram(xs, fine.low[own], fine.high[own], axis, top, _HEIGHT, full)
    label = svg.text(LEFT - 8, top + _HEIGHT / 2 + 4, moment(axis.start_s, fine=False), "right")
    over = [*strips.early_marks(early, axis, top - 10), strips.gaps(heard, axis, top, top + _HEIGHT)]
    return label + trace.body + "".join(over)
