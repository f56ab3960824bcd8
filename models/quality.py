"""Signal quality index of a window, 0 to 1, with the reason for a low value in words a person can act on.

The index is a logistic regression on five measures of the front end's log energies, learned from real recordings by
`train.quality`, times factors for faults of which there are too few recordings to learn from: a missing signal, a
faint one, a clipped one. The measures stand for those of Springer et al. 2016 ("Automated signal quality assessment of
mobile phone-recorded heart sound signals"); where ours differ, they did as well or better on the same recordings and
cost less (docs/evaluation.md). Gain changes none of them. Only `balance` looks at the spectrum, which names the device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from models.frontend import FrontEndSpec, fast_length

Array = np.ndarray


class Loudness(NamedTuple):
    """What the window measures at the source's own rate, before anything is filtered away."""

    rms: float  # 0 to 1
    peak: float  # 0 to 1; above 1 only in float recordings
    clipped_share: float  # share of samples at full scale, 0 to 1


class Quality(NamedTuple):
    """The index and what lowers it most."""

    value: float  # 0 useless, 1 good
    reason: str  # empty where the index is good


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


@dataclass(frozen=True)
class QualitySpec:
    """The logistic regression. Part of the bundle. The defaults were fitted on PASCAL, CirCor and ESC-10.

    Attributes:
        bias: log odds where every measure is 0.
        periodicity, balance, coherence, concentration, mobility: weight of each of `Measures`.
        usual_periodicity, usual_balance, usual_coherence, usual_concentration, usual_mobility: median of each in clean
            heart sounds; what a low index is compared with to find its reason.
    """

    bias: float = -7.8842
    periodicity: float = 1.9815
    balance: float = 0.3848
    coherence: float = 5.627
    concentration: float = 2.6758
    mobility: float = 4.3
    usual_periodicity: float = 0.8581
    usual_balance: float = 3.0588
    usual_coherence: float = 0.8255
    usual_concentration: float = -0.3004
    usual_mobility: float = 0.7674

    def __post_init__(self) -> None:
        if not all(abs(x) <= _LARGEST for x in (self.bias, *self.weights, *self.usual)):
            raise ValueError("the quality index's weights must be finite numbers, not huge")

    @property
    def weights(self) -> Measures:
        """The weight of each measure."""
        return Measures(*(getattr(self, name) for name in Measures._fields))

    @property
    def usual(self) -> Measures:
        """The median of each measure in clean heart sounds."""
        return Measures(*(getattr(self, f"usual_{name}") for name in Measures._fields))


#: Of a weight; the measures are below 10.
_LARGEST = 1e6
#: Below it the index comes with a reason.
GOOD = 0.6
_FASTEST_S, _SLOWEST_S = 0.3, 1.5
#: A frame that differs less than this from the one before, in nepers, repeats it.
_SAME = 1e-6
_FAULTS = (
    "no signal: check the connection and the input's mute switch",
    "nothing where heart sounds are: check the input, switch noise suppression off",
    "too quiet: press firmer or raise the gain",
    "clipping: lower the gain",
)
#: In the order of `Measures`.
_LACKS = (
    "no steady beat: hold the stethoscope still, try another place on the chest",
    "speech or rubbing: keep quiet, hold the stethoscope still",
    "background noise: keep the room quiet, press firmer",
    "steady noise: look for fans and mains hum, press firmer",
    "speech or other drawn-out sounds: keep quiet",
)


def assess(spec: FrontEndSpec, features: Array, loudness: Loudness, quality: QualitySpec = QualitySpec()) -> Quality:
    """Judge a window.

    Args:
        spec: the front end.
        features: (k, bands) log energies of the window, k >= 0.
        loudness: of the same stretch of audio.
        quality: the fitted regression.

    Returns:
        How well heart sounds can be heard: near 1 for clean ones, near 0 for other sounds alone. Below `GOOD` also the
        fault or measure that lowers it most, set against clean heart sounds.
    """
    return assess_all(spec, features[None], [loudness], quality)[0]


def assess_all(
    spec: FrontEndSpec, features: Array, loudness: Sequence[Loudness], quality: QualitySpec = QualitySpec()
) -> list[Quality]:
    """Judge windows (n, k, bands) of one length together; each as `assess` by itself, to the bit."""
    factors = [_faults(share, loud) for share, loud in zip(_repeated_share(features), loudness, strict=True)]
    if not any(map(min, factors)):
        return [_useless(each) for each in factors]
    measured = zip(*(column.tolist() for column in measure(spec, features)), strict=True)
    return [
        _judged(quality, each, Measures(*found)) if min(each) else _useless(each)
        for each, found in zip(factors, measured, strict=True)
    ]


def _useless(factors: tuple[float, ...]) -> Quality:
    return Quality(0.0, _FAULTS[factors.index(0.0)])


def _judged(quality: QualitySpec, factors: tuple[float, ...], found: Measures) -> Quality:
    value = index(quality, factors, found)
    return Quality(value, "" if value >= GOOD else _reason(quality, factors, found))


def faults(features: Array, loudness: Loudness) -> tuple[float, ...]:
    """Factors, 0 to 1, for no signal, one that repeats itself, a faint one and a clipped one. Arguments as `assess`."""
    return _faults(float(_repeated_share(features)), loudness)


def _faults(repeated_share: float, loudness: Loudness) -> tuple[float, ...]:
    level_db = 20 * math.log10(max(loudness.rms, 1e-9))
    return (
        float(level_db > -90),
        _ramp(-repeated_share, -0.9, -0.2),
        _ramp(level_db, -75, -55, least=0.3),
        _ramp(-loudness.clipped_share, -0.2, -0.005),
    )


def index(quality: QualitySpec, factors: tuple[float, ...], found: Measures) -> float:
    """The index, of factors from `faults` and measures from `measure`."""
    return math.prod(factors) * _sigmoid(_log_odds(quality, found))


def measure(spec: FrontEndSpec, features: Array) -> Measures:
    """The measures (...,) of windows (..., k, bands) of log energies, k >= 2."""
    octaves = np.matmul(features, _octaves(spec))
    low, middle, high = np.ascontiguousarray(np.moveaxis(octaves, -1, 0))
    top = octaves.max(axis=(-2, -1))[..., None]
    energy = np.maximum(np.exp(low - top) + np.exp(middle - top) + np.exp(high - top), 1e-30)
    tenth = max(1, energy.shape[-1] // 10)
    loudest = np.argpartition(energy, -tenth, axis=-1)[..., -tenth:]
    likeness = _autocorrelation(np.log(energy))
    balance = _chosen(0.5 * (low + middle) - high, loudest).sum(axis=-1) / tenth
    share = _chosen(energy, loudest).sum(axis=-1) / energy.sum(axis=-1)
    return Measures(
        periodicity=_periodicity(spec, likeness),
        balance=np.minimum(np.maximum(balance, -4.0), 6.0),
        coherence=_correlation(middle, high),
        concentration=np.log(share),
        mobility=np.sqrt(np.minimum(np.maximum(2 - 2 * likeness[..., 1], 0.0), 4.0)),
    )


def _chosen(x: Array, places: Array) -> Array:
    """Of each row of x (..., k) the values at its own places (..., n): (..., n)."""
    rows = x.reshape(-1, x.shape[-1])
    starts = np.arange(len(rows))[:, None] * x.shape[-1]
    return rows.ravel()[starts + places.reshape(len(rows), -1)].reshape(places.shape)


def _without_mean(x: Array) -> Array:
    return np.asarray(x - x.sum(axis=-1, keepdims=True) / x.shape[-1])


def _log_odds(quality: QualitySpec, found: Measures) -> float:
    """The regression's answer, before the logistic function."""
    return quality.bias + sum(w * x for w, x in zip(quality.weights, found, strict=True))


def _reason(quality: QualitySpec, factors: tuple[float, ...], found: Measures) -> str:
    """What lowers the index most: the fault or measure by whose repair its logarithm would rise most."""
    odds = _log_odds(quality, found)
    gains = [-math.log(factor) for factor in factors]
    for weight, x, usual in zip(quality.weights, found, quality.usual, strict=True):
        repaired = odds + weight * (usual - x)
        gains.append(math.log(_sigmoid(repaired) / _sigmoid(odds)))
    return (*_FAULTS, *_LACKS)[gains.index(max(gains))]


def _repeated_share(features: Array) -> Array:
    """Share (...,) of the frames of windows (..., k, bands) that repeat the one before; 1 for a lone frame.

    Digital silence and a constant offset do.
    """
    frames = features.shape[-2]
    if frames < 2:
        return np.ones(features.shape[:-2])
    level = features.sum(axis=-1)
    return np.asarray(np.count_nonzero(np.abs(level[..., 1:] - level[..., :-1]) < _SAME, axis=-1) / (frames - 1))


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
    """Climb (...,) of autocorrelations to their highest point at lags of a heart's cycle; 0 where too few are known."""
    frame_rate_hz = spec.rate_hz / spec.hop_samples
    shortest, longest = round(_FASTEST_S * frame_rate_hz), round(_SLOWEST_S * frame_rate_hz)
    cycle = likeness[..., shortest : longest + 1]
    if not cycle.shape[-1]:
        return np.zeros(likeness.shape[:-1])
    best = shortest + cycle.argmax(axis=-1, keepdims=True)
    lowest = np.minimum.accumulate(likeness, axis=-1)
    return np.asarray(np.minimum(_chosen(likeness - lowest, best)[..., 0], 2.0))


def _autocorrelation(x: Array) -> Array:
    """Unbiased normalised autocorrelation of (..., k), k >= 2, at lags 0 to 3k/4; zeros where x is constant."""
    frames = x.shape[-1]
    lags = max(2, 3 * frames // 4)
    centred = _without_mean(x)
    power = (centred * centred).sum(axis=-1, keepdims=True)
    varies = power > 1e-9 * frames
    size = fast_length(frames + lags)
    spectrum = np.fft.rfft(centred, size)
    products = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[..., :lags]
    scale = frames / (np.where(varies, power, 1.0) * (frames - np.arange(lags)))
    return np.asarray(np.where(varies, products * scale, 0.0))


def _correlation(x: Array, y: Array) -> Array:
    """Pearson's (...,) of (..., k); 0 where one is constant."""
    x, y = _without_mean(x), _without_mean(y)
    scale = np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
    varies = scale > 1e-9 * x.shape[-1]
    alike = (x * y).sum(axis=-1) / np.where(varies, scale, 1.0)
    return np.asarray(np.where(varies, np.minimum(np.maximum(alike, -1.0), 1.0), 0.0))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-min(max(x, -500.0), 500.0)))


def _ramp(x: float, low: float, high: float, least: float = 0.0) -> float:
    """`least` at low and below, 1 at high and above, straight between."""
    return least + (1 - least) * min(max((x - low) / (high - low), 0.0), 1.0)


def _mel(hz: float) -> float:
    return 2595 * math.log10(1 + hz / 700)
