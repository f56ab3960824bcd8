"""The joint answer's weights and the threshold for abstaining, fitted on recordings that were not learned from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from sklearn.metrics import accuracy_score, f1_score

from models.join import JoinSpec, weigh

Array = np.ndarray
#: Strength of the pull towards the weights that change nothing: what little data can't say stays as it is.
_PULL = 2.0
_TRIED = (0.0, *np.arange(-1, 3.01, 0.25).tolist())  # of equally good values the first is taken


class Heard(NamedTuple):
    """Answers on (n,) recordings, none from a network or machine that learned from it."""

    logits: Array  # (n, 5) of the network, mean over the windows that speak for each
    scores: Array  # (n,) of the machine, mean over the same windows

    def of(self, rows: Array) -> Heard:
        """Some of them."""
        return Heard(self.logits[rows], self.scores[rows])


def fit_join(heard: Heard, truth: Array, speaks_of: Array, weights: Array, early: float) -> JoinSpec:
    """The weights of least cross-entropy, early beats aside: they have a measure of their own.

    Args:
        heard: n answers.
        truth: (n,) class indices.
        speaks_of: (n, 5) bool, classes that each recording's source can speak of; the others are left out of it.
        weights: (n,) what each recording counts; their sum is how many recordings there are to tell from.
        early: what early beats tell, for the result.
    """
    start = np.array([0.0, 0, 0, 0, 0, 0, 1, 0.5])

    def loss(values: Array) -> float:
        pull = _PULL * float(((values - start) ** 2).sum()) / 2
        return cross_entropy(_spec(values, early), heard, truth, speaks_of, weights) + pull / float(weights.sum())

    return _spec(minimize(loss, start, method="L-BFGS-B").x, early)


def cross_entropy(spec: JoinSpec, heard: Heard, truth: Array, speaks_of: Array, weights: Array) -> float:
    """Mean over the recordings, of the classes that their sources can speak of; arguments as for `fit_join`."""
    joined = weigh(spec, heard.logits, heard.scores) + np.where(speaks_of, 0.0, -1e9)
    logs = joined - np.logaddexp.reduce(joined, axis=1, keepdims=True)
    return float((-weights * logs[np.arange(len(truth)), truth]).sum()) / float(weights.sum())


def _spec(values: Array, early: float) -> JoinSpec:
    """From the logarithm of the temperature, five biases, timbre and spacing."""
    log_temperature, *bias, timbre, spacing = (float(x) for x in values)
    return JoinSpec(float(np.exp(log_temperature)), tuple(bias), timbre, spacing, early)


def threshold(answers: Array, truth: Array, weights: Array, risk: float) -> float:
    """The lowest confidence at which the answers above it err at most at the rate `risk`.

    Args:
        answers: (n, 5) calibrated probabilities, of held-out recordings.
        truth: (n,) class indices.
        weights: (n,) what each counts, above 0.
        risk: error rate aimed at.

    Returns:
        In [0, 0.9]; 0 where even answering always errs at most at the rate, 0.9 where no threshold up to there does.
    """
    confidence = answers.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    wrong = answers.argmax(axis=1)[order] != truth[order]
    errors = np.cumsum(weights[order] * wrong) / np.cumsum(weights[order])
    # A threshold lets all answers of equal confidence through, so it can only lie after the last of them.
    whole = np.append(np.diff(confidence[order]) != 0, True)
    kept = np.flatnonzero((errors <= risk) & whole)
    if not len(kept):
        return 0.9
    last = kept[-1]
    return 0.0 if last == len(truth) - 1 else float(min(0.9, confidence[order[last]]))


def favour(answers: Array, truth: Array) -> Array:
    """(5,) what to add to log probabilities so that accuracy and macro-F1 together are highest.

    The likeliest class is nearly never a rare one. Who would rather hear of it too often takes the highest sum instead.
    Found by trying values from -1 to 3 for one class after the other, twice.

    Args:
        answers: (n, 5) calibrated probabilities, of held-out recordings.
        truth: (n,) class indices.

    Returns:
        Zeros where there is no answer to tell from.
    """
    logs = np.log(answers + 1e-12)
    found = np.zeros(answers.shape[1])
    if not len(truth):
        return found
    for k in [*range(1, len(found))] * 2:
        tried = [_replaced(found, k, value) for value in _TRIED]
        found = max(tried, key=lambda values: _merit(truth, (logs + values).argmax(axis=1)))
    return found


def _replaced(values: Array, place: int, value: float) -> Array:
    changed = values.copy()
    changed[place] = value
    return changed


def _merit(truth: Array, answered: Array) -> float:
    scores = f1_score(truth, answered, average="macro", zero_division=0.0)
    return float(accuracy_score(truth, answered) + scores)
