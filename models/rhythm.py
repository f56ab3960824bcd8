"""The heart's rhythm from the front end's frames: envelope and heart rate. Causal: only what was heard goes in.

The rate is the lag of the first strong peak of the envelope's autocorrelation (Schmidt et al. 2010, "Segmentation of
heart sound recordings by a duration-dependent hidden Markov model", section 2.3). Ours differs in that the envelope is
the log energy of the mel bands below 200 Hz, which the front end has computed already.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.frontend import FrontEndSpec

Array = np.ndarray

#: Audio behind a heart rate, at most: long enough for several cycles, short enough to follow a change.
MEMORY_S = 8.0
_LEAST_S = 3.0
_SLOWEST_BPM, _FASTEST_BPM = 40.0, 190.0
_HIGHEST_HZ = 200.0
#: A peak lower than this is no rhythm. In white noise of 8 s, peaks reach about .25.
_LEAST_CONFIDENCE = 0.35
#: A peak at a whole fraction of the lag must reach this share of the highest to be taken as the true cycle.
_SHORTER_SHARE = 0.85


class HeartRate(NamedTuple):
    """A rate and how far to trust it."""

    bpm: float | None  # None where not confident
    confidence: float  # height of the autocorrelation peak, 0 to 1


def memory_frames(spec: FrontEndSpec) -> int:
    """Frames that `heart_rate` looks back on at most."""
    return round(MEMORY_S * spec.rate_hz / spec.hop_samples)


def envelope(spec: FrontEndSpec, features: Array) -> Array:
    """Loudness below 200 Hz, frame by frame.

    Args:
        spec: the front end; log energies, not cepstra.
        features: (k, bands) log energies.

    Returns:
        (k,) mean log energy of the bands whose centre lies below 200 Hz.
    """
    mel_edges = np.linspace(_mel(spec.low_hz), _mel(spec.high_hz), spec.bands + 2)
    low = mel_edges[1:-1] < _mel(_HIGHEST_HZ)
    return np.asarray(features[:, low].mean(axis=1))


def heart_rate(spec: FrontEndSpec, loudness: Array) -> HeartRate:
    """Beats per minute of the last seconds.

    Args:
        spec: the front end, for the frame rate.
        loudness: (k,) from `envelope`; the newest `MEMORY_S` count.

    Returns:
        Rate between 40 and 190 bpm, or None for less than 3 s or without a clear rhythm.
    """
    frame_rate_hz = spec.rate_hz / spec.hop_samples
    heard = loudness[-memory_frames(spec) :]
    if len(heard) < _LEAST_S * frame_rate_hz:
        return HeartRate(None, 0.0)
    likeness = autocorrelation(heard)
    shortest = int(frame_rate_hz * 60 / _FASTEST_BPM)
    longest = min(int(frame_rate_hz * 60 / _SLOWEST_BPM) + 1, len(likeness) - 2)
    peaks = [k for k in range(shortest, longest + 1) if likeness[k - 1] < likeness[k] >= likeness[k + 1]]
    if not peaks:
        return HeartRate(None, 0.0)
    best = max(peaks, key=lambda k: likeness[k])
    # Several cycles match as well as one: prefer the shortest part of them that matches nearly as well.
    nearly = [k for k in peaks if likeness[k] >= _SHORTER_SHARE * likeness[best]]
    best = next((k for k in nearly if abs(best - round(best / k) * k) <= round(best / k)), best)
    confidence = float(np.clip(likeness[best], 0, 1))
    if confidence < _LEAST_CONFIDENCE:
        return HeartRate(None, confidence)
    return HeartRate(60 * frame_rate_hz / _between(likeness, best), confidence)


def autocorrelation(x: Array) -> Array:
    """Unbiased normalised autocorrelation of (k,) at lags 0 to 3k/4; zeros where x is constant."""
    centred = x - x.mean()
    power = float(np.dot(centred, centred))
    lags = max(1, 3 * len(x) // 4)
    if power <= 1e-9 * len(x):
        return np.zeros(lags)
    spectrum = np.fft.rfft(centred, 2 * len(x))
    products = np.fft.irfft(spectrum * spectrum.conj(), 2 * len(x))[:lags]
    return np.asarray(products / (len(x) - np.arange(lags)) * len(x) / power)


def _between(y: Array, k: int) -> float:
    """Place of the peak between samples, by a parabola through three."""
    bend = y[k - 1] - 2 * y[k] + y[k + 1]
    return k + (0.5 * (y[k - 1] - y[k + 1]) / bend if bend else 0.0)


def _mel(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))
