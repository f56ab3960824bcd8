"""Scores of answers per patient: murmur present, unknown or absent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from train import scores
from train.patients import ANSWERS, COSTS, Told

Array = np.ndarray
ABSENT, UNKNOWN, PRESENT = range(len(ANSWERS))


def together(told: Sequence[Told]) -> Told:
    """What was said of different patients, in the order of their names."""
    names = [name for t in told for name in t.names]
    order = np.argsort(names)
    return Told(
        [names[i] for i in order],
        list(np.concatenate([t.groups for t in told])[order]),
        np.concatenate([t.truth for t in told])[order],
        np.concatenate([t.probabilities for t in told])[order],
        np.concatenate([t.murmur for t in told])[order],
        np.concatenate([t.shares for t in told])[order],
    )


def score(runs: Sequence[Told]) -> dict[str, Any]:
    """Scores of the same patients, a run per seed; means over the runs.

    Returns:
        Areas under the ROC curve of present against absent (patients of whom it is unknown left out), weighted accuracy
        (a present patient counts 5, an unknown one 3, an absent one 1) and balanced accuracy over the three answers,
        each with the answers that are best for it by the probabilities, and the answers' confusion.
    """
    truth, groups = runs[0].truth, runs[0].groups
    known = truth != UNKNOWN
    member = [g for g, k in zip(groups, known, strict=True) if k]
    present = truth[known] == PRESENT
    rule = np.array([odds(t.probabilities[known]) for t in runs])
    result: dict[str, Any] = {
        "n": len(truth),
        "patients": {name: int((truth == k).sum()) for k, name in enumerate(ANSWERS)},
        "auroc": {
            "mean probability of murmur": scores.auroc(present, np.array([t.murmur[known] for t in runs]), member),
            "rule": scores.auroc(present, rule, member),
        },
    }
    costs = np.array(COSTS)[truth]
    told = np.array([(t.probabilities * COSTS).argmax(axis=1) for t in runs])
    right = right_weighted(truth, np.array([t.probabilities for t in runs]))
    even = np.array([(t.probabilities / (t.shares + 1e-9)).argmax(axis=1) for t in runs])
    return result | {
        "weighted_accuracy": scores.ratio(right * costs, costs, groups),
        "confusion_weighted": _confusion(truth, told),
        "balanced_accuracy": scores.statistic(lambda rows: _balanced(truth[rows], even[:, rows]), groups),
        "confusion_balanced": _confusion(truth, even),
    }


def odds(probabilities: Array) -> Array:
    """(m,) log odds of present against absent, from (m, 3)."""
    return np.asarray(np.log(probabilities[:, PRESENT] + 1e-12) - np.log(probabilities[:, ABSENT] + 1e-12))


def right_weighted(truth: Array, runs: Array) -> Array:
    """(m,) share of the runs, (runs, m, 3) probabilities, that are right with the answer best for weighted accuracy."""
    return np.asarray(((runs * COSTS).argmax(axis=2) == truth).mean(axis=0))


def _balanced(truth: Array, told: Array) -> float:
    occur = [k for k in range(len(ANSWERS)) if (truth == k).any()]
    return float(np.mean([(told[:, truth == k] == k).mean() for k in occur]))


def _confusion(truth: Array, told: Array) -> list[list[float]]:
    """Rows: truth; mean over runs."""
    counts = np.zeros((len(ANSWERS), len(ANSWERS)))
    for run in told:
        np.add.at(counts, (truth, run), 1 / len(told))
    return counts.round(2).tolist()


def listed(runs: Sequence[Told]) -> list[dict[str, Any]]:
    """Every patient and the probabilities of the answers, per seed: what models are compared by."""
    told, first = np.stack([t.probabilities for t in runs], axis=1), runs[0]
    return [
        {"name": name, "group": group, "answer": ANSWERS[k], "probabilities": p.round(4).tolist()}
        for name, group, k, p in zip(first.names, first.groups, first.truth, told, strict=True)
    ]
