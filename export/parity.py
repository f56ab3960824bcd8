"""Proof that ONNX Runtime answers as torch does, on random shapes and on real windows, before anything is shipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from models.bundle import Bundle
from models.errors import ModelError
from models.nets import POOLING, HeartNet
from models.windows import recording_ends
from train.audio import load

Array = np.ndarray

#: Largest difference of a logit. Rounding of float32 sums gives some 1e-6.
TOLERANCE = 1e-4


def check(net: HeartNet, bundle: Bundle, windows: Sequence[Array]) -> float:
    """Compare on random batches and on given windows.

    Args:
        net: the torch network.
        bundle: the exported one.
        windows: features (frames, features) of real audio; may be empty.

    Returns:
        Largest absolute difference of a logit.

    Raises:
        ModelError: the difference is above `TOLERANCE`.
    """
    batches = [*_random_batches(bundle), *([_batch(windows)] if windows else [])]
    # numpy's max passes a NaN on, where Python's would lose it.
    worst = float(np.max([_difference(net, bundle, features, frames) for features, frames in batches]))
    if not worst <= TOLERANCE:
        raise ModelError(f"ONNX Runtime and torch differ by {worst:.2g} in a logit (allowed {TOLERANCE}); not exported")
    return worst


def windows(bundle: Bundle, recordings: Sequence[Path]) -> list[Array]:
    """Features (frames, features) of the windows that speak for some recordings; none of one that is too short.

    Raises:
        InputFileError: a recording can't be read.
    """
    found = []
    for path in recordings:
        heard = bundle.front_end.extract(load(path, bundle.front_end.spec.rate_hz))
        ends = recording_ends(bundle.window, len(heard))
        found += [heard[max(0, end - bundle.window.window_frames) : end] for end in ends]
    return found


def _difference(net: HeartNet, bundle: Bundle, features: Array, frames: Array) -> float:
    with torch.no_grad():
        wanted = net(torch.from_numpy(features), torch.from_numpy(frames)).numpy()
    return float(np.abs(wanted - bundle.logits(features, frames)).max())


def _random_batches(bundle: Bundle) -> Iterator[tuple[Array, Array]]:
    """Batches of 1 to 64 windows, from the shortest to longer than the window, some of them padded."""
    rng = np.random.default_rng(0)
    full = bundle.window.window_frames
    for size, asked in ((1, POOLING), (1, full), (3, 2 * full), (16, full // 2), (32, full - 1), (64, full)):
        time = max(POOLING, asked)
        features = rng.normal(-8, 3, (size, time, bundle.front_end.spec.features)).astype(np.float32)
        yield features, rng.integers(POOLING, time + 1, size)


def _batch(windows: Sequence[Array]) -> tuple[Array, Array]:
    frames = np.array([len(w) for w in windows], dtype=np.int64)
    features = np.zeros((len(windows), int(frames.max()), windows[0].shape[1]), dtype=np.float32)
    for row, window in enumerate(windows):
        features[row, : len(window)] = window
    return features, frames
