"""Spectrograms: power by column of time and by frequency."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from stream.block import Samples

Array = np.ndarray

_FRAME, _LONG_HOP, _SHORT_HOP = 256, 128, 20  # at 2 kHz: 128 ms, 64 ms, 10 ms
_CUT_FRAME = 128
_LEAST_POWER = 1e-20


class Spectrogram(NamedTuple):
    """Power in dB relative to full scale, (bins, columns), lowest frequency first; NaN where nothing was recorded."""

    db: Array
    low_hz: float
    high_hz: float


def of_samples(samples: Samples, rate_hz: int, band_hz: tuple[float, float]) -> Spectrogram:
    """Of some seconds, (n,), a column every 10 ms at 2 kHz; NaN where nothing was recorded."""
    power, bins_hz = _power(np.pad(samples, _CUT_FRAME // 2), _CUT_FRAME, _SHORT_HOP, rate_hz)
    return _in_band(_decibels(power), bins_hz, band_hz)


class Spectrum:
    """Mean power of each column and frequency, as the sound comes in.

    Args:
        span_s: what the columns cover.
        rate_hz: of the samples.
        most_columns: fewer where the span is short.
    """

    def __init__(self, span_s: float, rate_hz: int, most_columns: int) -> None:
        self._rate_hz = rate_hz
        self._span_samples = max(1.0, span_s * rate_hz)
        self._hop = int(np.clip(self._span_samples // most_columns, _SHORT_HOP, _LONG_HOP))
        self._columns = max(1, min(most_columns, math.floor(self._span_samples / self._hop)))
        self._power = np.zeros((self._columns, _FRAME // 2 + 1))
        self._counts = np.zeros(self._columns)
        self._tail: Samples = np.zeros(0, dtype=np.float32)
        self._at = -1  # index after the tail

    def add(self, start: int, samples: Samples) -> None:
        """Hear the samples from an index on; what was passed over is a gap."""
        if start != self._at:  # what follows a gap: half a frame of silence, so that the edges are drawn too
            self._end()
            self._tail = np.zeros(_FRAME // 2, dtype=np.float32)
        self._hear(start - len(self._tail), np.concatenate([self._tail, samples]))
        self._at = start + len(samples)

    def _end(self) -> None:
        if len(self._tail):
            self._hear(self._at - len(self._tail), np.pad(self._tail, (0, _FRAME // 2)))

    def _hear(self, begin: int, held: Samples) -> None:
        power, _ = _power(held, _FRAME, self._hop, self._rate_hz)
        middle = begin + _FRAME // 2 + self._hop * np.arange(len(power))
        column = np.clip(middle * self._columns / self._span_samples, 0, self._columns - 1).astype(np.int64)
        np.add.at(self._power, column, power)
        np.add.at(self._counts, column, 1)
        self._tail = held[self._hop * len(power) :]

    def result(self, band_hz: tuple[float, float]) -> Spectrogram:
        """What was heard, in a band."""
        self._end()
        mean = self._power.T / np.where(self._counts, self._counts, np.nan)
        bins_hz = np.arange(_FRAME // 2 + 1) * self._rate_hz / _FRAME
        return _in_band(_decibels(mean.T), bins_hz, band_hz)


def _power(samples: Array, frame: int, hop: int, rate_hz: int) -> tuple[Array, Array]:
    """Power of each frame and bin (frames, bins), a full-scale sine being 0.5; and the bins' frequencies in Hz."""
    bins_hz = np.arange(frame // 2 + 1) * rate_hz / frame
    if len(samples) < frame:
        return np.zeros((0, len(bins_hz))), bins_hz
    window = np.hanning(frame)
    spectra = np.fft.rfft(sliding_window_view(samples, frame)[::hop] * window, axis=1)
    return np.asarray(2 * np.abs(spectra) ** 2 / window.sum() ** 2), bins_hz


def _decibels(power: Array) -> Array:
    return np.asarray(10 * np.log10(np.maximum(power, _LEAST_POWER))).T


def _in_band(db: Array, bins_hz: Array, band_hz: tuple[float, float]) -> Spectrogram:
    inside = np.flatnonzero((bins_hz >= band_hz[0]) & (bins_hz <= band_hz[1]))
    half_hz = bins_hz[1] / 2
    return Spectrogram(db[inside], float(bins_hz[inside[0]] - half_hz), float(bins_hz[inside[-1]] + half_hz))
