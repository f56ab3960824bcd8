"""Evaluation protocols: which recordings are tested, who may be learned from, and what counts as one answer.

Every protocol tests on groups (patients, days) that its models did not learn from, except `seed-split`, which is there
because published figures use it, and which says that it leaks. A fold of `pascal-grouped` and `circor-patients` holds
out a fifth of every data set, so that both protocols ask the same models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from train.datasets import Recording, without_conflicts
from train.splits import even_folds, grouped_folds, seed_split
from train.timings import Timed

Array = np.ndarray
FOLDS = 5
#: Repetitions, each with its own folds and weights, where a protocol has several.
SEEDS = 2
#: Names of the networks that find S1 and S2: one per fold, one that learned from all annotated recordings, and none.
ALL_BEATS, NO_BEATS = "all", ""
_NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Protocol:
    """What a protocol is.

    Attributes:
        name: as given on the command line.
        tested: the data set kinds whose recordings are tested.
        leaky: what a reader must know, printed with every figure; empty where nothing leaks.
        says: the protocol in a sentence.
    """

    name: str
    tested: tuple[str, ...]
    leaky: str
    says: str


class Case(NamedTuple):
    """One model to learn, and what it is asked. Arrays are indices into the recordings."""

    name: str  # of the folder where its checkpoints lie; cases of the same name learn the same
    seed: int
    learned: Array
    also: Array  # not learned from, but answered in inner folds
    tested: Array
    beats: str  # which network finds S1 and S2


_JOINT = f"{FOLDS} folds x {SEEDS} seeds, each fold holds out a fifth of the groups of every data set"
PROTOCOLS = {
    p.name: p
    for p in (
        Protocol(
            "pascal-grouped",
            ("pascal",),
            "",
            f"{_JOINT}; set B by patient (101, 103, 146 merged), set A by day (2011-08 merged); 8 files that carry two "
            "labels are left out; one answer per recording",
        ),
        Protocol(
            "circor-patients",
            ("circor",),
            "",
            f"{_JOINT}; CirCor by person, the same folds for all seeds; one answer per patient, from all sites; the "
            "first 16 s of each recording",
        ),
        Protocol(
            "new-device",
            ("pascal", "circor"),
            "",
            "one source left out at a time (set A, set B, CirCor), one seed: what a user of another device sees; "
            "one answer per recording, all five classes open",
        ),
        Protocol(
            "cross-device",
            ("pascal", "circor"),
            "",
            "murmur against normal: learned from one source and everyday noise alone, tested on another; one seed",
        ),
        Protocol(
            "leakage",
            ("pascal",),
            "",
            f"{_JOINT}, as pascal-grouped: what the networks know of the device, the length and the level",
        ),
        Protocol(
            "seed-split",
            ("pascal",),
            "leaky: patients are shared",
            "sorted file names, train_test_split(test_size=0.2, random_state=42), 117 test files of 585; one seed",
        ),
    )
}
_LEFT_OUT = ("pascal_a", "pascal_b", "circor")
_CROSSED = (("pascal_a", "pascal_b"), ("pascal_b", "pascal_a"), ("circor", "pascal_b"), ("pascal", "circor"))


def cases(name: str, recordings: Sequence[Recording], timed: Sequence[Timed], seed: int) -> list[Case]:
    """The models of a protocol.

    Args:
        name: one of `PROTOCOLS`.
        recordings: everything read, from every data set, with every site of CirCor.
        timed: recordings with annotated beats; their folds are those of the protocol `timing`.
        seed: of the first repetition.
    """
    seeds = range(seed, seed + SEEDS)
    if name == "seed-split":
        return [_seed_split(recordings, seed)]
    if name == "new-device":
        present = [s for s in _LEFT_OUT if any(r.source == s for r in recordings)]
        return [_without(source, recordings, seed) for source in present]
    if name == "cross-device":
        return [_crossed(*pair, recordings, seed) for pair in _CROSSED]
    kind = PROTOCOLS[name].tested[0]
    return [
        _joint(k, kind, recordings, fold, s) for s in seeds for k, fold in enumerate(joint_folds(recordings, timed, s))
    ]


def joint_folds(recordings: Sequence[Recording], timed: Sequence[Timed], seed: int) -> list[Array]:
    """What each fold holds out: a fifth of the groups of every data set.

    Persons of CirCor and clips of noise are held out as in the protocol `timing`, whatever the seed, so that its
    networks serve here too.
    """
    groups = [r.group for r in recordings]
    fixed = beat_folds(timed, recordings)
    place = np.array([fixed.get(g, -1) for g in groups])
    drawn = [i for i, r in enumerate(recordings) if place[i] < 0 and not _conflict(r)]
    for kind in sorted({recordings[i].source.partition("_")[0] for i in drawn}):
        own = [i for i in drawn if recordings[i].source.startswith(kind)]
        for k, (_, held) in enumerate(grouped_folds([recordings[i] for i in own], FOLDS, seed)):
            place[np.array(own)[held]] = k
    return [np.flatnonzero(place == k) for k in range(FOLDS)]


def beat_folds(timed: Sequence[Timed], recordings: Sequence[Recording]) -> dict[str, int]:
    """The fold that holds out each person of CirCor and each clip of noise; persons without annotated beats as well."""
    found: dict[str, int] = {}
    persons = [t.group for t in timed if t.source == "circor"]
    clips = [r.group for r in recordings if r.source == "noise"]
    for groups in (persons, clips):
        if len(set(groups)) >= FOLDS:
            for k, (_, held) in enumerate(even_folds(groups, FOLDS)):
                found |= dict.fromkeys((groups[i] for i in held), k)
    rest = sorted({r.group for r in recordings if r.source == "circor"} - set(found))
    return found | {group: n % FOLDS for n, group in enumerate(rest)}


def learnable(recordings: Sequence[Recording], indices: Array) -> Array:
    """Those of the indices whose label is clean enough to learn from.

    Left out: PASCAL files that carry two labels, CirCor sites without a murmur of patients who have one elsewhere, and
    patients of whom it is unknown.
    """
    clean = [i for i in indices if not _conflict(recordings[i]) and not unclear(recordings[i])]
    return np.array(clean, dtype=np.int64)


def unclear(recording: Recording) -> bool:
    """Whether its label is no more than a guess: no murmur at this site, but perhaps in this patient."""
    return recording.label == "normal" and recording.patient_label in {"murmur", "unknown"}


def _conflict(recording: Recording) -> bool:
    return not without_conflicts([recording])


def _joint(k: int, kind: str, recordings: Sequence[Recording], held: Array, seed: int) -> Case:
    others = np.setdiff1d(np.arange(len(recordings)), held)
    tested = np.array([i for i in held if recordings[i].source.startswith(kind)], dtype=np.int64)
    return _case(f"seed{seed}-fold{k}", seed, recordings, others, tested, f"fold{k}")


def _without(source: str, recordings: Sequence[Recording], seed: int) -> Case:
    own = np.array([r.source == source for r in recordings])
    tested = np.array([i for i, r in enumerate(recordings) if own[i] and not _conflict(r)], dtype=np.int64)
    beats = NO_BEATS if source == "circor" else ALL_BEATS
    return _case(f"seed{seed}-without-{source}", seed, recordings, np.flatnonzero(~own), tested, beats)


def _crossed(of: str, to: str, recordings: Sequence[Recording], seed: int) -> Case:
    wanted = [i for i, r in enumerate(recordings) if r.label in {"normal", "murmur"}]
    learned = [i for i in wanted if recordings[i].source.startswith(of)]
    noise = [i for i, r in enumerate(recordings) if r.source == "noise"]
    tested = [i for i in wanted if recordings[i].source.startswith(to) and not _conflict(recordings[i])]
    clean = learnable(recordings, np.array(learned + noise, dtype=np.int64))
    return Case(f"seed{seed}-{of}-to-{to}", seed, clean, _NONE, np.array(tested, dtype=np.int64), NO_BEATS)


def _seed_split(recordings: Sequence[Recording], seed: int) -> Case:
    place = {r.name: i for i, r in enumerate(recordings) if r.source.startswith("pascal")}
    _, test = seed_split([recordings[i] for i in place.values()])
    tested = np.sort(np.array([place[r.name] for r in test], dtype=np.int64))
    others = np.setdiff1d(np.arange(len(recordings)), tested)
    return _case(f"seed{seed}-split", seed, recordings, others, tested, ALL_BEATS)


def _case(name: str, seed: int, recordings: Sequence[Recording], others: Array, tested: Array, beats: str) -> Case:
    also = np.array([i for i in others if unclear(recordings[i])], dtype=np.int64)
    return Case(name, seed, learnable(recordings, others), also, tested, beats)
