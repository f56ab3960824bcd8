"""What a simulated patient sounds like: endless heart sound with a known truth, for the demonstration and for tests.

Whole seconds are made, each from the plan of beats and from its own random numbers alone, and then cut to what was
asked for. So a stream is the same however it is cut, and runs for days without growing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from stream import ambience, heartsound
from stream.beat_plan import Beat, beats
from stream.block import Samples
from stream.cycle import VALVE_S, Part, Valves, parts
from stream.heartsound import Signal, Sound
from stream.patient import LostContact, Patient, Purpose, generator
from stream.truth import onsets

__all__ = ["LostContact", "Patient", "SimulationState", "init_state", "onsets", "render", "step"]

#: No clean signal exceeds this relative amplitude: S1 up to 1.1 and beside it a murmur of 0.33.
_CLEAN_BOUND = 1.45
#: Noise exceeds this relative amplitude with one sample in 1e15: bursts reach 1, pink noise 8 standard deviations.
_NOISE_BOUND = 1.25
#: Loudness is measured over this much of the stream; a heart's differs by less than 0.5 dB elsewhere, bursts by more.
_MEASURED_S = 40
_BURSTS: dict[Purpose, Callable[[np.random.Generator, int, int], list[Sound]]] = {
    Purpose.BURSTS: ambience.bursts,
    Purpose.SPEECH: ambience.speech,
    Purpose.RUB: lambda rng, second, _: ambience.rubs(rng, second, 0.6),
}


class SimulationState(NamedTuple):
    """What a simulation carries from step to step.

    Attributes:
        position: absolute index of the next sample.
        rest: (n,) samples of the second begun, not given out yet; n <= rate_hz; it ends with a whole second.
        heart_scale: amplitude of a relative amplitude of 1.
        noise_scale: amplitude of a noise of relative amplitude 1.
    """

    position: int
    rest: Samples
    heart_scale: float
    noise_scale: float


def init_state(patient: Patient) -> SimulationState:
    """The stream's beginning. Measures the clean sound and the noise to set it, and leaves headroom: nothing clips.

    Lost contact changes no loudness: what is heard before and after is the same with and without it.
    """
    rate_hz = min(patient.rate_hz, 8000)  # above every frequency of a clean sound, and quick
    patient = replace(patient, lost_contact=None)
    clean = _rms(_clean(patient, 0, _MEASURED_S * rate_hz, rate_hz))
    noise = _rms(np.concatenate([_noise(patient, second, rate_hz) for second in range(_MEASURED_S)]))
    ratio = clean / noise * 10 ** (-patient.snr_db / 20)
    heart_scale = 0.95 / (_CLEAN_BOUND + _NOISE_BOUND * ratio)
    return SimulationState(0, np.zeros(0, np.float32), heart_scale, heart_scale * ratio)


def _rms(signal: Signal) -> float:
    return float(np.sqrt(np.mean(signal**2)))


def step(patient: Patient, n_samples: int, state: SimulationState) -> tuple[Samples, SimulationState]:
    """The next samples of the stream.

    Args:
        patient: who.
        n_samples: how many, n >= 0.
        state: from `init_state` of the same patient or the previous call.

    Returns:
        (n_samples,) float32 in (-1, 1), and the next state. However a stream is cut, its samples are the same bits.
    """
    waiting = [state.rest]
    have = len(state.rest)
    while have < n_samples:
        waiting.append(_second(patient, (state.position + have) // patient.rate_hz, state))
        have += patient.rate_hz
    samples = np.concatenate(waiting)
    rest = samples[n_samples:].copy()
    return samples[:n_samples].copy(), state._replace(position=state.position + n_samples, rest=rest)


def render(patient: Patient, duration_s: float) -> Samples:
    """The first `duration_s` seconds of the stream at once, (round(duration_s * rate_hz),) float32."""
    return step(patient, round(duration_s * patient.rate_hz), init_state(patient))[0]


def _heart_sounds(patient: Patient, beat: Beat) -> list[Sound]:
    """What one beat sounds like. The S2 of an early one is 6 to 20 dB softer: the ventricle had little time to fill."""
    rng = generator(patient, Purpose.BEAT, beat.number)
    strength = rng.uniform(0.9, 1.0) * (1.1 - 0.2 * beat.inspiration)  # lungs filled with air damp the sound
    share = Valves.of(patient).share + rng.uniform(-0.05, 0.05)  # no two beats are quite alike
    s2_strength = strength * 10 ** (-rng.uniform(6, 20) / 20) if beat.early else strength
    sounds: list[Sound] = []
    for part in parts(patient, beat):
        if part.name == "S1":
            sounds.append(Sound(part.start_s, part.length_s, heartsound.first_sound(part.length_s, strength, share)))
        elif part.name == "S2":
            sounds += _second_sound(part, s2_strength)
        else:
            sounds.append(_added_sound(patient, beat, part, strength))
    return sounds


def _second_sound(part: Part, strength: float) -> list[Sound]:
    """S2 as A2, and P2 at its end."""
    aortic = heartsound.valve_closure(150, 60, VALVE_S, 0.42 * strength)
    pulmonary = heartsound.valve_closure(120, 50, VALVE_S, 0.28 * strength)
    return [Sound(part.start_s, VALVE_S, aortic), Sound(part.end_s - VALVE_S, VALVE_S, pulmonary)]


def _added_sound(patient: Patient, beat: Beat, part: Part, strength: float) -> Sound:
    """What the case adds; an S3 or S4 is 12 to 18 dB below S1."""
    if patient.kind.murmur and part.name == "murmur":
        rng = generator(patient, Purpose.MURMUR, beat.number)
        wave = heartsound.murmur(rng, part.length_s, patient.kind.murmur, strength)
    elif part.name == "S3":
        wave = heartsound.third_sound(part.length_s, 0.105 * strength)
    else:
        wave = heartsound.fourth_sound(part.length_s, 0.105 * strength)
    return Sound(part.start_s, part.length_s, wave)


def _clean(patient: Patient, start: int, n_samples: int, rate_hz: int) -> Signal:
    """The stream without noise, (n_samples,), relative amplitude within `_CLEAN_BOUND`."""
    if not patient.kind.heart:
        return _bursts(patient, Purpose.BURSTS, start, n_samples, rate_hz)
    planned = beats(patient, start / rate_hz, (start + n_samples) / rate_hz)
    sounds = [sound for beat in planned for sound in _heart_sounds(patient, beat)]
    return heartsound.mix(sounds, start, n_samples, rate_hz)


def _bursts(patient: Patient, purpose: Purpose, start: int, n_samples: int, rate_hz: int) -> Signal:
    """Bursts that come and go, (n_samples,), in (-1, 1)."""
    make = _BURSTS[purpose]
    seconds = range(start // rate_hz - 1, -(-(start + n_samples) // rate_hz))
    sounds = [sound for k in seconds for sound in make(generator(patient, purpose, k), k, rate_hz)]
    return np.tanh(heartsound.mix(sounds, start, n_samples, rate_hz))  # overloads softly, as a microphone would


def _noise(patient: Patient, second: int, rate_hz: int) -> Signal:
    """One second of the patient's noise, (rate_hz,), relative amplitude within `_NOISE_BOUND`."""
    before, now = (generator(patient, Purpose.AMBIENT, k) for k in (second - 1, second))
    pink = ambience.pink_noise(before, now, rate_hz)
    if patient.noise == "ambient":
        return 0.15 * pink
    purpose = Purpose.RUB if patient.noise == "rub" else Purpose.SPEECH
    return 0.03 * pink + _bursts(patient, purpose, second * rate_hz, rate_hz, rate_hz)


def _contact(patient: Patient, second: int) -> Signal:
    """How loud the noise of one second is, (rate_hz,): 1, and 0.5 (-6 dB) while contact is lost, faded over 50 ms."""
    lost = patient.lost_contact
    if lost is None or not lost.start_s < second + 1 or not second < lost.end_s:
        return np.ones(patient.rate_hz)
    t_s = second + np.arange(patient.rate_hz) / patient.rate_hz
    return np.asarray(1 - 0.5 * np.clip(np.minimum(t_s - lost.start_s, lost.end_s - t_s) / 0.05, 0, 1))


def _second(patient: Patient, second: int, scales: SimulationState) -> Samples:
    """One whole second of the stream, (rate_hz,)."""
    clean = _clean(patient, second * patient.rate_hz, patient.rate_hz, patient.rate_hz)
    noise = _contact(patient, second) * _noise(patient, second, patient.rate_hz)
    return (scales.heart_scale * clean + scales.noise_scale * noise).astype(np.float32)
