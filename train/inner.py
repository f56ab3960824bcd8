"""Inner folds: what networks say of recordings not learned from, what is fitted on it, and which recipe is best.

All of it sees nothing but the recordings to learn from, so that whatever is reported on others is not chosen on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.classes import CLASSES
from models.extrasystole import Machine
from models.join import JoinSpec
from train import calibrate, evidence, extrasystole, heart
from train.calibrate import Heard
from train.config import Config, recipes
from train.datasets import Recording
from train.evidence import Moments
from train.predict import recording_logits
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
    early_odds: float  # what early beats tell, `JoinSpec.early`


class Work(NamedTuple):
    """What to learn from, and where."""

    sources: Sources
    indices: Array  # recordings to learn from
    also: Array  # not learned from, but answered in inner folds with their groups; disjoint from `indices`
    seed: int  # of folds and networks
    folder: Path  # of checkpoints; finished ones found there are not trained again
    step: Step = lambda *_: None  # called with the phase's name, its step and loss
    stop: Callable[[], bool] = lambda: False  # asked after each step

    @property
    def asked(self) -> Array:
        """(n,) recordings that are answered, ascending."""
        return np.sort(np.concatenate([self.indices, self.also]))


class Inner(NamedTuple):
    """One recipe in inner folds."""

    recipe: str  # its name in `config.recipes`
    config: Config
    heard: Heard  # of `Work.asked`
    join: JoinSpec
    loss: float  # cross-entropy of the joint answer, early beats aside


def choose(config: Config, work: Work) -> Inner:
    """Try every recipe; the one with the least cross-entropy, of equal ones the first.

    Recordings count as in `natural`, so that neither a class nor a patient with many sites is heard more than it
    occurs.
    """
    scores = _scores(config, work)
    tried = [_try(name, recipe, work, scores) for name, recipe in recipes(config).items()]
    return min(tried, key=lambda inner: inner.loss)


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


def machine(config: Config, sources: Sources, indices: Array) -> Machine | None:
    """The machine that learned from those of the recordings that tell of extrasystoles."""
    own = extrasystole.tells(sources.table.recordings, indices)
    return extrasystole.fit(config, sources.moments.last(list(own)), sources.table.labels[own] == _EXTRASYSTOLE)


def _folds(config: Config, work: Work) -> list[tuple[Array, Array]]:
    """Per fold the recordings learned from, and the places in `Work.asked` of those answered."""
    asked = work.asked
    recordings = [work.sources.table.recordings[i] for i in asked]
    folds = grouped_folds(recordings, config.answer.folds, work.seed)
    return [(np.intersect1d(asked[a], work.indices), b) for a, b in folds]


def _scores(config: Config, work: Work) -> Array:
    """(asked,) what machines that did not learn from them say of the spacing; the same for every recipe."""
    scores = np.zeros(len(work.asked))
    for learned, held in _folds(config, work):
        own = machine(config, work.sources, learned)
        scores[held] = evidence.mean_scores(own, work.sources.moments, list(work.asked[held]))
    return scores


def _try(name: str, config: Config, work: Work, scores: Array) -> Inner:
    table, asked = work.sources.table, work.asked
    heard = Heard(_logits(name, config, work), scores)
    fitted = np.isin(asked, work.indices)
    weights = natural([table.recordings[i] for i in asked[fitted]])
    speaks_of = np.array([table.recordings[i].speaks_of for i in asked[fitted]])
    truth, own = table.labels[asked[fitted]], heard.of(fitted)
    spec = calibrate.fit_join(own, truth, speaks_of, weights, work.sources.early_odds)
    return Inner(name, config, heard, spec, calibrate.cross_entropy(spec, own, truth, speaks_of, weights))


def _logits(name: str, config: Config, work: Work) -> Array:
    """(asked, 5) of networks that did not learn from them."""
    table, asked = work.sources.table, work.asked
    logits = np.zeros((len(asked), len(CLASSES)))
    for k, (learned, held) in enumerate(_folds(config, work)):
        watched = np.intersect1d(asked[held], work.indices)[::_WATCHED] if k == 0 else ()
        fit = heart.fit(config, table, list(learned), work.seed, list(watched))
        report = partial(work.step, f"by {name}, inner fold {k + 1} of {config.answer.folds}")
        net = fit.run(checkpoint_of(work.folder, name, k), report, work.stop)
        logits[held] = recording_logits(net, config.window, table, list(asked[held]))
    return logits


def checkpoint_of(folder: Path, recipe: str, fold: int) -> Path:
    """Where the network of a recipe lies that did not learn from an inner fold."""
    return folder / f"{recipe}-inner{fold}.safetensors"
