"""One whole model from a set of recordings: network, rhythm's machine, calibration, threshold.

Everything that is fitted on answers is fitted on answers that networks gave on recordings of groups they had not
learned from (inner folds). The network that answers in the end learns from all of the recordings. Evaluation protocols
and `laennec train` both call `learn`, so that what is reported is what is shipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.classes import CLASSES
from models.extrasystole import Machine
from models.join import COUNTS, JoinSpec, join, probabilities, with_early_beats
from models.nets import HeartNet
from train import calibrate, evidence, extrasystole, heart
from train.calibrate import Heard
from train.config import Config
from train.datasets import Recording
from train.evidence import Moments
from train.predict import recording_logits, window_logits
from train.splits import grouped_folds
from train.table import Table

Array = np.ndarray
Step = Callable[[str, int, float], None]
_EXTRASYSTOLE = CLASSES.index("extrasystole")
#: One of so many recordings of the first inner fold is watched for the learning curve.
_WATCHED = 10


class Sources(NamedTuple):
    """What can be learned from, and what is known of it before anything is learned here."""

    table: Table
    moments: Moments
    early: Array  # (rows of moments,) from `evidence.early_beats`
    early_odds: tuple[float, ...]  # what early beats tell, `JoinSpec.early`


class Learned(NamedTuple):
    """A whole model, and what it was fitted on."""

    net: HeartNet
    machine: Machine | None
    join: JoinSpec
    threshold: float  # abstain below this probability
    asked: Array  # (n,) indices of the recordings answered in inner folds
    answers: Array  # (n, 5) those answers, calibrated logits


def learn(
    config: Config,
    sources: Sources,
    indices: Array,
    also: Array,
    seed: int,
    folder: Path,
    step: Step = lambda *_: None,
    stop: Callable[[], bool] = lambda: False,
) -> Learned:
    """Learn, answer in inner folds, fit, and learn again from all.

    Args:
        config: the recipe.
        sources: all recordings.
        indices: those to learn from.
        also: those that are not learned from, but answered in inner folds with their groups; disjoint from `indices`.
        seed: of folds and networks.
        folder: where checkpoints lie; finished ones found there are not trained again.
        step: called with the phase's name, its step and loss.
        stop: asked after each step.

    Raises:
        Interrupted: `stop` said so; call again to continue.
    """
    asked, heard = _inner(config, sources, indices, also, seed, folder, step, stop)
    table = sources.table
    fitted = np.isin(asked, indices)
    weights = natural([table.recordings[i] for i in asked[fitted]])
    speaks_of = np.array([table.recordings[i].speaks_of for i in asked[fitted]])
    truth = table.labels[asked[fitted]]
    joined = calibrate.fit_join(heard.of(fitted), truth, speaks_of, weights, sources.early_odds)
    answers = _inner_answers(joined, sources, asked, heard)
    told = probabilities(answers[fitted])
    counted = weights > 0
    limit = calibrate.threshold(told[counted], truth[counted], weights[counted], config.answer.risk)
    net = heart.fit(config, table, list(indices), seed).run(
        folder / "model.safetensors", partial(step, "on everything"), stop
    )
    return Learned(net, _machine(config, sources, indices), joined, limit, asked, answers)


def answer(config: Config, learned: Learned, sources: Sources, indices: Array) -> tuple[Array, list[Array]]:
    """What a model says of some recordings, as the stream says it.

    Returns:
        Calibrated logits (n, 5) of whole recordings, and n times (k, 5) at each moment at which a stream decides, not
        smoothed. Zeros for a recording that is too short for any.
    """
    moments, whole = sources.moments, np.zeros((len(indices), len(CLASSES)))
    rolling = []
    for place, i in enumerate(indices):
        at = moments.rows(i)
        told = _at_moments(config, learned, sources, i)
        if len(told):
            whole[place] = told[moments.speaks[at]].mean(axis=0)
        rolling.append(told)
    return whole, rolling


def _at_moments(config: Config, learned: Learned, sources: Sources, index: int) -> Array:
    """(k, 5) of one recording."""
    at, features = sources.moments, sources.table.features(index)
    rows = np.arange(len(at.ends))[at.rows(index)]
    windows = [features[max(0, end - config.window.window_frames) : end] for end in at.ends[rows]]
    logits = window_logits(learned.net, windows) if windows else np.zeros((0, len(CLASSES)))
    joined = join(learned.join, logits, evidence.scores(learned.machine, at, rows))
    return with_early_beats(learned.join, joined, sources.early[rows])


def _inner_answers(spec: JoinSpec, sources: Sources, asked: Array, heard: Heard) -> Array:
    """(n, 5) calibrated logits of whole recordings; early beats are joined with the means over their moments."""
    joined = join(spec, heard.logits, heard.scores)
    shares = evidence.shares(sources.moments, sources.early, list(asked))
    by_count = [with_early_beats(spec, joined, np.full(len(joined), k)) for k in range(COUNTS)]
    return np.asarray(np.einsum("nk,knc->nc", shares, by_count))


def natural(recordings: Sequence[Recording]) -> Array:
    """(n,) what each recording counts where the classes' natural shares matter.

    The sites of one patient together count as one recording. Everyday noise counts nothing: how often it is heard in
    place of a heart is not for a data set to say.
    """
    of_patient: dict[str, int] = {}
    for r in recordings:
        of_patient[r.patient] = of_patient.get(r.patient, 0) + 1
    shares = [1.0 if not r.patient else 1 / of_patient[r.patient] for r in recordings]
    known = np.array([r.source != "noise" for r in recordings])
    # Where there is nothing else, as in a set of folders, everything counts.
    return np.asarray(shares) * (known if known.any() else 1.0)


def _inner(
    config: Config,
    sources: Sources,
    indices: Array,
    also: Array,
    seed: int,
    folder: Path,
    step: Step,
    stop: Callable[[], bool],
) -> tuple[Array, Heard]:
    """The recordings answered, ascending, and the answers of networks and machines that learned from none of them."""
    table = sources.table
    asked = np.sort(np.concatenate([indices, also]))
    logits = np.zeros((len(asked), len(CLASSES)))
    scores = np.zeros(len(asked))
    recordings = [table.recordings[i] for i in asked]
    for k, (a, b) in enumerate(grouped_folds(recordings, config.answer.folds, seed)):
        learned = np.intersect1d(asked[a], indices)
        watched = np.intersect1d(asked[b], indices)[::_WATCHED] if k == 0 else ()
        fit = heart.fit(config, table, list(learned), seed, list(watched))
        report = partial(step, f"in inner fold {k + 1} of {config.answer.folds}")
        net = fit.run(folder / f"inner{k}.safetensors", report, stop)
        logits[b] = recording_logits(net, config.window, table, list(asked[b]))
        machine = _machine(config, sources, learned)
        scores[b] = evidence.mean_scores(machine, sources.moments, list(asked[b]))
    return asked, Heard(logits, scores)


def _machine(config: Config, sources: Sources, indices: Array) -> Machine | None:
    """The machine that learned from those of the recordings that tell of extrasystoles."""
    own = extrasystole.tells(sources.table.recordings, indices)
    return extrasystole.fit(config, sources.moments.last(list(own)), sources.table.labels[own] == _EXTRASYSTOLE)
