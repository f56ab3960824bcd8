"""What a simulated patient sounds like: endless heart sound with a known truth, for the demonstration and for tests.

Whole seconds are made, each from the plan of beats and from its own random numbers alone, and then cut to what was
asked for. So a stream is the same however it is cut, and runs for days without growing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stream import ambience, heartsound
from stream.block import Samples
from stream.heartsound import Signal, Sound
from stream.patient import Beat, Patient, Purpose, beats, generator, onsets

__all__ = ["Patient", "SimulationState", "init_state", "onsets", "render", "step"]

#: No clean signal exceeds this relative amplitude: S1 up to 1.1 and under its tail a murmur of 0.3.
_CLEAN_BOUND = 1.4
#: Loudness is measured over this much of the stream; that of a heart differs by less than 0.5 dB elsewhere.
_MEASURED_S = 40


class SimulationState(NamedTuple):
    """What a simulation carries from step to step.

    Attributes:
        position: absolute index of the next sample.
        rest: (n,) samples of the second begun, not given out yet; n <= rate_hz; it ends with a whole second.
        heart_scale: amplitude of a relative amplitude of 1.
        noise_scale: standard deviation of the ambient noise.
    """

    position: int
    rest: Samples
    heart_scale: float
    noise_scale: float


def init_state(patient: Patient) -> SimulationState:
    """The stream's beginning. Measures the clean sound to set the noise, and leaves headroom so that nothing clips.

    The headroom holds 8 standard deviations of noise: beyond that lies one sample in 1e15.
    """
    rate_hz = min(patient.rate_hz, 8000)  # above every frequency of a clean sound, and quick
    clean = _clean(patient, 0, _MEASURED_S * rate_hz, rate_hz)
    noise = float(np.sqrt(np.mean(clean**2))) * 10 ** (-patient.snr_db / 20)
    heart_scale = 0.95 / (_CLEAN_BOUND + 8 * noise)
    return SimulationState(0, np.zeros(0, np.float32), heart_scale, heart_scale * noise)


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
    """What one beat sounds like."""
    rng = generator(patient, Purpose.BEAT, beat.number)
    strength = rng.uniform(0.9, 1.0) * (1.1 - 0.2 * beat.inspiration)  # lungs filled with air damp the sound
    return [*_s1_s2(patient, beat, rng, strength), *_added_sounds(patient, beat, strength)]


def _s1_s2(patient: Patient, beat: Beat, rng: np.random.Generator, strength: float) -> list[Sound]:
    """S1, and S2 as A2 and P2: together in expiration, 20-40 ms apart in inspiration.

    So S2 lasts 70 to 110 ms (94 +- 22 ms, Springer et al. 2016). That of an early beat is 6 to 20 dB softer:
    the ventricle had little time to fill.
    """
    s1_length_s, valve_share, split_s = generator(patient, Purpose.PERSON).uniform([0.1, 0.5, 0.02], [0.144, 0.7, 0.04])
    p2_s = beat.s2_s + split_s * beat.inspiration
    valve_share += rng.uniform(-0.05, 0.05)  # no two beats are quite alike
    softer = 10 ** (-rng.uniform(6, 20) / 20) if beat.early else 1.0
    s2 = strength * softer
    return [
        Sound(beat.s1_s, s1_length_s, heartsound.first_sound(s1_length_s, strength, valve_share)),
        Sound(beat.s2_s, 0.07, heartsound.valve_closure(150, 60, 0.07, 0.42 * s2)),
        Sound(p2_s, 0.07, heartsound.valve_closure(120, 50, 0.07, 0.28 * s2)),
    ]


def _added_sounds(patient: Patient, beat: Beat, strength: float) -> list[Sound]:
    """What the case adds: an ejection murmur between S1 and S2, or an S3 135 ms after A2 and 12 to 18 dB below S1."""
    if patient.case == "murmur":
        length_s = beat.s2_s - beat.s1_s - 0.05
        rng = generator(patient, Purpose.MURMUR, beat.number)
        return [Sound(beat.s1_s + 0.04, length_s, heartsound.ejection_murmur(rng, length_s, 0.3 * strength))]
    if patient.case == "extra_heart_sound":
        return [Sound(beat.s2_s + 0.135, 0.06, heartsound.third_sound(0.06, 0.12 * strength))]
    return []


def _clean(patient: Patient, start: int, n_samples: int, rate_hz: int) -> Signal:
    """The stream without ambient noise, (n_samples,), relative amplitude within `_CLEAN_BOUND`."""
    from_s, until_s = start / rate_hz, (start + n_samples) / rate_hz
    if patient.case != "artifact":
        planned = beats(patient, from_s, until_s)
        sounds = [sound for beat in planned for sound in _heart_sounds(patient, beat)]
        return heartsound.mix(sounds, start, n_samples, rate_hz)
    seconds = range(int(from_s) - 1, int(np.ceil(until_s)))
    sounds = [s for k in seconds for s in ambience.bursts(generator(patient, Purpose.BURSTS, k), k, rate_hz)]
    return np.tanh(heartsound.mix(sounds, start, n_samples, rate_hz))  # overloads softly, as a microphone would


def _second(patient: Patient, second: int, scales: SimulationState) -> Samples:
    """One whole second of the stream, (rate_hz,)."""
    clean = _clean(patient, second * patient.rate_hz, patient.rate_hz, patient.rate_hz)
    before, now = (generator(patient, Purpose.AMBIENT, k) for k in (second - 1, second))
    noise = ambience.pink_noise(before, now, patient.rate_hz)
    return (scales.heart_scale * clean + scales.noise_scale * noise).astype(np.float32)
