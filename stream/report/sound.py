"""A recording as a page can hold it: extremes and spectrum by column, and some seconds as they are. In one pass.

Memory is bounded however long the recording is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.frontend import FrontEndSpec
from stream.block import Samples
from stream.report import spectrum as spectra
from stream.report.band import BandPass
from stream.report.recording import Recording
from stream.report.spectrum import Spectrogram, Spectrum
from stream.resample import Resampler

Array = np.ndarray

COLUMNS = 1000


class Window(NamedTuple):
    """Some seconds to be shown large."""

    start_s: float
    end_s: float


class Extremes(NamedTuple):
    """Smallest and largest sample of each column; NaN where nothing was recorded."""

    low: Array
    high: Array


class Cut(NamedTuple):
    """A window's sound: (n,) float32 in the band at `rate_hz`, NaN where nothing was recorded."""

    window: Window
    samples: Samples
    rate_hz: int


@dataclass(frozen=True)
class Sound:
    """What is drawn of a recording.

    Attributes:
        names: of its files.
        span_s: what the columns cover.
        end_s: where the recording ends.
        band_hz: the filter, lower and upper edge.
        low: (columns,) smallest sample of each column; NaN where nothing was recorded.
        high: (columns,) largest.
        spectrogram: of the whole.
        fine: extremes in the columns asked for.
        cuts: of the windows asked for.
    """

    names: tuple[str, ...]
    span_s: float
    end_s: float
    band_hz: tuple[float, float]
    low: Array
    high: Array
    spectrogram: Spectrogram
    fine: Extremes
    cuts: tuple[Cut, ...]


def listen(
    recording: Recording, spec: FrontEndSpec, span_s: float, windows: Sequence[Window], fine_s: float, fine_columns: int
) -> Sound:
    """Go through a recording once.

    Args:
        recording: the files.
        spec: of the front end, whose band and rate are drawn.
        span_s: the session's length, > 0.
        windows: what to keep as it is.
        fine_s: what the fine columns cover.
        fine_columns: how many there are, 0 or more.

    Raises:
        InputFileError: a file can't be read any further.
    """
    rate_hz = spec.rate_hz
    envelope = _Envelope(span_s, rate_hz, max(1, min(COLUMNS, math.floor(span_s * rate_hz))))
    fine = _Envelope(fine_s, rate_hz, fine_columns)
    spectrum = Spectrum(span_s, rate_hz, COLUMNS)
    cuts = [_empty(window, rate_hz) for window in windows]
    end = 0
    for start, samples in _filtered(recording, spec):
        end = start + len(samples)
        envelope.add(start, samples)
        fine.add(start, samples)
        spectrum.add(start, samples)
        for cut in cuts:
            _fill(cut, start, samples)
    return Sound(
        names=recording.names,
        span_s=span_s,
        end_s=end / rate_hz,
        band_hz=(spec.low_hz, spec.high_hz),
        low=envelope.low,
        high=envelope.high,
        spectrogram=spectrum.result((spec.low_hz, spec.high_hz)),
        fine=Extremes(fine.low, fine.high),
        cuts=tuple(cuts),
    )


def of_cut(cut: Cut, band_hz: tuple[float, float]) -> Spectrogram:
    """The spectrogram of some seconds, a column every 10 ms."""
    return spectra.of_samples(cut.samples, cut.rate_hz, band_hz)


def _filtered(recording: Recording, spec: FrontEndSpec) -> Iterator[tuple[int, Samples]]:
    """Contiguous pieces at the front end's rate with the index of their first sample, in its band."""
    stage: _Stretch | None = None
    at = 0
    for block in recording.blocks():
        if stage is None or block.start != at:
            if stage:
                yield from stage.end()
            stage = _Stretch(spec, block.rate_hz, block.start)
        yield from stage.hear(block.samples)
        at = block.start + len(block.samples)
    if stage:
        yield from stage.end()


class _Stretch:
    """Resampler and band-pass between two gaps."""

    def __init__(self, spec: FrontEndSpec, rate_hz: int, start: int) -> None:
        self._resampler = Resampler(rate_hz, spec.rate_hz, spec.resampler)
        self._band = BandPass(spec.low_hz, spec.high_hz, spec.rate_hz)
        self._at = round(start / rate_hz * spec.rate_hz)

    def hear(self, samples: Samples) -> Iterator[tuple[int, Samples]]:
        yield from self._placed(self._band.process(self._resampler.process(samples)))

    def end(self) -> Iterator[tuple[int, Samples]]:
        yield from self._placed(self._band.process(self._resampler.flush()))
        yield from self._placed(self._band.flush())

    def _placed(self, samples: Samples) -> Iterator[tuple[int, Samples]]:
        if len(samples):
            yield self._at, samples
            self._at += len(samples)


class _Envelope:
    """Extremes of columns."""

    def __init__(self, span_s: float, rate_hz: int, columns: int) -> None:
        self._columns = columns
        self._samples = max(1.0, span_s * rate_hz / max(1, columns))  # a column's
        self.low = np.full(columns, np.nan)
        self.high = np.full(columns, np.nan)

    def add(self, start: int, samples: Samples) -> None:
        if not self._columns:
            return
        column = np.minimum((start + np.arange(len(samples))) / self._samples, self._columns - 1).astype(np.int64)
        starts = np.flatnonzero(np.diff(column, prepend=-1))
        at = column[starts]
        self.low[at] = np.fmin(self.low[at], np.minimum.reduceat(samples, starts))
        self.high[at] = np.fmax(self.high[at], np.maximum.reduceat(samples, starts))


def _empty(window: Window, rate_hz: int) -> Cut:
    n = max(1, round((window.end_s - window.start_s) * rate_hz))
    return Cut(window, np.full(n, np.nan, dtype=np.float32), rate_hz)


def _fill(cut: Cut, start: int, samples: Samples) -> None:
    begin = round(cut.window.start_s * cut.rate_hz)
    first, last = max(begin, start), min(begin + len(cut.samples), start + len(samples))
    if first < last:
        cut.samples[first - begin : last - begin] = samples[first - start : last - start]
