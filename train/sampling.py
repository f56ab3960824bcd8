"""Which windows a training step sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.classes import CLASSES
from models.errors import SettingError
from train.augment import augment
from train.config import Config
from train.table import Table
from train.timings import NO_STATE

Array = np.ndarray


class Batch(NamedTuple):
    """One training step's windows."""

    features: Array  # (batch, time, features) float32, zero-padded at the end
    frames: Array  # (batch,) int64, valid frames
    targets: Array  # (batch, 5) float32, class probabilities
    speaks_of: Array  # (batch, 5) bool, classes that the window's source can speak of
    states: Array  # (batch, time) int64 what the heart does, `NO_STATE` where that is not known


class Sampler:
    """Draws batches: source by share, class by count to a power, recording and place at random."""

    def __init__(self, config: Config, table: Table, indices: Sequence[int]) -> None:
        self._config = config
        self._table = table
        usable = [i for i in indices if table.frames(i) >= config.window.least_frames]
        self._labels = labels = table.labels
        cells: dict[tuple[str, int], list[int]] = {}
        for i in usable:
            cells.setdefault((table.recordings[i].source, int(labels[i])), []).append(i)
        self._cells = list(cells.values())
        self._weights = self._cell_weights(list(cells))
        self._noises = [i for i in usable if table.recordings[i].source == "noise"]

    def _cell_weights(self, keys: list[tuple[str, int]]) -> Array:
        spec = self._config.sampling
        factors = [spec.class_factors.get(CLASSES[label], 1.0) for _, label in keys]
        weights = np.array([len(cell) ** spec.class_power for cell in self._cells]) * factors
        for source in {key[0] for key in keys}:
            own = np.array([key[0] == source for key in keys])
            weights[own] *= spec.shares.get(source, spec.other) / max(weights[own].sum(), 1e-12)
        if not weights.sum() > 0:
            raise SettingError("nothing to learn from: every recording is too short, or its source's share is 0")
        return np.asarray(weights / weights.sum())

    def batch(self, rng: np.random.Generator) -> Batch:
        """A batch of augmented, mixed windows."""
        size = self._config.fit.batch
        window = self._config.window.window_frames
        features = np.zeros((size, window, self._table.values.shape[1]), dtype=np.float32)
        frames = np.zeros(size, dtype=np.int64)
        states = np.full((size, window), NO_STATE, dtype=np.int64)
        picked = []
        for row, cell in enumerate(rng.choice(len(self._cells), size=size, p=self._weights)):
            index = int(rng.choice(self._cells[cell]))
            x, doing = self._window(index, rng)
            features[row, : len(x)], states[row, : len(x)] = x, doing
            frames[row] = len(x)
            picked.append(index)
        targets = np.eye(len(CLASSES), dtype=np.float32)[self._labels[picked]]
        speaks_of = np.array([self._table.recordings[i].speaks_of for i in picked])
        return mixup(Batch(features, frames, targets, speaks_of, states), self._config.fit.mixup, rng)

    def _window(self, index: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Frames (n, features), and what the heart does in each (n,)."""
        spec = self._config.window
        whole = self._table.features(index)
        length = min(len(whole), spec.window_frames)
        if rng.random() < self._config.augment.short_share and length > spec.first_frames:
            length = int(rng.integers(spec.first_frames, length + 1))
        # A stretch below 1 shortens what is heard: take more, and cut after.
        wanted = min(len(whole), round(length * self._config.augment.stretch))
        start = int(rng.integers(len(whole) - wanted + 1))
        x = augment(self._config.augment, whole[start : start + wanted], lambda: self._noise(rng), rng)
        doing = self._table.states[self._table.rows(index)][start : start + wanted]
        nearest = np.round(np.linspace(0, wanted - 1, len(x))).astype(int)
        return x[:length], doing[nearest[:length]]

    def _noise(self, rng: np.random.Generator) -> Array | None:
        return self._table.features(int(rng.choice(self._noises))) if self._noises else None


def mixup(batch: Batch, alpha: float, rng: np.random.Generator) -> Batch:
    """Blend each window with another of the batch (Zhang et al. 2018).

    A blend speaks of what both sources can speak of, and is as long as the shorter of the two. What the heart does is
    that of the louder part, whose share is at least half.
    """
    if not alpha:
        return batch
    other = rng.permutation(len(batch.frames))
    share = rng.beta(alpha, alpha, size=len(other)).astype(np.float32)
    share = np.maximum(share, 1 - share)
    # A target outside what the other can speak of would be masked away: leave such pairs unmixed.
    both = batch.speaks_of & batch.speaks_of[other]
    lost = ((batch.targets + batch.targets[other]) * ~both).any(axis=1)
    share[lost] = 1
    weight = share[:, None, None]
    return Batch(
        weight * batch.features + (1 - weight) * batch.features[other],
        np.where(lost, batch.frames, np.minimum(batch.frames, batch.frames[other])),
        share[:, None] * batch.targets + (1 - share[:, None]) * batch.targets[other],
        np.where(lost[:, None], batch.speaks_of, both),
        batch.states,
    )
