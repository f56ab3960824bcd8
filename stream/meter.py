"""Loudness and clipping at the source's own rate, before a filter hides them. Pure: state in, state out.

Samples are summed up in cells of 20 ms, so that a window's loudness does not depend on how the audio was cut up.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from models.quality import Loudness
from stream.block import Samples

CELL_S = 0.02
#: Full scale of 16-bit audio is 32767 / 32768.
_FULL_SCALE = 0.9999
_COLUMNS = 3  # peak, mean square, share clipped

Array = np.ndarray


class MeterState(NamedTuple):
    """What metering carries from block to block."""

    tail: Samples  # samples not yet in a whole cell
    cells: Array  # (kept, 3) float64, the newest cells
    total: int  # cells since the stretch began


def init_state() -> MeterState:
    """The state at the start of a stretch."""
    return MeterState(np.zeros(0, dtype=np.float32), np.zeros((0, _COLUMNS)), 0)


def step(samples: Samples, state: MeterState, cell_samples: int) -> MeterState:
    """Hear some samples (n,) float32, n >= 0; every finished cell is kept until `trim`."""
    waiting = np.concatenate([state.tail, samples])
    count = len(waiting) // cell_samples
    rows = np.abs(waiting[: count * cell_samples]).reshape(count, cell_samples)
    cells = np.zeros((count, _COLUMNS))
    rows.max(axis=1, initial=0, out=cells[:, 0])
    np.square(rows, dtype=np.float64).sum(axis=1, out=cells[:, 1])
    cells[:, 1] /= cell_samples
    if (cells[:, 0] >= _FULL_SCALE).any():
        cells[:, 2] = (rows >= _FULL_SCALE).mean(axis=1)
    rest = waiting[count * cell_samples :]
    return MeterState(rest, np.concatenate([state.cells, cells]), state.total + count)


def trim(state: MeterState, keep: int) -> MeterState:
    """The same state with only the newest cells."""
    return state._replace(cells=state.cells[-keep:])


def loudness(state: MeterState, begin: int, end: int) -> Loudness:
    """Of cells `begin` to `end`, counted from the start of the stretch; those no longer kept are left out."""
    first = state.total - len(state.cells)
    cells = state.cells[max(0, begin - first) : max(0, end - first)]
    if not len(cells):
        return Loudness(0.0, 0.0, 0.0)
    total: list[float] = cells.sum(axis=0).tolist()
    return Loudness(math.sqrt(total[1] / len(cells)), float(cells[:, 0].max()), total[2] / len(cells))
