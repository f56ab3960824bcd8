"""From what the network hears and what the rhythm says to one calibrated answer over the five classes.

The network hardly hears an extrasystole, since it is no timbre but a rhythm. That class is told in either of two ways:
by how the sounds are spaced (`extrasystole`), beside the network's own word, or by beats that come early
(`regularity`). The weights of the first are fitted on recordings that the network did not learn from, at the classes'
natural shares there: matrix scaling (Guo et al. 2017) with the matrix kept to one temperature and a bias a class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.classes import CLASSES

Array = np.ndarray
_EXTRASYSTOLE, _NO_HEART = CLASSES.index("extrasystole"), CLASSES.index("artifact")
#: Other sounds of a heart, whose share an extrasystole takes.
_HEARTS = [k for k in range(len(CLASSES)) if k not in (_EXTRASYSTOLE, _NO_HEART)]
#: Counts of early beats that are told apart: none, one, two or more.
COUNTS = 3
#: Log odds of what is never so.
NEVER = -30.0


@dataclass(frozen=True)
class JoinSpec:
    """The weights. Part of the bundle.

    Attributes:
        temperature: logits of the network are divided by it; above 0.
        bias: of each class, in the order of `CLASSES`.
        timbre: weight of the network's own logit of extrasystole, beside the temperature.
        spacing: weight of the score of `extrasystole.Machine`.
        early: log odds that a heart has extrasystoles, after one early beat and after two or more.
    """

    temperature: float = 1.0
    bias: tuple[float, ...] = (0.0,) * len(CLASSES)
    timbre: float = 1.0
    spacing: float = 0.0
    early: tuple[float, ...] = (NEVER,) * (COUNTS - 1)

    def __post_init__(self) -> None:
        if not 0 < self.temperature < np.inf:
            raise ValueError(f"temperature must be a number above 0, not {self.temperature}")
        for name, size in (("bias", len(CLASSES)), ("early", COUNTS - 1)):
            values = getattr(self, name)
            if len(values) != size or not np.isfinite(values).all():
                raise ValueError(f"{name} must be {size} numbers, not {values}")
        if not np.isfinite([self.timbre, self.spacing]).all():
            raise ValueError("timbre and spacing must be numbers")


def join(spec: JoinSpec, logits: Array, score: Array) -> Array:
    """Calibrated logits (..., 5), early beats aside: their softmax are probabilities.

    Linear in logits and score, so that means over a recording's moments may be joined in place of the moments.

    Args:
        spec: the weights.
        logits: (..., 5) of the network.
        score: (...,) of the machine; 0 where there is none.
    """
    heard = np.asarray(logits, dtype=np.float64) / spec.temperature
    joined: Array = heard + np.array(spec.bias)
    joined[..., _EXTRASYSTOLE] += (spec.timbre - 1) * heard[..., _EXTRASYSTOLE] + spec.spacing * score
    return joined


def with_early_beats(spec: JoinSpec, joined: Array, count: Array) -> Array:
    """The same (..., 5), once it is known how many beats came early.

    Early beats are a way of their own to be an extrasystole, so probabilities add: spacing that is as in a normal heart
    takes nothing from them. Where no heart is heard they count nothing.

    Args:
        spec: the weights.
        joined: (..., 5) from `join`.
        count: (...,) int, beats that came early in the last seconds, >= 0; 0 where beats are not heard.
    """
    odds = np.array([NEVER, *spec.early])[np.minimum(count, COUNTS - 1)]
    told = joined.copy()
    hearts = np.logaddexp.reduce(joined[..., _HEARTS], axis=-1)
    told[..., _EXTRASYSTOLE] = np.logaddexp(joined[..., _EXTRASYSTOLE], hearts + odds)
    return told


def probabilities(logits: Array) -> Array:
    """Softmax of (..., 5)."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))
