"""One answer per patient of CirCor from all sites: murmur present, unknown or absent.

The data set's third answer, unknown, is for patients of whom the annotator could not tell, mostly since the sound is
poor. So the rule sees what the network says of the sites, and the measures of signal quality; it is a multinomial
logistic regression, fitted on inner folds' answers. A decision weighs the probabilities by what a miss costs: 5, 3 and
1 for the challenge's weighted accuracy (Reyna et al. 2022, "Heart murmur detection from phonocardiogram recordings:
the George B. Moody PhysioNet challenge 2022"), the inverse shares for balanced accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.classes import CLASSES
from models.join import probabilities
from models.measures import measure
from train.config import Config
from train.datasets import Recording
from train.filterbank import front_end
from train.table import Table

Array = np.ndarray
#: The patient's answers in order, and what a miss of each costs in the weighted accuracy.
ANSWERS = ("absent", "unknown", "present")
COSTS = (1.0, 3.0, 5.0)
_OF_LABEL = {"normal": 0, "unknown": 1, "murmur": 2}
_MURMUR, _NORMAL = CLASSES.index("murmur"), CLASSES.index("normal")


class Told(NamedTuple):
    """What is said of (m,) patients."""

    names: list[str]  # person and campaign's label: a child seen twice is two patients of one group
    groups: list[str]
    truth: Array  # (m,) index into ANSWERS
    probabilities: Array  # (m, 3)
    murmur: Array  # (m,) mean probability of murmur over the sites
    shares: Array  # (m, 3) of the answers among the patients that were learned from


def fit_and_tell(config: Config, table: Table, asked: Array, inner: Array, tested: Array, logits: Array) -> Told | None:
    """Fit the rule on inner folds' answers and apply it.

    Args:
        config: the recipe.
        table: all recordings.
        asked: (n,) recordings answered in inner folds.
        inner: (n, 5) those answers, calibrated logits.
        tested: (k,) recordings of the test.
        logits: (k, 5) the model's answers on them.

    Returns:
        What is said of the tested patients; None where none is tested, or the rule knows only one answer.
    """
    learned, wanted = _patients(table.recordings, asked), _patients(table.recordings, tested)
    truth = np.array([_truth(table.recordings, asked[rows]) for rows in learned.values()])
    if not wanted or len(set(truth)) < 2:
        return None
    rule = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    rule.fit(_seen(config, table, asked, inner, learned), truth)
    found = np.zeros((len(wanted), len(ANSWERS)))
    found[:, rule.classes_] = rule.predict_proba(_seen(config, table, tested, logits, wanted))
    murmur = probabilities(logits)[:, _MURMUR]
    return Told(
        [" ".join(key) for key in wanted],
        [table.recordings[tested[rows[0]]].group for rows in wanted.values()],
        np.array([_truth(table.recordings, tested[rows]) for rows in wanted.values()]),
        found,
        np.array([murmur[rows].mean() for rows in wanted.values()]),
        np.tile(np.bincount(truth, minlength=len(ANSWERS)) / len(truth), (len(wanted), 1)),
    )


def _patients(recordings: Sequence[Recording], indices: Array) -> dict[tuple[str, str], Array]:
    """Places in `indices` by person and label, in order of the names."""
    found: dict[tuple[str, str], list[int]] = {}
    for place, i in enumerate(indices):
        if recordings[i].patient:
            found.setdefault((recordings[i].patient, recordings[i].patient_label), []).append(place)
    return {key: np.array(found[key]) for key in sorted(found)}


def _truth(recordings: Sequence[Recording], indices: Array) -> int:
    return _OF_LABEL[recordings[indices[0]].patient_label]


def _seen(config: Config, table: Table, indices: Array, logits: Array, of: dict[tuple[str, str], Array]) -> Array:
    """(patients, 9) what the rule sees of each.

    The strongest and the mean log odds of murmur against normal, the log of its mean probability, the mean of each
    measure of quality, and the number of sites.
    """
    odds = logits[:, _MURMUR] - logits[:, _NORMAL]
    chance = probabilities(logits)[:, _MURMUR]
    rows, front = [], front_end(config.front_end)
    for places in of.values():
        heard = [front.log_energies(table.features(int(indices[p])).astype(np.float64)) for p in places]
        measured = np.array([measure(config.front_end, x) for x in heard]).mean(axis=0)
        own = odds[places]
        rows.append([own.max(), own.mean(), np.log(chance[places].mean() + 1e-9), *measured, len(places)])
    return np.array(rows)
