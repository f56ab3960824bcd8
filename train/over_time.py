"""What a listener sees while a recording plays: the smoothed answer at each moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from models import decide
from models.decide import DecideSpec
from models.frontend import FrontEndSpec
from models.join import Joined, probabilities
from train import scores
from train.config import Config

Array = np.ndarray
#: Seconds heard at which the answers are compared, and how long a recording lasts that is asked at all of a row.
SECONDS = (1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 12.0)
COHORTS_S = (8.0, 12.0)


def standing(config: Config, rolling: Joined) -> Array:
    """(k,) the class that stands at each of (k,) moments, abstaining never."""
    spec = DecideSpec(threshold=0.0, smoothing=config.answer.smoothing, margin=config.answer.margin)
    state, found = decide.init_state(), []
    for logits, early in zip(*rolling, strict=True):
        _, answer, state = decide.step(spec, Joined(logits, early), state)
        found.append(answer)
    return np.array(found, dtype=np.int64)


def heard(
    config: Config,
    truth: Array,
    frames: Array,
    moments: Sequence[Array],
    runs: Sequence[Sequence[Joined]],
    groups: Sequence[str],
) -> list[dict[str, Any]]:
    """Accuracy after some seconds, on the same recordings for all of them.

    Args:
        config: the recipe.
        truth: (n,) class indices.
        frames: (n,) length of each recording.
        moments: n times (k,) frames heard at each moment.
        runs: per seed n times what is said of these moments.
        groups: (n,) what the bootstrap resamples.

    Returns:
        A row per cohort: what it is, how many, and the scores by seconds heard, of the answer that stands then, and for
        the whole recording, of the answer that all its windows give together.
    """
    rows = []
    for cohort_s in COHORTS_S:
        own = np.flatnonzero(frames >= _frames(config.front_end, cohort_s)).tolist()
        if not own:
            continue
        member = [groups[i] for i in own]
        by_seconds = {f"{s:g}": _right(config, truth, own, moments, runs, s) for s in SECONDS if s <= cohort_s}
        by_seconds["all"] = _right_in_the_end(config, truth, own, moments, runs)
        row = {name: scores.ratio(right, np.ones(len(own)), member) for name, right in by_seconds.items()}
        less = scores.ratio(by_seconds["all"] - by_seconds["4"], np.ones(len(own)), member)
        rows.append({"at_least_s": cohort_s, "n": len(own), "accuracy": row, "whole_minus_4_s": less})
    return rows


def flips(config: Config, seconds: Array, runs: Sequence[Sequence[Joined]], groups: Sequence[str]) -> dict[str, Any]:
    """Changes of the answer a minute, before and after smoothing; (n,) seconds of each recording."""
    whole = [[standing(config, x) for x in run] for run in runs]
    raw = [[probabilities(x.told).argmax(axis=1) if len(x.early) else np.zeros(0) for x in run] for run in runs]
    return {
        name: scores.ratio(_changes(found), seconds / 60, groups) for name, found in (("smoothed", whole), ("raw", raw))
    }


def _changes(runs: Sequence[Sequence[Array]]) -> Array:
    """(n,) changes in each recording, mean over the seeds."""
    return np.asarray(np.mean([[np.count_nonzero(np.diff(x)) for x in run] for run in runs], axis=0))


def _right(
    config: Config,
    truth: Array,
    own: Sequence[int],
    moments: Sequence[Array],
    runs: Sequence[Sequence[Joined]],
    seconds: float,
) -> Array:
    """(own,) share of the seeds whose answer is right after so many seconds; none yet is not right."""
    limit = _frames(config.front_end, seconds)
    found = np.zeros((len(runs), len(own)))
    for row, run in enumerate(runs):
        for place, i in enumerate(own):
            now = np.flatnonzero(moments[i] <= limit)
            told = standing(config, Joined(run[i].logits[: len(now)], run[i].early[: len(now)]))
            found[row, place] = len(told) and told[-1] == truth[i]
    return np.asarray(found.mean(axis=0))


def _right_in_the_end(
    config: Config, truth: Array, own: Sequence[int], moments: Sequence[Array], runs: Sequence[Sequence[Joined]]
) -> Array:
    """(own,) share of the seeds that are right of the whole recording."""
    found = np.zeros((len(runs), len(own)))
    for row, run in enumerate(runs):
        for place, i in enumerate(own):
            speaks = (moments[i] >= config.window.window_frames) | (moments[i] == moments[i][-1])
            whole = Joined(run[i].logits[speaks], run[i].early[speaks]).whole()
            found[row, place] = whole.told.argmax() == truth[i]
    return np.asarray(found.mean(axis=0))


def _frames(spec: FrontEndSpec, seconds: float) -> int:
    return spec.frames_in(round(seconds * spec.rate_hz))
