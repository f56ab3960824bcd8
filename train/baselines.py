"""What a model must beat: the majority, and a model that sees only how a file was recorded, never how it sounds."""

from __future__ import annotations

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


def nuisance_answers(learned: Array, labels: Array, asked: Array, seed: int) -> Array:
    """Class indices (m,) from nuisance features (m, 6), by trees grown on others (n, 6) with their labels (n,)."""
    trees = ExtraTreesClassifier(300, min_samples_leaf=2, class_weight="balanced", random_state=seed)
    return np.asarray(trees.fit(learned, labels).predict(asked))


def nuisance_chances(learned: Array, positive: Array, asked: Array, seed: int) -> Array:
    """Chance (m,) of being positive, by such trees grown on others with their truth (n,) bool."""
    trees = ExtraTreesClassifier(300, min_samples_leaf=2, class_weight="balanced", random_state=seed)
    return np.asarray(trees.fit(learned, positive).predict_proba(asked)[:, 1])
