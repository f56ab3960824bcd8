"""One unbroken stretch of audio: samples in, beats and decisions out. A gap ends it; the next knows nothing of it."""

from __future__ import annotations

import numpy as np

from models import decide, quality, windows
from models.bundle import Bundle
from models.decide import Decision
from models.quality import Loudness
from models.rhythm import Beat
from stream import meter
from stream.block import Samples
from stream.pulse import Pulse
from stream.resample import Resampler

Array = np.ndarray


class Stretch:
    """Resampler, front end, rhythm, windows, network and decisions over contiguous samples.

    The same beats and decisions come out, in the same order, however the samples are cut into blocks.

    Args:
        bundle: the model.
        rate_hz: of the samples.
        start: index of the first sample in the stream.
        waiting: status of windows that are not yet full: "listening", or "gap" after one.
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
        self._windows = windows.init_state(spec.features)
        self._pulse = Pulse(bundle.rhythm, start / rate_hz) if bundle.rhythm else None
        self._decide = decide.init_state()
        self.start = start
        self.heard_samples = 0
        self.decided = False

    def hear(self, samples: Samples) -> tuple[Samples, list[Decision | Beat]]:
        """Hear (n,) float32 more; returns them at the front end's rate, and the beats and decisions they complete."""
        self.heard_samples += len(samples)
        self._meter = meter.step(samples, self._meter, self._cell_samples)
        resampled = self._resampler.process(samples)
        told = self._advance(resampled)
        self._meter = meter.trim(self._meter, self._keep_cells)
        return resampled, told

    def end(self) -> tuple[Samples, list[Decision | Beat]]:
        """No more will come: as `hear`, with the last beats and decision, unless there is too little for any."""
        resampled = self._resampler.flush()
        told = self._advance(resampled)
        left = self._left()
        if self._pulse and (self.decided or left):
            told += self._pulse.end()
        return resampled, told + [self._decision(end, recent, last=True) for end, recent in left]

    @property
    def delay_s(self) -> float:
        """How far the front end is behind the samples: the resampler gives them out in bursts of up to 0.32 s."""
        return self._resampler.delay_s

    @property
    def loudness(self) -> Loudness:
        """Of the last second."""
        return meter.loudness(self._meter, self._meter.total - round(1 / meter.CELL_S), self._meter.total)

    def _advance(self, resampled: Samples) -> list[Decision | Beat]:
        features, self._frames = self._bundle.front_end.step(resampled, self._frames)
        spec, before = self._bundle.window, self._windows.frames
        due, self._windows = windows.step(spec, features, self._windows, self._bundle.recent_frames)
        told: list[Decision | Beat] = []
        begin = 0
        for end, recent in due:
            # Of later frames a decision must not know, though they may be here already.
            told += self._beats(features[begin : end - before])
            told.append(self._decision(end, recent, last=False))
            begin = end - before
        return told + self._beats(features[begin:])

    def _beats(self, features: Array) -> list[Decision | Beat]:
        return [*self._pulse.hear(features)] if self._pulse else []

    def _left(self) -> list[tuple[int, Array]]:
        """The last window, where it is still to be decided: anew where it was not full, for now it speaks for all."""
        spec, heard = self._bundle.window, self._windows
        if spec.first_frames <= heard.frames < spec.window_frames:
            return [(heard.frames, heard.tail)]
        return windows.flush(spec, heard)

    def _decision(self, end: int, recent: Array, last: bool) -> Decision:
        """Decide on the window that ends after `end` frames; `recent` holds the newest of them."""
        bundle, spec = self._bundle, self._bundle.front_end.spec
        cut = recent[-bundle.window.window_frames :]
        regularity = self._pulse.regularity if self._pulse else None
        window = decide.Window(
            t_s=self.start / self._rate_hz + spec.span_samples(end) / spec.rate_hz,
            window_s=spec.span_samples(len(cut)) / spec.rate_hz,
            status=self._status(end, last),
            regularity=regularity,
        )
        logs = bundle.front_end.log_energies(cut)
        judged = quality.assess(spec, logs, self._loudness(end, len(cut)), bundle.quality)
        heard = bundle.hear(recent, len(regularity.premature) if regularity else 0)
        made, self._decide = decide.decision(bundle.decide, window, heard, judged, self._decide)
        self.decided = True
        return made

    def _status(self, end: int, last: bool) -> str:
        enough = self._bundle.window.first_frames if last else self._bundle.window.window_frames
        return "ok" if end >= enough else self._waiting

    def _loudness(self, end: int, frames: int) -> Loudness:
        spec = self._bundle.front_end.spec
        cell_s = self._cell_samples / self._rate_hz
        end_s, length_s = (spec.span_samples(n) / spec.rate_hz for n in (end, frames))
        return meter.loudness(self._meter, int((end_s - length_s) / cell_s), int(end_s / cell_s))
