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
from models.nets import POOLING, BeatNet, HeartNet
from models.rhythm import Net
from train.beats import TorchNet

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
    batches = [*_random_batches(bundle), *(window[None].astype(np.float32) for window in windows)]
    # numpy's max passes a NaN on, where Python's would lose it.
    worst = float(np.max([_difference(net, bundle, features) for features in batches]))
    if not worst <= TOLERANCE:
        raise ModelError(f"ONNX Runtime and torch differ by {worst:.2g} in a logit (allowed {TOLERANCE}); not exported")
    return worst


def check_rhythm(net: BeatNet, bundle: Bundle, windows: Sequence[Array]) -> float:
    """Compare the networks that find S1 and S2, each carrying its own state, on noise and on given windows.

    Args:
        net: the torch network.
        bundle: the exported one, with a rhythm.
        windows: features (frames, features) of real audio; may be empty.

    Returns:
        Largest absolute difference of a logit.

    Raises:
        ModelError: the difference is above `TOLERANCE`.
    """
    if bundle.rhythm is None:
        raise ModelError("the bundle holds no network that finds S1 and S2; not exported")
    size = bundle.rhythm.spec.block_frames
    noise = np.random.default_rng(0).normal(-8, 3, (100 * size, bundle.front_end.spec.features))
    worst = 0.0
    for heard in [noise, *windows]:
        blocks = [heard[k : k + size].astype(np.float32) for k in range(0, len(heard) - size + 1, size)]
        wanted, found = (_run(one, blocks) for one in (TorchNet(net), bundle.rhythm.net))
        worst = float(np.max([worst, np.abs(wanted - found).max(initial=0)]))
    if not worst <= TOLERANCE:
        raise ModelError(f"ONNX Runtime and torch differ by {worst:.2g} in an onset (allowed {TOLERANCE})")
    return worst


def _run(net: Net, blocks: Sequence[Array]) -> Array:
    """Logits (frames, 2) of blocks in a row, from the initial state."""
    state, found = np.zeros(net.state_size, dtype=np.float32), [np.zeros((0, 2), dtype=np.float32)]
    for block in blocks:
        onsets, following = net(block[None], state[None])
        found.append(onsets[0])
        state = following[0]
    return np.concatenate(found)


def windows(run: Path) -> list[Array]:
    """Features (frames, features) of real windows of recordings that the run learned from.

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


def _difference(net: HeartNet, bundle: Bundle, features: Array) -> float:
    frames = np.full(len(features), features.shape[1])
    with torch.no_grad():
        wanted = net(torch.from_numpy(features), torch.from_numpy(frames)).numpy()
    return float(np.abs(wanted - bundle.logits(features)).max())


def _random_batches(bundle: Bundle) -> Iterator[Array]:
    """Batches of 1 to 64 windows, from the shortest to longer than the window."""
    rng = np.random.default_rng(0)
    full = bundle.window.window_frames
    for size, frames in ((1, POOLING), (1, full), (3, 2 * full), (16, full // 2), (32, full - 1), (64, full)):
        shape = (size, max(POOLING, frames), bundle.front_end.spec.features)
        yield rng.normal(-8, 3, shape).astype(np.float32)
