"""What a microphone hears beside a heart: ambient noise, speech nearby, a chest piece rubbing on cloth.

Everything is drawn second by second from a generator of its own, so that any second can be computed alone.
"""

from __future__ import annotations

import numpy as np

from stream.heartsound import Signal, Sound, Wave, turbulence


def pink_noise(before: np.random.Generator, now: np.random.Generator, rate_hz: int) -> Signal:
    """One second of endless pink noise of unit power: two spells of 2 s overlap, one fading as the other grows.

    Sine-shaped fades keep the power of the sum of independent noises constant.

    Args:
        before: generator of the spell that began a second ago.
        now: generator of the spell that begins.
        rate_hz: sample rate and number of samples.
    """
    fade = np.sin(np.pi * (np.arange(2 * rate_hz) + 0.5) / (2 * rate_hz))
    old, new = (fade * _pink_spell(rng, rate_hz) for rng in (before, now))
    return np.asarray(old[rate_hz:] + new[:rate_hz])


def bursts(rng: np.random.Generator, second: int, rate_hz: int) -> list[Sound]:
    """What an `artifact` is made of: syllables, and now and then a rub."""
    return speech(rng, second, rate_hz) + rubs(rng, second, 0.3)


def speech(rng: np.random.Generator, second: int, rate_hz: int) -> list[Sound]:
    """Speech-like syllables that begin in one second, up to four at random times; in one second of four none.

    Args:
        rng: generator of this second.
        second: which second of the stream.
        rate_hz: sample rate; voices keep below its half.
    """
    sounds = []
    for _ in range(rng.integers(1, 5) if rng.random() < 0.75 else 0):
        length_s = rng.uniform(0.08, 0.35)
        voice = _syllable(rng, length_s, rng.uniform(0.1, 0.4), min(2500.0, 0.45 * rate_hz))
        sounds.append(Sound(second + rng.random(), length_s, voice))
    return sounds


def rubs(rng: np.random.Generator, second: int, chance: float) -> list[Sound]:
    """A rub of cloth on the chest piece that begins in one second, by chance; it lasts no longer than 0.9 s."""
    if rng.random() >= chance:
        return []
    length_s = rng.uniform(0.2, 0.9)
    return [Sound(second + rng.random(), length_s, _rub(rng, length_s, rng.uniform(0.1, 0.4)))]


def _pink_spell(rng: np.random.Generator, rate_hz: int) -> Signal:
    """Two seconds of pink noise from 20 Hz to 1 kHz, falling 15 dB an octave beyond.

    That is about what a stethoscope passes; so a signal-to-noise ratio means the same at every sample rate.
    """
    n_samples = 2 * rate_hz
    freqs_hz = np.fft.rfftfreq(n_samples, 1 / rate_hz)
    shape = np.zeros_like(freqs_hz)
    heard = freqs_hz >= 20
    shape[heard] = freqs_hz[heard] ** -0.5 * np.minimum(1, (1000 / freqs_hz[heard]) ** 2)
    shape *= n_samples / 2 / np.sqrt(np.sum(shape**2))
    spectrum = shape * (rng.standard_normal(len(shape)) + 1j * rng.standard_normal(len(shape)))
    return np.fft.irfft(spectrum, n_samples)


def _syllable(rng: np.random.Generator, length_s: float, gain: float, top_hz: float) -> Wave:
    """A voice of 90-220 Hz, its harmonics weighted by two formants, rising and falling once."""
    pitch_hz = rng.uniform(90, 220)
    formants_hz = np.array([rng.uniform(300, 800), rng.uniform(900, 2300)])
    harmonics_hz = np.arange(pitch_hz, top_hz, pitch_hz)
    weights = np.exp(-((np.log2(harmonics_hz[:, None] / formants_hz) / 0.5) ** 2)) @ np.array([1, 0.4])
    weights /= np.sqrt(np.sum(weights**2) / 2)
    glide = rng.uniform(-0.2, 0.2)

    def wave(t_s: Signal) -> Signal:
        glided_s = t_s * (1 + glide * t_s / (2 * length_s))
        voice = np.zeros_like(t_s)
        for harmonic_hz, weight in zip(harmonics_hz, weights, strict=True):
            voice += weight * np.sin(2 * np.pi * harmonic_hz * glided_s)
        return np.asarray(gain * np.sin(np.pi * t_s / length_s) ** 2 * voice)

    return wave


def _rub(rng: np.random.Generator, length_s: float, gain: float) -> Wave:
    """Cloth on a chest piece: broad noise that sticks and slips."""
    friction, slip = turbulence(rng, 30, 900), turbulence(rng, 5, 25)

    def wave(t_s: Signal) -> Signal:
        return np.asarray(gain * np.sin(np.pi * t_s / length_s) * np.abs(slip(t_s)) * friction(t_s))

    return wave
