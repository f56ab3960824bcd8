"""From what the network hears and what the rhythm says to one calibrated answer over the five classes.

The network hardly hears an extrasystole, since it is no timbre but a rhythm. That class is told in either of two ways:
by how the sounds are spaced (`extrasystole`), beside the network's own word, or by beats that come early
(`regularity`), two or more of them, for one alone is often misheard. The weights of the first are fitted on
recordings that the network did not learn from, at the classes' natural shares there: matrix scaling (Guo et al. 2017)
with the matrix kept to one temperature and a bias a class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.classes import CLASSES

Array = np.ndarray
_EXTRASYSTOLE, _NO_HEART = CLASSES.index("extrasystole"), CLASSES.index("artifact")
#: Other sounds of a heart, whose share an extrasystole takes.
_HEARTS = [k for k in range(len(CLASSES)) if k not in (_EXTRASYSTOLE, _NO_HEART)]
#: So many early beats tell of extrasystoles.
ENOUGH = 2
#: In 16 s, what the odds are measured on (CirCor), at 4 s and every half second after.
MEASURED_MOMENTS = 25
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
        early: log odds that a heart has extrasystoles, once `ENOUGH` beats came early.
    """

    temperature: float = 1.0
    bias: tuple[float, ...] = (0.0,) * len(CLASSES)
    timbre: float = 1.0
    spacing: float = 0.0
    early: float = NEVER

    def __post_init__(self) -> None:
        if not 0 < self.temperature < np.inf:
            raise ValueError(f"temperature must be a number above 0, not {self.temperature}")
        if len(self.bias) != len(CLASSES) or not np.isfinite(self.bias).all():
            raise ValueError(f"bias must be {len(CLASSES)} numbers, not {self.bias}")
        if not np.isfinite([self.timbre, self.spacing, self.early]).all():
            raise ValueError("timbre, spacing and early must be numbers")


class Joined(NamedTuple):
    """What is said of a moment, or of several of them."""

    logits: Array  # (..., 5) calibrated, early beats aside
    early: Array  # (...,) log odds of extrasystoles by early beats; `NEVER` where too few came

    @property
    def told(self) -> Array:
        """Calibrated logits (..., 5), early beats and all: their softmax are probabilities.

        Early beats are a way of their own to be an extrasystole, so probabilities add: spacing that is as in a normal
        heart takes nothing from them. Where no heart is heard they count nothing.
        """
        told = self.logits.copy()
        hearts = np.logaddexp.reduce(self.logits[..., _HEARTS], axis=-1)
        told[..., _EXTRASYSTOLE] = np.logaddexp(self.logits[..., _EXTRASYSTOLE], hearts + self.early)
        return told

    def whole(self) -> Joined:
        """Of (k,) moments together, k >= 1: logits in the mean, early beats as `over_all` has it."""
        return Joined(self.logits.mean(axis=0), np.asarray(over_all(self.early)))


def join(spec: JoinSpec, logits: Array, score: Array, count: Array) -> Joined:
    """Network, spacing and early beats together.

    Args:
        spec: the weights.
        logits: (..., 5) of the network.
        score: (...,) of the machine; 0 where there is none.
        count: (...,) int, beats that came early in the last seconds, >= 0; 0 where beats are not heard.
    """
    return Joined(weigh(spec, logits, score), early_odds(spec, count))


def early_odds(spec: JoinSpec, count: Array) -> Array:
    """(...,) log odds of extrasystoles; arguments as for `join`."""
    return np.where(count >= ENOUGH, spec.early, NEVER)


def over_all(early: Array) -> float:
    """Log odds for a whole recording from those of its moments (k,), k >= 0.

    Early beats at any of them tell of all. The more moments there are, the likelier is a false one among them: beyond
    those of the recordings that the odds were measured on, the odds fall as their number grows.
    """
    return float(early.max(initial=NEVER) - np.log(max(1.0, len(early) / MEASURED_MOMENTS)))


def weigh(spec: JoinSpec, logits: Array, score: Array) -> Array:
    """Calibrated logits (..., 5), early beats aside; arguments as for `join`.

    Linear in logits and score, so that means over a recording's moments may be weighed in place of the moments.
    """
    heard = np.asarray(logits, dtype=np.float64) / spec.temperature
    joined: Array = heard + np.array(spec.bias)
    joined[..., _EXTRASYSTOLE] += (spec.timbre - 1) * heard[..., _EXTRASYSTOLE] + spec.spacing * score
    return joined


def probabilities(logits: Array) -> Array:
    """Softmax of (..., 5)."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))
