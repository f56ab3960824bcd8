"""Heart rate and regularity from the beats of the last seconds. Pure.

A cycle runs from one S1 to the next, or from one S2 to the next. The rate is that of the cycles like the median one,
which leaves a premature beat and its pause out; short cycles are candidates for premature beats (such intervals are
left out in "Heart rate variability", Task Force 1996; here they are what is looked for).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from models.rhythm import Beat

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
    both_s = s1.lengths_s + s2.lengths_s
    if len(both_s) < _LEAST_CYCLES:
        return UNKNOWN
    median_s = _median(both_s)
    span_s = min(MEMORY_S, max(heard_s, _LEAST_CYCLES * median_s))
    filled = min(1.0, max(_filled_s(s1, median_s), _filled_s(s2, median_s)) / span_s)
    sure = sum([beat.confidence for beat in recent]) / len(recent)
    confidence = filled * min(1.0, sure / _CLEAR)
    rate = 60 / _mean([x for x in both_s if _alike(x, median_s)]) if confidence >= _LEAST_CONFIDENCE else None
    if len(s1.lengths_s) < _LEAST_CYCLES:
        return Regularity(rate, confidence, None, None, ())
    early = _premature(s1, span_s)
    if rate is None and len(early) < _REPEATED:
        early = ()  # beats were lost or made up, and what seems early is mostly one of these
    return Regularity(rate, confidence, _variation(s1.lengths_s), min(s1.lengths_s) / median_s, early)


class _Cycles(NamedTuple):
    """Cycles between two of the same sound, in order."""

    ends_s: list[float]  # onset that ends each
    lengths_s: list[float]
    whole: list[bool]  # whether the other sound was found in it


def _filled_s(cycles: _Cycles, median_s: float) -> float:
    """Time filled by cycles near the median; one without the other sound counts half.

    In fast hearts one sound may be lost, and the other is enough if some are found. But where it is never found, two
    sounds may have passed for one, and the rate be twice the heart's.
    """
    parts = zip(cycles.lengths_s, cycles.whole, strict=True)
    return sum([x if whole else 0.5 * x for x, whole in parts if _alike(x, median_s)])


def _premature(cycles: _Cycles, span_s: float) -> tuple[Premature, ...]:
    """Beats that came early against the basic cycle, the median mean of two neighbouring cycles, and made a pause.

    The pause makes up for the early beat, so that both together make two basic cycles, even if every second beat is
    early. Of the newest beat the pause is not known yet; it is believed. An early beat without an S2 before it is none,
    and where cycles do not fill most of the time, beats were lost and none can be called early.
    """
    lengths_s = cycles.lengths_s
    if len(lengths_s) < _LEAST_FOR_PREMATURE:
        return ()
    basic_s = _median([(one + other) / 2 for one, other in pairwise(lengths_s)])
    if sum(lengths_s) < _LEAST_COVER * (span_s - _ENDS * basic_s):
        return ()
    return tuple(
        Premature(end_s, length_s)
        for end_s, length_s, whole, pause_s in zip(*cycles, [*lengths_s[1:], math.inf], strict=True)
        if whole and length_s < _PREMATURE * basic_s and pause_s > _PAUSE * basic_s
    )


def _alike(cycle_s: float, median_s: float) -> bool:
    """Whether a cycle is near the median one."""
    return abs(cycle_s / median_s - 1) <= _LIKE


def _cycles(beats: Sequence[Beat], sound: str) -> _Cycles:
    """What may be one cycle. Two of the same sound with two or more of the other between have missed one."""
    found, last_s, between = _Cycles([], [], []), -math.inf, 0
    for t_s, kind, _ in beats:
        if kind != sound:
            between += 1
            continue
        length_s = t_s - last_s
        if between < 2 and SHORTEST_S <= length_s <= LONGEST_S:
            found.ends_s.append(t_s)
            found.lengths_s.append(length_s)
            found.whole.append(between > 0)
        last_s, between = t_s, 0
    return found


# Of a dozen numbers or two, for which the standard library and numpy take ten times as long.


def _mean(x: list[float]) -> float:
    return sum(x) / len(x)


def _median(x: list[float]) -> float:
    x, middle = sorted(x), len(x) // 2
    return x[middle] if len(x) % 2 else (x[middle - 1] + x[middle]) / 2


def _variation(x: list[float]) -> float:
    """Standard deviation over mean."""
    mean = _mean(x)
    return math.sqrt(_mean([(value - mean) ** 2 for value in x])) / mean
