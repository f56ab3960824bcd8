"""What was heard in a session, as a report needs it: one frozen value, and what follows from it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from models.decide import Decision
from models.rhythm import Beat
from stream.monitor.words import kind
from stream.pipeline import Gap
from stream.snapshot import Ledger

#: Under these answers no heart is heard, so what was found there must not look like beats.
_NO_HEART = frozenset({"artifact", "poor_signal"})


class Mark(NamedTuple):
    """A moment that the listener marked."""

    t_s: float
    note: str


class Said(NamedTuple):
    """What became of the device, or a notice."""

    t_s: float
    text: str


class Span(NamedTuple):
    """A stretch of the session with one answer."""

    start_s: float
    end_s: float
    kind: str  # a class, or the status of an answer without a class

    @property
    def length_s(self) -> float:
        """Its length."""
        return self.end_s - self.start_s


class Early(NamedTuple):
    """A beat that came early, as the rhythm judged it when it was heard."""

    t_s: float
    coupling_s: float


@dataclass(frozen=True)
class Heard:
    """A session.

    Attributes:
        source: what the log says of the source: kind, name, rate_hz and so on.
        model: its id and sha256.
        started: ISO 8601, or empty where nobody knows.
        version: of the Laennec that heard it.
        decisions: in order.
        beats: in order.
        gaps: in order.
        marks: in order.
        said: of the device, and notices, in order.
        ledger: None where the session has no end.
        ended: why it ended; empty where nobody wrote it down.
        caveats: what the reader must know of the log itself, a sentence each.
    """

    source: dict[str, Any]
    model: dict[str, Any]
    started: str = ""
    version: str = ""
    decisions: tuple[Decision, ...] = ()
    beats: tuple[Beat, ...] = ()
    gaps: tuple[Gap, ...] = ()
    marks: tuple[Mark, ...] = ()
    said: tuple[Said, ...] = ()
    ledger: Ledger | None = None
    ended: str = ""
    caveats: tuple[str, ...] = field(default_factory=tuple)

    @property
    def rate_hz(self) -> int:
        """Of the source."""
        return int(self.source["rate_hz"])

    @property
    def span_s(self) -> float:
        """Length of the session: what was captured, or up to the newest line where that is not known."""
        if self.ledger:
            return self.ledger.captured / self.rate_hz
        ends = [gap_end_s(self, gap) for gap in self.gaps]
        return max([0.0, *ends, *(e.t_s for told in (self.decisions, self.beats, self.marks) for e in told)])


def gap_end_s(heard: Heard, gap: Gap) -> float:
    """Where audio comes again after a gap."""
    return gap.t_s + gap.lost_samples / heard.rate_hz


def spans(heard: Heard) -> list[Span]:
    """Decisions as stretches: each covers the time since the one before it, but no gap and no more than its window.

    Neighbours with the same answer are one.
    """
    found: list[Span] = []
    gap_ends_s = np.array([gap_end_s(heard, gap) for gap in heard.gaps])
    before_s = 0.0
    for made in heard.decisions:
        passed = int(np.searchsorted(gap_ends_s, made.t_s, side="right"))
        start_s = max(before_s, made.t_s - made.window_s, float(gap_ends_s[passed - 1]) if passed else 0.0)
        before_s = max(before_s, made.t_s)
        if made.t_s <= start_s:
            continue
        if found and found[-1].kind == kind(made) and found[-1].end_s == start_s:
            found[-1] = found[-1]._replace(end_s=made.t_s)
        else:
            found.append(Span(start_s, made.t_s, kind(made)))
    return found


def seconds(of: list[Span]) -> dict[str, float]:
    """How long each answer stood, the longest first."""
    total: dict[str, float] = {}
    for span in of:
        total[span.kind] = total.get(span.kind, 0.0) + span.length_s
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def heart_heard(of: list[Span]) -> Callable[[float], bool]:
    """Whether beats may be shown at a time: not while the answer is that no heart can be heard."""
    hidden = [span for span in of if span.kind in _NO_HEART]
    starts_s, ends_s = (np.array([getattr(span, name) for span in hidden]) for name in ("start_s", "end_s"))

    def shown(t_s: float) -> bool:
        k = int(np.searchsorted(starts_s, t_s, side="right")) - 1
        return k < 0 or t_s > ends_s[k]

    return shown


def early_beats(heard: Heard) -> list[Early]:
    """Every beat that any decision called early, in order."""
    told = {
        round(early.t_s, 4): Early(early.t_s, early.coupling_s)
        for made in heard.decisions
        if made.regularity
        for early in made.regularity.premature
    }
    return [told[t_s] for t_s in sorted(told)]
