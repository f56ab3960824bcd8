"""Who is simulated, and when the heart beats: the plan from which both the sound and its truth are made.

A beat's time is a closed function of its number (nothing is summed up along the way), so a stream can run for days
without drifting, and the beats of any stretch can be computed alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from models.classes import CLASSES
from models.errors import SettingError
from stream.heartsound import Signal

_LIMITS = {
    "heart_rate_bpm": (45, 180),
    "rate_hz": (2000, 192_000),
    "seed": (0, 2**63 - 1),
    "snr_db": (-20, 100),
}


class Purpose(IntEnum):
    """What random numbers are drawn for; each purpose, and each beat or second of it, has a generator of its own."""

    RHYTHM = 0
    PERSON = 1
    BEAT = 2
    MURMUR = 3
    ECTOPY = 4
    AMBIENT = 5
    BURSTS = 6


@dataclass(frozen=True)
class Patient:
    """A simulated patient. Two equal patients sound the same to the bit.

    Attributes:
        case: one of the five classes, what the patient should sound like. `extra_heart_sound` is an S3.
        heart_rate_bpm: mean heart rate, 45 to 180 (rest to exercise in adults); unused by `artifact`.
        rate_hz: sample rate, 2000 to 192000; heart sound reaches up to some 300 Hz (Noponen et al. 2007), noise 1 kHz.
        seed: picks the patient and every random number, 0 or more.
        snr_db: power of all heart sound, pauses included, over that of pink ambient noise, -20 to 100; for `artifact`
            the bursts of the first 40 s take the place of the heart sound. Trials used 20, 14, 6 and 0.

    Raises:
        SettingError: an unknown case, or a value out of its range.
    """

    case: str
    heart_rate_bpm: float = 72.0
    rate_hz: int = 4000
    seed: int = 0
    snr_db: float = 20.0

    def __post_init__(self) -> None:
        if self.case not in CLASSES:
            raise SettingError(f"no simulated patient called {self.case!r}; choose one of {', '.join(CLASSES)}")
        for name, (low, high) in _LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingError(f"{name} of a simulated patient must be from {low} to {high}, not {value}")


class Beat(NamedTuple):
    """One heart beat.

    Attributes:
        number: its place in the order; 0 is the first after the stream's start, those before it sounded too.
        s1_s: onset of S1 in stream time.
        s2_s: onset of S2 (A2).
        inspiration: how deep the breath is at S1, 0 (expiration) to 1.
        early: True for an extrasystole.
    """

    number: int
    s1_s: float
    s2_s: float
    inspiration: float
    early: bool


def generator(patient: Patient, purpose: Purpose, index: int = 0) -> np.random.Generator:
    """The random numbers of one purpose and one beat or second; `index` is -10 or more."""
    return np.random.default_rng([patient.seed, purpose, index + 10])


def onsets(patient: Patient, duration_s: float) -> list[tuple[float, str]]:
    """True onsets in [0, duration_s) in seconds, each "S1" or "S2", in the order heard; none for `artifact`."""
    if patient.case == "artifact":
        return []
    planned = beats(patient, 0, duration_s)
    found = [(beat.s1_s, "S1") for beat in planned] + [(beat.s2_s, "S2") for beat in planned]
    return sorted((t_s, sound) for t_s, sound in found if 0 <= t_s < duration_s)


def beats(patient: Patient, from_s: float, until_s: float) -> list[Beat]:
    """Every beat with a sound between two stream times, and a few around them, in order.

    Times follow integral pulse frequency modulation: the heart rate's integral passes a whole number at each beat. The
    rate swings by slow waves in .04-.15 Hz and by breath at .25 Hz (bands: Task Force 1996, "Heart rate variability").
    An extrasystole comes at .5-.7 of the cycle, and the pause after it makes up for it: both make two cycles.
    """
    rhythm = Rhythm.of(patient)
    first, last = (int(np.floor(rhythm.phase(t_s))) for t_s in (from_s, until_s))
    return [_beat(patient, rhythm, index) for index in range(first - 2, last + 2)]


def _beat(patient: Patient, rhythm: Rhythm, index: int) -> Beat:
    """The beat of that number."""
    s1_s = rhythm.beat_s(index)
    rate_bpm = rhythm.rate_bpm(s1_s)
    coupling = _coupling(patient, index)
    if coupling < 1:
        before_s = rhythm.beat_s(index - 1)
        s1_s = before_s + coupling * (s1_s - before_s)
    return Beat(index, s1_s, s1_s + _systole_s(rate_bpm), rhythm.inspiration(s1_s), coupling < 1)


def _systole_s(rate_bpm: float) -> float:
    """From S1 to S2: electromechanical systole 541 - 2.2 HR ms (Chest 1981), less 60 ms from Q to S1.

    Our deviation: that line was drawn at rest. Above 120 bpm it would reach 85 ms at 180 bpm, shorter than S1, so from
    there on systole keeps its share of the cycle (43 %).
    """
    at_bpm = min(rate_bpm, 120.0)
    return (541 - 2.2 * at_bpm - 60) / 1000 * at_bpm / rate_bpm


def _coupling(patient: Patient, index: int) -> float:
    """At which share of the cycle a beat comes: 1, or .5-.7 for one beat in six of an `extrasystole` patient."""
    if patient.case != "extrasystole":
        return 1.0
    group, place = divmod(index, 6)
    rng = generator(patient, Purpose.ECTOPY, group)
    return float(rng.uniform(0.5, 0.7)) if place == rng.integers(1, 6) else 1.0


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

    def beat_s(self, index: int) -> float:
        """When `phase` passes `index`; fixed-point iteration, each pass ten times closer."""
        even_s = t_s = (index + self.start) / self.mean_hz
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
