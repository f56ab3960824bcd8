"""Time from left to right: the same margins in every figure, so that strips line up; times as m:ss."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from stream.monitor.words import clock

WIDTH, LEFT, RIGHT = 1000, 158, 12
PLOT = WIDTH - LEFT - RIGHT
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_MOST_TICKS = 12


class Axis(NamedTuple):
    """What a figure shows of the session's time."""

    start_s: float
    end_s: float

    @property
    def span_s(self) -> float:
        """Its length, above 0."""
        return max(self.end_s - self.start_s, 1e-3)

    def x(self, t_s: float) -> float:
        """Where a time is, in units of the figure; outside goes to the nearer edge."""
        share = (t_s - self.start_s) / self.span_s
        return LEFT + PLOT * min(1.0, max(0.0, share))

    def holds(self, t_s: float) -> bool:
        """Whether a time is shown."""
        return self.start_s <= t_s <= self.end_s

    @property
    def step_s(self) -> float:
        """Distance of the time marks."""
        fits = (s for s in _STEPS_S if self.span_s / s <= _MOST_TICKS)
        return next(fits, 86400.0 * math.ceil(self.span_s / 86400 / _MOST_TICKS))

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Times and their labels."""
        for n in range(math.ceil(self.start_s / self.step_s - 1e-6), math.floor(self.end_s / self.step_s + 1e-6) + 1):
            yield n * self.step_s, moment(n * self.step_s, fine=self.step_s < 1)

    @property
    def form(self) -> str:
        """How the labels are written."""
        return "h:mm:ss" if self.end_s >= 3600 else "m:ss"


def moment(t_s: float, fine: bool = True) -> str:
    """A time as m:ss, or m:ss.t where it matters."""
    tenths = round(t_s * 10)
    return f"{clock(tenths // 10)}.{tenths % 10}" if fine else clock(tenths / 10)
