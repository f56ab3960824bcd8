"""When a simulated heart beats: the plan from which both the sound and its truth are made.

A beat's time is a closed function of its number (nothing is summed up along the way), so a stream can run for days
without drifting, and the beats of any stretch can be computed alone.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from stream.heartsound import Signal
from stream.patient import Patient, Purpose, generator

#: From A2 to the S1 of an early beat at least this long. The ventricle can't be excited again earlier, so at a high
#: heart rate extrasystoles come later in the cycle: up to .75 of it at 180 bpm, beyond the .5-.7 of slower hearts.
_REST_S = 0.09


class Beat(NamedTuple):
    """One heart beat and the diastole after it.

    Attributes:
        number: its place in the order; 0 is the first after the stream's start, those before it sounded too.
        s1_s: onset of S1 in stream time.
        s2_s: onset of S2 (A2).
        next_s1_s: onset of the next beat's S1.
        inspiration: how deep the breath is at S1, 0 (expiration) to 1.
        early: True for an extrasystole.
    """

    number: int
    s1_s: float
    s2_s: float
    next_s1_s: float
    inspiration: float
    early: bool


def beats(patient: Patient, from_s: float, until_s: float) -> list[Beat]:
    """Every beat with a sound between two stream times, and a few around them, in order; none for `artifact`.

    Times follow integral pulse frequency modulation: the heart rate's integral passes a whole number at each beat. The
    rate swings by slow waves in .04-.15 Hz and by breath at .25 Hz (bands: Task Force 1996, "Heart rate variability").
    An extrasystole comes at .5-.7 of the cycle, and the pause after it makes up for it: both make two cycles.
    """
    if not patient.kind.heart:
        return []
    rhythm = Rhythm.of(patient)
    first, last = (int(np.floor(rhythm.phase(t_s))) for t_s in (from_s, until_s))
    numbers = range(first - 2, last + 3)
    starts_s = [_s1_s(patient, rhythm, number) for number in numbers]
    return [
        _beat(patient, rhythm, number, *cycle_s) for number, cycle_s in zip(numbers, pairwise(starts_s), strict=False)
    ]


def _beat(patient: Patient, rhythm: Rhythm, number: int, s1_s: float, next_s1_s: float) -> Beat:
    """The beat of that number."""
    s2_s = s1_s + _systole_s(rhythm.rate_bpm(rhythm.beat_s(number)))
    return Beat(number, s1_s, s2_s, next_s1_s, rhythm.inspiration(s1_s), _coupling(patient, number) < 1)


def _s1_s(patient: Patient, rhythm: Rhythm, number: int) -> float:
    """Onset of that beat's S1."""
    even_s = rhythm.beat_s(number)
    coupling = _coupling(patient, number)
    if coupling == 1:
        return even_s
    before_s = rhythm.beat_s(number - 1)
    excitable_s = before_s + _systole_s(rhythm.rate_bpm(before_s)) + _REST_S
    return max(before_s + coupling * (even_s - before_s), excitable_s)


def _systole_s(rate_bpm: float) -> float:
    """From S1 to S2: electromechanical systole 541 - 2.2 HR ms (Chest 1981), less 60 ms from Q to S1.

    Our deviation: that line was drawn at rest. Above 120 bpm it would reach 85 ms at 180 bpm, shorter than S1, so from
    there on systole keeps its share of the cycle (43 %).
    """
    at_bpm = min(rate_bpm, 120.0)
    return (541 - 2.2 * at_bpm - 60) / 1000 * at_bpm / rate_bpm


def _coupling(patient: Patient, number: int) -> float:
    """At which share of the cycle a beat comes: 1, or .5-.7 for an extrasystole."""
    ectopy = patient.kind.ectopy
    if ectopy is None:
        return 1.0
    group, place = divmod(number, ectopy.group)
    rng = generator(patient, Purpose.ECTOPY, 0 if ectopy.regular else group)
    coupling = float(rng.uniform(0.5, 0.7))
    early_place = ectopy.group - 1 if ectopy.regular else rng.integers(1, ectopy.group)
    return coupling if place == early_place else 1.0


class Rhythm(NamedTuple):
    """When a heart beats: a mean rate, swung by a few slow waves of which the last is breath."""

    mean_hz: float
    start: float
    waves_hz: Signal
    depths: Signal
    phases: Signal

    @classmethod
    def of(cls, patient: Patient) -> Rhythm:
        """The patient's rhythm: .02 deep at three low frequencies, .03 with breath; RR deviates by about 3 %."""
        rng = generator(patient, Purpose.RHYTHM)
        waves_hz = np.array([*rng.uniform([0.045, 0.075, 0.11], [0.065, 0.1, 0.14]), 0.25])
        depths = np.array([0.02, 0.02, 0.02, 0.03])
        return cls(patient.heart_rate_bpm / 60, rng.random(), waves_hz, depths, rng.uniform(0, 2 * np.pi, 4))

    def phase(self, t_s: float) -> float:
        """Beats since the first, a whole number at each S1 of the basic rhythm."""
        return self.mean_hz * (t_s + self._lead_s(t_s)) - self.start

    def beat_s(self, number: int) -> float:
        """When `phase` passes `number`; fixed-point iteration, each pass ten times closer."""
        even_s = t_s = (number + self.start) / self.mean_hz
        for _ in range(16):
            t_s = even_s - self._lead_s(t_s)
        return t_s

    def rate_bpm(self, t_s: float) -> float:
        """Heart rate of the moment: `phase`'s slope."""
        return 60 * self.mean_hz * float(1 + self.depths @ np.cos(self._angles(t_s)))

    def inspiration(self, t_s: float) -> float:
        """How deep the breath is, 0 to 1; the heart is fastest at 1 (respiratory sinus arrhythmia)."""
        return float(1 + np.cos(self._angles(t_s)[-1])) / 2

    def _lead_s(self, t_s: float) -> float:
        """How far the beats run ahead of an even rhythm."""
        return float((self.depths / (2 * np.pi * self.waves_hz)) @ np.sin(self._angles(t_s)))

    def _angles(self, t_s: float) -> Signal:
        return np.asarray(2 * np.pi * self.waves_hz * t_s + self.phases)
