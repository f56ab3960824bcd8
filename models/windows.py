"""Which frames each decision hears: the same arithmetic for training, evaluation and listening."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class WindowSpec:
    """The sliding window, in frames of the front end. Part of the bundle.

    Attributes:
        window_frames: frames the network hears at most.
        hop_frames: frames between decisions.
        first_frames: frames before the first decision that may carry a label (about 1 s).
        least_frames: frames below which the network says nothing at all.
    """

    window_frames: int = 198
    hop_frames: int = 25
    first_frames: int = 48
    least_frames: int = 8

    def __post_init__(self) -> None:
        if not 0 < self.least_frames <= self.first_frames <= self.window_frames:
            raise ValueError("least_frames <= first_frames <= window_frames must hold, all above 0")
        if self.hop_frames < 1:
            raise ValueError(f"hop_frames must be at least 1, not {self.hop_frames}")


def next_due(spec: WindowSpec, frames: int) -> int:
    """The frame count, above `frames`, at which the next decision falls due."""
    if frames < spec.first_frames:
        return spec.first_frames
    return frames + spec.hop_frames - (frames - spec.first_frames) % spec.hop_frames


def decision_ends(spec: WindowSpec, frames: int) -> list[int]:
    """Frame counts at which a stream of so many frames decides, the last one included.

    Empty where there are fewer than `least_frames`.
    """
    if frames < spec.least_frames:
        return []
    return [*range(spec.first_frames, frames, spec.hop_frames), frames]


def recording_ends(spec: WindowSpec, frames: int) -> list[int]:
    """Those of the `decision_ends` at which the windows end that speak for a whole recording.

    Full windows and the last one; a recording shorter than a window is heard once, whole.
    """
    return [end for end in decision_ends(spec, frames) if end >= spec.window_frames or end == frames]


def pad(windows: Sequence[Array]) -> tuple[Array, Array]:
    """Windows (frames, features) of any lengths as one batch: (n, longest, features) float32 and frames (n,) int64."""
    frames = np.array([len(w) for w in windows], dtype=np.int64)
    padded = np.zeros((len(windows), int(frames.max()), windows[0].shape[1]), dtype=np.float32)
    for row, window in enumerate(windows):
        padded[row, : len(window)] = window
    return padded, frames


class WindowState(NamedTuple):
    """What windowing carries from block to block."""

    frames: int  # heard since the stretch began
    decided: int  # frames heard at the last window
    tail: Array  # (n, features), the newest frames, n <= keep


def init_state(features: int) -> WindowState:
    """The state at the start of a stretch, for frames of so many values."""
    return WindowState(0, 0, np.zeros((0, features)))


def step(
    spec: WindowSpec, features: Array, state: WindowState, keep_frames: int
) -> tuple[list[tuple[int, Array]], WindowState]:
    """Hear some frames.

    Args:
        spec: when decisions fall due.
        features: (k, features), k >= 0.
        state: from `init_state` or the previous call.
        keep_frames: newest frames to hand out with each decision; at least `window_frames`.

    Returns:
        For each decision that fell due the frames heard by then and the newest of them (<= keep_frames, features), and
        the next state.
    """
    heard = np.concatenate([state.tail, features])
    total = state.frames + len(features)
    before = total - len(heard)  # frames that are no longer kept
    due, n = [], next_due(spec, state.frames)
    while n <= total:
        due.append((n, heard[max(0, n - before - keep_frames) : n - before]))
        n = next_due(spec, n)
    decided = due[-1][0] if due else state.decided
    return due, WindowState(total, decided, heard[-keep_frames:])


def flush(spec: WindowSpec, state: WindowState) -> list[tuple[int, Array]]:
    """The last window of a stretch, where frames came after the last decision; as `step` returns them, or empty."""
    if state.frames < spec.least_frames or state.frames == state.decided:
        return []
    return [(state.frames, state.tail)]
