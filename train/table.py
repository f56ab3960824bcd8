"""Features of many recordings in one array, so that worker processes can share it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np

from models.classes import CLASSES
from models.frontend import FrontEnd, FrontEndSpec
from train.audio import load
from train.datasets import Recording
from train.splits import split_hash
from train.timings import NO_STATE, Timed, in_frames, states_of


class Audio(Protocol):
    """What a recording must say of itself to be read."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def name(self) -> str:
        """Unique within its source."""

    @property
    def source(self) -> str:
        """The recording device or domain."""

    @property
    def heard_s(self) -> float | None:
        """Only so much of it is used; None for all."""


Kind = TypeVar("Kind", bound=Audio)
_SYSTOLE, _SYSTOLE_WITH_MURMUR = 1, 4  # of models.nets.HEART_STATES


@dataclass(frozen=True)
class Features(Generic[Kind]):
    """Recordings and their features.

    Attributes:
        recordings: in the order of `offsets`.
        values: (total frames, features) float32.
        offsets: (recordings + 1,) int64; recording i is values[offsets[i]:offsets[i + 1]].
    """

    recordings: tuple[Kind, ...]
    values: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.recordings)

    def rows(self, index: int) -> slice:
        """Frames of one recording, in `values`."""
        return slice(int(self.offsets[index]), int(self.offsets[index + 1]))

    def features(self, index: int) -> np.ndarray:
        """(frames, features) float32 of one recording, a view."""
        found: np.ndarray = self.values[self.rows(index)]
        return found

    def frames(self, index: int) -> int:
        """Frames of one recording."""
        return int(self.offsets[index + 1] - self.offsets[index])

    def fingerprint(self, indices: Sequence[int]) -> str:
        """A hash of what some recordings are called and of every feature of theirs."""
        return split_hash(
            f"{self.recordings[i].source}/{self.recordings[i].name} {blake2b(self.features(i).tobytes()).hexdigest()}"
            for i in indices
        )


@dataclass(frozen=True)
class Table(Features[Recording]):
    """Labelled recordings and their features.

    Attributes:
        states: (total frames,) int8, what the heart does in each frame, as in `heart_states`.
    """

    states: np.ndarray

    @classmethod
    def of(cls, features: Features[Recording], states: np.ndarray | None = None) -> Table:
        """The same, as a table; of no states where none are given."""
        known = np.full(len(features.values), NO_STATE, dtype=np.int8) if states is None else states
        return cls(features.recordings, features.values, features.offsets, known)

    @property
    def labels(self) -> np.ndarray:
        """(recordings,) int64, index of each label in `CLASSES`."""
        return np.array([CLASSES.index(r.label) for r in self.recordings], dtype=np.int64)


def heart_states(front_end: FrontEndSpec, features: Features[Recording], timed: Sequence[Timed]) -> np.ndarray:
    """(total frames,) int8 which of `nets.HEART_STATES` each frame is in, `NO_STATE` where it is not annotated.

    A systole counts as one with a murmur where the recording has one: nearly all of CirCor's are systolic.

    Args:
        front_end: how frames lie in time.
        features: recordings.
        timed: those of them that are annotated, and others.
    """
    states = np.full(len(features.values), NO_STATE, dtype=np.int8)
    segments = {(t.source, t.name): t.segments for t in timed if t.source == "circor"}
    for i, r in enumerate(features.recordings):
        if (r.source, r.name) in segments:
            own = states_of(in_frames(front_end, segments[r.source, r.name]), features.frames(i))
            states[features.rows(i)] = np.where((own == _SYSTOLE) & (r.label == "murmur"), _SYSTOLE_WITH_MURMUR, own)
    return states


def read(front_end: FrontEnd, recordings: Sequence[Kind], tick: Callable[[], None] = lambda: None) -> Features[Kind]:
    """Read, resample and extract every recording.

    Args:
        front_end: the same that listens.
        recordings: what to read.
        tick: called once per recording, for a progress bar.

    Raises:
        InputFileError: a recording can't be read.
    """
    parts = []
    for recording in recordings:
        samples = load(recording.path, front_end.spec.rate_hz, recording.heard_s)
        parts.append(front_end.extract(samples).astype(np.float32))
        tick()
    offsets = np.cumsum([0, *(len(p) for p in parts)])
    values = np.concatenate(parts) if parts else np.zeros((0, front_end.spec.features), dtype=np.float32)
    return Features(tuple(recordings), values, offsets)
