"""Intervals between the prominent sounds of the last seconds, whichever sounds they are.

What tells most of PASCAL's extrasystole clips from its normal ones is not a beat that is early by its S1 and S2 (few of
the short clips hold one), but how all prominent sounds are spaced. A sound is prominent where the envelope swings up
to it and down again by so many of its standard deviations; no single height is picked, several are described together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Array = np.ndarray

#: What is said of the intervals between the sounds of one prominence.
STATISTICS = ("shortest / median", "10 % quantile / median", "longest / median", "variation", "shortest", "median")
_LEAST = 3
#: Of bands and of swings.
_MOST = 16


@dataclass(frozen=True)
class IntervalSpec:
    """Which sounds count. Part of the bundle.

    Attributes:
        memory_frames: the newest frames that are looked at, 10 s by default.
        bands: envelopes are means over so many of the lowest bands; in the default front end up to some 110 Hz, 180 Hz
            and 400 Hz.
        swings: prominences, in standard deviations of the envelope, ascending.
    """

    memory_frames: int = 500
    bands: tuple[int, ...] = (8, 14, 32)
    swings: tuple[float, ...] = (0.9, 1.1, 1.3, 1.5)

    def __post_init__(self) -> None:
        if not 0 < self.memory_frames <= 10_000:
            raise ValueError(f"memory_frames must be from 1 to 10000, not {self.memory_frames}")
        if not 0 < len(self.bands) <= _MOST or min(self.bands) < 1:
            raise ValueError(f"bands must be 1 to {_MOST} numbers above 0, not {self.bands}")
        usable = all(0 < swing < math.inf for swing in self.swings)
        if not 0 < len(self.swings) <= _MOST or not usable or list(self.swings) != sorted(self.swings):
            raise ValueError(f"swings must be 1 to {_MOST} numbers above 0, ascending, not {self.swings}")

    @property
    def size(self) -> int:
        """Values that `describe` gives."""
        return len(self.bands) * len(self.swings) * len(STATISTICS)


def describe(spec: IntervalSpec, hop_s: float, logs: Array) -> Array:
    """Statistics of the intervals.

    Args:
        spec: which sounds count.
        hop_s: time between frames.
        logs: (frames, bands) log energies heard so far, frames >= 1; the newest `memory_frames` count.

    Returns:
        (spec.size,) `STATISTICS` per band and swing, the swings of a band side by side; the last two of each in
        seconds. Zeros where there are fewer than three intervals.
    """
    told: Array = describe_all(spec, hop_s, envelopes(spec, logs[-spec.memory_frames :])[None])[0]
    return told


def envelopes(spec: IntervalSpec, logs: Array) -> Array:
    """(frames, spec.bands) envelopes of log energies (frames, bands): means over the lowest bands, frame by frame."""
    members = np.arange(logs.shape[1])[:, None] < np.array(spec.bands)
    return np.asarray(np.matmul(logs[:, None, :], members / members.sum(axis=0))[:, 0])


def describe_all(spec: IntervalSpec, hop_s: float, heard: Array) -> Array:
    """Statistics of moments together; each as `describe` of its own, to the bit.

    Args:
        spec: which sounds count.
        hop_s: time between frames.
        heard: (moments, frames, spec.bands) of `envelopes`, the newest `memory_frames`, frames >= 1.

    Returns:
        (moments, spec.size).
    """
    moments, _, bands = heard.shape
    # Each envelope a row of its own: sums along a row do not depend on how many rows there are.
    rows = np.ascontiguousarray(heard.transpose(0, 2, 1)).reshape(moments * bands, -1)
    away = rows - rows.sum(axis=1, keepdims=True) / rows.shape[1]
    spread = np.sqrt((away * away).sum(axis=1, keepdims=True) / rows.shape[1])
    rows = rows / np.maximum(spread, 1e-9)
    found = peaks(rows, spec.swings[0])
    # Of each swing those peaks that reach it, as rows of their own.
    swing, at = np.nonzero(found.swing >= np.array(spec.swings)[:, None])
    row = found.row[at] * len(spec.swings) + swing
    told = _statistics(row, found.frame[at], len(rows) * len(spec.swings), hop_s)
    return told.reshape(moments, spec.size)


class Peaks(NamedTuple):
    """Peaks of envelopes, row by row, in the order of their frames."""

    row: Array  # (peaks,) int
    frame: Array  # (peaks,) int, of a flat top the first
    swing: Array  # (peaks,) by which the envelope rises to it, and falls from it, before it is higher


def peaks(rows: Array, least: float) -> Peaks:
    """The peaks of envelopes (rows, frames), frames >= 1, that swing by `least` or more; `least` is above 0."""
    frames = rows.shape[1]
    up = rows[:, 1:] > rows[:, :-1]
    # Tops and bottoms by turns: a bottom after each top, and one after the top that stands where a row begins.
    tops, bottoms = np.zeros(rows.shape, dtype=bool), np.ones(rows.shape, dtype=bool)
    tops[:, 0] = True
    tops[:, 1:-1] = up[:, :-1] & ~up[:, 1:]
    bottoms[:, :-1] = up
    bottoms[:, 1:] &= ~up
    at = np.flatnonzero(tops)
    # Nothing exceeds what stands where a row begins, and after the last one.
    heights = np.append(np.where(at % frames, rows.ravel()[at], np.inf), np.inf)
    valleys = np.append(rows[bottoms], -np.inf)
    at = np.append(at, rows.size)
    kept = _beside_none(heights, valleys, least)
    at, heights, valleys = at[kept], heights[kept], np.minimum.reduceat(valleys, kept)
    here = np.flatnonzero(heights < np.inf)
    swing = heights[here] - _base(heights, valleys, here)
    enough = swing >= least
    found = at[here][enough]
    return Peaks(found // frames, found % frames, swing[enough])


def _beside_none(heights: Array, valleys: Array, least: float) -> Array:
    """Which tops remain without those that are a mere step on the way to a higher one beside them.

    Between the two the envelope falls by less than `least`; so it can't change the swing of another top by so much
    that this reaches `least`.
    """
    shallow = heights - valleys < least
    step = np.zeros(len(heights), dtype=bool)
    step[:-1] = shallow[:-1] & (heights[1:] > heights[:-1])
    step[1:] |= (heights[1:] - valleys[:-1] < least) & (heights[:-1] >= heights[1:])
    return np.flatnonzero(~step | np.isinf(heights))


def _base(heights: Array, valleys: Array, here: Array) -> Array:
    """The higher of the lowest valleys on either side of tops, before one that is higher; or, to the left, as high.

    All tops look at once, to both sides: at the next one, then at what that one has found to be the next higher than
    itself.

    Args:
        heights: (n,) of the tops.
        valleys: (n,) behind each.
        here: (k,) which tops look.
    """
    count = len(heights)
    # The way to the left, then the way to the right.
    both = np.concatenate([heights, heights])
    lowest = np.concatenate([valleys[-1:], valleys[:-1], valleys])
    following = np.concatenate([np.arange(-1, count - 1), np.arange(count + 1, 2 * count + 1)])
    looking = np.concatenate([here, here + count])
    while len(looking):
        seen = following[looking]
        higher, own = both[seen], both[looking]
        passed = (higher < own) | ((higher == own) & (looking >= count))
        looking, seen = looking[passed], seen[passed]
        lowest[looking] = np.minimum(lowest[looking], lowest[seen])
        following[looking] = following[seen]
    return np.asarray(np.maximum(lowest[here], lowest[here + count]))


def _statistics(row: Array, frame: Array, rows: int, hop_s: float) -> Array:
    """`STATISTICS` (rows, 6) of the intervals between peaks (n,): those of one row together, by ascending frames."""
    same = row[1:] == row[:-1]
    row, gaps = row[1:][same], (frame[1:] - frame[:-1])[same]
    count = np.bincount(row, minlength=rows)
    told = np.zeros((rows, len(STATISTICS)))
    enough = np.flatnonzero(count >= _LEAST)
    if not len(enough):
        return told
    # Whole numbers, so that sums are exact in whatever order.
    total, squares = (np.bincount(row, weights, rows)[enough] for weights in (gaps, gaps * gaps))
    first, n = (np.cumsum(count) - count)[enough], count[enough]
    above = int(gaps.max()) + 1
    gaps = np.append(np.sort(row * above + gaps) % above, 0)
    median = (gaps[first + (n - 1) // 2] + gaps[first + n // 2]) / 2
    before, part = np.divmod(0.1 * (n - 1), 1)
    at = first + before.astype(np.intp)
    low = gaps[at] + part * (gaps[at + 1] - gaps[at])
    variation = np.sqrt(n * squares - total * total) / total
    shortest, longest = gaps[first], gaps[first + n - 1]
    columns = shortest / median, low / median, longest / median, variation, shortest * hop_s, median * hop_s
    told[enough] = np.array(columns).T
    return told
