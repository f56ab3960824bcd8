"""What was told of a session so far: decisions, beats and marks, each kept in a bounded number."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from models.decide import Decision
from models.rhythm import Beat
from stream import tachogram
from stream.memory import KEPT_S
from stream.monitor.view import Mark
from stream.sinks.sink import Heedless
from stream.tachogram import Cycle

_MOST_HISTORY = 4000
_MOST_MARKS = 200
#: Beats that a screen gets before the moment it shows: for its trace, and for a strip of cycles.
BEATS_S = 60.0


class Past(Heedless):
    """A sink that keeps what a screen shows. Told by one thread, looked at by others: a tuple is replaced as a whole.

    Attributes:
        history: decisions, oldest first; of long ago only some (`thinned`).
        beats: S1 and S2 of the newest `memory.KEPT_S`, oldest first.
        marks: the newest.
    """

    def __init__(self) -> None:
        self.history: tuple[Decision, ...] = ()
        self.beats: tuple[Beat, ...] = ()
        self.marks: tuple[Mark, ...] = ()
        self._cycles = tachogram.init_state()

    def decision(self, d: Decision) -> None:
        """A decision was made."""
        self.history = (*thinned(self.history), d)
        self._cycles = tachogram.judged(d.t_s, d.regularity, self._cycles)

    def beat(self, beat: Beat) -> None:
        """A heart sound was found."""
        self.beats = (*_since(self.beats, beat.t_s - KEPT_S), beat)
        self._cycles = tachogram.heard(beat, self._cycles)

    def gap(self, t_s: float, lost_samples: int, reason: str) -> None:  # noqa: ARG002 - cycles end at any gap
        """Audio was lost."""
        self._cycles = tachogram.broken(self._cycles)

    def mark(self, t_s: float, note: str) -> None:
        """A moment was marked."""
        self.marks = (*self.marks, Mark(t_s, note))[-_MOST_MARKS:]

    def decision_at(self, t_s: float) -> Decision | None:
        """The newest decision of a moment."""
        count = bisect_right(self.history, t_s, key=lambda d: d.t_s)
        return self.history[count - 1] if count else None

    def beats_before(self, t_s: float) -> tuple[Beat, ...]:
        """The beats of the `BEATS_S` before a moment."""
        beats = _since(self.beats, t_s - BEATS_S)
        return beats[: bisect_right(beats, t_s, key=lambda b: b.t_s)]

    def cycles_before(self, t_s: float) -> tuple[Cycle, ...]:
        """The cycles of the `BEATS_S` before a moment."""
        return tuple(cycle for cycle in self._cycles.found if t_s - BEATS_S < cycle.t_s <= t_s)


def _since(beats: tuple[Beat, ...], t_s: float) -> tuple[Beat, ...]:
    return beats[bisect_left(beats, t_s, key=lambda b: b.t_s) :]


def thinned(history: tuple[Decision, ...]) -> tuple[Decision, ...]:
    """What may stay of a long history: the newer half, and of what is older one a step, evenly over all of the time."""
    if len(history) < _MOST_HISTORY:
        return history
    half = _MOST_HISTORY // 2
    step_s = history[half].t_s / (half // 2)
    kept = {int(d.t_s / step_s): d for d in reversed(history[:half])}  # the first of each step
    return (*reversed(kept.values()), *history[half:])
