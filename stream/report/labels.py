"""A session as a label track for Audacity: spans of answers and gaps, points for beats and marks."""

from __future__ import annotations

from collections.abc import Iterator

from stream import truth
from stream.report.heard import Heard, early_beats, gap_end_s, spans
from stream.report.strips import WORDS
from stream.truth import Event


def track(heard: Heard) -> str:
    """Start, end and text with tabs between, one a line, in the order of their beginnings.

    Times are the session's, lost audio included: of a recording with gaps, labels after the first one are later than
    the sound.
    """
    return truth.labels(_events(heard))


def _events(heard: Heard) -> Iterator[Event]:
    early_s = {round(early.t_s, 4) for early in early_beats(heard)}
    yield from (Event(span.start_s, span.end_s, WORDS[span.kind]) for span in spans(heard))
    for beat in heard.beats:
        yield Event(beat.t_s, beat.t_s, f"{beat.sound} early" if _is(beat.t_s, beat.sound, early_s) else beat.sound)
    for gap in heard.gaps:
        yield Event(gap.t_s, gap_end_s(heard, gap), f"gap: {gap.reason}")
    for mark in heard.marks:
        yield Event(mark.t_s, mark.t_s, f"mark: {mark.note}" if mark.note else "mark")


def _is(t_s: float, sound: str, early_s: set[float]) -> bool:
    return sound == "S1" and round(t_s, 4) in early_s
