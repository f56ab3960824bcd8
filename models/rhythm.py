"""S1 and S2 of a stream, one by one: the front end's frames in, beats out. Causal, late by a bounded delay.

A small recurrent network (`models.nets.BeatNet`, run by ONNX Runtime) says of every frame how likely S1 or S2 began
there; a beat is a peak of that which nothing near it exceeds. Published segmenters decode such probabilities with a
hidden semi-Markov model of the durations (Schmidt et al. 2010; Springer et al. 2016). Ours does not: the network has
learned the durations, and such a decoder added nothing that could be measured (`docs/decisions.md`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from models.frontend import FrontEndSpec

Array = np.ndarray
SOUNDS = ("S1", "S2")
_MOST_FRAMES = 1000
#: Streams whose blocks the network hears in one call; with more of them none gets cheaper.
MOST_TOGETHER = 64


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
        """One block each of some streams.

        Features (streams, time, features) and states (streams, state_size), both float32 -> logits (streams, time, 2)
        of S1 and S2, and the next states. What a stream is told does not depend on the others.
        """


class Beat(NamedTuple):
    """One heart sound."""

    t_s: float  # its onset, from the first sample of the stretch; in a stream's events, of the stream
    sound: str  # "S1" or "S2"
    confidence: float  # probability of an onset there, as the network sees it; 0 to 1


class Told(NamedTuple):
    """What became known with a block."""

    frames: int  # heard in all, once the block was
    beats: list[Beat]  # in the order of their onsets


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
        """Hear some frames of one stream.

        Args:
            features: (k, features), k >= 0.
            state: from `init_state` or the previous call.

        Returns:
            Beats in the order of their onsets, none of which is ever taken back, and the next state.
        """
        [(told, following)] = self.steps([features], [state], [False])
        return _beats(told), following

    def flush(self, state: RhythmState) -> list[Beat]:
        """No more will come: the beats that still waited for frames."""
        [(told, _)] = self.steps([state.last[:0]], [state], [True])
        return _beats(told)

    def steps(
        self, features: Sequence[Array], states: Sequence[RhythmState], ended: Sequence[bool]
    ) -> list[tuple[list[Told], RhythmState]]:
        """Hear some frames of several streams; each as `step` by itself, to the bit.

        Args:
            features: (k, features) of each, k >= 0.
            states: of each.
            ended: of each, whether no more will come; then what still waited for frames is told too, and the state is
                of no more use.
        """
        size = self.spec.block_frames
        waiting = [self._waiting(*each) for each in zip(features, states, ended, strict=True)]
        told: list[list[Told]] = [[] for _ in states]
        now = list(states)
        for begin in range(0, max(map(len, waiting), default=0) - size + 1, size):
            due = [k for k, heard in enumerate(waiting) if len(heard) >= begin + size]
            for first in range(0, len(due), MOST_TOGETHER):
                chosen = due[first : first + MOST_TOGETHER]
                blocks = np.array([waiting[k][begin : begin + size] for k in chosen], dtype=np.float32)
                answers = self.net(blocks, np.array([now[k].net for k in chosen]))
                for k, logits, net in zip(chosen, *answers, strict=True):
                    beats, now[k] = self._block(logits, net, now[k])
                    told[k].append(Told(now[k].heard, beats))
        for k, heard in enumerate(waiting):
            if ended[k]:
                self._leave_out(told[k], states[k].heard + len(states[k].waiting) + len(features[k]))
            last = heard[-1:] if len(heard) else now[k].last
            now[k] = now[k]._replace(waiting=heard[len(heard) - len(heard) % size :], last=last)
        return list(zip(told, now, strict=True))

    def known_s(self, frames: int, ended: bool = False) -> float:
        """Up to where all beats are told once so many frames were heard: none with an earlier onset will follow.

        Where no more will come, that is the end.
        """
        if ended:
            return self._front_end.middle_s(frames)
        heard = frames - frames % self.spec.block_frames
        return self._front_end.middle_s(max(0, heard - self.spec.lookahead_frames - self.spec.near_frames) - 0.5)

    def _waiting(self, features: Array, state: RhythmState, ended: bool) -> Array:
        """Frames that the network is to hear; where no more will come, the last one stands in for them."""
        heard = np.concatenate([state.waiting, features])
        if not ended:
            return heard
        last = heard[-1:] if len(heard) else state.last
        return np.concatenate([heard, np.repeat(last, self.spec.delay_frames, axis=0)])

    def _leave_out(self, told: list[Told], frames: int) -> None:
        """An onset may lie half a frame before the middle of its own; those of frames never heard are none."""
        end_s = self._front_end.middle_s(frames - 0.5)
        told[:] = [Told(at, [beat for beat in beats if beat.t_s <= end_s]) for at, beats in told]

    def _block(self, logits: Array, net: Array, state: RhythmState) -> tuple[list[Beat], RhythmState]:
        scores = np.concatenate([state.scores, logits])
        # The first frames answer for frames before the stretch began.
        first = state.heard - self.spec.lookahead_frames - self.spec.near_frames
        heard = state.heard + len(logits)
        beats = [self._beat(scores, k, c, first) for k, c in self._peaks(scores) if first + k >= 0]
        return beats, state._replace(net=net, heard=heard, scores=scores[-2 * self.spec.near_frames :])

    def _peaks(self, scores: Array) -> list[tuple[int, int]]:
        """Places and sounds of the peaks among scores (2 near + n, 2), as indices into the n in the middle."""
        near = self.spec.near_frames
        least = math.log(self.spec.threshold / (1 - self.spec.threshold))
        highest = np.maximum(scores[:, 0], scores[:, 1]).tolist()
        return [
            (k, int(scores[near + k, 1] > scores[near + k, 0]))
            for k, peak in enumerate(highest[near:-near])
            # Of equals the first: steady sound must not be a beat a frame.
            if peak > least and peak > max(highest[k : k + near]) and peak == max(highest[k : k + 2 * near + 1])
        ]

    def _beat(self, scores: Array, place: int, sound: int, first: int) -> Beat:
        at = place + self.spec.near_frames
        around = scores[at - 1 : at + 2, sound].tolist()
        frame = first + place + peak_part(*around)
        return Beat(self._front_end.middle_s(frame), SOUNDS[sound], 1 / (1 + math.exp(-around[1])))


def _beats(told: list[Told]) -> list[Beat]:
    return [beat for block in told for beat in block.beats]


def peak_part(before: float, peak: float, after: float) -> float:
    """How far a peak lies beyond the highest of three neighbours, in steps, by a parabola through them; -0.5 to 0.5."""
    bend = before - 2 * peak + after
    return 0.5 * (before - after) / bend if math.isfinite(bend) and bend < 0 else 0.0
