"""Features of many recordings in one array, so that worker processes can share it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from models.classes import CLASSES
from models.frontend import FrontEnd
from train.audio import load
from train.datasets import Recording
from train.splits import split_hash


@dataclass(frozen=True)
class Table:
    """Recordings and their features.

    Attributes:
        recordings: in the order of `offsets`.
        values: (total frames, features) float32.
        offsets: (recordings + 1,) int64; recording i is values[offsets[i]:offsets[i + 1]].
    """

    recordings: tuple[Recording, ...]
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

    @property
    def labels(self) -> np.ndarray:
        """(recordings,) int64, index of each label in `CLASSES`."""
        return np.array([CLASSES.index(r.label) for r in self.recordings], dtype=np.int64)


def build(front_end: FrontEnd, recordings: Sequence[Recording], tick: Callable[[], None] = lambda: None) -> Table:
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
        samples = load(recording.path, front_end.spec.rate_hz)
        if recording.heard_s is not None:
            samples = samples[: round(recording.heard_s * front_end.spec.rate_hz)]
        parts.append(front_end.extract(samples).astype(np.float32))
        tick()
    offsets = np.cumsum([0, *(len(p) for p in parts)])
    values = np.concatenate(parts) if parts else np.zeros((0, front_end.spec.features), dtype=np.float32)
    return Table(tuple(recordings), values, offsets)
