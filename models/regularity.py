"""Heart rate and regularity from the beats of the last seconds. Pure.

A cycle runs from one S1 to the next, or from one S2 to the next. The rate is that of the cycles like the median one,
which leaves a premature beat and its pause out; short cycles are candidates for premature beats (such intervals are
left out in "Heart rate variability", Task Force 1996; here they are what is looked for).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.rhythm import Beat

Array = np.ndarray

#: Beats of so many seconds count: an early beat is one among several.
MEMORY_S = 10.0
SHORTEST_S, LONGEST_S = 0.3, 2.2  # of a cycle: 200 bpm, and the pause after an early beat at 45 bpm
_LEAST_CYCLES = 3
_LEAST_FOR_PREMATURE = 5
_LEAST_CONFIDENCE = 0.5
#: From this confidence on a heart rate is called sure: on the screen, and in a session's summary.
SURE = 0.75
_CLEAR = 0.7  # mean confidence of beats that are as sure as those of clear recordings
#: A cycle further from the median than this share speaks against the rate.
_LIKE = 0.15
#: An early beat cuts its cycle to some .5-.7; respiration alone to .85 at most (Task Force 1996; children more).
_PREMATURE = 0.8
_PAUSE = 0.95
_LEAST_COVER = 0.9
#: So many early beats are told where the rate is not sure, as in bigeminy, whose cycles are not like each other. Of
#: some 700 recordings of CirCor and PASCAL none had as many and no sure rate.
_REPEATED = 3
_ENDS = 1.5  # cycles that begin or end outside, at most two


class Premature(NamedTuple):
    """A beat that came early."""

    t_s: float  # its S1
    coupling_s: float  # from the S1 before


class Regularity(NamedTuple):
    """What the last seconds say of the rhythm."""

    heart_rate_bpm: float | None  # None where not confident
    confidence: float  # share of the time filled with like cycles, less where beats are unsure; 0 to 1
    variation: float | None  # standard deviation of the cycles over their mean; None for fewer than 3
    shortest: float | None  # shortest cycle over the median; None for fewer than 3
    premature: tuple[Premature, ...]  # candidates, oldest first; none or three and more where the rate is not known


UNKNOWN = Regularity(None, 0.0, None, None, ())


def assess(beats: Sequence[Beat], heard_s: float) -> Regularity:
    """Judge the beats of the last seconds.

    Args:
        beats: in the order of their onsets.
        heard_s: up to where beats can be known, in the beats' own time; the last `MEMORY_S` before it count.
    """
    recent = [beat for beat in beats if heard_s - MEMORY_S < beat.t_s <= heard_s]
    s1, s2 = _cycles(recent, "S1"), _cycles(recent, "S2")
    both = np.concatenate([s1.lengths_s, s2.lengths_s])
    if len(both) < _LEAST_CYCLES:
        return UNKNOWN
    median_s = float(np.median(both))
    span_s = min(MEMORY_S, max(heard_s, _LEAST_CYCLES * median_s))
    filled = min(1.0, max(_filled_s(s1, median_s), _filled_s(s2, median_s)) / span_s)
    sure = float(np.mean([beat.confidence for beat in recent]))
    confidence = filled * min(1.0, sure / _CLEAR)
    rate = 60 / float(np.mean(both[_alike(both, median_s)])) if confidence >= _LEAST_CONFIDENCE else None
    if len(s1.lengths_s) < _LEAST_CYCLES:
        return Regularity(rate, confidence, None, None, ())
    variation = float(s1.lengths_s.std() / s1.lengths_s.mean())
    early = _premature(s1, span_s)
    if rate is None and len(early) < _REPEATED:
        early = ()  # beats were lost or made up, and what seems early is mostly one of these
    return Regularity(rate, confidence, variation, float(s1.lengths_s.min() / median_s), early)


class _Cycles(NamedTuple):
    """Cycles between two of the same sound, in order."""

    ends_s: Array  # (n,) onset that ends each
    lengths_s: Array  # (n,)
    whole: Array  # (n,) bool, whether the other sound was found in it


def _filled_s(cycles: _Cycles, median_s: float) -> float:
    """Time filled by cycles near the median; one without the other sound counts half.

    In fast hearts one sound may be lost, and the other is enough if some are found. But where it is never found, two
    sounds may have passed for one, and the rate be twice the heart's.
    """
    weights = np.where(cycles.whole, 1.0, 0.5) * _alike(cycles.lengths_s, median_s)
    return float(weights @ cycles.lengths_s)


def _premature(cycles: _Cycles, span_s: float) -> tuple[Premature, ...]:
    """Beats that came early against the basic cycle, the median mean of two neighbouring cycles, and made a pause.

    The pause makes up for the early beat, so that both together make two basic cycles, even if every second beat is
    early. Of the newest beat the pause is not known yet; it is believed. An early beat without an S2 before it is none,
    and where cycles do not fill most of the time, beats were lost and none can be called early.
    """
    lengths_s = cycles.lengths_s
    if len(lengths_s) < _LEAST_FOR_PREMATURE:
        return ()
    basic_s = float(np.median((lengths_s[1:] + lengths_s[:-1]) / 2))
    if lengths_s.sum() < _LEAST_COVER * (span_s - _ENDS * basic_s):
        return ()
    pauses_s = np.append(lengths_s[1:], np.inf)
    early = cycles.whole & (lengths_s < _PREMATURE * basic_s) & (pauses_s > _PAUSE * basic_s)
    return tuple(Premature(float(t), float(x)) for t, x in zip(cycles.ends_s[early], lengths_s[early], strict=True))


def _alike(cycles_s: Array, median_s: float) -> Array:
    """Which cycles (n,) are near the median one."""
    return np.abs(cycles_s / median_s - 1) <= _LIKE


def _cycles(beats: Sequence[Beat], sound: str) -> _Cycles:
    """What may be one cycle. Two of the same sound with two or more of the other between have missed one."""
    found, last_s, between = [], None, 0
    for beat in beats:
        if beat.sound != sound:
            between += 1
            continue
        if last_s is not None and between < 2 and SHORTEST_S <= beat.t_s - last_s <= LONGEST_S:
            found.append((beat.t_s, beat.t_s - last_s, between))
        last_s, between = beat.t_s, 0
    ends_s, lengths_s, betweens = np.array(found).reshape(-1, 3).T
    return _Cycles(ends_s, lengths_s, betweens > 0)
