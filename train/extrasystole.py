"""How far timing alone tells extrasystole from normal: set B of PASCAL, by patient.

Two descriptions of the newest 10 s, both from what was heard alone: the regularity of the S1 and S2 found, and the
intervals between all prominent sounds, whichever they are. PASCAL calls a clip `extrastole` for "a heart sound that is
out of rhythm", and few of its short clips hold a beat that is early by their S1 and S2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.signal import find_peaks
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from models import regularity
from models.frontend import FrontEndSpec
from models.rhythm import Beat
from train import scores

Array = np.ndarray

_SEEDS = 3
#: Envelopes are means over so many of the lowest bands: in the default front end up to some 110 Hz, 180 Hz, and all.
_BANDS = (8, 14, 32)
_PROMINENCE = 1.2  # in standard deviations of the envelope
_APART_S = 0.08


def beat_features(beats: Sequence[Beat], heard_s: float) -> Array:
    """(4,): variation of the cycle, shortest cycle over the median (1 where unknown), premature beats, confidence."""
    found = regularity.assess(beats, heard_s)
    return np.array([found.variation or 0.0, found.shortest or 1.0, len(found.premature), found.confidence])


def sound_features(spec: FrontEndSpec, features: Array) -> Array:
    """(18,) statistics of the intervals between prominent sounds in the newest 10 s.

    Per envelope: the shortest, the 10 % quantile and the longest over the median, variation, the shortest and the
    median in seconds; zeros for fewer than three intervals.

    Args:
        spec: the front end.
        features: (frames, bands) log energies heard so far.
    """
    heard = features[-round(regularity.MEMORY_S / spec.hop_s) :]
    return np.concatenate([_intervals(heard[:, :bands].mean(axis=1), spec.hop_s) for bands in _BANDS])


def _intervals(envelope: Array, hop_s: float) -> Array:
    scaled = (envelope - envelope.mean()) / max(float(envelope.std()), 1e-9)
    peaks, _ = find_peaks(scaled, prominence=_PROMINENCE, distance=round(_APART_S / hop_s))
    gaps = np.diff(peaks) * hop_s
    if len(gaps) < 3:
        return np.zeros(6)
    median = float(np.median(gaps))
    relative = np.array([gaps.min(), np.quantile(gaps, 0.1), gaps.max()]) / median
    return np.concatenate([relative, [gaps.std() / gaps.mean(), gaps.min(), median]])


def auroc(features: Array, positive: Array, groups: Sequence[str]) -> scores.Score:
    """Area under the ROC curve of a forest; each answer is of one that saw nothing of the recording's group.

    Args:
        features: (n, any) of every recording.
        positive: (n,) bool, extrasystole.
        groups: (n,) patients.
    """
    runs = []
    for seed in range(_SEEDS):
        forest = ExtraTreesClassifier(300, min_samples_leaf=5, class_weight="balanced", random_state=seed)
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        answers = cross_val_predict(forest, features, positive, groups=groups, cv=folds, method="predict_proba")
        runs.append(answers[:, 1])
    return scores.auroc(positive, np.array(runs), groups)
