"""What a network answers for whole recordings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch

from models.classes import CLASSES
from models.nets import HeartNet
from models.windows import WindowSpec, pad, recording_ends
from train.table import Table

Array = np.ndarray
_BATCH = 256
Item = TypeVar("Item")


def recording_logits(net: HeartNet, spec: WindowSpec, table: Table, indices: Sequence[int]) -> Array:
    """Mean logits (n, 5) float64 over the windows that speak for each recording.

    A recording with fewer frames than `least_frames` gets zeros: every class equally likely.
    """
    windows = [(row, end) for row, i in enumerate(indices) for end in recording_ends(spec, table.frames(i))]
    sums = np.zeros((len(indices), len(CLASSES)))
    counts = np.zeros(len(indices))
    for chunk in _chunks(windows, _BATCH):
        cut = [table.features(indices[row])[max(0, end - spec.window_frames) : end] for row, end in chunk]
        rows = [row for row, _ in chunk]
        np.add.at(sums, rows, window_logits(net, cut))
        np.add.at(counts, rows, 1)
    return np.asarray(sums / np.maximum(counts, 1)[:, None])


def window_logits(net: HeartNet, windows: Sequence[Array]) -> Array:
    """Logits (n, 5) float64 of windows (frames, features) of any lengths."""
    padded, frames = pad(windows)
    with torch.no_grad():
        logits = net(torch.from_numpy(padded), torch.from_numpy(frames))
    return np.asarray(logits.numpy().astype(np.float64))


def embeddings(net: HeartNet, spec: WindowSpec, table: Table, indices: Sequence[int]) -> Array:
    """(n, hidden) what the network knows of each recording's last window before it answers; zeros where too short."""
    found = np.zeros((len(indices), net.spec.hidden))
    rows = np.array([row for row, i in enumerate(indices) if table.frames(i) >= spec.least_frames], dtype=np.int64)
    for chunk in _chunks(rows.tolist(), _BATCH):
        padded, frames = pad([table.features(indices[row])[-spec.window_frames :] for row in chunk])
        with torch.no_grad():
            found[chunk] = net.pooled(*net.hear(torch.from_numpy(padded), torch.from_numpy(frames))).numpy()
    return found


def recording_loss(net: HeartNet, spec: WindowSpec, table: Table, indices: Sequence[int]) -> float:
    """Mean cross-entropy of the open five-way answer, a recording a vote; for learning curves."""
    logits = recording_logits(net, spec, table, indices)
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return float(-logs[np.arange(len(logits)), table.labels[list(indices)]].mean())


def _chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
