"""Which seconds of a session are worth a closer look: marks, early beats, the first of each answer. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from stream.monitor.words import sounds_like
from stream.report.axis import moment
from stream.report.heard import Early, Heard, Span
from stream.report.sound import Window

#: A figure shows so much: the murmur between two sounds can be seen, and several beats.
LENGTH_S = 6.0
_MOST_MARKS, _MOST_EARLY, _MOST = 8, 4, 16
#: So far from a figure's edges its subject is to be.
_MARGIN_S = 1.0
#: Up to this length the figure of the whole session shows as much.
_SHORT_S = 9.0


class Moment(NamedTuple):
    """Some seconds, and why they are shown."""

    window: Window
    reasons: tuple[str, ...]


class _Wish(NamedTuple):
    at_s: float
    around: Window
    reason: str


def chosen(heard: Heard, of: Sequence[Span], early: Sequence[Early]) -> list[Moment]:
    """At most `_MOST` moments, in order; a wish that an earlier one's figure fulfils joins it.

    None in a session that is hardly longer than one: all of it is shown large already.

    Args:
        heard: the session.
        of: its answers.
        early: its early beats.
    """
    found: list[Moment] = []
    if heard.span_s <= _SHORT_S:
        return found
    for wish in _wishes(heard, of, early):
        for k, moment_ in enumerate(found):
            if _shows(moment_.window, wish.at_s, heard.span_s):
                found[k] = moment_._replace(reasons=(*moment_.reasons, wish.reason))
                break
        else:
            if len(found) < _MOST:
                found.append(Moment(wish.around, (wish.reason,)))
    return sorted(found)


def _wishes(heard: Heard, of: Sequence[Span], early: Sequence[Early]) -> Iterator[_Wish]:
    for k, mark in enumerate(heard.marks[:_MOST_MARKS], 1):
        note = f": {mark.note}" if mark.note else ""
        yield _Wish(mark.t_s, _around(mark.t_s - 0.5 * LENGTH_S, heard.span_s), f"mark {k}{note}")
    for beat in _spread(early, _MOST_EARLY):
        words = f"early beat at {moment(beat.t_s)}, {beat.coupling_s:.2f} s after the beat before"
        yield _Wish(beat.t_s, _around(beat.t_s - 0.5 * LENGTH_S, heard.span_s), words)
    told = set()
    for span in of:
        if span.kind in told or span.kind in {"listening", "gap"}:
            continue
        told.add(span.kind)
        words = _FIRST.get(span.kind) or f"first time that it {sounds_like(span.kind)}"
        # An answer speaks of the seconds before it.
        yield _Wish(
            span.start_s,
            _around(span.start_s - LENGTH_S + _MARGIN_S, heard.span_s),
            f"{words} ({moment(span.start_s)})",
        )


_FIRST = {
    "artifact": "first time that no heart sound was heard",
    "uncertain": "first time that no class stood out",
    "poor_signal": "first poor signal",
}


def _spread(early: Sequence[Early], most: int) -> list[Early]:
    """Some of them, over the whole session."""
    if len(early) <= most:
        return list(early)
    return [early[k * (len(early) - 1) // (most - 1)] for k in range(most)]


def _around(start_s: float, span_s: float) -> Window:
    start_s = max(0.0, min(start_s, span_s - LENGTH_S))
    return Window(start_s, min(span_s, start_s + LENGTH_S))


def _shows(window: Window, at_s: float, span_s: float) -> bool:
    first = window.start_s + (_MARGIN_S if window.start_s > 0 else 0)
    last = window.end_s - (_MARGIN_S if window.end_s < span_s else 0)
    return first <= at_s <= last
