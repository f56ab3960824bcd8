"""Features of many recordings in one array, so that worker processes can share it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np

from models.classes import CLASSES
from models.frontend import FrontEnd
from train.audio import load
from train.datasets import Recording
from train.splits import split_hash


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

    def features(self, index: int) -> np.ndarray:
        """(frames, features) float32 of one recording, a view."""
        found: np.ndarray = self.values[self.offsets[index] : self.offsets[index + 1]]
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
    """Labelled recordings and their features."""

    @classmethod
    def of(cls, features: Features[Recording]) -> Table:
        """The same, as a table."""
        return cls(features.recordings, features.values, features.offsets)

    @property
    def labels(self) -> np.ndarray:
        """(recordings,) int64, index of each label in `CLASSES`."""
        return np.array([CLASSES.index(r.label) for r in self.recordings], dtype=np.int64)


def build(front_end: FrontEnd, recordings: Sequence[Recording], tick: Callable[[], None] = lambda: None) -> Table:
    """Labelled recordings as `read` gives them."""
    return Table.of(read(front_end, recordings, tick))


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
