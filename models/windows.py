"""Which frames each decision hears: the same arithmetic for training, evaluation and listening."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Array = np.ndarray
#: What comes between two decisions is kept until the next one.
_MOST_HOP_FRAMES = 10_000


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
        if not 1 <= self.hop_frames <= _MOST_HOP_FRAMES:
            raise ValueError(f"hop_frames must be from 1 to {_MOST_HOP_FRAMES}, not {self.hop_frames}")


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


def due_ends(spec: WindowSpec, before: int, frames: int) -> list[int]:
    """Frame counts above `before`, up to `frames`, at which decisions fall due, the stream's last one aside."""
    found, end = [], next_due(spec, before)
    while end <= frames:
        found.append(end)
        end = next_due(spec, end)
    return found


def left_end(spec: WindowSpec, frames: int) -> list[int]:
    """The frame count at which a stream that ends after so many decides still; or empty.

    Where frames came after the last decision; and anew where the window was not full, for now it speaks for all.
    """
    if frames < spec.least_frames:
        return []
    full, late = frames >= spec.window_frames, (frames - spec.first_frames) % spec.hop_frames
    return [] if full and not late else [frames]


class Recent(NamedTuple):
    """The newest rows of a table that grows: what a decision hears."""

    rows: Array  # (n, columns), n <= keep
    fresh: tuple[Array, ...]  # (k, columns) each, what came since, not yet put together
    total: int  # rows since the stretch began


def no_rows(columns: int, dtype: type[np.floating]) -> Recent:
    """A table of so many columns, before any row."""
    return Recent(np.zeros((0, columns), dtype=dtype), (), 0)


def add(recent: Recent, rows: Array) -> Recent:
    """The table with rows (k, columns) more, k >= 0."""
    if not len(rows):
        return recent
    return recent._replace(fresh=(*recent.fresh, rows), total=recent.total + len(rows))


def put_together(recent: Recent) -> Recent:
    """The same table with all that is known as its rows, more than are kept: `cut` may be asked of it."""
    return Recent(np.concatenate([recent.rows, *recent.fresh]), (), recent.total)


def cut(recent: Recent, end: int, count: int) -> Array:
    """The newest rows (n, columns) when so many had come, n <= count; of a table that was put together."""
    last = end - (recent.total - len(recent.rows))
    return recent.rows[max(0, last - count) : last]


def trim(recent: Recent, keep: int) -> Recent:
    """Only the newest rows, as many as are kept."""
    return recent._replace(rows=recent.rows[max(0, len(recent.rows) - keep) :])
