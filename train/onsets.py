"""How well found onsets agree with annotated ones, with intervals over groups.

A found onset is right if it lies within a tolerance of an annotated one of the same sound, one to one (Springer et al.
2016 count so, with 100 ms). Found onsets outside the annotated spans are neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from models import regularity
from models.rhythm import SOUNDS, Beat
from train.scores import resample_weights, scored
from train.timings import Timed

Array = np.ndarray

TOLERANCES_S = (0.06, 0.1)
_RATE_TOLERANCE_BPM = 5.0
_LEAST_CYCLES = 3


class Matched(NamedTuple):
    """One sound of one recording."""

    errors_s: Array  # (hits,) found minus annotated
    found: int  # found onsets that count
    annotated: int


def match(found: Array, annotated: Array, spans: Array, tolerance_s: float) -> Matched:
    """Pair found and annotated onsets, both (n,) ascending seconds: the nearest pair first.

    Args:
        found: what was found.
        annotated: the truth.
        spans: (k, 2) seconds from where to where the truth is known.
        tolerance_s: pairs further apart are no pairs.
    """
    away = np.abs(found[:, None] - annotated[None, :])
    near = away <= tolerance_s
    errors, free, missed = [], np.ones(len(found), dtype=bool), np.ones(len(annotated), dtype=bool)
    for i, k in np.argwhere(near)[np.argsort(away[near], kind="stable")]:
        if free[i] and missed[k]:
            errors.append(found[i] - annotated[k])
            free[i] = missed[k] = False
    wrong = sum(int(((found >= begin) & (found < end) & free).sum()) for begin, end in spans)
    return Matched(np.array(errors), len(errors) + wrong, len(annotated))


def onset_scores(found: Sequence[Sequence[Beat]], truth: Sequence[Timed]) -> dict[str, Any]:
    """F1, precision, recall and the hits' median absolute error of each sound at each tolerance.

    Args:
        found: beats per recording.
        truth: the recordings.

    Returns:
        JSON values; every score with its interval of a bootstrap over groups.
    """
    member, weights = resample_weights([timed.group for timed in truth])
    result: dict[str, Any] = {"n": len(truth), "groups": weights.shape[1]}
    for sound in SOUNDS:
        result[sound] = {}
        for tolerance_s in TOLERANCES_S:
            pairs = [
                match(times(beats, sound), timed.onsets(sound), timed.spans, tolerance_s)
                for beats, timed in zip(found, truth, strict=True)
            ]
            counts = np.zeros((weights.shape[1], 3))
            np.add.at(counts, member, [(len(p.errors_s), p.found, p.annotated) for p in pairs])
            result[sound][f"{round(1000 * tolerance_s)} ms"] = {
                "f1": _ratio(2 * counts[:, :1], counts[:, 1:], weights),
                "precision": _ratio(counts[:, :1], counts[:, 1:2], weights),
                "recall": _ratio(counts[:, :1], counts[:, 2:], weights),
                "median_error_s": _median_error(pairs, member, weights),
            }
    return result


def rate_scores(found: Sequence[Sequence[Beat]], truth: Sequence[Timed]) -> dict[str, Any]:
    """Share of answered heart rates within 5 bpm, of those abstained, and of recordings with a beat marked as early.

    A recording counts with the newest `MEMORY_S` of its longest annotated span: its rate there is that of the median
    cycle between annotated S1s, of which there must be 3. Laennec's rate is that of the beats which it found there.
    """
    judged = [(timed.group, _judged(beats, timed)) for beats, timed in zip(found, truth, strict=True)]
    rows = [(group, row) for group, row in judged if row]
    if not rows:
        unknown = scored(float("nan"), np.zeros(0))
        return {"n": 0} | dict.fromkeys(("within_5_bpm", "abstained", "early_found", "early_annotated"), unknown)
    member, weights = resample_weights([group for group, _ in rows])
    counts = np.zeros((weights.shape[1], 5))
    np.add.at(counts, member, [(*row, 1) for _, row in rows])
    right, answered, early, truly_early, all_of_them = np.split(counts, 5, axis=1)
    return {
        "n": len(rows),
        "within_5_bpm": _ratio(right, answered, weights),
        "abstained": _ratio(all_of_them - answered, all_of_them, weights),
        "early_found": _ratio(early, all_of_them, weights),
        "early_annotated": _ratio(truly_early, all_of_them, weights),
    }


def _judged(beats: Sequence[Beat], timed: Timed) -> tuple[bool, bool, bool, bool] | None:
    """Of a recording's longest span: rate right, rate told, a beat marked early, one early by the annotations."""
    begin, end = max(timed.spans, key=lambda span: span[1] - span[0])
    begin = max(begin, end - regularity.MEMORY_S)
    annotated = sorted(Beat(t_s, sound, 1.0) for sound in SOUNDS for t_s in timed.onsets(sound))
    heard, true = (
        [b._replace(t_s=b.t_s - begin) for b in either if begin <= b.t_s <= end] for either in (beats, annotated)
    )
    cycles = np.diff(times(true, "S1"))
    if len(cycles) < _LEAST_CYCLES:
        return None
    told = regularity.assess(heard, end - begin)
    rate = told.heart_rate_bpm
    right = rate is not None and abs(rate - 60 / float(np.median(cycles))) <= _RATE_TOLERANCE_BPM
    early = bool(regularity.assess(true, end - begin).premature)
    return right, rate is not None, bool(told.premature), early


def times(beats: Sequence[Beat], sound: str) -> Array:
    """(n,) onsets in seconds of one sound."""
    return np.array([beat.t_s for beat in beats if beat.sound == sound])


def _ratio(over: Array, under: Array, weights: Array) -> dict[str, float | None]:
    """A ratio of sums over groups (groups, any), with its interval."""
    tops, bottoms = over.sum(axis=1), under.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return scored(float(tops.sum() / bottoms.sum()), (weights @ tops) / (weights @ bottoms))


def _median_error(pairs: Sequence[Matched], member: Array, weights: Array) -> dict[str, float | None]:
    """Median absolute error of the hits; the interval from each resample's weighted median."""
    errors = np.abs(np.concatenate([p.errors_s for p in pairs]))
    if not len(errors):
        return scored(float("nan"), errors)
    group = np.repeat(member, [len(p.errors_s) for p in pairs])
    order = np.argsort(errors)
    heavy = np.cumsum(weights[:500, group[order]], axis=1)
    middles = (heavy >= heavy[:, -1:] / 2).argmax(axis=1)
    return scored(float(np.median(errors)), errors[order][middles])
