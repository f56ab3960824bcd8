"""What is said of five-way answers, whichever protocol asked for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from models.classes import CLASSES
from models.join import Joined, probabilities
from train import scores
from train.datasets import Recording
from train.evaluate import Answers

Array = np.ndarray
_NORMAL, _MURMUR, _EXTRA, _EXTRASYSTOLE, _ARTIFACT = range(len(CLASSES))


class Gathered(NamedTuple):
    """Answers of all cases, a row per seed, over the recordings tested, ascending."""

    tested: Array  # (n,) indices into the table
    probabilities: Array  # (seeds, n, 5) calibrated
    favour: Array  # (seeds, n, 5) what is added to their logarithms where rare classes are favoured
    threshold: Array  # (seeds, n) abstain below
    rolling: list[list[Joined]]  # seeds times n times what is said of (k,) moments

    def of(self, rows: Array) -> Gathered:
        """Some of the recordings."""
        return Gathered(
            self.tested[rows],
            self.probabilities[:, rows],
            self.favour[:, rows],
            self.threshold[:, rows],
            [[run[i] for i in np.arange(len(self.tested))[rows]] for run in self.rolling],
        )

    @property
    def answers(self) -> Array:
        """(seeds, n) the likeliest class."""
        return np.asarray(self.probabilities.argmax(axis=2))

    @property
    def favoured(self) -> Array:
        """(seeds, n) the class answered where rare classes are favoured."""
        return np.asarray((np.log(self.probabilities + 1e-12) + self.favour).argmax(axis=2))


def gather(answers: Sequence[Answers]) -> Gathered:
    """Put the cases of each seed together."""
    seeds = sorted({a.case.seed for a in answers})
    tested = np.unique(np.concatenate([a.case.tested for a in answers]))
    shape = (len(seeds), len(tested))
    found = Gathered(
        tested,
        np.zeros((*shape, 5)),
        np.zeros((*shape, 5)),
        np.zeros(shape),
        [[Joined(np.zeros((0, 5)), np.zeros(0))] * len(tested) for _ in seeds],
    )
    for a in answers:
        run, rows = seeds.index(a.case.seed), np.searchsorted(tested, a.case.tested)
        found.probabilities[run, rows] = probabilities(a.logits)
        found.favour[run, rows] = a.favour
        found.threshold[run, rows] = a.threshold
        for row, told in zip(rows, a.rolling, strict=True):
            found.rolling[run][row] = told
    return found


def answered(truth: Array, found: Gathered, groups: Sequence[str]) -> dict[str, Any]:
    """The scores that every set of five-way answers has."""
    return scores.classification(truth, found.answers, groups) | {
        "rare_favoured": scores.classification(truth, found.favoured, groups),
        # No interval: a resample has fewer distinct recordings, and with them a larger error by chance.
        "calibration_error": scores.scored(
            float(np.mean([scores.calibration_error(truth, p) for p in found.probabilities])), np.array([])
        ),
        "abstaining": _abstaining(truth, found, groups),
    }


def classified(truth: Array, found: Gathered, groups: Sequence[str], kept: Array) -> dict[str, Any]:
    """Scores of the likeliest class on some of the recordings, `kept` (n,) bool."""
    member = [g for g, k in zip(groups, kept, strict=True) if k]
    return scores.classification(truth[kept], found.answers[:, kept], member)


def areas(own: Sequence[Recording], truth: Array, chances: Array) -> dict[str, Any]:
    """AUROC of a class against normal, within one set."""
    found = {}
    wanted = (
        ("murmur", _MURMUR, "b"),
        ("extrasystole", _EXTRASYSTOLE, "b"),
        ("murmur", _MURMUR, "a"),
        ("extra heart sound", _EXTRA, "a"),
    )
    for name, k, which in wanted:
        rows = _is(own, f"pascal_{which}") & np.isin(truth, (_NORMAL, k))
        odds = np.log(chances[:, rows, k] + 1e-12) - np.log(chances[:, rows, _NORMAL] + 1e-12)
        groups = [r.group for r, kept in zip(own, rows, strict=True) if kept]
        found[f"{name} vs normal, set {which.upper()}"] = scores.auroc(truth[rows] == k, odds, groups)
    return found


def mistaken(own: Sequence[Recording], truth: Array, found: Gathered, source: str) -> dict[str, Any]:
    """Share of a set's normals called artifact or extra heart sound: what a network does that knows the device."""
    rows = _is(own, source) & (truth == _NORMAL)
    groups = [r.group for r, kept in zip(own, rows, strict=True) if kept]
    ways = {"likeliest class": found.answers, "rare classes favoured": found.favoured}
    lost = {name: np.isin(told[:, rows], (_EXTRA, _ARTIFACT)).mean(axis=0) for name, told in ways.items()}
    return {name: scores.ratio(x, np.ones(len(groups)), groups) | {"n": len(groups)} for name, x in lost.items()}


def open_answers(found: Gathered, rows: Array, groups: Sequence[str]) -> dict[str, Any]:
    """What some recordings were called, abstaining below the threshold; share of each answer."""
    given = found.probabilities.max(axis=2) >= found.threshold
    told = np.where(given, found.answers, -1)[:, rows]
    member = [g for g, kept in zip(groups, rows, strict=True) if kept]
    ones = np.ones(len(member))
    named = {"uncertain": told == -1} | {name: told == k for k, name in enumerate(CLASSES)}
    named["normal or uncertain"] = np.isin(told, (-1, _NORMAL))
    named["normal, never abstaining"] = found.answers[:, rows] == _NORMAL
    return {"n": len(member)} | {name: scores.ratio(hit.mean(axis=0), ones, member) for name, hit in named.items()}


def murmur_auroc(own: Sequence[Recording], found: Gathered, rows: Array) -> scores.Score:
    """AUROC of murmur against normal on some recordings."""
    chances = np.log(found.probabilities[:, rows] + 1e-12)
    positive = np.array([r.label == "murmur" for r, kept in zip(own, rows, strict=True) if kept], dtype=bool)
    groups = [r.group for r, kept in zip(own, rows, strict=True) if kept]
    return scores.auroc(positive, chances[..., _MURMUR] - chances[..., _NORMAL], groups)


def murmur_auroc_by_patient(own: Sequence[Recording], found: Gathered) -> scores.Score:
    """AUROC of present against absent by the mean probability of murmur over a patient's sites."""
    names = np.array([f"{r.patient} {r.patient_label}" for r in own])
    wanted = [n for n in np.unique(names) if not n.endswith("unknown")]
    rows = [np.flatnonzero(names == n) for n in wanted]
    chances = np.array([found.probabilities[:, at, _MURMUR].mean(axis=1) for at in rows]).T
    return scores.auroc(np.array([n.endswith("murmur") for n in wanted]), chances, [own[at[0]].group for at in rows])


def _over_runs(value: Callable[[Array, Array], float], found: Gathered, groups: Sequence[str]) -> scores.Score:
    return scores.statistic(lambda rows: float(np.mean([value(p, rows) for p in found.probabilities])), groups)


def _abstaining(truth: Array, found: Gathered, groups: Sequence[str]) -> dict[str, Any]:
    given = found.probabilities.max(axis=2) >= found.threshold
    right = (found.answers == truth) & given
    ones = np.ones(len(truth))
    curves = np.mean([scores.risk_coverage(truth, p) for p in found.probabilities], axis=0)
    places = np.unique(np.linspace(0, len(curves) - 1, min(len(curves), 100)).round().astype(int)).tolist()
    return {
        "answered_share": scores.ratio(given.mean(axis=0), ones, groups),
        "answered_accuracy": scores.ratio(right.mean(axis=0), given.mean(axis=0), groups),
        "aurc": _over_runs(lambda p, rows: float(scores.risk_coverage(truth[rows], p[rows]).mean()), found, groups),
        "risk_coverage": [[round((k + 1) / len(curves), 4), round(float(curves[k]), 4)] for k in places],
    }


def _is(own: Sequence[Recording], source: str) -> Array:
    return np.array([r.source == source for r in own])


def listed(own: Sequence[Recording], found: Gathered) -> list[dict[str, Any]]:
    """Every recording and its probabilities, per seed: what plots are drawn from, and models compared by."""
    return [
        {"name": f"{r.source}/{r.name}", "group": r.group, "label": r.label, "probabilities": p.round(4).tolist()}
        for r, p in zip(own, found.probabilities.transpose(1, 0, 2), strict=True)
    ]
