"""What is heard from one S1 to the next, and when. Both the sound and the truth are made from this list."""

from __future__ import annotations

from typing import Literal, NamedTuple

from stream.beat_plan import Beat
from stream.cases import Murmur
from stream.patient import Patient, Purpose, generator

#: How long A2 and P2 last.
VALVE_S = 0.07
#: An S3 or S4 that would have to be shorter than this is left out.
_SHORTEST_S = 0.04


class Part(NamedTuple):
    """Something heard once in a cycle.

    Attributes:
        name: what.
        start_s: stream time of its onset; that of S2 is A2.
        end_s: stream time of its end.
    """

    name: Literal["S1", "S2", "S3", "S4", "murmur"]
    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """From its onset to its end."""
        return self.end_s - self.start_s


class Valves(NamedTuple):
    """How a person's valves close.

    Attributes:
        s1_length_s: length of S1, 0.1 to 0.144 (122 +- 22 ms, Springer et al. 2016).
        share: of the valves in S1, 0.5 to 0.7; the rest is the muscle's.
        split_s: from A2 to P2 at full inspiration, 0.02 to 0.04; in expiration they fall together.
    """

    s1_length_s: float
    share: float
    split_s: float

    @classmethod
    def of(cls, patient: Patient) -> Valves:
        """The patient's."""
        low, high = [0.1, 0.5, 0.02], [0.144, 0.7, 0.04]
        return cls(*map(float, generator(patient, Purpose.PERSON).uniform(low, high)))


def parts(patient: Patient, beat: Beat) -> list[Part]:
    """What is heard of a beat, S1 and S2 first.

    A sound that would touch a stretch of lost contact is not heard at all: so none is heard in half, and the truth
    need not say how much of a sound counts.
    """
    kind, valves = patient.kind, Valves.of(patient)
    p2_s = beat.s2_s + valves.split_s * beat.inspiration
    # So S2 lasts 70 to 110 ms (94 +- 22 ms, Springer et al. 2016).
    made = [Part("S1", beat.s1_s, beat.s1_s + valves.s1_length_s), Part("S2", beat.s2_s, p2_s + VALVE_S)]
    if kind.murmur:
        made.append(_murmur(beat, kind.murmur))
    if kind.extra:
        extra = _third_sound(beat) if kind.extra == "S3" else _fourth_sound(beat)
        made += [extra] if extra.length_s >= _SHORTEST_S else []
    return [part for part in made if not patient.loses(part.start_s, part.end_s)]


def _murmur(beat: Beat, murmur: Murmur) -> Part:
    """A share of its phase, over 10 ms before A2 or 20 ms before the next S1: so it fits at any heart rate."""
    systole_s, diastole_s = (beat.s1_s, beat.s2_s - 0.01), (beat.s2_s, beat.next_s1_s - 0.02)
    from_s, until_s = systole_s if murmur.phase == "systole" else diastole_s
    start_s = from_s + murmur.delay_s
    return Part("murmur", start_s, start_s + murmur.share * (until_s - start_s))


def _third_sound(beat: Beat) -> Part:
    """60 ms long, 135 ms after A2 (120-150 ms are usual), over 10 ms before the next S1.

    Where diastole is too short for that, it comes earlier, down to 120 ms after A2, and is then cut short.
    """
    until_s = beat.next_s1_s - 0.01
    start_s = max(beat.s2_s + 0.12, min(beat.s2_s + 0.135, until_s - 0.06))
    return Part("S3", start_s, min(start_s + 0.06, until_s))


def _fourth_sound(beat: Beat) -> Part:
    """From 90 to 20 ms before the next S1; where diastole is short it begins no earlier than 80 ms after A2."""
    return Part("S4", max(beat.next_s1_s - 0.09, beat.s2_s + 0.08), beat.next_s1_s - 0.02)
