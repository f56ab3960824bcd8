"""The sounds a simulated heart is made of.

Each is a function of the time since its onset, so that any stretch of it can be computed alone, at any sample rate, and
stretches join without a seam. Amplitudes are relative: 1 is a loud first heart sound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from stream.cases import Murmur

Signal = np.ndarray[tuple[int], np.dtype[np.float64]]
Wave = Callable[[Signal], Signal]


class Sound(NamedTuple):
    """Something heard once.

    Attributes:
        onset_s: stream time of its first sample; it is silent before.
        length_s: it is silent again from `onset_s + length_s`.
        wave: seconds since onset, (n,) in [0, length_s), to relative amplitude, (n,).
    """

    onset_s: float
    length_s: float
    wave: Wave


def mix(sounds: Iterable[Sound], start: int, n_samples: int, rate_hz: int) -> Signal:
    """What is heard of the sounds between two samples.

    Args:
        sounds: in any order.
        start: absolute index of the first sample, counted from the stream's beginning.
        n_samples: length of the stretch, n >= 0.
        rate_hz: sample rate.

    Returns:
        (n_samples,) float64, the sum of the sounds.
    """
    out = np.zeros(n_samples)
    for sound in sounds:
        first = max(0, int(np.ceil(sound.onset_s * rate_hz)) - start)
        last = min(n_samples, int(np.ceil((sound.onset_s + sound.length_s) * rate_hz)) - start)
        if first < last:
            since_s = (start + np.arange(first, last)) / rate_hz - sound.onset_s
            out[first:last] += sound.wave(since_s)
    return out


def first_sound(length_s: float, gain: float, valve_share: float) -> Wave:
    """S1: the valves' decaying 50 and 150 Hz vibrations and the muscle's wave rising from 20 to 100 Hz as it tenses.

    Chen, Durand et al. 1997, "Time-frequency analysis of the first heart sound". Our deviations: the rise takes half
    of the sound, and the 150 Hz part decays twice as fast as the 50 Hz part.

    Args:
        length_s: 0.1 to 0.144 (122 +- 22 ms, Springer et al. 2016).
        gain: bound of the amplitude.
        valve_share: share of the valves in the amplitude, 0 to 1; the rest is the muscle's.
    """

    def wave(t_s: Signal) -> Signal:
        low = _strike(t_s, length_s, 0.015, length_s / 5) * np.sin(2 * np.pi * 50 * t_s)
        high = _strike(t_s, length_s, 0.01, length_s / 10) * np.sin(2 * np.pi * 150 * t_s)
        tension = _strike(t_s, length_s, 0.02, length_s / 5) * np.sin(_linear_chirp(t_s, 20, 100, length_s / 2))
        return np.asarray(gain * (valve_share * (0.6 * low + 0.4 * high) + (1 - valve_share) * tension))

    return wave


def valve_closure(from_hz: float, to_hz: float, length_s: float, gain: float) -> Wave:
    """A2 or P2: a chirp that falls for 50 ms as the vessel's pressure does; two of them make S2.

    Xu, Durand, Pibarot 2000, "Nonlinear transient chirp signal modeling of the aortic and pulmonary components of the
    second heart sound". Our deviation: the frequency falls linearly.

    Args:
        from_hz: frequency at the onset.
        to_hz: frequency after 50 ms.
        length_s: above 0.05.
        gain: bound of the amplitude.
    """

    def wave(t_s: Signal) -> Signal:
        return np.asarray(gain * _strike(t_s, length_s, 0.01, 0.015) * np.sin(_linear_chirp(t_s, from_hz, to_hz, 0.05)))

    return wave


def third_sound(length_s: float, gain: float) -> Wave:
    """S3: a soft thud falling from 70 to 25 Hz as filling is checked, swelling and fading as sine squared."""

    def wave(t_s: Signal) -> Signal:
        swell = np.sin(np.pi * t_s / length_s) ** 2
        return np.asarray(gain * swell * np.sin(_linear_chirp(t_s, 70, 25, length_s)))

    return wave


def fourth_sound(length_s: float, gain: float) -> Wave:
    """S4: a soft thud at 24 Hz as the atrium fills a stiff ventricle, swelling and fading as sine squared.

    Atrial sounds lie below 30 Hz.
    """

    def wave(t_s: Signal) -> Signal:
        swell = np.sin(np.pi * t_s / length_s) ** 2
        return np.asarray(gain * swell * np.sin(2 * np.pi * 24 * t_s))

    return wave


def murmur(rng: np.random.Generator, length_s: float, kind: Murmur, strength: float) -> Wave:
    """Turbulence in the murmur's band, swelling and fading in its shape.

    Bands: Noponen et al. 2007, "Phono-spectrographic analysis of heart murmur in children"; see `stream.cases`.

    Args:
        rng: source of this beat's turbulence.
        length_s: from its beginning to its end.
        kind: which; bound of the amplitude is its gain times `strength`.
        strength: of the beat, about 1.
    """
    flow = turbulence(rng, kind.low_hz, kind.high_hz)

    def wave(t_s: Signal) -> Signal:
        return np.asarray(strength * kind.gain * _SHAPES[kind.shape](t_s, length_s) * np.tanh(0.5 * flow(t_s)))

    return wave


def _diamond(t_s: Signal, length_s: float) -> Signal:
    return np.asarray(1 - np.abs(2 * t_s / length_s - 1))


def _plateau(t_s: Signal, length_s: float) -> Signal:
    return np.asarray(np.clip(np.minimum(t_s, length_s - t_s) / 0.02, 0, 1))


def _decrescendo(t_s: Signal, length_s: float) -> Signal:
    return np.asarray(np.minimum(t_s / 0.02, 1) * (1 - t_s / length_s))


_SHAPES = {"diamond": _diamond, "plateau": _plateau, "decrescendo": _decrescendo}


def turbulence(rng: np.random.Generator, low_hz: float, high_hz: float) -> Wave:
    """Noise of unit power between two frequencies, falling 6 dB an octave, as 48 tones at random places and phases."""
    tones_hz = rng.uniform(low_hz, high_hz, 48)
    phases = rng.uniform(0, 2 * np.pi, 48)
    weights = 1 / tones_hz
    weights *= np.sqrt(2 / np.sum(weights**2))

    def wave(t_s: Signal) -> Signal:
        out = np.zeros_like(t_s)
        for tone_hz, phase, weight in zip(tones_hz, phases, weights, strict=True):
            out += weight * np.sin(2 * np.pi * tone_hz * t_s + phase)
        return out

    return wave


def _strike(t_s: Signal, length_s: float, attack_s: float, decay_s: float) -> Signal:
    """An envelope that swells from 0 to 1 and decays exponentially, brought to 0 over the last fifth of `length_s`."""
    ratio = attack_s / decay_s
    peak = (2 / (ratio + 2)) ** 2 * (ratio / (ratio + 2)) ** ratio
    release = np.clip((length_s - t_s) / (length_s / 5), 0, 1)
    return np.asarray(np.expm1(-t_s / attack_s) ** 2 * np.exp(-t_s / decay_s) / peak * release)


def _linear_chirp(t_s: Signal, from_hz: float, to_hz: float, sweep_s: float) -> Signal:
    """Phase in radians of a frequency that moves linearly over `sweep_s` and then stays."""
    moving_s = np.minimum(t_s, sweep_s)
    cycles = from_hz * moving_s + (to_hz - from_hz) * moving_s**2 / (2 * sweep_s) + to_hz * (t_s - moving_s)
    return np.asarray(2 * np.pi * cycles)
