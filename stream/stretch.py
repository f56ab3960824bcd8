"""One unbroken stretch of audio: samples in, beats and decisions out. A gap ends it; the next knows nothing of it.

What is costly, and the same for every stretch, is left to `stream.engine`, which does it for many at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from models import decide, windows
from models.bundle import Bundle
from models.decide import Decision
from models.join import Joined
from models.quality import Loudness, Quality
from models.regularity import Regularity
from models.rhythm import Beat
from stream import meter
from stream.block import Samples
from stream.pulse import Pulse
from stream.resample import Resampler

Array = np.ndarray


class Moment(NamedTuple):
    """A decision that is due."""

    end: int  # frames heard by then
    status: str  # of the decision, if it is sure
    window: Array  # (k, features) float32, the newest frames
    envelopes: Array  # (m, bands), of the newest frames
    loudness: Loudness  # of the window
    regularity: Regularity | None  # of the beats told by then; None where the model hears none


class Judged(NamedTuple):
    """What is said of a moment."""

    heard: Joined
    quality: Quality


class Stretch:
    """Resampler, meter, and what is remembered of contiguous samples.

    The same beats and decisions come out, in the same order, however the samples are cut into blocks.

    Args:
        bundle: the model.
        rate_hz: of the samples.
        start: index of the first sample in the stream.
        waiting: status of windows that are not yet full: "listening", or "gap" after one.

    Attributes:
        pulse: finds the beats; None where the model hears none.
        ended: no more will come.
    """

    def __init__(self, bundle: Bundle, rate_hz: int, start: int, waiting: str) -> None:
        spec = bundle.front_end.spec
        self._bundle = bundle
        self._rate_hz = rate_hz
        self._waiting = waiting
        self._cell_samples = max(1, round(meter.CELL_S * rate_hz))
        self._keep_cells = round(2 * spec.span_samples(bundle.window.window_frames) / spec.rate_hz / meter.CELL_S)
        self._resampler = Resampler(rate_hz, spec.rate_hz, spec.resampler)
        self._meter = meter.init_state()
        self._frames = bundle.front_end.init_state()
        self._cut: list[Array] = []  # frames that wait for the engine
        self._waited = 0
        self._asks = self._next_asked(0)
        self._features = windows.no_rows(spec.features, np.float32)
        self._envelopes = windows.no_rows(bundle.envelopes(np.zeros((0, spec.features))).shape[1], np.float64)
        self._mean: Array | None = None
        self._standing: int | None = None
        self.pulse = Pulse(bundle.rhythm, start / rate_hz) if bundle.rhythm else None
        self.start = start
        self.heard_samples = 0
        self.decided = False
        self.ended = False

    def hear(self, samples: Samples) -> Samples:
        """Hear (n,) float32 more; returns them at the front end's rate."""
        self.heard_samples += len(samples)
        self._meter = meter.step(samples, self._meter, self._cell_samples)
        return self._keep(self._resampler.process(samples))

    def end(self) -> Samples:
        """No more will come: as `hear`, of what the resampler still holds.

        It may be asked again, where the model failed on what came of it.
        """
        held = np.zeros(0, dtype=np.float32) if self.ended else self._resampler.flush()
        self.ended = True
        return self._keep(held)

    @property
    def ready(self) -> bool:
        """Whether a decision or a beat may come of what waits; the engine is not asked for less."""
        return self.ended or self._features.total + self._waited >= self._asks

    def take(self) -> Array:
        """The frames (k, frame_samples) that wait for the engine, which goes on with `due`."""
        frames, self._cut = np.concatenate(self._cut), []
        self._waited = 0
        return frames

    def due(self, features: Array, envelopes: Array) -> list[Beat | Moment]:
        """Remember features (k, features) float32 and envelopes (k, bands) more: the beats and decisions they ask for.

        The pulse must have been given what was found in them. Of later frames a decision must not know, though they
        may be here already.
        """
        before = self._features.total
        self._asks = self._next_asked(before + len(features))
        self._features = windows.add(self._features, features)
        self._envelopes = windows.add(self._envelopes, envelopes)
        spec, total = self._bundle.window, self._features.total
        ends = windows.due_ends(spec, before, total)
        left = windows.left_end(spec, total) if self.ended else []
        found: list[Beat | Moment] = []
        if ends or left:
            self._features, self._envelopes = map(windows.put_together, (self._features, self._envelopes))
            for end in ends:
                found += [*self._beats(end), self._moment(end, last=False)]
            self.decided = True
        found += self._beats(total, self.ended)
        found += [self._moment(end, last=True) for end in left]
        self._forget()
        return [] if self.ended and not self.decided else found

    def smooth(self, judged: Sequence[Judged]) -> list[Array]:
        """Running means (5,) of the logits at moments that come one after the other."""
        means = []
        for each in judged:
            self._mean = decide.smoothed(self._bundle.decide, each.heard.logits, self._mean)
            means.append(self._mean)
        return means

    def tell(
        self, found: Sequence[Beat | Moment], judged: Iterator[tuple[Judged, list[float]]]
    ) -> list[Decision | Beat]:
        """What is due, decided.

        Args:
            found: from `due`.
            judged: what is said of each moment in it, and its smoothed probabilities.
        """
        return [self._decision(each, *next(judged)) if isinstance(each, Moment) else each for each in found]

    @property
    def delay_s(self) -> float:
        """How far the front end is behind the samples: the resampler gives them out in bursts of up to 0.32 s."""
        return self._resampler.delay_s

    @property
    def loudness(self) -> Loudness:
        """Of the last second."""
        return meter.loudness(self._meter, self._meter.total - round(1 / meter.CELL_S), self._meter.total)

    def _keep(self, resampled: Samples) -> Samples:
        frames, self._frames = self._bundle.front_end.cut(resampled, self._frames)
        self._cut.append(frames)
        self._waited += len(frames)
        return resampled

    def _next_asked(self, frames: int) -> int:
        """The frame count above `frames` at which something may be told: a decision, or a block's beats."""
        due = windows.next_due(self._bundle.window, frames)
        if not self._bundle.rhythm:
            return due
        block = self._bundle.rhythm.spec.block_frames
        return min(due, frames - frames % block + block)

    def _beats(self, frames: int, ended: bool = False) -> list[Beat]:
        return self.pulse.until(frames, ended) if self.pulse else []

    def _moment(self, end: int, last: bool) -> Moment:
        window = windows.cut(self._features, end, self._bundle.window.window_frames)
        return Moment(
            end=end,
            status=self._status(end, last),
            window=window,
            envelopes=windows.cut(self._envelopes, end, self._bundle.envelope_frames),
            loudness=self._loudness(end, len(window)),
            regularity=self.pulse.regularity if self.pulse else None,
        )

    def _forget(self) -> None:
        """What no later decision hears."""
        self._meter = meter.trim(self._meter, self._keep_cells)
        if not self._features.fresh:
            self._features = windows.trim(self._features, self._bundle.window.window_frames)
            self._envelopes = windows.trim(self._envelopes, self._bundle.envelope_frames)

    def _decision(self, moment: Moment, judged: Judged, probabilities: list[float]) -> Decision:
        spec, rules = self._bundle.front_end.spec, self._bundle.decide
        self._standing, answer = decide.settle(rules, probabilities, self._standing)
        window = decide.Window(
            t_s=self.start / self._rate_hz + spec.span_samples(moment.end) / spec.rate_hz,
            window_s=spec.span_samples(len(moment.window)) / spec.rate_hz,
            status=moment.status,
            regularity=moment.regularity,
        )
        return decide.worded(rules, window, judged.heard, judged.quality, probabilities, answer)

    def _status(self, end: int, last: bool) -> str:
        enough = self._bundle.window.first_frames if last else self._bundle.window.window_frames
        return "ok" if end >= enough else self._waiting

    def _loudness(self, end: int, frames: int) -> Loudness:
        spec = self._bundle.front_end.spec
        cell_s = self._cell_samples / self._rate_hz
        end_s, length_s = (spec.span_samples(n) / spec.rate_hz for n in (end, frames))
        return meter.loudness(self._meter, int((end_s - length_s) / cell_s), int(end_s / cell_s))
