"""A session in a few words and numbers, as the top of a report tells them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from models.regularity import SURE
from stream.monitor.words import sounds_like
from stream.report.axis import moment
from stream.report.heard import Early, Heard, Span, gap_end_s, seconds
from stream.sessions import words
from stream.sessions.summary import heart_rate

#: An answer that stood for more than this share of the time with enough sound is all that is said.
_ALL_OF_IT = 0.9
_NO_ANSWER = {
    "uncertain": "uncertain: no class stands out",
    "poor_signal": "poor signal: no answer is given",
    "listening": "too short for an answer",
    "gap": "too short for an answer between gaps",
}
_KINDS = {"device": "live, through", "file": "a replayed recording,", "simulated": "a simulated patient,"}


class Fact(NamedTuple):
    """A number that stands by itself."""

    name: str
    value: str
    small: str  # print below it


def title(heard: Heard) -> str:
    """What was listened to."""
    return str(heard.source.get("name") or heard.source.get("kind") or "a session")


def source(heard: Heard) -> str:
    """What was listened to and how, in a sentence's part."""
    kind = str(heard.source.get("kind", ""))
    channel = heard.source.get("channel")
    of = f", channel {channel}" if channel not in (None, 1) else ""
    return f"{_KINDS.get(kind, kind)} {title(heard)}{of}, {heard.rate_hz} Hz".strip()


def when(heard: Heard) -> str:
    """The beginning, as a person writes it, in UTC or whatever zone the log has, if it is known."""
    if not heard.started:
        return "not known"
    return datetime.fromisoformat(heard.started).strftime("%Y-%m-%d %H:%M:%S %Z")


def answer(of: Sequence[Span]) -> tuple[str, str]:
    """What the session sounds like, and how much of it, in words; never what anybody has."""
    stood = seconds([span for span in of if span.kind not in words.TOO_SHORT])
    if not stood:
        return "No answer: too little was heard", "an answer takes a second of sound at least, and 4 s while listening"
    first, *others = stood
    total_s = sum(stood.values())
    parts = [f"{_words(kind)} for {_length(stood[kind])}" for kind in others]
    rest = f"; {', '.join(parts)}" if parts else ""
    share = f"for {_length(stood[first])} of {_length(total_s)} with enough sound{rest}"
    told = f"{_how_far(stood[first] / total_s)}{_words(first)}"
    return told[0].upper() + told[1:], share


def _how_far(share: float) -> str:
    if share > _ALL_OF_IT:
        return ""
    return "mostly: " if share > words.MOST_OF_IT else "changing; longest: "


def _words(kind: str) -> str:
    return _NO_ANSWER.get(kind) or sounds_like(kind)


def _length(length_s: float) -> str:
    return moment(length_s, fine=length_s < 60)


def facts(heard: Heard, early: Sequence[Early]) -> list[Fact]:
    """Name, value and small print of each number."""
    return [
        Fact("Length", moment(heard.span_s, fine=heard.span_s < 60), "h:mm:ss" if heard.span_s >= 3600 else "m:ss"),
        _rate(heard),
        _beats(heard, early),
        _quality(heard),
        _lost(heard),
        Fact("Marks", str(len(heard.marks)), "made by the listener"),
    ]


def _rate(heard: Heard) -> Fact:
    """As `laennec session show` tells it, and how often there was one at all."""
    told = [d for d in heard.decisions if d.heart_rate_bpm is not None]
    if not told:
        return Fact("Heart rate", "not known", "no steady beats were found")
    known = f"known in {words.share(len(told) / len(heard.decisions))}"
    sure_bpm = [d.heart_rate_bpm for d in told if d.regularity and d.regularity.confidence >= SURE and d.heart_rate_bpm]
    rate = heart_rate(sure_bpm, len(heard.decisions))
    value, rests = words.heart_rate(rate)
    return Fact("Heart rate", value, f"{rests}, {known}" if rate else f"{known} of the decisions")


def _beats(heard: Heard, early: Sequence[Early]) -> Fact:
    counts = {sound: sum(beat.sound == sound for beat in heard.beats) for sound in ("S1", "S2")}
    return Fact(
        "Heart sounds", f"{counts['S1']} S1, {counts['S2']} S2", f"{len(early)} came early (hints: wrong now and then)"
    )


def _quality(heard: Heard) -> Fact:
    told = [d.quality for d in heard.decisions if d.quality is not None]
    if not told:
        return Fact("Signal quality", "not known", "")
    low = round(100 * sum(q < 0.6 for q in told) / len(told))
    return Fact("Signal quality", f"{np.median(told):.2f}", f"median, 0 to 1; below 0.6 for {low} % of the time")


def _lost(heard: Heard) -> Fact:
    if not heard.gaps:
        return Fact("Lost audio", "none", "no gaps")
    lost_s = sum(gap_end_s(heard, gap) - gap.t_s for gap in heard.gaps)
    return Fact("Lost audio", f"{lost_s:.2f} s", f"{words.counted(len(heard.gaps), 'gap')}, hatched")
