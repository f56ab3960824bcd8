"""Intervals between the prominent sounds of the last seconds, whichever sounds they are.

What tells most of PASCAL's extrasystole clips from its normal ones is not a beat that is early by its S1 and S2 (few of
the short clips hold one), but how all prominent sounds are spaced. A sound is prominent where the envelope swings up
to it and down again by so many of its standard deviations; no single height is picked, several are described together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import sub

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
    heard = logs[-spec.memory_frames :]
    members = np.arange(heard.shape[1]) < np.array(spec.bands)[:, None]
    envelopes = members / members.sum(axis=1, keepdims=True) @ heard.T
    envelopes /= np.maximum(envelopes.std(axis=1, keepdims=True), 1e-9)
    found = [at for envelope in envelopes for at in peaks(envelope, spec.swings)]
    return np.array([value for at in found for value in _statistics(at, hop_s)])


def peaks(envelope: Array, swings: Sequence[float]) -> list[list[int]]:
    """Where the envelope peaks, for each prominence.

    A peak counts once the envelope has risen to it by the swing, and fallen from it by the same; of a flat top its
    first frame does.

    Args:
        envelope: (frames,), frames >= 1.
        swings: in the envelope's unit, ascending.

    Returns:
        Per swing the ascending frames of the peaks.
    """
    slope = np.diff(envelope)
    turns = np.flatnonzero(slope[1:] * slope[:-1] <= 0) + 1
    at, values, found = [0, *turns.tolist(), len(envelope) - 1], envelope.tolist(), []
    for swing in swings:
        at = _zigzag(at, values, swing)  # what turns by this swing turns by each smaller one too
        found.append(at[1::2])
    return found


def _zigzag(places: list[int], values: list[float], swing: float) -> list[int]:
    """Of some turning points those between which the curve moves by the swing: bottom, top, bottom ... bottom."""
    kept, rising = [], False
    at, extreme = places[0], values[places[0]]
    for place in places:
        value = values[place]
        if value > extreme if rising else value < extreme:
            at, extreme = place, value
        elif extreme - value >= swing if rising else value - extreme >= swing:
            kept.append(at)
            rising, at, extreme = not rising, place, value
    return kept if rising else [*kept, at]


def _statistics(at: list[int], hop_s: float) -> tuple[float, ...]:
    """`STATISTICS` of the intervals between peaks at ascending frames."""
    gaps = sorted(map(sub, at[1:], at))
    count = len(gaps)
    if count < _LEAST:
        return (0.0,) * len(STATISTICS)
    median = (gaps[(count - 1) // 2] + gaps[count // 2]) / 2
    tenth = 0.1 * (count - 1)
    before = int(tenth)
    low = gaps[before] + (tenth - before) * (gaps[before + 1] - gaps[before])
    mean = sum(gaps) / count
    variation = math.dist(gaps, [mean] * count) / math.sqrt(count) / mean
    return gaps[0] / median, low / median, gaps[-1] / median, variation, gaps[0] * hop_s, median * hop_s
