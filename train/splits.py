"""Which recordings are learned from and which are tested; grouped, so that no person or session is on both sides."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Sequence

import numpy as np
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, train_test_split

from models.errors import SettingError
from train.datasets import Recording

Indices = np.ndarray[tuple[int], np.dtype[np.intp]]
Split = tuple[Indices, Indices]

_SEED_SHARE = 0.2
_SEED = 42


def seed_split(recordings: Sequence[Recording]) -> tuple[list[Recording], list[Recording]]:
    """The random 80/20 split by recording that notebooks on PASCAL use; 117 of the 585 are for testing.

    It separates recordings of one patient, so its scores are too good. It is here to compare with published figures.

    Returns:
        Training and test recordings; the same whatever the order given.

    Raises:
        SettingError: fewer than two recordings.
    """
    if len(recordings) < 2:
        raise SettingError(f"{len(recordings)} recording(s) can't be split; give more data")
    ordered = sorted(recordings, key=lambda r: (r.name, r.source))
    train, test = train_test_split(ordered, test_size=_SEED_SHARE, random_state=_SEED)
    return train, test


def grouped_folds(recordings: Sequence[Recording], folds: int, seed: int) -> list[Split]:
    """Cross-validation folds that keep groups whole and class x source shares about equal.

    Args:
        recordings: n of them, in any order.
        folds: at least 2, at most the number of groups.
        seed: of the shuffle.

    Returns:
        Per fold the indices to train on and to test on, ascending. Each recording is tested on in just one fold. A
        fold that would test nothing, as where one group holds half of all, is left out.

    Raises:
        SettingError: too few groups, or every class of every source has fewer recordings than folds.
    """
    limit = _most_folds(recordings)
    if not 2 <= folds <= limit:
        raise SettingError(f"{folds} folds are not possible here; from 2 to {limit} are" if limit > 1 else _TOO_FEW)
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    strata, groups = [_stratum(r) for r in recordings], [r.group for r in recordings]
    with warnings.catch_warnings():
        # A class with fewer recordings than folds is absent from some folds. That is wanted: whoever has a data set
        # with a rare class should still get the folds, and scores per class show the count.
        warnings.filterwarnings("ignore", "The least populated class in y", UserWarning)
        splits = splitter.split(np.zeros(len(recordings)), strata, groups)
        return [split for split in splits if len(split[1])]


def even_folds(groups: Sequence[str], folds: int) -> list[Split]:
    """Cross-validation folds of about as many recordings each that keep groups whole; always the same."""
    return list(GroupKFold(folds).split(groups, groups=groups))


def split_hash(names: Iterable[str]) -> str:
    """A short fingerprint of a set of recordings, for the record: 16 hex digits, whatever their order."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]


_TOO_FEW = "too few recordings to split: at least 2 groups, and 2 recordings of one class, are needed; give more data"


def _stratum(recording: Recording) -> str:
    return f"{recording.source} {recording.label}"


def _most_folds(recordings: Sequence[Recording]) -> int:
    """As many as there are groups, and as the commonest stratum has recordings (scikit-learn refuses more)."""
    if not recordings:
        return 0
    _, counts = np.unique([_stratum(r) for r in recordings], return_counts=True)
    return min(len({r.group for r in recordings}), int(counts.max()))
