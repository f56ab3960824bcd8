"""Proof that ONNX Runtime answers as torch does, on random shapes and on real windows, before anything is shipped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file

from models.bundle import Bundle
from models.errors import InputFileError, ModelError
from models.nets import POOLING, HeartNet
from models.windows import pad

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
    batches = [*_random_batches(bundle), *([pad(windows)] if windows else [])]
    # numpy's max passes a NaN on, where Python's would lose it.
    worst = float(np.max([_difference(net, bundle, features, frames) for features, frames in batches]))
    if not worst <= TOLERANCE:
        raise ModelError(f"ONNX Runtime and torch differ by {worst:.2g} in a logit (allowed {TOLERANCE}); not exported")
    return worst


def windows(run: Path) -> list[Array]:
    """Features (frames, features) of real windows of recordings that the run held out.

    Raises:
        InputFileError: the run left none.
    """
    path = run / "windows.safetensors"
    try:
        found = list(load_file(path).values())
    except (OSError, SafetensorError) as error:
        raise InputFileError(f"{path}: no real windows to prove the export on; train again") from error
    if not found:
        raise InputFileError(f"{path}: holds no window; train on more data")
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
