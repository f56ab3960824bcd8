"""S1 and S2 of a stream, one by one: the front end's frames in, beats out. Causal, late by a bounded delay.

A small recurrent network (`models.nets.BeatNet`, run by ONNX Runtime) says of every frame how likely S1 or S2 began
there; a beat is a peak of that which nothing near it exceeds. Published segmenters decode such probabilities with a
hidden semi-Markov model of the durations (Schmidt et al. 2010; Springer et al. 2016). Ours does not: the network has
learned the durations, and such a decoder added nothing that could be measured (`docs/decisions.md`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from models.frontend import FrontEndSpec

Array = np.ndarray
SOUNDS = ("S1", "S2")
_MOST_FRAMES = 1000


@dataclass(frozen=True)
class RhythmSpec:
    """How onsets are found. Part of the bundle.

    Attributes:
        block_frames: frames that the network hears at a time; always as many, so that rounding is always the same.
        lookahead_frames: the network speaks of the frame so long ago.
        near_frames: a beat's likelihood is the highest within so many frames to either side.
        threshold: least probability of an onset.
    """

    block_frames: int = 15
    lookahead_frames: int = 12
    near_frames: int = 3
    threshold: float = 0.25

    def __post_init__(self) -> None:
        for name, least in (("block_frames", 1), ("near_frames", 1), ("lookahead_frames", 0)):
            if not least <= getattr(self, name) <= _MOST_FRAMES:
                raise ValueError(f"{name} must be from {least} to {_MOST_FRAMES}, not {getattr(self, name)}")
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold must be in (0, 1), not {self.threshold}")

    @property
    def delay_frames(self) -> int:
        """Frames between an onset's own and the last one that must be heard to tell it, at most."""
        return self.lookahead_frames + self.near_frames + self.block_frames - 1

    def delay_s(self, front_end: FrontEndSpec) -> float:
        """A beat is told so long after its onset at most, beyond what the resampler is late."""
        return (self.delay_frames * front_end.hop_samples + front_end.frame_samples) / front_end.rate_hz


class Net(Protocol):
    """The network.

    Attributes:
        state_size: values that it carries from block to block.
    """

    state_size: int

    def __call__(self, features: Array, state: Array) -> tuple[Array, Array]:
        """Features (time, features) and a state (state_size,), both float32 -> logits (time, 2) of S1 and S2, state."""


class Beat(NamedTuple):
    """One heart sound."""

    t_s: float  # its onset, from the first sample of the stretch; in a stream's events, of the stream
    sound: str  # "S1" or "S2"
    confidence: float  # probability of an onset there, as the network sees it; 0 to 1


class RhythmState(NamedTuple):
    """What finding beats carries from block to block."""

    waiting: Array  # (n, features), n < block_frames, not yet heard by the network
    last: Array  # (1, features), the newest frame; (0, features) before any
    net: Array  # (net.state_size,) float32
    heard: int  # frames that the network has heard; without bound, so exact over any length
    scores: Array  # (2 * near_frames, 2) logits of the newest frames, whose neighbourhood is not known yet


class Rhythm:
    """Finds S1 and S2 in a stream.

    Args:
        spec: how.
        front_end: rate and frames of the features.
        net: the network.
    """

    def __init__(self, spec: RhythmSpec, front_end: FrontEndSpec, net: Net) -> None:
        self.spec = spec
        self.net = net
        self._front_end = front_end

    def init_state(self) -> RhythmState:
        """The state before any frame."""
        nothing = np.zeros((0, self._front_end.features))
        silent = np.full((2 * self.spec.near_frames, 2), -np.inf)
        return RhythmState(nothing, nothing, np.zeros(self.net.state_size, dtype=np.float32), 0, silent)

    def step(self, features: Array, state: RhythmState) -> tuple[list[Beat], RhythmState]:
        """Hear some frames.

        Args:
            features: (k, features), k >= 0.
            state: from `init_state` or the previous call.

        Returns:
            Beats in the order of their onsets, none of which is ever taken back, and the next state.
        """
        waiting = np.concatenate([state.waiting, features])
        beats: list[Beat] = []
        size = self.spec.block_frames
        for begin in range(0, len(waiting) - size + 1, size):
            found, state = self._block(waiting[begin : begin + size], state)
            beats += found
        rest = waiting[len(waiting) - len(waiting) % size :]
        return beats, state._replace(waiting=rest, last=waiting[-1:] if len(waiting) else state.last)

    def flush(self, state: RhythmState) -> list[Beat]:
        """No more will come: the beats that still waited for frames. The last frame stands in for them."""
        beats, _ = self.step(np.repeat(state.last, self.spec.delay_frames, axis=0), state)
        # An onset may lie half a frame before the middle of its own; those of frames that were never heard are none.
        end_s = self._front_end.middle_s(state.heard + len(state.waiting) - 0.5)
        return [beat for beat in beats if beat.t_s <= end_s]

    def known_s(self, state: RhythmState, ended: bool = False) -> float:
        """Up to where all beats are told: none with an earlier onset will follow. After `flush` that is the end."""
        if ended:
            return self._front_end.middle_s(state.heard + len(state.waiting))
        return self._front_end.middle_s(max(0, state.heard - self.spec.lookahead_frames - self.spec.near_frames) - 0.5)

    def _block(self, features: Array, state: RhythmState) -> tuple[list[Beat], RhythmState]:
        logits, net = self.net(features.astype(np.float32), state.net)
        scores = np.concatenate([state.scores, logits.astype(np.float64)])
        # The first frames answer for frames before the stretch began.
        first = state.heard - self.spec.lookahead_frames - self.spec.near_frames
        heard = state.heard + len(features)
        beats = [self._beat(scores, k, c, first) for k, c in self._peaks(scores) if first + k >= 0]
        return beats, state._replace(net=net, heard=heard, scores=scores[-2 * self.spec.near_frames :])

    def _peaks(self, scores: Array) -> list[tuple[int, int]]:
        """Places and sounds of the peaks among scores (2 near + n, 2), as indices into the n in the middle."""
        near = self.spec.near_frames
        least = np.log(self.spec.threshold / (1 - self.spec.threshold))
        highest = scores.max(axis=1).tolist()
        return [
            (k, int(scores[near + k].argmax()))
            for k, peak in enumerate(highest[near:-near])
            # Of equals the first: steady sound must not be a beat a frame.
            if peak > least and peak > max(highest[k : k + near]) and peak == max(highest[k : k + 2 * near + 1])
        ]

    def _beat(self, scores: Array, place: int, sound: int, first: int) -> Beat:
        at = place + self.spec.near_frames
        frame = first + place + peak_part(*scores[at - 1 : at + 2, sound])
        return Beat(float(self._front_end.middle_s(frame)), SOUNDS[sound], float(1 / (1 + np.exp(-scores[at, sound]))))


def peak_part(before: float, peak: float, after: float) -> float:
    """How far a peak lies beyond the highest of three neighbours, in steps, by a parabola through them; -0.5 to 0.5."""
    bend = before - 2 * peak + after
    return 0.5 * (before - after) / bend if np.isfinite(bend) and bend < 0 else 0.0
