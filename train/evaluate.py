"""Run a protocol: train a network per fold, answer every tested recording, score the answers with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed

from models.classes import CLASSES
from models.decide import DecideSpec, calibrate
from train import baselines, heart, scores
from train.calibrate import temperature
from train.config import Config
from train.datasets import Recording
from train.predict import recording_logits
from train.protocols import Fold, Protocol, folds_of, is_tested
from train.table import Table

Array = np.ndarray
_MURMUR = CLASSES.index("murmur")
_NORMAL = CLASSES.index("normal")
_EXTRASYSTOLE = CLASSES.index("extrasystole")


class Answers(NamedTuple):
    """What the networks said of the tested recordings."""

    tested: Array  # (n,) indices into the table
    logits: Array  # (seeds, n, 5) mean logits, each from a network that did not learn from the recording
    folds: list[list[Fold]]  # per seed


def answer(
    protocol: Protocol, config: Config, table: Table, work: Path, jobs: int, tick: Callable[[], None]
) -> Answers:
    """Train and ask every fold's network.

    Args:
        protocol: how to split.
        config: the recipe.
        table: all recordings.
        work: where each fold's checkpoint lies; finished folds found there are not trained again.
        jobs: worker processes.
        tick: called once per fold answered.
    """
    seeds = [config.seed + k for k in range(protocol.seeds)]
    folds = [folds_of(protocol, table.recordings, seed) for seed in seeds]
    tested = np.array([i for i, r in enumerate(table.recordings) if is_tested(protocol, r)])
    if protocol.name == "seed-split":
        tested = folds[0][0][1]
    place = {int(i): k for k, i in enumerate(tested)}
    tasks = [(s, k, fold) for s, split in enumerate(folds) for k, fold in enumerate(split)]
    work_on = delayed(_one_fold)
    results = Parallel(n_jobs=jobs, return_as="generator")(
        work_on(config, table, fold, seeds[s], work / f"seed{seeds[s]}-fold{k}.safetensors") for s, k, fold in tasks
    )
    logits = np.zeros((len(seeds), len(tested), len(CLASSES)))
    for (s, _, (_, test)), found in zip(tasks, results, strict=True):
        logits[s, [place[int(i)] for i in test]] = found
        tick()
    return Answers(tested, logits, folds)


def _one_fold(config: Config, table: Table, fold: Fold, seed: int, path: Path) -> Array:
    learned, test = fold
    net = heart.fit(config, table, list(learned), seed).run(path, lambda *_: None, lambda: False)
    return recording_logits(net, config.window, table, list(test))


def score(protocol: Protocol, table: Table, answers: Answers) -> dict[str, Any]:
    """All figures of a protocol, ready for JSON; see docs/evaluation.md for what each means."""
    recordings = [table.recordings[i] for i in answers.tested]
    truth = table.labels[answers.tested]
    probabilities = calibrate(DecideSpec(), answers.logits)
    groups = [r.group for r in recordings]
    result: dict[str, Any] = {"protocol": protocol.name, "says": protocol.says, "leaky": protocol.leaky}
    if protocol.per_patient:
        return result | _patients(recordings, probabilities, _patient_folds(recordings, answers))
    result |= scores.classification(truth, probabilities.argmax(axis=2), groups)
    result["auroc"] = _areas(recordings, truth, probabilities)
    result["calibration_error"] = _cross_fitted_error(protocol, answers, truth)
    result["parts"] = {
        source: scores.classification(truth[own], probabilities.argmax(axis=2)[:, own], _take(groups, own))
        for source in sorted({r.source for r in recordings})
        if (own := np.array([r.source == source for r in recordings])).any()
    }
    result["baselines"] = _baselines(table, answers, truth, groups)
    return result


def _patients(recordings: Sequence[Recording], probabilities: Array, folds: list[Fold]) -> dict[str, Any]:
    """One answer a patient: probabilities averaged over all of the patient's recordings."""
    patients = sorted({r.patient for r in recordings})
    rows = [[i for i, r in enumerate(recordings) if r.patient == p] for p in patients]
    pooled = np.stack([probabilities[:, own].mean(axis=1) for own in rows], axis=1)
    murmur = np.array([any(recordings[i].patient_label == "murmur" for i in own) for own in rows])
    truth = np.where(murmur, _MURMUR, _NORMAL)
    result = scores.classification(truth, pooled.argmax(axis=2), patients)
    result["auroc"] = {"murmur present vs absent": scores.auroc(murmur, pooled[..., _MURMUR], patients)}
    features = np.array([baselines.nuisance(r) for r in recordings])
    pooled_features = np.array([features[own].mean(axis=0) for own in rows])
    result["baselines"] = {
        "majority": scores.classification(truth, baselines.majority_answers(truth, folds)[None], patients),
        "nuisance only": scores.classification(
            truth, baselines.nuisance_answers(pooled_features, truth, folds, 0)[None], patients
        ),
    }
    return result


def _patient_folds(recordings: Sequence[Recording], answers: Answers) -> list[Fold]:
    """The folds as indices into the sorted patients."""
    patients = sorted({r.patient for r in recordings})
    patient_of = {int(i): patients.index(r.patient) for i, r in zip(answers.tested, recordings, strict=True)}
    tested = [np.unique([patient_of[int(i)] for i in test]) for _, test in answers.folds[0]]
    return [(np.setdiff1d(np.arange(len(patients)), test), test) for test in tested]


def _areas(recordings: Sequence[Recording], truth: Array, probabilities: Array) -> dict[str, scores.Score]:
    """AUROC of a class against normal within set B, the set with patient numbers."""
    areas = {}
    for name, k in (("murmur", _MURMUR), ("extrasystole", _EXTRASYSTOLE)):
        own = np.array([r.source == "pascal_b" for r in recordings]) & np.isin(truth, (_NORMAL, k))
        values = np.log(probabilities[:, own, k] + 1e-12) - np.log(probabilities[:, own, _NORMAL] + 1e-12)
        areas[f"{name} vs normal, set B"] = scores.auroc(
            truth[own] == k, values, [r.group for r, kept in zip(recordings, own, strict=True) if kept]
        )
    return areas


def _cross_fitted_error(protocol: Protocol, answers: Answers, truth: Array) -> float | None:
    """Calibration error with each fold's temperature fitted on the other folds' answers; None for a single fold."""
    if protocol.name == "seed-split":
        return None
    place = {int(i): k for k, i in enumerate(answers.tested)}
    errors = []
    for logits, folds in zip(answers.logits, answers.folds, strict=True):
        calibrated = np.zeros_like(logits)
        for _, test in folds:
            own = np.isin(np.arange(len(truth)), [place[int(i)] for i in test])
            t = temperature(logits[~own], truth[~own])
            calibrated[own] = calibrate(DecideSpec(temperature=t), logits[own])
        errors.append(scores.calibration_error(truth, calibrated))
    return round(float(np.mean(errors)), 4)


def _baselines(table: Table, answers: Answers, truth: Array, groups: Sequence[str]) -> dict[str, Any]:
    """The same folds, answered by the majority and by how the file was recorded."""
    features = np.array([baselines.nuisance(r) for r in table.recordings if _is_pascal(r)])
    place = np.cumsum([_is_pascal(r) for r in table.recordings]) - 1
    labels = table.labels[[_is_pascal(r) for r in table.recordings]]
    rows: dict[str, list[Array]] = {"majority": [], "nuisance only": []}
    for seed, split in enumerate(answers.folds):
        inner = [(place[[i for i in a if _is_pascal(table.recordings[i])]], place[b]) for a, b in split]
        rows["majority"].append(baselines.majority_answers(labels, inner)[place[answers.tested]])
        rows["nuisance only"].append(baselines.nuisance_answers(features, labels, inner, seed)[place[answers.tested]])
    return {name: scores.classification(truth, np.array(found), groups) for name, found in rows.items()}


def _is_pascal(recording: Recording) -> bool:
    return recording.source.startswith("pascal")


def _take(items: Sequence[str], kept: Array) -> list[str]:
    return [item for item, keep in zip(items, kept, strict=True) if keep]
