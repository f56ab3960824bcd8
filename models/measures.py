"""What is measured of windows to judge how well heart sounds can be heard in them; see `models.quality`."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from models.frontend import FrontEndSpec, fast_length

Array = np.ndarray
_FASTEST_S, _SLOWEST_S = 0.3, 1.5  # a heart's cycle


class Measures(NamedTuple):
    """What is measured of a window; its energy is that of three octaves, each the geometric mean of its bands.

    Attributes:
        periodicity: how far the autocorrelation of the log energy climbs to its highest point at the lags of a heart's
            cycle (0.3-1.5 s), from its lowest point at a shorter lag; 0 to 2. The height alone would take any slow
            drift for a rhythm.
        balance: log energy at 25-200 Hz less that at 200-400 Hz, in the loudest tenth of the frames; nepers, -4 to 6.
        coherence: correlation of the log energies at 100-200 Hz and at 200-400 Hz; -1 to 1. A heart sound comes and
            goes at all pitches at once.
        concentration: log of the loudest tenth's share of the energy; about -2.3 to 0. In the place of kurtosis.
        mobility: how quickly the log energy changes, its root mean square step over its spread (Hjorth 1970); 0 to 2.
            Heart sounds are short, most others drawn out. In the place of sample entropy.
    """

    periodicity: float
    balance: float
    coherence: float
    concentration: float
    mobility: float


def measure(spec: FrontEndSpec, features: Array) -> Measures:
    """The measures of a window (k, bands) of log energies, k >= 2."""
    return Measures(*measure_all(spec, features[None])[0].tolist())


def measure_all(spec: FrontEndSpec, features: Array) -> Array:
    """Those of windows (n, k, bands), in the order of `Measures`: (n, 5)."""
    low, middle, high = np.ascontiguousarray(np.moveaxis(np.matmul(features, _octaves(spec)), -1, 0))
    top = np.maximum(np.maximum(low, middle), high).max(axis=1, keepdims=True)
    energy = np.maximum(np.exp(low - top) + np.exp(middle - top) + np.exp(high - top), 1e-30)
    tenth = max(1, energy.shape[1] // 10)
    loudest = np.argpartition(energy, -tenth, axis=1)[:, -tenth:]
    likeness = _autocorrelation(np.log(energy))
    balance = _chosen(0.5 * (low + middle) - high, loudest).sum(axis=1) / tenth
    share = _chosen(energy, loudest).sum(axis=1) / energy.sum(axis=1)
    columns = (
        _periodicity(spec, likeness),
        np.minimum(np.maximum(balance, -4.0), 6.0),
        _correlation(middle, high),
        np.log(share),
        np.sqrt(np.minimum(np.maximum(2 - 2 * likeness[:, 1], 0.0), 4.0)),
    )
    return np.stack(columns, axis=1)


def _chosen(x: Array, places: Array) -> Array:
    """Of each row of x (n, k) the values at its own places (n, m): (n, m)."""
    return np.asarray(x[np.arange(len(x))[:, None], places])


def _without_mean(x: Array) -> Array:
    """Each row of x (n, k) without its mean."""
    return np.asarray(x - x.sum(axis=1, keepdims=True) / x.shape[1])


@lru_cache
def _octaves(spec: FrontEndSpec) -> Array:
    """(bands, 3) weights that average the bands at 25-100, 100-200 and 200-400 Hz; the nearest where there are none."""
    centres_mel = np.linspace(_mel(spec.low_hz), _mel(spec.high_hz), spec.bands + 2)[1:-1]
    members = np.eye(3)[np.searchsorted([_mel(100.0), _mel(200.0)], centres_mel, side="right")]
    for octave, middle_hz in enumerate((62.5, 150.0, 300.0)):
        if not members[:, octave].any():
            members[np.abs(centres_mel - _mel(middle_hz)).argmin(), octave] = 1
    return np.asarray(members / members.sum(axis=0))


def _periodicity(spec: FrontEndSpec, likeness: Array) -> Array:
    """Climb (n,) of autocorrelations to their highest point at lags of a heart's cycle; 0 where too few are known."""
    frame_rate_hz = spec.rate_hz / spec.hop_samples
    shortest, longest = round(_FASTEST_S * frame_rate_hz), round(_SLOWEST_S * frame_rate_hz)
    cycle = likeness[:, shortest : longest + 1]
    if not cycle.shape[1]:
        return np.zeros(len(likeness))
    best = shortest + cycle.argmax(axis=1)
    climb = likeness - np.minimum.accumulate(likeness, axis=1)
    return np.asarray(np.minimum(climb[np.arange(len(best)), best], 2.0))


def _autocorrelation(x: Array) -> Array:
    """Unbiased normalised autocorrelation of (n, k), k >= 2, at lags 0 to 3k/4; zeros where x is constant."""
    frames = x.shape[1]
    lags = max(2, 3 * frames // 4)
    centred = _without_mean(x)
    power = (centred * centred).sum(axis=1, keepdims=True)
    varies = power > 1e-9 * frames
    size = fast_length(frames + lags)
    spectrum = np.fft.rfft(centred, size)
    products = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[:, :lags]
    scale = frames / (np.where(varies, power, 1.0) * (frames - np.arange(lags)))
    return np.asarray(np.where(varies, products * scale, 0.0))


def _correlation(x: Array, y: Array) -> Array:
    """Pearson's (n,) of (n, k); 0 where one is constant."""
    x, y = _without_mean(x), _without_mean(y)
    scale = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    varies = scale > 1e-9 * x.shape[1]
    alike = (x * y).sum(axis=1) / np.where(varies, scale, 1.0)
    return np.asarray(np.where(varies, np.minimum(np.maximum(alike, -1.0), 1.0), 0.0))


def _mel(hz: float) -> float:
    return 2595 * math.log10(1 + hz / 700)
