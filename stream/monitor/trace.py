"""The phonocardiogram in characters: extremes of every dot column, so that no beat falls between two dots."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from stream.block import Samples
from stream.monitor.view import GAIN_STEP_DB, LOWEST_DB

#: Seconds a division, by the longest span that they suit; 1, 2 or 5 of a decimal place.
_DIVISIONS_S = ((2.5, 0.2), (6.0, 0.5), (12.0, 1.0), (30.0, 2.0), (60.0, 5.0), (math.inf, 10.0))

#: Bits of the braille dots (Unicode 8-dot patterns): four rows of two columns.
_BRAILLE = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


class Extremes(NamedTuple):
    """The trace, reduced to dot columns; NaN where nothing was heard."""

    low: np.ndarray  # (columns,) float64
    high: np.ndarray  # (columns,) float64
    end: int  # index, since the stream began, of the dot column after the last
    span_s: float  # of all columns
    edge_db: int | None = None  # level of the edges, where it is fixed

    @property
    def division_s(self) -> float:
        """Distance of the time marks."""
        return next(division_s for longest_s, division_s in _DIVISIONS_S if self.span_s <= longest_s)


def extremes(samples: Samples, rate_hz: int, end_s: float, columns: int, span_s: float) -> Extremes:
    """Smallest and largest sample of each dot column over the last `span_s`.

    The columns are cut at multiples of their length since the stream began, not since the newest sample: a beat keeps
    its shape while it moves over the screen.

    Args:
        samples: (n,) float32, n >= 0; blank where it isn't finite.
        rate_hz: rate of the samples.
        end_s: stream time of the end of the samples.
        columns: number of dot columns, > 0.
        span_s: what they show, > 0.
    """
    length = span_s * rate_hz / columns
    after = round(end_s * rate_hz)
    end = math.floor(after / length)
    edges = np.ceil(np.arange(end - columns, end + 1) * length).astype(np.int64) - (after - len(samples))
    low, high = np.full(columns, np.nan), np.full(columns, np.nan)
    first = int(np.searchsorted(edges, 0))
    if first < columns and edges[first] < edges[-1]:
        heard = samples[edges[first] : edges[-1]]
        heard = np.where(np.isfinite(heard), heard, np.nan)
        starts = np.minimum(edges[first:-1] - edges[first], len(heard) - 1)
        # These pass over NaN: only a column without any sound is blank.
        low[first:] = np.fmin.reduceat(heard, starts)
        high[first:] = np.fmax.reduceat(heard, starts)
    return Extremes(low, high, end, span_s)


def scale_db(shown: Extremes) -> int | None:
    """Level of the trace's upper and lower edge in dB re full scale, in steps so that it rarely moves.

    Returns:
        Where it is fixed, that; else a multiple of 6 dB that the largest amplitude stays within, or None for silence.
    """
    if shown.edge_db is not None:
        return shown.edge_db
    heard = ~np.isnan(shown.low)
    peak = max(np.max(-shown.low[heard], initial=0.0), np.max(shown.high[heard], initial=0.0))
    if not peak > 0:
        return None
    return max(LOWEST_DB, math.ceil(20 * math.log10(peak) / GAIN_STEP_DB - 1e-9) * GAIN_STEP_DB)


def _dots(shown: Extremes, rows: int) -> np.ndarray:
    """Which dots are set, (rows, columns) bool; row 0 is the upper edge."""
    db = scale_db(shown)
    gain = 0.0 if db is None else 10 ** (-db / 20)
    middle = (rows - 1) / 2
    top = np.floor(middle * (1 - gain * shown.high) + 0.5)
    bottom = np.floor(middle * (1 - gain * shown.low) + 0.5)
    row = np.arange(rows)[:, np.newaxis]
    dots: np.ndarray = (row >= np.clip(top, 0, rows - 1)) & (row <= np.clip(bottom, 0, rows - 1))
    return dots


def braille(shown: Extremes, rows: int) -> list[str]:
    """The trace as `rows` lines of braille characters, two dot columns and four dot rows to each."""
    dots = _dots(shown, 4 * rows).reshape(rows, 4, -1, 2)
    codes = np.einsum("rych,yh->rc", dots, _BRAILLE)
    return ["".join(chr(0x2800 + c) if c else " " for c in line) for line in codes]


def ascii_art(shown: Extremes, rows: int) -> list[str]:
    """The trace as `rows` lines of ASCII: one dot column and two dot rows to each character."""
    dots = _dots(shown, 2 * rows).reshape(rows, 2, -1)
    codes = dots[:, 0] + 2 * dots[:, 1].astype(int)
    return ["".join(" '.|"[c] for c in line) for line in codes]


def column(shown: Extremes, width: int, t_s: float) -> int:
    """The character column of a moment; below 0 or from `width` on where it is not shown.

    Args:
        shown: what is drawn.
        width: characters across its span.
        t_s: stream time.
    """
    dots = len(shown.low)
    dot = math.floor(t_s * dots / shown.span_s + 1e-6) - (shown.end - dots)
    return dot // (dots // width)


def division_marks(shown: Extremes, width: int) -> list[tuple[int, float]]:
    """Where the time divisions fall: character column and stream time in seconds, oldest first.

    Args:
        shown: what is drawn above.
        width: characters across its span.
    """
    dots = len(shown.low)
    number = math.ceil(max(0.0, (shown.end - dots) * shown.span_s / dots) / shown.division_s - 1e-9)
    marks = []
    while (at := column(shown, width, number * shown.division_s)) < width:
        marks.append((at, number * shown.division_s))
        number += 1
    return marks
