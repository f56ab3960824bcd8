"""The strips of a figure, one function each: what it holds as SVG, from its top edge on, at a given axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from models.classes import CLASSES
from models.rhythm import Beat
from stream.monitor.theme import LETTERS
from stream.report import series, svg
from stream.report.axis import LEFT, PLOT, WIDTH, Axis, moment
from stream.report.heard import Early, Heard, Mark, Span, gap_end_s

#: Answers in lanes, top to bottom, as a lane names them. A gap is hatched over all strips instead.
LANES = (
    ("normal", "normal"),
    ("murmur", "murmur"),
    ("extra_heart_sound", "extra heart sound"),
    ("extrasystole", "extrasystole"),
    ("artifact", "no heart sound"),
    ("uncertain", "uncertain"),
    ("poor_signal", "poor signal"),
    ("listening", "listening"),
)
#: What an answer is called in a table or label. After a gap the window fills again, in the lane of "listening".
WORDS = MappingProxyType({**dict(LANES), "gap": "listening again after a gap"})
_LANE, _LETTER_ROOM = 14, 11
_TICK_ROOM, _WORD_ROOM = 3.5, 17
_WORDED_S = 9.0
_MOST_CELLS = 2 * PLOT


def lane(kind: str) -> str:
    """The lane that an answer stands in."""
    return "listening" if kind == "gap" else kind


class Strip(NamedTuple):
    """A part of a figure."""

    height: float
    body: str


def head(top: float, name: str, *more: str) -> str:
    """What stands left of a strip: its name, and further lines."""
    first = svg.text(8, top + 13, name, "name")
    return first + "".join(svg.text(8, top + 28 + 14 * k, line, "soft") for k, line in enumerate(more))


def panel(top: float, height: float) -> str:
    """The ground of a strip."""
    return svg.rect(LEFT, top, PLOT, height, "panel")


def grid(axis: Axis, top: float, bottom: float) -> str:
    """Upright lines at the time marks."""
    return svg.uprights([axis.x(t_s) for t_s, _ in axis.ticks()], top, bottom, "grid")


def time_marks(axis: Axis, top: float, words: str = "") -> Strip:
    """Labels of the time marks, and what they are."""
    labels = []
    for t_s, label in axis.ticks():
        x, kind = axis.x(t_s), "soft mid"
        if x > WIDTH - 20:  # would run over the edge
            x, kind = WIDTH, "soft right"
        labels.append(svg.text(x, top + 14, label, kind))
    return Strip(
        34,
        "".join(labels) + svg.text(LEFT + PLOT / 2, top + 30, words or f"time from the start, {axis.form}", "soft mid"),
    )


def gaps(heard: Heard, axis: Axis, top: float, bottom: float) -> str:
    """Lost audio, hatched over all strips; never narrower than can be seen."""
    drawn, edge = [], -math.inf
    for gap in heard.gaps:
        end_s = gap_end_s(heard, gap)
        if end_s <= axis.start_s or gap.t_s >= axis.end_s:
            continue
        left = axis.x(gap.t_s)
        width = max(2.0, axis.x(end_s) - left)
        if left + width < edge + 0.5:  # hidden behind the one before
            continue
        edge = left + width
        title = f"gap at {moment(gap.t_s)}: {gap.lost_samples} samples lost, {gap.reason}"
        drawn.append(
            svg.rect(left, top, width, bottom - top, "hatchpage")
            + svg.rect(left, top, width, bottom - top, "gapfill", title)
        )
    return "".join(drawn)


def answers(of: Sequence[Span], axis: Axis, top: float) -> Strip:
    """Which answer stood when: a lane for each, named and lettered at the left, lettered again where there is room."""
    height = _LANE * len(LANES)
    drawn = [panel(top, height)]
    for k, (name, words) in enumerate(LANES):
        y = top + k * _LANE
        drawn.append(svg.rect(8, y + 1.5, 15, _LANE - 3, f"k-{name}"))
        drawn.append(svg.text(15.5, y + _LANE - 3.5, LETTERS[name], "k-ink mid"))
        drawn.append(svg.text(29, y + _LANE - 3.5, words))
        drawn.append(svg.segment(LEFT, y + _LANE, LEFT + PLOT, y + _LANE, "grid"))
        own = [span for span in of if lane(span.kind) == name]
        for left, right, title in _cells(own, axis):
            drawn.append(svg.rect(left, y + 1, right - left, _LANE - 2, f"k-{name}", f"{words}, {title}"))
            if right - left > _LETTER_ROOM:
                drawn.append(svg.text((left + right) / 2, y + _LANE - 3.5, LETTERS[name], "k-ink mid"))
    return Strip(height, "".join(drawn))


def _cells(of: Sequence[Span], axis: Axis) -> list[tuple[float, float, str]]:
    """Where to draw spans: at least as wide as can be seen; those that can't be told apart are one."""
    found: list[tuple[float, float, Span]] = []
    for span in of:
        if span.end_s < axis.start_s or span.start_s > axis.end_s:
            continue
        left = axis.x(span.start_s)
        right = max(axis.x(span.end_s), left + PLOT / _MOST_CELLS * 2)
        if found and left - found[-1][1] < PLOT / _MOST_CELLS:
            before = found[-1]
            found[-1] = (before[0], max(right, before[1]), before[2]._replace(end_s=span.end_s))
        else:
            found.append((left, right, span))
    return [(left, right, f"{moment(span.start_s)} to {moment(span.end_s)}") for left, right, span in found]


def beats(found: Sequence[Beat], early: Sequence[Early], axis: Axis, top: float) -> Strip:
    """S1 as tall lines, S2 as short ones, named where there is room; what came early bears a mark and a word."""
    height = 34.0
    shown = [beat for beat in found if axis.holds(beat.t_s)]
    room = PLOT / max(1, len(shown))
    drawn = [panel(top, height)]
    if room >= _TICK_ROOM:
        for sound, begin, kind in (("S1", top + 14, "s1"), ("S2", top + 22, "s2")):
            drawn.append(svg.uprights([axis.x(b.t_s) for b in shown if b.sound == sound], begin, top + height, kind))
    else:
        drawn.append(svg.text(LEFT + 6, top + 28, f"{len(shown)} S1 and S2: too many to be drawn one by one", "soft"))
    if room >= _WORD_ROOM:
        words = "soft" if room < 2 * _WORD_ROOM else ""
        drawn += [svg.text(axis.x(b.t_s) + 2, top + 30, b.sound, words) for b in shown]
    drawn += early_marks(early, axis, top)
    return Strip(height, "".join(drawn))


def early_marks(early: Sequence[Early], axis: Axis, top: float) -> list[str]:
    """A triangle at each beat that came early, with the word where there is room."""
    drawn, edge = [], -math.inf
    for beat in early:
        x = axis.x(beat.t_s)
        if not axis.holds(beat.t_s) or x < edge:
            continue
        word = "▼ early" if axis.span_s <= _WORDED_S else "▼"
        drawn.append(svg.text(x - 4.5, top + 11, word, "early"))
        edge = x + 5
    return drawn


def curve(
    heard: Heard, value: str, low: float, high: float, levels: Sequence[tuple[float, str]], axis: Axis, top: float
) -> Strip:
    """A value of the decisions, named as their attribute, between two levels."""
    height = 62.0
    drawn = [panel(top, height), grid(axis, top, top + height)]
    for level, label in levels:
        y = _y(level, low, high, top, height)
        drawn += [svg.segment(LEFT, y, LEFT + PLOT, y, "grid"), svg.text(LEFT - 6, y + 4, label, "soft right")]
    for times_s, values in series.lines(heard, lambda d: getattr(d, value)):
        ys = np.array([_y(v, low, high, top, height) for v in values])
        drawn.append(svg.polyline(np.array([axis.x(t_s) for t_s in times_s]), ys, "line"))
    return Strip(height, "".join(drawn))


def rates_shown(heard: Heard) -> tuple[float, float]:
    """Round heart rates below and above all that were told."""
    told = [d.heart_rate_bpm for d in heard.decisions if d.heart_rate_bpm is not None]
    low, high = (min(told), max(told)) if told else (60.0, 100.0)
    return 20 * math.floor((low - 5) / 20), 20 * math.ceil((high + 5) / 20)


def _y(value: float, low: float, high: float, top: float, height: float) -> float:
    return top + height * (1 - min(1.0, max(0.0, (value - low) / (high - low))))


def probabilities(heard: Heard, axis: Axis, top: float) -> Strip:
    """A lane for each class, filled to its probability."""
    step = 27.0
    drawn = []
    for k, name in enumerate(CLASSES):
        y, height = top + k * step, step - 3
        drawn += [panel(y, height), grid(axis, y, y + height)]
        drawn.append(svg.rect(8, y + 5, 15, 13, f"k-{name}"))
        drawn.append(svg.text(15.5, y + 15.5, LETTERS[name], "k-ink mid"))
        drawn.append(svg.text(29, y + 15.5, WORDS[name]))
        drawn += [svg.text(LEFT - 6, y + 9, "1", "soft right"), svg.text(LEFT - 6, y + height, "0", "soft right")]
        for times_s, values in series.lines(heard, series.probability(k)):
            xs, ys = np.array([axis.x(t_s) for t_s in times_s]), y + height * (1 - values)
            drawn.append(svg.polyline(xs, ys, f"area k-{name}", close_at=y + height))
    return Strip(step * len(CLASSES) - 3, "".join(drawn))


def marks(of: Sequence[Mark], axis: Axis, top: float, bottom: float) -> str:
    """Numbered flags, and a line down through all strips; marks too close to be told apart share one."""
    drawn, edge = [], -math.inf
    for k, mark in enumerate(of, 1):
        x = axis.x(mark.t_s)
        if not axis.holds(mark.t_s) or x < edge:
            continue
        edge = x + 8
        width = 6.0 + 6 * len(str(k))
        left = min(x, WIDTH - width - 1)
        drawn.append(svg.segment(x, top, x, bottom, "markline"))
        drawn.append(svg.rect(left, top, width, 13, "flag", f"mark {k} at {moment(mark.t_s)}: {mark.note}"))
        drawn.append(svg.text(left + width / 2, top + 10, k, "flagtext"))
    return "".join(drawn)
