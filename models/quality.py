"""Signal quality index of a window, 0 to 1, with the reason for a low value in words a person can act on.

A product of factors after Springer et al. 2016 ("Automated signal quality assessment of mobile phone-recorded heart
sound signals"), who combine such measures: presence of a signal, level, clipping, periodicity of the envelope. Ours
differs in that the factors are fixed ramps. Only a missing or badly clipped signal brings the index below the level at
which a label is withheld; a lack of rhythm alone does not, since `artifact` is a class of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models import rhythm
from models.frontend import FrontEndSpec

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


_GOOD = 0.6
_REASONS = (
    "no signal: check the connection and the input's mute switch",
    "nothing where heart sounds are: check the input, switch noise suppression off",
    "too quiet: press firmer or raise the gain",
    "clipping: lower the gain",
    "no steady beat: hold the stethoscope still, keep the room quiet",
)


def assess(spec: FrontEndSpec, features: Array, loudness: Loudness) -> Quality:
    """Judge a window.

    Args:
        spec: the front end.
        features: (k, bands) log energies of the window, k >= 0.
        loudness: of the same stretch of audio.
    """
    level_db = 20 * np.log10(max(loudness.rms, 1e-9))
    factors = (
        float(level_db > -90),
        float(_changes(features)),
        _ramp(level_db, -75, -55, least=0.3),
        _ramp(-loudness.clipped_share, -0.2, -0.005),
        _ramp(_periodicity(spec, features), 0.05, 0.5, least=0.3),
    )
    index = float(np.prod(factors))
    worst = int(np.argmin(factors))
    return Quality(index, "" if index >= _GOOD else _REASONS[worst])


def _changes(features: Array) -> bool:
    """Whether anything sounds: silence and a constant offset give the same frame over and over."""
    return len(features) > 0 and bool(np.ptp(features, axis=0).max() > 1e-6)


def _periodicity(spec: FrontEndSpec, features: Array) -> float:
    """Highest autocorrelation of the envelope at lags of a heart's cycle; 0 to 1."""
    frame_rate_hz = spec.rate_hz / spec.hop_samples
    likeness = rhythm.autocorrelation(rhythm.envelope(spec, features)) if len(features) else np.zeros(0)
    cycle = likeness[round(0.3 * frame_rate_hz) : round(1.5 * frame_rate_hz)]
    return float(np.clip(cycle.max(), 0, 1)) if len(cycle) else 0.0


def _ramp(x: float, low: float, high: float, least: float = 0.0) -> float:
    """`least` at low and below, 1 at high and above, straight between."""
    return float(np.interp(x, [low, high], [least, 1.0]))
