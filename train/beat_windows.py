"""What a step of learning S1 and S2 sees: windows of annotated recordings, changed at random, and their targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from train.augment import add_floor, mix, smooth_curve, stretch
from train.config import Config
from train.table import Features
from train.timings import DIASTOLE, NO_STATE, ONSETS, SYSTOLE, Timed, in_frames, states_of

Array = np.ndarray
#: A cut holds at least so much that is annotated, where the recording has it; of the window made of it a little less.
_LEAST_KNOWN_FRAMES = 75
_UNEVEN_SHARE = 0.3
_EARLY_SHARE = 0.3


class BeatBatch(NamedTuple):
    """One training step's windows."""

    features: Array  # (batch, time, features) float32
    onsets: Array  # (batch, time, 2) float32, bells of height 1 at S1's and S2's onset
    phase: Array  # (batch, time) int64: 0 no heart, 1 from S1 to S2, 2 from S2 to S1; -1 unknown


class BeatWindow(NamedTuple):
    """A stretch of one recording."""

    features: Array  # (frames, features)
    segments: Array  # (n, 3) begin and end in frames (a frame's number stands for its middle), and state


class BeatSampler:
    """Draws windows: annotated recordings and places at random, everyday noise between them.

    Args:
        config: the whole configuration.
        table: features of annotated recordings.
        indices: those to learn from.
        noises: features of everyday noise; may hold none.
    """

    def __init__(self, config: Config, table: Features[Timed], indices: Sequence[int], noises: Sequence[Array]) -> None:
        self._config = config
        self._table = table
        self._indices = list(indices)
        self._noises = [noise for noise in noises if len(noise)]

    def batch(self, rng: np.random.Generator) -> BeatBatch:
        """A batch of windows; the targets are late by the network's lookahead."""
        spec, late = self._config.beat_fit, self._config.rhythm.lookahead_frames
        size, time = spec.batch, spec.window_frames
        features = np.zeros((size, time, self._table.values.shape[1]), dtype=np.float32)
        onsets = np.zeros((size, time, len(ONSETS)), dtype=np.float32)
        phase = np.full((size, time), -1, dtype=np.int64)
        for row in range(size):
            window = self._window(rng)
            n = len(window.features)
            features[row, :n] = window.features
            onsets[row, late:n] = self._onsets(window, n)[: max(0, n - late)]
            phase[row, late:n] = self._phase(window, n)[: max(0, n - late)]
        return BeatBatch(features, onsets, phase)

    def _window(self, rng: np.random.Generator) -> BeatWindow:
        spec, frames = self._config.beat_augment, self._config.beat_fit.window_frames
        if self._noises and rng.random() < spec.alone_share:
            noise = self._noises[rng.integers(len(self._noises))]
            heard = noise[(rng.integers(len(noise)) + np.arange(frames)) % len(noise)]
            return BeatWindow(heard + smooth_curve(heard.shape[1], spec.filter_sd, rng), np.zeros((0, 3)))
        uneven = rng.random() < spec.irregular_share
        # Children's hearts are fast already: an early beat at twice that rate would be no heart's.
        factor = float(spec.stretch ** rng.uniform(0 if uneven else -1, 1))
        window = self._cut(round(1.3 * frames / factor), rng)
        if uneven:
            window = irregular(window, rng)
        window = _stretched(window, factor)
        return BeatWindow(self._disturbed(window.features[:frames], rng), window.segments)

    def _cut(self, wanted: int, rng: np.random.Generator) -> BeatWindow:
        """A stretch of a random recording, where there is something to learn from."""
        index = self._indices[rng.integers(len(self._indices))]
        whole, segments = self._table.features(index), self._table.recordings[index].segments
        segments = in_frames(self._config.front_end, segments)
        wanted = min(wanted, len(whole))
        first = max(0, int(segments[0, 0]) - wanted + _LEAST_KNOWN_FRAMES)
        last = min(len(whole) - wanted, int(segments[-1, 1]) - _LEAST_KNOWN_FRAMES)
        start = int(rng.integers(first, last + 1)) if last > first else int(rng.integers(len(whole) - wanted + 1))
        segments[:, :2] -= start
        return BeatWindow(whole[start : start + wanted], segments)

    def _disturbed(self, x: Array, rng: np.random.Generator) -> Array:
        spec = self._config.beat_augment
        x = x + smooth_curve(x.shape[1], spec.filter_sd, rng)
        if self._noises and rng.random() < spec.noise_share:
            x = mix(x, self._noises[rng.integers(len(self._noises))], rng.uniform(*spec.noise_snr_db), rng)
        if rng.random() < spec.floor_share:
            x = add_floor(x, spec.filter_sd, rng)
        return x

    def _onsets(self, window: BeatWindow, frames: int) -> Array:
        """(frames, 2) bells around each onset."""
        width = self._config.beat_fit.onset_s * self._config.front_end.rate_hz / self._config.front_end.hop_samples
        places = [window.segments[window.segments[:, 2] == state, 0] for state in ONSETS.values()]
        away = [
            np.abs(np.arange(frames)[:, None] - at).min(axis=1, initial=np.inf) if len(at) else np.full(frames, np.inf)
            for at in places
        ]
        return np.exp(-0.5 * (np.stack(away, axis=1) / width) ** 2)

    def _phase(self, window: BeatWindow, frames: int) -> Array:
        """(frames,) as in `BeatBatch`; a window without annotations holds no heart."""
        if not len(window.segments):
            return np.zeros(frames, dtype=np.int64)
        states = states_of(window.segments, frames)
        return np.where(states == NO_STATE, -1, np.where(states < SYSTOLE, 1, 2))


def irregular(window: BeatWindow, rng: np.random.Generator) -> BeatWindow:
    """The same beats, otherwise spaced: CirCor's children hardly ever have a premature beat, and others do.

    Only diastoles change, as in a heart. Either all at random, as in atrial fibrillation, or as in `early_beats`.
    """
    if rng.random() >= _UNEVEN_SHARE:
        return early_beats(window, rng)
    rests = _rests(window)
    return _with_rests(window, rests, np.exp(rng.normal(0, 0.35, len(rests))))


def early_beats(window: BeatWindow, rng: np.random.Generator) -> BeatWindow:
    """Some diastoles are cut short and the next ones lengthened, as by extrasystoles and their pauses."""
    rests = _rests(window)
    factors = np.ones(len(rests))
    for k in np.flatnonzero(rng.random(len(rests)) < _EARLY_SHARE):
        factors[k], factors[k + 1 : k + 2] = rng.uniform(0.05, 0.6), rng.uniform(1, 2.2)
    return _with_rests(window, rests, factors)


def _rests(window: BeatWindow) -> Array:
    """(n, 3) the diastoles that are heard whole."""
    rests = window.segments[window.segments[:, 2] == DIASTOLE]
    return np.asarray(rests[(rests[:, 0] >= 0) & (rests[:, 1] <= len(window.features) - 1)])


def _with_rests(window: BeatWindow, rests: Array, factors: Array) -> BeatWindow:
    places = _respaced(len(window.features), rests, factors)
    moved = window.segments.copy()
    moved[:, :2] = _moved(places, moved[:, :2])
    return BeatWindow(window.features[places], moved)


def _respaced(frames: int, rests: Array, factors: Array) -> Array:
    """Which frame to play when, ascending: each rest (n, 2 or more) in frames lasts so many times as long."""
    played, position = [], 0
    for (begin, end), factor in zip(rests[:, :2], factors, strict=True):
        first, after = int(np.ceil(begin)), int(end)
        if after > first >= position:
            count = max(1, round((after - first) * factor))
            played += [np.arange(position, first), np.round(np.linspace(first, after - 1, count)).astype(int)]
            position = after
    return np.concatenate([*played, np.arange(position, frames)])


def _moved(places: Array, at: Array) -> Array:
    """When a frame, with fraction, is played; frames before the first and after the last move with them."""
    at_end = len(places) - 1
    found = np.searchsorted(places, np.floor(at)).clip(0, at_end)
    return np.asarray(found + (at - places[found]))


def _stretched(window: BeatWindow, factor: float) -> BeatWindow:
    features = stretch(window.features, factor)
    segments = window.segments.copy()
    segments[:, :2] *= (len(features) - 1) / (len(window.features) - 1)
    return BeatWindow(features, segments)
