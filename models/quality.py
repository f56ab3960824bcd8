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
from typing import NamedTuple

import numpy as np

from models.frontend import FrontEndSpec
from models.measures import Measures, measure_all

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
    measured = measure_all(spec, features).tolist()
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
    level = features.sum(axis=-1, dtype=np.float64)
    return np.asarray(np.count_nonzero(np.abs(level[..., 1:] - level[..., :-1]) < _SAME, axis=-1) / (frames - 1))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-min(max(x, -500.0), 500.0)))


def _ramp(x: float, low: float, high: float, least: float = 0.0) -> float:
    """`least` at low and below, 1 at high and above, straight between."""
    return least + (1 - least) * min(max((x - low) / (high - low), 0.0), 1.0)
