"""One line for each change of decision: for pipes, logs and screen readers. No cursor movement, no colour."""

from __future__ import annotations

from typing import TextIO

from models.classes import CLASSES
from models.decide import Decision
from models.errors import LaennecError, printable
from models.rhythm import Beat
from stream.monitor.words import headline, kind
from stream.sinks.reader import gone
from stream.snapshot import Ledger


def stamp(t_s: float) -> str:
    """Stream time as hh:mm:ss.t, to the nearest tenth of a second."""
    seconds, tenths = divmod(round(t_s * 10), 10)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{tenths}"


class PlainSink:
    """Writes lines of stable wording to a text stream, each flushed at once; docs/formats.md lists them.

    Args:
        stream: where to.
        rate_hz: of the source, by which losses are told in seconds.
        name: of one of several streams: with it and two blanks its lines begin. Empty for a stream alone.

    Raises:
        BrokenPipeError: nobody can read it any more (`| head`, a closed terminal); noticed at each decision.
        LaennecError: the stream can't be written any more (disk full).
    """

    def __init__(self, stream: TextIO, rate_hz: int, name: str = "") -> None:
        self._stream = stream
        self._before = f"{printable(name)}  " if name else ""
        self._rate_hz = rate_hz
        self._last = ""

    def decision(self, d: Decision) -> None:
        """Write a line where the label or status differs from the last one written."""
        if kind(d) != self._last:
            self._last = kind(d)
            self.line(f"{stamp(d.t_s)}  {_words(d)}")
        elif gone(self._stream):  # it may be minutes before the next line
            raise BrokenPipeError

    def beat(self, beat: Beat) -> None:
        """No line: beats are no change of decision."""

    def gap(self, t_s: float, lost_samples: int, reason: str) -> None:
        """Write a line for lost audio; a decision that only repeats it is not written again."""
        self._last = "gap"
        self.line(f"{stamp(t_s)}  gap: {lost_samples / self._rate_hz:.2f} s lost, {lost_samples} samples ({reason})")

    def condition(self, t_s: float, state: str, detail: str) -> None:
        """Write a line for what became of the device."""
        if state == "listening":  # that it is open says little where there is more to say
            self.line(f"{stamp(t_s)}  device: {detail or 'heard again'}")
        else:
            self.line(f"{stamp(t_s)}  device: {state}" + (f" ({detail})" if detail else ""))

    def notice(self, t_s: float, text: str) -> None:
        """Write a line for what the listener must know."""
        self.line(f"{stamp(t_s)}  notice: {text}")

    def mark(self, t_s: float, note: str) -> None:
        """Write a line for a moment that the listener marked."""
        self.line(f"{stamp(t_s)}  mark" + (f": {note}" if note else ""))

    def end(self, ledger: Ledger, reason: str) -> None:
        """Write the summary: why it ended and where every sample went."""
        self.line(
            f"end: {reason}; {ledger.captured} samples captured = {ledger.analysed} analysed"
            f" + {ledger.dropped} lost + {ledger.discarded} discarded"
        )

    def line(self, text: str) -> None:
        """Write a line of any text."""
        encoding = self._stream.encoding or "utf-8"
        # A device's or file's name must not end the session where the terminal can't show it.
        try:
            self._stream.write(f"{self._before}{text}".encode(encoding, "replace").decode(encoding) + "\n")
            self._stream.flush()
        except OSError as error:
            if isinstance(error, BrokenPipeError) or gone(self._stream):
                raise BrokenPipeError from error
            raise LaennecError(
                f"standard output: can't be written any more: {error.strerror}; free some space"
            ) from error


def _words(d: Decision) -> str:
    if d.status == "listening":
        return "listening"
    facts = _facts(d)
    return f"{headline(d)} ({', '.join(facts)})" if facts else headline(d)


def _facts(d: Decision) -> list[str]:
    facts = []
    if d.label is not None and d.probabilities is not None:
        facts.append(f"p {d.probabilities[CLASSES.index(d.label)]:.2f}")
    if d.quality is not None:
        facts.append(f"quality {d.quality:.2f}")
    if d.heart_rate_bpm is not None:
        facts.append(f"{d.heart_rate_bpm:.0f} bpm")
    return facts
