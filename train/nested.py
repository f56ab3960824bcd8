"""One whole model from a set of recordings: network, rhythm's machine, calibration, threshold.

Everything that is fitted or chosen on answers is so on answers that networks gave on recordings of groups they had not
learned from (`train.inner`); of early beats alone the count and the weight are those of a network that learned from
them. The network that answers in the end learns from all of the recordings. Evaluation protocols and `laennec train`
both call `learn`, so that what is reported is what is shipped.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from models.classes import CLASSES
from models.extrasystole import Machine
from models.join import Joined, JoinSpec, early_odds, join, over_all, probabilities, weigh
from models.nets import HeartNet
from train import calibrate, evidence, heart, inner
from train.config import Config
from train.inner import Inner, Sources, Work
from train.predict import window_logits

Array = np.ndarray


class Learned(NamedTuple):
    """A whole model, and what it was fitted on."""

    recipe: str  # its name in `config.recipes`, chosen in inner folds
    net: HeartNet
    machine: Machine | None
    join: JoinSpec
    threshold: float  # abstain below this probability
    asked: Array  # (n,) indices of the recordings answered in inner folds
    answers: Array  # (n, 5) those answers, calibrated logits


def learn(config: Config, work: Work) -> Learned:
    """Try the recipes in inner folds, fit, and learn again from all by the best.

    Raises:
        Interrupted: `work.stop` said so; call again to continue.
    """
    best = inner.choose(config, work)
    answers = _inner_answers(work, best)
    return Learned(
        best.recipe,
        _final(work, best.config),
        inner.machine(config, work.sources, work.indices),
        best.join,
        _threshold(config, work, answers),
        work.asked,
        answers,
    )


def _final(work: Work, config: Config) -> HeartNet:
    fit = heart.fit(config, work.sources.table, list(work.indices), work.seed)
    return fit.run(work.folder / "model.safetensors", partial(work.step, "on everything"), work.stop)


def _threshold(config: Config, work: Work, answers: Array) -> float:
    table, fitted = work.sources.table, np.isin(work.asked, work.indices)
    weights = inner.natural([table.recordings[i] for i in work.asked[fitted]])
    counted = weights > 0
    told, truth = probabilities(answers[fitted])[counted], table.labels[work.asked[fitted]][counted]
    return calibrate.threshold(told, truth, weights[counted], config.answer.risk)


def answer(config: Config, learned: Learned, sources: Sources, indices: Array) -> tuple[Array, list[Joined]]:
    """What a model says of some recordings, as the stream says it.

    Returns:
        Calibrated logits (n, 5) of whole recordings, and n times what is said of (k,) moments at which a stream
        decides, not smoothed. Zeros for a recording that is too short for any.
    """
    moments, whole = sources.moments, np.zeros((len(indices), len(CLASSES)))
    rolling = []
    for place, i in enumerate(indices):
        at = moments.rows(i)
        told = _at_moments(config, learned, sources, i)
        speaks = moments.speaks[at]
        if len(speaks):
            whole[place] = Joined(told.logits[speaks], told.early[speaks]).whole().told
        rolling.append(told)
    return whole, rolling


def _at_moments(config: Config, learned: Learned, sources: Sources, index: int) -> Joined:
    """What is said of (k,) moments of one recording."""
    at, features = sources.moments, sources.table.features(index)
    rows = np.arange(len(at.ends))[at.rows(index)]
    windows = [features[max(0, end - config.window.window_frames) : end] for end in at.ends[rows]]
    logits = window_logits(learned.net, windows) if windows else np.zeros((0, len(CLASSES)))
    return join(learned.join, logits, evidence.scores(learned.machine, at, rows), sources.early[rows])


def _inner_answers(work: Work, best: Inner) -> Array:
    """(asked, 5) calibrated logits of whole recordings."""
    at, counts = work.sources.moments, work.sources.early
    early = [over_all(early_odds(best.join, counts[at.speaking(i)])) for i in work.asked]
    return Joined(weigh(best.join, best.heard.logits, best.heard.scores), np.array(early)).told
