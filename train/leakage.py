"""What the networks know that they should not: the device, the length, the level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from train import scores
from train.datasets import Recording
from train.table import Features, Table

Array = np.ndarray


def changes(table: Table, indices: Array, seed: int) -> dict[str, Table]:
    """Some recordings as they are, cut to the length of another each, and with the level of another each."""
    rng = np.random.default_rng(seed)
    own = [table.features(i) for i in indices]
    lengths = rng.permutation([len(x) for x in own])
    levels = np.array([np.median(x) if len(x) else 0.0 for x in own])
    shifts = rng.permutation(levels) - levels
    recordings = tuple(table.recordings[i] for i in indices)
    return {
        "as it is": _table(recordings, own),
        "length of another": _table(recordings, [x[:n] for x, n in zip(own, lengths, strict=True)]),
        "level of another": _table(recordings, [x + np.float32(d) for x, d in zip(own, shifts, strict=True)]),
    }


def _table(recordings: tuple[Recording, ...], parts: Sequence[Array]) -> Table:
    offsets = np.cumsum([0, *(len(x) for x in parts)])
    return Table.of(Features(recordings, np.concatenate(parts), offsets))


def comparable(recordings: Sequence[Recording], indices: Array) -> Array:
    """Those of the indices that set A and set B of PASCAL both have the like of: normal, and with a murmur."""
    wanted = [i for i in indices if _of_pascal(recordings[i]) and recordings[i].label in {"normal", "murmur"}]
    return np.array(wanted, dtype=np.int64)


def device_odds(recordings: Sequence[Recording], known: Array, asked: Array) -> Array:
    """(m,) log odds that recordings are of set A and not of set B, told from what a network knows of them.

    Each network keeps what it knows in an order of its own, so each is asked through a regression of its own, learned
    on recordings that the network learned from as well.

    Args:
        recordings: n `comparable` ones that the network learned from.
        known: (n, hidden) what it knows of them.
        asked: (m, hidden) what it knows of recordings that it did not learn from.

    Returns:
        Zeros where the recordings are not of both sets.
    """
    of_a = _of_a(recordings)
    if not of_a.any() or of_a.all():
        return np.zeros(len(asked))
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, class_weight="balanced"))
    return np.asarray(model.fit(known, of_a).decision_function(asked))


def device(recordings: Sequence[Recording], odds: Array) -> scores.Score:
    """How well set A is told from set B by what the networks know, AUROC; 0.5 where the device is not known at all.

    Args:
        recordings: n of PASCAL; only `comparable` ones count.
        odds: (runs, n) from `device_odds`.
    """
    own = comparable(recordings, np.arange(len(recordings)))
    some = [recordings[i] for i in own]
    return scores.auroc(_of_a(some), odds[:, own], [r.group for r in some])


def _of_pascal(recording: Recording) -> bool:
    return recording.source in {"pascal_a", "pascal_b"}


def _of_a(recordings: Sequence[Recording]) -> Array:
    return np.array([r.source == "pascal_a" for r in recordings], dtype=bool)


def describe(
    recordings: Sequence[Recording], truth: Array, answers: Array, changed: dict[str, Array]
) -> dict[str, Any]:
    """How the accuracy changes where what should not matter is changed.

    Args:
        recordings: n of PASCAL.
        truth: (n,) class indices.
        answers: (runs, n) as the recordings are.
        changed: name of the change -> (runs, n) answers then.
    """
    groups = [r.group for r in recordings]
    ones = np.ones(len(truth))
    right = (answers == truth).mean(axis=0)
    rows: dict[str, Any] = {"as it is": {"accuracy": scores.ratio(right, ones, groups)}}
    for name, found in changed.items():
        then = (found == truth).mean(axis=0)
        rows[name] = {
            "accuracy": scores.ratio(then, ones, groups),
            "difference": scores.ratio(then - right, ones, groups),
            "answers_changed": scores.ratio((found != answers).mean(axis=0), ones, groups),
        }
    return rows
