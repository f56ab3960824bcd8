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
    octaves = np.matmul(_octaves(spec), features.transpose(0, 2, 1))
    frames = octaves.shape[2]
    powers = np.exp(octaves - octaves.max(axis=(1, 2), keepdims=True))
    energy = np.maximum(powers[:, 0] + powers[:, 1] + powers[:, 2], 1e-30)
    low, middle, high = octaves[:, 0], octaves[:, 1], octaves[:, 2]
    tenth = max(1, frames // 10)
    loudest = np.arange(len(energy))[:, None], np.argpartition(energy, -tenth, axis=1)[:, -tenth:]
    balance = (0.5 * (low + middle) - high)[loudest].sum(axis=1) / tenth
    share = energy[loudest].sum(axis=1) / energy.sum(axis=1)
    curves = np.array([np.log(energy), middle, high])
    centred = curves - curves.sum(axis=2, keepdims=True) / frames
    power = (centred * centred).sum(axis=2)
    likeness = _autocorrelation(centred[0], power[0])
    columns = (
        _periodicity(spec, likeness),
        np.minimum(np.maximum(balance, -4.0), 6.0),
        _correlation(centred[1], centred[2], np.sqrt(power[1] * power[2])),
        np.log(share),
        np.sqrt(np.minimum(np.maximum(2 - 2 * likeness[:, 1], 0.0), 4.0)),
    )
    return np.array(columns).T


@lru_cache
def _octaves(spec: FrontEndSpec) -> Array:
    """(3, bands) weights that average the bands at 25-100, 100-200 and 200-400 Hz; the nearest where there are none."""
    centres_mel = np.linspace(_mel(spec.low_hz), _mel(spec.high_hz), spec.bands + 2)[1:-1]
    members = np.eye(3)[np.searchsorted([_mel(100.0), _mel(200.0)], centres_mel, side="right")]
    for octave, middle_hz in enumerate((62.5, 150.0, 300.0)):
        if not members[:, octave].any():
            members[np.abs(centres_mel - _mel(middle_hz)).argmin(), octave] = 1
    return np.ascontiguousarray((members / members.sum(axis=0)).T)


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


def _autocorrelation(centred: Array, power: Array) -> Array:
    """Unbiased normalised autocorrelation of (n, k), k >= 2, at lags 0 to 3k/4; zeros where it is constant.

    Args:
        centred: without its mean.
        power: (n,) sum of its squares.
    """
    frames = centred.shape[1]
    falling = _falling(frames)
    size = fast_length(frames + len(falling))
    spectrum = np.fft.rfft(centred, size)
    products = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[:, : len(falling)]
    varies = power > 1e-9 * frames
    scale = np.where(varies, 1.0, 0.0) / np.where(varies, power, 1.0)
    return np.asarray(products * falling * scale[:, None])


@lru_cache
def _falling(frames: int) -> Array:
    """(lags,) by how much fewer products there are at each lag."""
    return frames / (frames - np.arange(max(2, 3 * frames // 4)))


def _correlation(x: Array, y: Array, scale: Array) -> Array:
    """Pearson's (n,) of centred (n, k), whose lengths multiply to `scale` (n,); 0 where one is constant."""
    varies = scale > 1e-9 * x.shape[1]
    alike = (x * y).sum(axis=1) / np.where(varies, scale, 1.0)
    return np.asarray(np.where(varies, np.minimum(np.maximum(alike, -1.0), 1.0), 0.0))


def _mel(hz: float) -> float:
    return 2595 * math.log10(1 + hz / 700)
