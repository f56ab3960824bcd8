"""What a row of the ward remembers of its stream: one answer, not a session's whole past."""

from __future__ import annotations

from typing import NamedTuple

from models.decide import Decision
from models.rhythm import Beat
from stream.monitor.words import kind
from stream.snapshot import Ledger


class Answer(NamedTuple):
    """The newest decision, and the stream time of the first of the unbroken run of its kind."""

    decision: Decision
    since_s: float


class Newest:
    """A sink. Told by one thread, looked at by others: `answer` is replaced as a whole."""

    def __init__(self) -> None:
        self.answer: Answer | None = None

    def decision(self, d: Decision) -> None:
        """It is the newest now."""
        before = self.answer
        same = before is not None and kind(before.decision) == kind(d)
        self.answer = Answer(d, before.since_s if before and same else d.t_s)

    def beat(self, beat: Beat) -> None:
        """Nothing of it is kept."""

    def gap(self, t_s: float, lost_samples: int, reason: str) -> None:
        """The decisions after it say so."""

    def condition(self, t_s: float, state: str, detail: str) -> None:
        """Nothing of it is kept."""

    def notice(self, t_s: float, text: str) -> None:
        """Nothing of it is kept."""

    def mark(self, t_s: float, note: str) -> None:
        """Nothing of it is kept."""

    def end(self, ledger: Ledger, reason: str) -> None:
        """The newest answer stands."""
