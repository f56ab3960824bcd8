"""The session log: one JSON object a line, written and flushed at once, so that a killed session's log is whole."""

from __future__ import annotations

import json
from typing import Any, Protocol

from models.classes import CLASSES
from models.decide import Decision
from models.errors import LaennecError
from models.regularity import Regularity
from models.rhythm import Beat
from stream.log.format import SCHEMA
from stream.sinks.reader import gone
from stream.snapshot import Ledger


class Lines(Protocol):
    """Takes whole lines: a text stream, or a session's part of a `LogFile`."""

    def write(self, line: str, /) -> object:
        """Append a line."""

    def flush(self) -> object:
        """Hold nothing back."""


class JsonlSink:
    """Writes a session's lines to a text stream.

    Args:
        stream: where to.
        name: of the stream, for messages.
        header: what the "session" line holds beside type and schema; JSON values. None where it is written already.
        whose: the name of the stream that each line carries, where there are several; None for a stream alone.

    Raises:
        BrokenPipeError: nobody can read it any more (`| head`, a closed terminal).
        LaennecError: the stream can't be written any more (disk full).
    """

    def __init__(self, stream: Lines, name: str, header: dict[str, Any] | None, whose: str | None = None) -> None:
        self._stream = stream
        self._name = name
        self._whose = {} if whose is None else {"stream": whose}
        if header is not None:
            self._write({"type": "session", "schema": SCHEMA, **header})

    def of(self, stream: str) -> JsonlSink:
        """The sink of one of several streams, which writes to the same place."""
        return JsonlSink(self._stream, self._name, None, stream)

    def decision(self, d: Decision) -> None:
        """Write a decision."""
        self._write(
            {
                "type": "decision",
                "t_s": round(d.t_s, 6),
                "window_s": round(d.window_s, 6),
                "label": d.label,
                "status": d.status,
                "probabilities": _named(d.probabilities),
                "quality": _rounded(d.quality, 4),
                "quality_reason": d.quality_reason,
                "heart_rate_bpm": _rounded(d.heart_rate_bpm, 1),
                "rhythm": _rhythm(d.regularity),
            }
        )

    def beat(self, beat: Beat) -> None:
        """Write a heart sound."""
        t_s, confidence = round(beat.t_s, 6), round(beat.confidence, 4)
        self._write({"type": "beat", "t_s": t_s, "sound": beat.sound, "confidence": confidence})

    def gap(self, t_s: float, lost_samples: int, reason: str) -> None:
        """Write a loss."""
        self._write({"type": "gap", "t_s": round(t_s, 6), "lost_samples": lost_samples, "reason": reason})

    def condition(self, t_s: float, state: str, detail: str) -> None:
        """Write what became of the device."""
        self._write({"type": "device", "t_s": round(t_s, 6), "state": state, "detail": detail})

    def notice(self, t_s: float, text: str) -> None:
        """Write what the listener must know."""
        self._write({"type": "notice", "t_s": round(t_s, 6), "text": text})

    def mark(self, t_s: float, note: str) -> None:
        """Write a moment that the listener marked."""
        self._write({"type": "mark", "t_s": round(t_s, 6), "note": note})

    def end(self, ledger: Ledger, reason: str) -> None:
        """Write the session's last line."""
        counts = {name: getattr(ledger, name) for name in ("captured", "analysed", "dropped", "discarded")}
        self._write({"type": "end", "ledger": counts, "reason": reason})

    def _write(self, line: dict[str, Any]) -> None:
        line = {"type": line.pop("type"), **self._whose, **line}
        try:
            # Escaped to ASCII: a file's name may hold what the stream's encoding can't.
            self._stream.write(json.dumps(line, allow_nan=False) + "\n")
            self._stream.flush()
        except OSError as error:
            if isinstance(error, BrokenPipeError) or gone(self._stream):
                raise BrokenPipeError from error
            raise LaennecError(f"{self._name}: can't be written any more: {error.strerror}; free some space") from error


def _named(probabilities: tuple[float, ...] | None) -> dict[str, float] | None:
    if probabilities is None:
        return None
    return {name: round(p, 6) for name, p in zip(CLASSES, probabilities, strict=True)}


def _rhythm(found: Regularity | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "confidence": round(found.confidence, 4),
        "variation": _rounded(found.variation, 4),
        "shortest": _rounded(found.shortest, 4),
        "premature": [{"t_s": round(p.t_s, 6), "coupling_s": round(p.coupling_s, 6)} for p in found.premature],
    }


def _rounded(x: float | None, digits: int) -> float | None:
    return None if x is None else round(x, digits)
