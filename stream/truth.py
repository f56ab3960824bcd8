"""What is true of a simulated stream: every onset and event that can be heard in it, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from stream.beat_plan import Beat, beats
from stream.cycle import parts
from stream.patient import Patient

_VALVES = ("S1", "S2")


class Onset(NamedTuple):
    """The beginning of a heart sound.

    Attributes:
        t_s: stream time.
        sound: "S1", or "S2" (A2).
    """

    t_s: float
    sound: str


class Event(NamedTuple):
    """Something that lasts.

    Attributes:
        start_s: stream time of its beginning.
        end_s: stream time of its end.
        name: "murmur", "S3", "S4", "extrasystole" (from its S1 to the end of its S2) or "lost contact".
    """

    start_s: float
    end_s: float
    name: str


class Truth(NamedTuple):
    """What is true of a stretch.

    Attributes:
        onsets: in order.
        events: in the order of their beginnings.
    """

    onsets: list[Onset]
    events: list[Event]


def truth(patient: Patient, from_s: float, until_s: float) -> Truth:
    """What can be heard in a stretch of the stream.

    A sound that would touch lost contact is not heard, so it is not in the truth; of an extrasystole both sounds must
    be heard.

    Args:
        patient: who.
        from_s: stream time of the stretch's beginning, 0 or more.
        until_s: stream time of its end.

    Returns:
        Onsets in [from_s, until_s), and events that reach into it, cut to it.
    """
    heard = beats(patient, from_s, until_s)
    found = [Onset(part.start_s, part.name) for beat in heard for part in parts(patient, beat) if part.name in _VALVES]
    events = [event for beat in heard for event in _events(patient, beat)]
    if patient.lost_contact:
        events.append(Event(patient.lost_contact.start_s, patient.lost_contact.end_s, "lost contact"))
    cut = [Event(max(e.start_s, from_s), min(e.end_s, until_s), e.name) for e in events]
    return Truth(
        sorted(onset for onset in found if from_s <= onset.t_s < until_s),
        sorted(event for event in cut if event.start_s < event.end_s),
    )


def onsets(patient: Patient, duration_s: float) -> list[Onset]:
    """True onsets in [0, duration_s), in the order heard; none for `artifact`."""
    return truth(patient, 0, duration_s).onsets


def as_json(patient: Patient, duration_s: float, known: Truth) -> dict[str, Any]:
    """The truth of a stream's first `duration_s` seconds as JSON values, times to the microsecond."""
    lost = patient.lost_contact
    return {
        "schema": 1,
        "synthetic": True,
        "class": patient.kind.label,
        "patient": {**vars(patient), "lost_contact": lost and lost._asdict()},
        "duration_s": duration_s,
        "onsets": [{"t_s": round(t_s, 6), "sound": sound} for t_s, sound in known.onsets],
        "events": [
            {"event": name, "start_s": round(start_s, 6), "end_s": round(end_s, 6)}
            for start_s, end_s, name in known.events
        ],
    }


def label_track(known: Truth) -> str:
    """The truth as Audacity reads labels: start, end and name with tabs between, one a line; an onset is a point."""
    return labels([Event(t_s, t_s, sound) for t_s, sound in known.onsets] + known.events)


def labels(events: Iterable[Event]) -> str:
    """Events as a label track; what ends as it begins is a point. A line or column can't be broken by a name."""
    named = ((start_s, end_s, " ".join(name.split())) for start_s, end_s, name in sorted(events))
    return "".join(f"{start_s:.6f}\t{end_s:.6f}\t{name}\n" for start_s, end_s, name in named)


def _events(patient: Patient, beat: Beat) -> Iterator[Event]:
    """What lasts in one beat."""
    made = parts(patient, beat)
    sounds = {part.name: part for part in made}
    if beat.early and sounds.keys() >= {*_VALVES}:
        yield Event(sounds["S1"].start_s, sounds["S2"].end_s, "extrasystole")
    yield from (Event(part.start_s, part.end_s, part.name) for part in made if part.name not in _VALVES)
