"""What a row of the ward remembers of its stream: one answer, not a session's whole past."""

from __future__ import annotations

from typing import NamedTuple

from models.decide import Decision
from stream.monitor.words import kind
from stream.sinks.sink import Heedless


class Answer(NamedTuple):
    """The newest decision, and the stream time of the first of the unbroken run of its kind."""

    decision: Decision
    since_s: float


class Newest(Heedless):
    """A sink that keeps decisions alone. Told by one thread, looked at by others: `answer` is replaced as a whole."""

    def __init__(self) -> None:
        self.answer: Answer | None = None

    def decision(self, d: Decision) -> None:
        """It is the newest now."""
        before = self.answer
        same = before is not None and kind(before.decision) == kind(d)
        self.answer = Answer(d, before.since_s if before and same else d.t_s)
