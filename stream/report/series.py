"""A value of the decisions over time, thinned to what a figure can show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.decide import Decision
from stream.report.heard import Heard, gap_end_s

Array = np.ndarray
#: A line without a hole: times in seconds and values, (n,) each, n >= 1.
Run = tuple[Array, Array]

_MOST_POINTS = 900
#: Decisions further apart than so many usual steps are not joined by a line.
_HOLE = 3.0


def lines(heard: Heard, value: Callable[[Decision], float | None]) -> list[Run]:
    """Runs of times and values: broken where the value is unknown, where audio was lost, and where no decision is.

    Long sessions are thinned: neighbours are averaged, up to `_MOST_POINTS` over the whole session, and holes that are
    too short to be seen are closed.
    """
    all_s = np.array([d.t_s for d in heard.decisions])
    values = np.array([np.nan if (v := value(d)) is None else v for d in heard.decisions], dtype=float)
    known = np.isfinite(values)
    if not known.any():
        return []
    cell_s = heard.span_s / _MOST_POINTS
    lost_s = np.array([gap_end_s(heard, gap) for gap in heard.gaps])
    times_s, values, unknown_s = all_s[known], values[known], all_s[~known]
    before_s, after_s = times_s[:-1], times_s[1:]
    usual_s = float(np.median(np.diff(all_s))) if len(all_s) > 1 else 0.0
    broken = after_s - before_s > max(_HOLE * usual_s, 2 * cell_s)
    for moments_s in (unknown_s, np.sort(lost_s)):
        inside = np.searchsorted(moments_s, after_s, side="right") > np.searchsorted(moments_s, before_s, side="right")
        broken |= inside & (after_s - before_s > cell_s)
    at = np.flatnonzero(broken) + 1
    return [_thinned(*run, cell_s) for run in zip(np.split(times_s, at), np.split(values, at), strict=True)]


def probability(k: int) -> Callable[[Decision], float | None]:
    """The value that is the probability of a class, by its index."""
    return lambda d: d.probabilities[k] if d.probabilities else None


def _thinned(times_s: Array, values: Array, cell_s: float) -> Run:
    if not cell_s or len(times_s) < 3:
        return times_s, values
    starts = np.flatnonzero(np.diff((times_s / cell_s).astype(np.int64), prepend=-1))
    counts = np.diff(starts, append=len(times_s))
    return np.add.reduceat(times_s, starts) / counts, np.add.reduceat(values, starts) / counts
