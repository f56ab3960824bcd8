"""Who is told what happens in a session: the log, the plain lines, the metrics."""

from __future__ import annotations

from typing import Protocol

from models.decide import Decision
from models.rhythm import Beat
from stream.snapshot import Ledger


class Sink(Protocol):
    """Something that is told what happens."""

    def decision(self, d: Decision) -> None:
        """A rolling classification."""

    def beat(self, beat: Beat) -> None:
        """A heart sound, in stream time; told up to a second after it was heard."""

    def gap(self, t_s: float, lost_samples: int, reason: str) -> None:
        """Audio was lost."""

    def condition(self, t_s: float, state: str, detail: str) -> None:
        """What became of a live device, one of `block.CONDITIONS`."""

    def notice(self, t_s: float, text: str) -> None:
        """Something that the listener must know: one line that names the cause and what to do."""

    def mark(self, t_s: float, note: str) -> None:
        """The listener marked a moment, with a note or an empty one; told once it is typed, so later than `t_s`."""

    def end(self, ledger: Ledger, reason: str) -> None:
        """The session is over."""


class Heedless:
    """A sink that heeds nothing: the base of those that want some of it."""

    def decision(self, d: Decision) -> None:
        """Not heeded."""

    def beat(self, beat: Beat) -> None:
        """Not heeded."""

    def gap(self, t_s: float, lost_samples: int, reason: str) -> None:
        """Not heeded."""

    def condition(self, t_s: float, state: str, detail: str) -> None:
        """Not heeded."""

    def notice(self, t_s: float, text: str) -> None:
        """Not heeded."""

    def mark(self, t_s: float, note: str) -> None:
        """Not heeded."""

    def end(self, ledger: Ledger, reason: str) -> None:
        """Not heeded."""
