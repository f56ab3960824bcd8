"""Temperature and abstention threshold, fitted on recordings that the network did not learn from."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from models.decide import DecideSpec, calibrate
from train.config import AnswerSpec

Array = np.ndarray


def temperature(logits: Array, truth: Array) -> float:
    """The temperature of least cross-entropy (Guo et al. 2017), between 0.1 and 10.

    Args:
        logits: (n, 5) mean logits of held-out recordings.
        truth: (n,) class indices.
    """

    def loss(log_temperature: float) -> float:
        p = calibrate(DecideSpec(temperature=float(np.exp(log_temperature))), logits)
        return float(-np.log(p[np.arange(len(truth)), truth] + 1e-12).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.1), np.log(10.0)), method="bounded").x))


def threshold(probabilities: Array, truth: Array, risk: float) -> float:
    """The lowest confidence at which the answers above it err at most at the rate `risk`.

    Args:
        probabilities: (n, 5) calibrated, of held-out recordings.
        truth: (n,) class indices.
        risk: error rate aimed at.

    Returns:
        In [0, 0.9]; 0 where even answering always errs at most at the rate, 0.9 where no threshold up to there does.
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    errors = np.cumsum(probabilities.argmax(axis=1)[order] != truth[order]) / np.arange(1, len(truth) + 1)
    # A threshold lets all answers of equal confidence through, so it can only lie after the last of them.
    whole = np.append(np.diff(confidence[order]) != 0, True)
    kept = np.flatnonzero((errors <= risk) & whole)
    if not len(kept):
        return 0.9
    last = kept[-1]
    return 0.0 if last == len(truth) - 1 else float(min(0.9, confidence[order[last]]))


def fit(spec: AnswerSpec, logits: Array, truth: Array) -> DecideSpec:
    """Calibration and thresholds from held-out recordings.

    Args:
        spec: the error rate aimed at, smoothing and margin.
        logits: (n, 5) mean logits, n >= 1.
        truth: (n,) class indices.
    """
    t = temperature(logits, truth)
    probabilities = calibrate(DecideSpec(temperature=t), logits)
    return DecideSpec(
        temperature=t,
        threshold=threshold(probabilities, truth, spec.risk),
        smoothing=spec.smoothing,
        margin=spec.margin,
    )
