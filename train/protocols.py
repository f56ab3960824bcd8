"""Evaluation protocols: which recordings are tested, who may be learned from, and what counts as one answer.

Every protocol tests on groups (patients, days) that its networks did not learn from, except `seed-split`, which is
there because published figures use it, and which says that it leaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from train.datasets import Recording, without_conflicts
from train.splits import grouped_folds, seed_split

Array = np.ndarray
Fold = tuple[Array, Array]


@dataclass(frozen=True)
class Protocol:
    """How a protocol splits and scores.

    Attributes:
        name: as given on the command line.
        tested: the data set kind whose recordings are tested.
        seeds: repetitions, each with its own folds and weights.
        per_patient: whether a patient's recordings together give one answer (mean of probabilities).
        leaky: what a reader must know, printed with every figure; empty where nothing leaks.
        says: the protocol in a sentence.
    """

    name: str
    tested: str
    seeds: int
    per_patient: bool
    leaky: str
    says: str


PROTOCOLS = {
    p.name: p
    for p in (
        Protocol(
            "pascal-grouped",
            "pascal",
            3,
            False,
            "",
            "5 grouped folds x 3 seeds; set B by patient (101, 103, 146 merged), set A by day (2011-08 merged); "
            "8 files that carry two labels are left out; one answer per recording",
        ),
        Protocol(
            "seed-split",
            "pascal",
            1,
            False,
            "leaky: patients are shared",
            "sorted file names, train_test_split(test_size=0.2, random_state=42), 117 test files of 585",
        ),
        Protocol(
            "circor-patients",
            "circor",
            1,
            True,
            "",
            "5 folds by person; a patient's answer is the mean of the probabilities over all sites; the first 16 s "
            "of each recording; murmur present or absent, patients marked unknown are left out",
        ),
    )
}


def folds_of(protocol: Protocol, recordings: Sequence[Recording], seed: int) -> list[Fold]:
    """Index pairs (learned from, tested) into `recordings`.

    Recordings of other data sets than the tested one are learned from in every fold; so is what the tested set holds
    for training only.

    Args:
        protocol: one of `PROTOCOLS`.
        recordings: everything read, from every data set.
        seed: of this repetition.
    """
    tested = np.array([i for i, r in enumerate(recordings) if is_tested(protocol, r)])
    own = [recordings[i] for i in tested]
    others = np.array([i for i, r in enumerate(recordings) if not r.source.startswith(protocol.tested)], dtype=int)
    inner = [_by_place(own)] if protocol.name == "seed-split" else grouped_folds(own, 5, seed)
    return [(learnable(recordings, np.concatenate([tested[a], others])), tested[b]) for a, b in inner]


def is_tested(protocol: Protocol, recording: Recording) -> bool:
    """Whether a protocol asks for an answer on a recording."""
    return recording.source.startswith(protocol.tested) and (
        protocol.name == "seed-split" or bool(without_conflicts([recording]))
    )


def learnable(recordings: Sequence[Recording], indices: Array) -> Array:
    """Those of the indices whose label is clean enough to learn from.

    Left out: PASCAL files that carry two labels, and CirCor sites without a murmur of patients who have one elsewhere.
    """
    clean = [i for i in indices if without_conflicts([recordings[i]]) and not _murmur_elsewhere(recordings[i])]
    return np.array(clean, dtype=np.int64)


def _murmur_elsewhere(recording: Recording) -> bool:
    return recording.patient_label == "murmur" and recording.label == "normal"


def _by_place(recordings: Sequence[Recording]) -> Fold:
    place = {r.name: i for i, r in enumerate(recordings)}
    train, test = seed_split(recordings)
    return np.array([place[r.name] for r in train]), np.array([place[r.name] for r in test])
