"""Run a protocol: learn a model per case, ask it about every tested recording. `train.results` scores the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from safetensors.numpy import load_file, save_file

from models.join import Joined, JoinSpec, probabilities
from models.nets import BeatNet, HeartNet
from train import beats, calibrate, evidence, extrasystole, heart, leakage, nested, patients
from train.config import Config, recipes
from train.evidence import Moments
from train.inner import Sources, Work
from train.predict import embeddings, recording_logits
from train.protocols import ALL_BEATS, NO_BEATS, Case, beat_folds
from train.table import Features, Table
from train.timings import Timed

Array = np.ndarray


class Data(NamedTuple):
    """What protocols learn from and test on."""

    table: Table  # every site of CirCor in it
    timed: Features[Timed]  # recordings with annotated beats


class Answers(NamedTuple):
    """What one case's model said of the recordings that it was asked about."""

    case: Case
    recipe: str  # that inner folds chose, its name in `config.recipes`
    logits: Array  # (n, 5) calibrated, of whole recordings
    rolling: list[Joined]  # n times what is said of (k,) moments of a stream, not smoothed
    threshold: float  # abstains below this probability
    favour: Array  # (5,) what is added to log probabilities where rare classes are favoured
    patients: patients.Told | None  # where patients of CirCor were asked about
    device: Array  # (n,) from `leakage.device_odds`


class BeatEvidence(NamedTuple):
    """What one network that finds S1 and S2 says."""

    early: Array  # (rows of moments,) from `evidence.early_beats`
    odds: float  # from `extrasystole.early_odds`


class Workshop(NamedTuple):
    """Where and how models are learned."""

    folder: Path  # of checkpoints; finished ones found there are not trained again
    jobs: int  # worker processes
    tick: Callable[[], None]  # called once per network that finds beats, and once per case


def run(config: Config, data: Data, cases: Sequence[Case], shop: Workshop) -> list[Answers]:
    """Learn and ask every case's model.

    Args:
        config: the recipe.
        data: all recordings.
        cases: from `protocols.cases`.
        shop: where and how.
    """
    at = evidence.moments(config, data.table)
    names = sorted({case.beats for case in cases})
    found = Parallel(n_jobs=shop.jobs, return_as="generator")(
        delayed(_beats)(config, data, at, name, shop.folder) for name in names
    )
    heard = {}
    for name, told in zip(names, found, strict=True):
        heard[name] = told
        shop.tick()
    results = Parallel(n_jobs=shop.jobs, return_as="generator")(
        delayed(_ask)(config, data.table, at, heard[case.beats], case, shop.folder / case.name) for case in cases
    )
    answers = []
    for told in results:
        answers.append(told)
        shop.tick()
    return answers


def cross(config: Config, data: Data, cases: Sequence[Case], shop: Workshop) -> list[Array]:
    """Per case the logits (n, 5) of a network alone, not calibrated: all that murmur against normal needs."""
    results = Parallel(n_jobs=shop.jobs, return_as="generator")(
        delayed(_cross)(config, data.table, case, shop.folder / case.name) for case in cases
    )
    found = []
    for logits in results:
        found.append(logits)
        shop.tick()
    return found


def changed(config: Config, data: Data, cases: Sequence[Case], shop: Workshop) -> list[dict[str, Array]]:
    """Per case the likeliest classes (n,) of the recordings as they are, and where their length or level is changed.

    Each recording is cut to the length, or given the level, of another one drawn at random. Early beats don't count.
    """
    at = evidence.moments(config, data.table)
    results = Parallel(n_jobs=shop.jobs)(
        delayed(_changed)(config, data.table, at, case, shop.folder / case.name) for case in cases
    )
    return list(results)


def _changed(config: Config, table: Table, at: Moments, case: Case, folder: Path) -> dict[str, Array]:
    sources = _without_beats(table, at)
    learned = nested.learn(config, Work(sources, case.learned, case.also, case.seed, folder))
    told = {}
    for name, other in leakage.changes(table, case.tested, case.seed).items():
        there = _without_beats(other, evidence.moments(config, other))
        told[name] = nested.answer(config, learned, there, np.arange(len(other)))[0].argmax(axis=1)
    return told


def _without_beats(table: Table, at: Moments) -> Sources:
    return Sources(table, at, np.zeros(len(at.ends), dtype=np.int64), JoinSpec().early)


def _cross(config: Config, table: Table, case: Case, folder: Path) -> Array:
    # Learning from one source and noise, the recipes hardly differ.
    first = next(iter(recipes(config).values()))
    fit = heart.fit(first, table, list(case.learned), case.seed)
    net = fit.run(folder / "model.safetensors", lambda *_: None, lambda: False)
    return recording_logits(net, config.window, table, list(case.tested))


def _ask(config: Config, table: Table, at: Moments, told: BeatEvidence, case: Case, folder: Path) -> Answers:
    sources = Sources(table, at, told.early, told.odds)
    learned = nested.learn(config, Work(sources, case.learned, case.also, case.seed, folder))
    logits, rolling = nested.answer(config, learned, sources, case.tested)
    # Every class can be told of these alone: CirCor has no extrasystoles, noise has no hearts.
    wanted = [i for i in case.learned if table.recordings[i].source not in {"circor", "noise"}]
    own = np.isin(learned.asked, wanted)
    favour = calibrate.favour(probabilities(learned.answers[own]), table.labels[learned.asked[own]])
    return Answers(
        case,
        learned.recipe,
        logits,
        rolling,
        learned.threshold,
        favour,
        patients.fit_and_tell(config, table, learned.asked, learned.answers, case.tested, logits),
        _device(config, learned.net, table, case),
    )


def _device(config: Config, net: HeartNet, table: Table, case: Case) -> Array:
    """(n,) log odds that the tested recordings are of set A, from what the network knows of them."""
    learned = leakage.comparable(table.recordings, case.learned)
    known, asked = (embeddings(net, config.window, table, list(some)) for some in (learned, case.tested))
    return leakage.device_odds([table.recordings[i] for i in learned], known, asked)


def _beats(config: Config, data: Data, at: Moments, name: str, work: Path) -> BeatEvidence:
    """By the network of one fold, of all, or of none; of none too where no beats are annotated."""
    persons, noises = _heard(data, name)
    if not persons:
        return BeatEvidence(evidence.early_beats(config, None, data.table, at), JoinSpec().early)
    net = _beat_net(config, data, persons, noises, work / f"beats-{name}.safetensors")
    kept = work / f"evidence-{name}-{_print_of(data.table, at, net)}.safetensors"
    if kept.exists():
        held = load_file(kept)
        return BeatEvidence(held["early"], extrasystole.early_odds(config, float(held["ratio"])))
    early = evidence.early_beats(config, net, data.table, at)
    premature = extrasystole.weigh_premature(config, net, data.timed, persons, config.seed)
    save_file({"early": early, "ratio": np.array(premature)}, kept)
    return BeatEvidence(early, extrasystole.early_odds(config, premature))


def _heard(data: Data, name: str) -> tuple[list[int], list[int]]:
    """The annotated recordings, and the noises in the table, that a network learns from; none for none."""
    recordings, timed = data.table.recordings, data.timed.recordings
    if name == NO_BEATS:
        return [], []
    persons = [i for i, t in enumerate(timed) if t.source == "circor"]
    noises = [i for i, r in enumerate(recordings) if r.source == "noise"]
    if name == ALL_BEATS:
        return persons, noises
    held, fold = beat_folds(timed, recordings), int(name.removeprefix("fold"))
    return (
        [i for i in persons if held[timed[i].group] != fold],
        [i for i in noises if held.get(recordings[i].group) != fold],
    )


def _beat_net(config: Config, data: Data, persons: Sequence[int], noises: Sequence[int], path: Path) -> BeatNet:
    """A network that finds S1 and S2, as the protocol `timing` learns it too."""
    fit = beats.fit(config, data.timed, persons, [data.table.features(i) for i in noises], config.seed)
    return fit.run(path, lambda *_: None, lambda: False)


def _print_of(table: Table, at: Moments, net: BeatNet) -> str:
    """A hash of all that early beats depend on, the order of the recordings included."""
    digest = blake2b(digest_size=8)
    for part in (table.values, table.offsets, at.ends, *(p.detach().numpy() for p in net.parameters())):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def works(cases: Sequence[Case]) -> int:
    """How often `run` and `cross` tick at most."""
    return len(cases) + len({case.beats for case in cases})
