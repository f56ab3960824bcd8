"""The front end's band as sound: a linear-phase band-pass in blocks, its delay taken out. numpy alone."""

from __future__ import annotations

import numpy as np

from stream.block import Samples

Array = np.ndarray

_TAPS = 401  # at 2 kHz a transition of 16 Hz (3.3 / length for Hamming's window; Harris 1978)
_BLOCK = 1 << 15


def kernel(low_hz: float, high_hz: float, rate_hz: int, taps: int = _TAPS) -> Array:
    """A windowed-sinc band-pass, (taps,) float64, taps odd; symmetric, so that no sound is shifted against another."""
    n = np.arange(taps) - taps // 2
    low, high = (2 * hz / rate_hz * np.sinc(2 * hz / rate_hz * n) for hz in (low_hz, high_hz))
    return np.asarray((high - low) * np.hamming(taps))


class BandPass:
    """A contiguous stretch through the band. Sample k of what comes out belongs to sample k of what went in.

    Args:
        low_hz: lower edge, where the amplitude is halved.
        high_hz: upper edge.
        rate_hz: of the samples.
    """

    def __init__(self, low_hz: float, high_hz: float, rate_hz: int) -> None:
        self._half = _TAPS // 2
        self._fft = 2 * _BLOCK
        self._response = np.fft.rfft(kernel(low_hz, high_hz, rate_hz), self._fft)
        self._waiting = [np.zeros(self._half)]  # before the first sample nothing was heard
        self._count = self._half

    def process(self, samples: Samples) -> Samples:
        """Hear (n,) more; (k,) float32 that they complete, in bursts of some seconds."""
        self._waiting.append(samples.astype(np.float64))
        self._count += len(samples)
        return self._passed() if self._count >= _BLOCK else np.zeros(0, dtype=np.float32)

    def flush(self) -> Samples:
        """What is still held: as if silence followed."""
        self._waiting.append(np.zeros(self._half))
        return self._passed()

    def _passed(self) -> Samples:
        held = np.concatenate(self._waiting)
        step = self._fft - 2 * self._half
        out = [self._block(held[begin : begin + self._fft]) for begin in range(0, len(held), step)]
        self._waiting = [held[-2 * self._half :]]
        self._count = len(self._waiting[0])
        return np.concatenate(out).astype(np.float32)

    def _block(self, held: Array) -> Array:
        passed = np.fft.irfft(np.fft.rfft(held, self._fft) * self._response, self._fft)
        return np.asarray(passed[2 * self._half : len(held)])
