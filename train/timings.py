"""Recordings whose S1 and S2 were annotated: where each sound begins, to learn from and to be judged by.

CirCor's annotations (Oliveira et al. 2021) divide parts of each recording into S1, systole, S2 and diastole; what lies
between such parts is unknown, not silent. PASCAL's `set_a_timing.csv` marks the middle of each S1 and S2 of a few
recordings of set A, a phone app: too few to learn from, but another device to be judged by.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import InputFileError
from models.frontend import FrontEndSpec
from train import circor
from train.datasets import CIRCOR_HEARD_S, read_pascal, without_conflicts

Array = np.ndarray

#: The states of a heart cycle, as CirCor numbers them; 0 is unknown.
S1, SYSTOLE, S2, DIASTOLE = 1, 2, 3, 4
NO_STATE = -1
ONSETS = {"S1": S1, "S2": S2}
#: From onset to middle: half of the median length of each sound in CirCor's annotations.
_HALF_S = {"S1": 0.06, "S2": 0.05}
_PASCAL_RATE_HZ = 44_100
#: A set A recording is annotated from its first to its last marked sound, and so much beyond.
_AROUND_S = 0.1


@dataclass(frozen=True, eq=False)
class Timed:
    """One recording and its annotated sounds.

    Attributes:
        path: the file.
        name: its path within the data set; unique there.
        source: "circor" or "pascal_a".
        group: recordings that share it share a person or a day.
        segments: (n, 3) begin and end in seconds and state, ascending, no two overlapping; the states are `S1` to
            `DIASTOLE`.
        heard_s: only so much of it is used; None for all.
    """

    path: Path
    name: str
    source: str
    group: str
    segments: Array
    heard_s: float | None = None

    def onsets(self, sound: str) -> Array:
        """(n,) seconds at which a sound, "S1" or "S2", begins."""
        found: Array = self.segments[self.segments[:, 2] == ONSETS[sound], 0]
        return found

    @property
    def spans(self) -> Array:
        """(k, 2) seconds from where to where every sound is annotated, ascending."""
        begins, ends = self.segments[:, 0], self.segments[:, 1]
        if not len(begins):
            return np.zeros((0, 2))
        new = np.concatenate([[True], begins[1:] > ends[:-1] + 0.03])
        return np.stack([begins[new], ends[np.concatenate([new[1:], [True]])]], axis=1)


def read(kind: str, folder: Path) -> list[Timed]:
    """Every annotated recording of a data set, sorted by name; none where it has no annotations.

    Args:
        kind: as for `train.datasets.read`; only "circor" and "pascal" have annotations.
        folder: where it lies.

    Raises:
        InputFileError: an annotation that can't be read.
    """
    readers = {"circor": _circor, "pascal": _pascal}
    return sorted(readers[kind](folder), key=lambda timed: timed.name) if kind in readers else []


def to_frames(spec: FrontEndSpec, t_s: Array) -> Array:
    """The frame, with fraction, whose middle lies at a time."""
    found: Array = (t_s * spec.rate_hz - spec.frame_samples / 2) / spec.hop_samples
    return found


def in_frames(spec: FrontEndSpec, segments: Array) -> Array:
    """Segments (n, 3) of `Timed`, in frames with fraction instead of seconds."""
    return np.column_stack([to_frames(spec, segments[:, :2]), segments[:, 2]])


def states_of(segments: np.ndarray, frames: int) -> np.ndarray:
    """(frames,) state of each frame, S1 as 0 to diastole as 3, by segments (n, 3) in frames; else `NO_STATE`."""
    begins, ends, states = segments.T
    at = np.arange(frames)
    k = np.maximum(np.searchsorted(begins, at, side="right") - 1, 0)
    known = (at >= begins[k]) & (at < ends[k])
    return np.where(known, states[k] - 1, NO_STATE).astype(np.int8)


def _circor(folder: Path) -> list[Timed]:
    found = []
    for take in circor.takes(folder):
        places = (take.path.with_suffix(".tsv"), take.path.parent.parent / "segmentation" / f"{take.path.stem}.tsv")
        table = next((place for place in places if place.is_file()), None)
        if table is None:
            continue
        segments = _segments(table)
        if len(segments):
            found.append(Timed(take.path, take.name, "circor", f"circor/{take.person}", segments, CIRCOR_HEARD_S))
    return found


def _segments(table: Path) -> Array:
    """(n, 3) as of `Timed`, of what is used of the recording."""
    try:
        rows = np.array([line.split() for line in table.read_text("utf-8").splitlines() if line.strip()], dtype=float)
        begins, _, states = rows.T
    except (OSError, ValueError) as error:
        raise InputFileError(f"{table}: is no segmentation (begin, end, state); take CirCor's own file") from error
    # Two of CirCor's files list their segments twice; in a hundred, segments overlap by a millisecond or two.
    rows = np.unique(rows[(states > 0) & (begins < CIRCOR_HEARD_S)], axis=0)
    if not (rows[:-1, 1] <= rows[1:, 0] + 0.01).all() or not (rows[:, 0] <= rows[:, 1]).all():
        raise InputFileError(f"{table}: its segments overlap; take CirCor's own file")
    rows[:, 1] = np.minimum(rows[:, 1], CIRCOR_HEARD_S)
    return rows


def _pascal(folder: Path) -> list[Timed]:
    table = folder / "set_a_timing.csv"
    if not table.is_file():
        return []
    marks: dict[str, list[tuple[float, str]]] = {}
    try:
        for row in csv.DictReader(table.read_text("utf-8-sig").splitlines()):
            middle_s = int(row["location"]) / _PASCAL_RATE_HZ
            marks.setdefault(row["fname"], []).append((middle_s - _HALF_S[row["sound"]], row["sound"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputFileError(f"{table}: needs fname, sound (S1 or S2) and location; take PASCAL's own file") from error
    clean = {r.name: r for r in without_conflicts(read_pascal(folder))}
    return [
        Timed(clean[name].path, name, "pascal_a", clean[name].group, _between(sorted(found)))
        for name, found in marks.items()
        if name in clean
    ]


def _between(marks: Sequence[tuple[float, str]]) -> Array:
    """Segments of sounds known by their begins alone: each lasts to the next, as nothing is said of its end."""
    begins = [begin for begin, _ in marks]
    ends = [*begins[1:], begins[-1] + _AROUND_S]
    return np.array([[b, e, ONSETS[s]] for b, e, (_, s) in zip(begins, ends, marks, strict=True)])
