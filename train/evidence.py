"""What the rhythm says at every moment at which a stream would decide, for every recording of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from models.extrasystole import Machine
from models.nets import BeatNet
from models.windows import decision_ends, recording_ends
from train import extrasystole
from train.config import Config
from train.table import Table

Array = np.ndarray


class Moments(NamedTuple):
    """Of recording i the rows offsets[i] to offsets[i + 1], one a decision, ascending in time."""

    ends: Array  # (rows,) int64, frames heard
    speaks: Array  # (rows,) bool, whether the window that ends there speaks for the whole recording
    intervals: Array  # (rows, size), from `intervals.describe`
    offsets: Array  # (recordings + 1,) int64

    def rows(self, index: int) -> slice:
        """Those of one recording."""
        return slice(int(self.offsets[index]), int(self.offsets[index + 1]))

    def speaking(self, index: int) -> Array:
        """(n,) rows of the moments that speak for one recording."""
        rows = self.rows(index)
        return np.asarray(rows.start + np.flatnonzero(self.speaks[rows]))

    def last(self, indices: Sequence[int]) -> Array:
        """(n, size) intervals when the whole of each recording was heard; zeros for one too short for any decision."""
        found = np.zeros((len(indices), self.intervals.shape[1]))
        for place, i in enumerate(indices):
            own = self.intervals[self.rows(i)]
            if len(own):
                found[place] = own[-1]
        return found


def moments(config: Config, table: Table, tick: Callable[[], None] = lambda: None) -> Moments:
    """Of every recording; `tick` is called once per recording."""
    ends, speaks, told = [], [], []
    for i in range(len(table)):
        own = decision_ends(config.window, table.frames(i))
        ends.append(np.array(own, dtype=np.int64))
        speaks.append(np.isin(own, recording_ends(config.window, table.frames(i))))
        told.append(extrasystole.describe(config, table.features(i), own))
        tick()
    offsets = np.cumsum([0, *(len(own) for own in ends)])
    return Moments(np.concatenate(ends), np.concatenate(speaks), np.concatenate(told), offsets)


def early_beats(config: Config, net: BeatNet | None, table: Table, at: Moments) -> Array:
    """(rows,) early beats that count at each moment; none without a network that finds S1 and S2."""
    found = np.zeros(len(at.ends), dtype=np.int64)
    if net:
        for i in range(len(table)):
            rows = at.rows(i)
            if rows.stop > rows.start:
                found[rows] = extrasystole.premature(config, net, table.features(i), at.ends[rows].tolist())
    return found


def scores(machine: Machine | None, at: Moments, rows: Array) -> Array:
    """(n,) score of the spacing at some moments; 0 without a machine."""
    return machine.scores(at.intervals[rows]) if machine else np.zeros(len(rows))


def mean_scores(machine: Machine | None, at: Moments, indices: Sequence[int]) -> Array:
    """(n,) mean score over the windows that speak for each recording; 0 where there is none."""
    found = np.zeros(len(indices))
    for place, i in enumerate(indices):
        rows = at.speaking(i)
        if len(rows):
            found[place] = scores(machine, at, rows).mean()
    return found
