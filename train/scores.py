"""Scores with 95 % intervals from a bootstrap over groups (patients, days), never over single recordings.

Point values agree with scikit-learn's `accuracy_score`, `balanced_accuracy_score`, `f1_score` and
`precision_recall_fscore_support`; they are computed here from confusion matrices because a bootstrap needs thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from models.classes import CLASSES

Array = np.ndarray
Score = dict[str, float | None]
_RESAMPLES = 2000
#: Scores of all classes together.
OVERALL = ("accuracy", "balanced_accuracy", "macro_f1")


def resample_weights(groups: Sequence[str], seed: int = 0) -> tuple[Array, Array]:
    """How often each group appears in each bootstrap resample.

    Returns:
        Group index of each recording (n,), and counts (resamples, groups); each row sums to the number of groups.
    """
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    rng = np.random.default_rng(seed)
    return member, rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=_RESAMPLES)


def scored(value: float, resampled: Array) -> Score:
    """A value with its 95 % percentile interval; None stands for undefined."""
    known = resampled[np.isfinite(resampled)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
    return {name: _number(x) for name, x in (("value", value), ("low", low), ("high", high))}


def classification(truth: Array, predicted: Array, groups: Sequence[str]) -> dict[str, Any]:
    """Scores of hard answers.

    Args:
        truth: (n,) class indices.
        predicted: (runs, n) class indices, one row per seed; scores are averaged over runs.
        groups: (n,) what the bootstrap resamples.

    Returns:
        n, groups, accuracy, balanced_accuracy, macro_f1, per_class and confusion (rows: truth; mean over runs).
        Balanced accuracy and macro-F1 run over the classes that occur in the truth.
    """
    member, weights = resample_weights(groups)
    cells = _cells(truth, predicted, member)
    point = _summaries(cells.sum(axis=1))
    spread = _summaries(np.einsum("bg,rgtp->rbtp", weights, cells))
    result: dict[str, Any] = {"n": len(truth), "groups": weights.shape[1], "runs": len(predicted)}
    for name in OVERALL:
        result[name] = scored(float(point[name].mean()), spread[name].mean(axis=0))
    result["per_class"] = {
        label: {
            "precision": scored(float(point["precision"][:, k].mean()), spread["precision"][..., k].mean(axis=0)),
            "recall": scored(float(point["recall"][:, k].mean()), spread["recall"][..., k].mean(axis=0)),
            "n": int((truth == k).sum()),
        }
        for k, label in enumerate(CLASSES)
    }
    result["confusion"] = cells.sum(axis=1).mean(axis=0).round(2).tolist()
    return result


def gains(truth: Array, first: Array, second: Array, groups: Sequence[str]) -> dict[str, Score]:
    """How much better the second of two sets of hard answers is, paired; each score of `OVERALL`, mean over runs.

    Args:
        truth: (n,) class indices.
        first: (runs, n) class indices.
        second: the same of another model; it may have another number of runs.
        groups: (n,) what the bootstrap resamples: the same resamples for both.
    """
    member, weights = resample_weights(groups)
    cells = [_cells(truth, told, member) for told in (first, second)]
    points = [_summaries(c.sum(axis=1)) for c in cells]
    spreads = [_summaries(np.einsum("bg,rgtp->rbtp", weights, c)) for c in cells]
    found = {}
    for name in OVERALL:
        before, after = (float(point[name].mean()) for point in points)
        less, more = (spread[name].mean(axis=0) for spread in spreads)
        found[name] = scored(after - before, more - less)
    return found


def _cells(truth: Array, predicted: Array, member: Array) -> Array:
    """(runs, groups, truth, predicted) counts."""
    cells = np.zeros((len(predicted), member.max() + 1, len(CLASSES), len(CLASSES)))
    for run, answers in enumerate(predicted):
        np.add.at(cells[run], (member, truth, answers), 1)
    return cells


def _summaries(confusion: Array) -> dict[str, Array]:
    """Scores of confusion matrices (..., truth, predicted); NaN where a class does not occur."""
    hits = np.einsum("...kk->...k", confusion)
    occurs = confusion.sum(axis=-1)
    answered = confusion.sum(axis=-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = hits / occurs
        # A class that is never answered has no precision; as scikit-learn does, it counts as 0.
        precision = np.where(occurs > 0, np.where(answered > 0, hits / answered, 0.0), np.nan)
        f1 = np.where(occurs > 0, 2 * hits / (occurs + answered), np.nan)
    return {
        "accuracy": hits.sum(axis=-1) / confusion.sum(axis=(-1, -2)),
        "balanced_accuracy": _mean_known(recall),
        "macro_f1": _mean_known(f1),
        "precision": precision,
        "recall": recall,
    }


def _mean_known(x: Array) -> Array:
    """Mean over the last axis, NaN left out; at least one value per row is known."""
    known = np.isfinite(x)
    return np.asarray(np.where(known, x, 0).sum(axis=-1) / known.sum(axis=-1))


def auroc(positive: Array, values: Array, groups: Sequence[str]) -> Score:
    """Area under the ROC curve (Hanley & McNeil 1982), mean over runs, with its interval, n and how many are positive.

    Args:
        positive: (n,) bool truth.
        values: (runs, n) scores, higher for positive.
        groups: (n,) what the bootstrap resamples.
    """

    def area(weight: Array | None) -> float:
        if weight is not None and (not weight[positive].any() or not weight[~positive].any()):
            return float("nan")
        return float(np.mean([roc_auc_score(positive, row, sample_weight=weight) for row in values]))

    counts = {"n": len(positive), "positive": int(np.count_nonzero(positive))}
    if not positive.any() or positive.all():
        return scored(float("nan"), np.array([])) | counts
    member, weights = resample_weights(groups)
    return scored(area(None), np.array([area(w[member].astype(float)) for w in weights[:500]])) | counts


def ratio(counted: Array, of: Array, groups: Sequence[str]) -> Score:
    """A share, or any other ratio of sums, with its interval.

    Args:
        counted: (n,) what each recording adds above, a mean over runs.
        of: (n,) what it adds below.
        groups: (n,) what the bootstrap resamples.
    """
    if not len(counted) or not of.sum() > 0:
        return scored(float("nan"), np.array([]))
    member, weights = resample_weights(groups)
    sums = np.zeros((weights.shape[1], 2))
    np.add.at(sums, member, np.stack([counted, of], axis=1))
    above, below = (weights @ sums).T
    with np.errstate(invalid="ignore", divide="ignore"):
        return scored(float(counted.sum() / of.sum()), above / below)


def statistic(value: Callable[[Array], float], groups: Sequence[str]) -> Score:
    """Any statistic of some of the recordings, with its interval from 500 resamples.

    Args:
        value: of the rows given, (m,) indices in which one may occur more than once.
        groups: (n,) what the bootstrap resamples.
    """
    member, weights = resample_weights(groups)
    everything = np.arange(len(member))
    spread = [value(np.repeat(everything, counts[member])) for counts in weights[:500]]
    return scored(value(everything), np.array(spread))


def risk_coverage(truth: Array, probabilities: Array) -> Array:
    """(n,) error rate among the k surest answers, k = 1 to n (El-Yaniv & Wiener 2010); its mean is the AURC."""
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    wrong = probabilities.argmax(axis=1)[order] != truth[order]
    return np.asarray(np.cumsum(wrong) / np.arange(1, len(truth) + 1))


def calibration_error(truth: Array, probabilities: Array, bins: int = 10) -> float:
    """Expected calibration error of the top class over equal-mass bins (Nguyen & O'Connor 2015).

    Args:
        truth: (n,) class indices.
        probabilities: (n, 5).
        bins: how many.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    parts = np.array_split(np.argsort(confidence, kind="stable"), bins)
    return float(sum(len(p) * abs(confidence[p].mean() - right[p].mean()) for p in parts if len(p)) / len(truth))


def _number(x: float) -> float | None:
    return round(float(x), 4) if np.isfinite(x) else None
