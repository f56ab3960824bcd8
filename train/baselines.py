"""What a model must beat: the majority, and a model that sees only how a file was recorded, never how it sounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import soundfile
from sklearn.ensemble import ExtraTreesClassifier

from train.datasets import Recording

Array = np.ndarray


def nuisance(recording: Recording) -> Array:
    """Duration, rate, level, peak, DC and clipping (6,) of what is used of a recording; nothing of its sound."""
    samples, rate_hz = soundfile.read(recording.path, dtype="float32", always_2d=True)
    x = samples[:, 0]
    if recording.heard_s is not None:
        x = x[: round(recording.heard_s * rate_hz)]
    rms = float(np.sqrt(np.mean(x**2)) + 1e-9)
    return np.array(
        [
            len(x) / rate_hz,
            rate_hz,
            20 * np.log10(rms),
            np.abs(x).max(),
            abs(x.mean()) / rms,
            (np.abs(x) > 0.999).mean(),
        ]
    )


def nuisance_answers(features: Array, labels: Array, folds: Sequence[tuple[Array, Array]], seed: int) -> Array:
    """Class indices (n,) from nuisance features (n, 6), each fold answered by trees grown on the others."""
    answers = np.zeros(len(labels), dtype=np.int64)
    for train, test in folds:
        trees = ExtraTreesClassifier(300, min_samples_leaf=2, class_weight="balanced", random_state=seed)
        answers[test] = trees.fit(features[train], labels[train]).predict(features[test])
    return answers


def majority_answers(labels: Array, folds: Sequence[tuple[Array, Array]]) -> Array:
    """Class indices (n,): for each fold the class most common in the others."""
    answers = np.zeros(len(labels), dtype=np.int64)
    for train, test in folds:
        answers[test] = np.bincount(labels[train]).argmax()
    return answers
