"""Two models on the same recordings: how much the second is better, with intervals of the difference.

The differences are paired: each resample asks both models about the same groups, so that what makes a recording hard
for both falls out. The intervals tell how other recordings might change a difference, not what re-training might.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import roc_auc_score

from models.classes import CLASSES
from models.errors import InputFileError, SettingError, printable
from train import patient_scores, scores
from train.patients import ANSWERS, COSTS
from train.report import grid, interval

Array = np.ndarray


class Told(NamedTuple):
    """What a model said of recordings or patients."""

    names: list[str]
    groups: list[str]
    truth: Array  # (n,) class indices
    runs: Array  # (seeds, n, k) probabilities, as rounded in the file

    @property
    def asked(self) -> tuple[list[str], list[str], list[int]]:
        """What must be the same for both models."""
        return self.names, self.groups, self.truth.tolist()


def compare(first: Path, second: Path) -> dict[str, Any]:
    """Second less first.

    Args:
        first: a result of `laennec evaluate --json`.
        second: another, of the same protocol.

    Returns:
        The protocol, how many were asked, and by name each score's difference with its interval; means over the seeds.

    Raises:
        InputFileError: no such file, or no result.
        SettingError: of different protocols or recordings, or of a protocol that does not list its answers.
    """
    (protocol, one), (other_protocol, other) = _read(first), _read(second)
    if protocol != other_protocol or one.asked != other.asked:
        raise SettingError(f"{first} and {second} are not of the same protocol and recordings; evaluate both anew")
    found = _KINDS[protocol][0](one, other)
    return {"protocol": protocol, "n": len(one.names), "differences": found}


def text(result: dict[str, Any]) -> str:
    """For the terminal."""
    rows = [[name.replace("_", " "), interval(score)] for name, score in result["differences"].items()]
    asked = (
        f"{result['protocol']}, {result['n']} asked of both; 95 % intervals for other recordings, not for re-training"
    )
    return f"{asked}\n\n{grid(['score', 'second less first'], rows)}\n"


def _read(path: Path) -> tuple[str, Told]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        protocol = held["protocol"]
        if protocol not in _KINDS:
            raise SettingError(f"{path}: {printable(str(protocol))} can't be compared; one of {', '.join(_KINDS)} can")
        return protocol, _told(held["answers"], *_KINDS[protocol][1:])
    except OSError as error:
        raise InputFileError(f"{path}: can't be read: {error.strerror}; check the name") from error
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputFileError(
            f"{path}: is no result of this version's `laennec evaluate --json`; evaluate anew"
        ) from error


def _told(answers: list[dict[str, Any]], key: str, names: Sequence[str]) -> Told:
    """Raises ValueError, LookupError or TypeError where these are no answers."""
    runs = np.array([a["probabilities"] for a in answers], dtype=np.float64)
    if runs.ndim != 3 or runs.shape[2] != len(names) or not np.isfinite(runs).all():
        raise ValueError("no probabilities")
    truth = np.array([names.index(a[key]) for a in answers])
    return Told([a["name"] for a in answers], [a["group"] for a in answers], truth, runs.transpose(1, 0, 2))


def _recordings(one: Told, other: Told) -> dict[str, Any]:
    first, second = (told.runs.argmax(axis=2) for told in (one, other))
    return scores.gains(one.truth, first, second, one.groups)


def _patients(one: Told, other: Told) -> dict[str, Any]:
    def area(rows: Array) -> float:
        """AUROC of murmur present against absent."""
        return _area(other, rows) - _area(one, rows)

    counts = np.array(COSTS)[one.truth]
    right, before = (patient_scores.right_weighted(told.truth, told.runs) for told in (other, one))
    return {
        "auroc": scores.statistic(area, one.groups),
        "weighted_accuracy": scores.ratio((right - before) * counts, counts, one.groups),
    }


def _area(told: Told, rows: Array) -> float:
    rows = rows[told.truth[rows] != patient_scores.UNKNOWN]
    present = told.truth[rows] == patient_scores.PRESENT
    if present.all() or not present.any():
        return float("nan")
    return float(np.mean([roc_auc_score(present, patient_scores.odds(run[rows])) for run in told.runs]))


_OF_RECORDINGS = (_recordings, "label", CLASSES)
#: By protocol how its answers are compared, and which key of an answer holds the truth, one of which names.
_KINDS: dict[str, tuple[Callable[[Told, Told], dict[str, Any]], str, Sequence[str]]] = {
    "pascal-grouped": _OF_RECORDINGS,
    "seed-split": _OF_RECORDINGS,
    "circor-patients": (_patients, "answer", ANSWERS),
}
