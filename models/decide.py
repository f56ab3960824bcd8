"""From calibrated logits to a decision: smoothing, hysteresis, abstention. Pure; state in, state out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models import join
from models.classes import CLASSES
from models.join import NEVER, Joined
from models.quality import Quality
from models.regularity import UNKNOWN, Regularity

Logits = np.ndarray[tuple[int], np.dtype[np.float64]]

#: Every status a decision can have; `label` is None unless it is "ok".
STATUSES: tuple[str, ...] = ("listening", "ok", "uncertain", "poor_signal", "gap")

_NO_HEART = CLASSES.index("artifact")


@dataclass(frozen=True)
class DecideSpec:
    """How logits become a decision. Part of the bundle.

    The threshold is fitted on whole held-out recordings, never on test folds; for the rolling answer, which hears less,
    it is only about right. The others are set by hand.

    Attributes:
        threshold: below this probability of the standing class the answer is "uncertain"; in [0, 1].
        smoothing: weight of the newest logits in the running mean, in (0, 1]; 1 is no smoothing.
        margin: a new label replaces the standing one only if its probability leads by more than this; in [0, 1].
        poor_quality: below this quality index the label is withheld; in [0, 1].
    """

    threshold: float = 0.5
    smoothing: float = 0.35
    margin: float = 0.05
    poor_quality: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.smoothing <= 1:
            raise ValueError(f"smoothing must be in (0, 1], not {self.smoothing}")
        for name in ("threshold", "margin", "poor_quality"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], not {getattr(self, name)}")


@dataclass(frozen=True)
class Decision:
    """One rolling classification.

    Attributes:
        t_s: end of the window, counted from the first sample of the stream.
        window_s: length of audio the network saw.
        label: the class, or None unless `status` is "ok".
        status: one of `STATUSES`.
        probabilities: calibrated and smoothed, in the order of `CLASSES`; sum 1. None where too little was heard.
        quality: signal quality index, 0 (useless) to 1, or None where unknown.
        quality_reason: what lowers the quality, in words a person can act on; empty where nothing does.
        heart_rate_bpm: or None where not confident, or where no heart is heard.
        logits: calibrated, for this window alone, not smoothed, early beats aside; empty where there are none.
        early: log odds of extrasystoles by early beats, see `join.Joined`.
        regularity: of the beats, at times as `t_s`; `UNKNOWN` where no heart is heard, None where the model hears no
            beats.
    """

    t_s: float
    window_s: float
    label: str | None
    status: str
    probabilities: tuple[float, ...] | None
    quality: float | None = None
    quality_reason: str = ""
    heart_rate_bpm: float | None = None
    logits: tuple[float, ...] = ()
    early: float = NEVER
    regularity: Regularity | None = None


class Window(NamedTuple):
    """What is known of a window before the network's answer."""

    t_s: float  # its end, from the first sample of the stream
    window_s: float  # its length
    status: str  # "ok" where it is full or the stretch ended; else "listening" or "gap"
    regularity: Regularity | None  # of the beats up to its end; None where the model hears no beats


class DecideState(NamedTuple):
    """What deciding carries from hop to hop."""

    mean: Logits | None  # (5,), running mean of the logits, early beats aside; None before the first
    standing: int | None  # index of the label that stands, for hysteresis


def init_state() -> DecideState:
    """The state before any logits."""
    return DecideState(None, None)


def decision(
    spec: DecideSpec, window: Window, heard: Joined, quality: Quality, state: DecideState
) -> tuple[Decision, DecideState]:
    """One rolling decision and the next state.

    Args:
        spec: smoothing and thresholds.
        window: where the window ends, its length, what its status would be if it is sure, and the beats' regularity.
        heard: of the window; logits (5,).
        quality: of the window.
        state: from `init_state` or the previous call.
    """
    probabilities, answer, state = step(spec, heard, state)
    return worded(spec, window, heard, quality, probabilities.tolist(), answer), state


def step(spec: DecideSpec, heard: Joined, state: DecideState) -> tuple[np.ndarray, int | None, DecideState]:
    """Hear one more window; its smoothed probabilities (5,), the answer (see `settle`), and the next state."""
    mean = smoothed(spec, heard.logits, state.mean)
    probabilities = join.probabilities(Joined(mean, heard.early).told)
    standing, answer = settle(spec, probabilities.tolist(), state.standing)
    return probabilities, answer, DecideState(mean, standing)


def smoothed(spec: DecideSpec, logits: Logits, mean: Logits | None) -> Logits:
    """The running mean (5,) of the logits of a stretch's windows, early beats aside; None before the first.

    Early beats are not smoothed: they count as long as they are remembered.
    """
    logits = np.asarray(logits, dtype=np.float64)
    return logits if mean is None else mean + spec.smoothing * (logits - mean)


def settle(spec: DecideSpec, probabilities: Sequence[float], standing: int | None) -> tuple[int, int | None]:
    """The label that stands, by its index, and the answer: the same, or None to abstain.

    Args:
        spec: thresholds.
        probabilities: 5, of the running mean.
        standing: the label that stood so far; None before the first.
    """
    highest = max(probabilities)
    if standing is None or highest - probabilities[standing] > spec.margin:
        standing = probabilities.index(highest)
    return standing, standing if probabilities[standing] >= spec.threshold else None


def of_window(made: Decision) -> np.ndarray | None:
    """Probabilities (5,) of a decision's window alone, not smoothed, early beats and all; None where there are none."""
    if len(made.logits) != len(CLASSES):
        return None
    return join.probabilities(Joined(np.array(made.logits), np.asarray(made.early)).told)


def whole(decisions: Sequence[Decision]) -> np.ndarray:
    """Probabilities (5,) of a whole recording from the decisions, one or more, that speak for it."""
    moments = Joined(np.array([d.logits for d in decisions]), np.array([d.early for d in decisions]))
    return join.probabilities(moments.whole().told)


def withheld(spec: DecideSpec, quality: float, answer: int | None) -> bool:
    """Whether a signal is too poor for an answer, the index of a class or None.

    An artifact stands: that no heart is heard is what a poor signal says too. Not where nothing is heard at all.
    """
    return quality < spec.poor_quality and (answer != _NO_HEART or quality == 0)


def worded(
    spec: DecideSpec,
    window: Window,
    heard: Joined,
    quality: Quality,
    probabilities: Sequence[float],
    answer: int | None,
) -> Decision:
    """The decision of a window, once it is settled.

    Args:
        spec: thresholds.
        window: where the window ends, its length, what its status would be if it is sure, and the beats' regularity.
        heard: of the window; logits (5,).
        quality: of the window.
        probabilities: smoothed.
        answer: from `settle`.
    """
    status = window.status
    if status == "ok" and withheld(spec, quality.value, answer):
        status = "poor_signal"
    elif status == "ok" and answer is None:
        status = "uncertain"
    regularity = window.regularity
    # A rate must not pose as a heart's where none is heard.
    if regularity and (answer == _NO_HEART or status == "gap" or quality.value < spec.poor_quality):
        regularity = UNKNOWN
    return Decision(
        t_s=window.t_s,
        window_s=window.window_s,
        label=CLASSES[answer] if status == "ok" and answer is not None else None,
        status=status,
        probabilities=tuple(probabilities),
        quality=quality.value,
        quality_reason=quality.reason,
        heart_rate_bpm=regularity.heart_rate_bpm if regularity else None,
        logits=tuple(heard.logits.tolist()),
        early=float(heard.early),
        regularity=regularity,
    )
