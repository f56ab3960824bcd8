"""What the trace on the screen lets through: the model's own band, or those of a stethoscope's bell and diaphragm.

For the eye alone: what is analysed, logged and recorded never passes through here.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from models.frontend import FrontEndSpec
from stream.block import Samples
from stream.memory import Memory

#: Hz. The bell lets low sounds through (S3, S4, mitral stenosis), the diaphragm high ones (S2, most murmurs).
_BANDS_HZ = {"bell": (20.0, 150.0), "diaphragm": (100.0, 400.0)}
#: The filter hears so much before and after each sample.
REACH_S = 0.1


def band_hz(spec: FrontEndSpec, sound: str) -> tuple[float, float]:
    """Lower and upper edge of a sound view, one of `view.SOUNDS`; "wide" is the front end's own band."""
    low, high = _BANDS_HZ.get(sound, (spec.low_hz, spec.high_hz))
    return low, min(high, spec.rate_hz / 2)


def window(memory: Memory, end: int, samples: int, band: tuple[float, float]) -> Samples:
    """What was heard up to an index, filtered; it does not depend on which window is asked for.

    Args:
        memory: what was heard.
        end: index after the last sample; up to `REACH_S` before the memory's end the filter knows all that it needs.
        samples: how many, >= 0.
        band: lower and upper edge, Hz.

    Returns:
        (n,) float32, n <= samples: less where the stream was younger; NaN where nothing was heard.
    """
    reach = round(REACH_S * memory.rate_hz)
    begin = max(0, end - samples, memory.oldest)
    found = memory.window(begin - reach, end + reach)
    return band_pass(found, memory.rate_hz, band)[reach : len(found) - reach]


def band_pass(samples: Samples, rate_hz: int, band: tuple[float, float]) -> Samples:
    """The samples with what is outside a band taken out, without delay; (n,) float32, NaN stays where it was.

    A windowed sinc (Hann) of 0.2 s: 6 dB down at the edges, more than 40 dB from 10 Hz beyond them.
    """
    heard = np.isfinite(samples)
    if not heard.any():
        return samples
    filled = np.where(heard, samples - samples[heard].mean(dtype=np.float64), 0.0)
    size = 1 << (len(filled) + 2 * round(REACH_S * rate_hz)).bit_length()
    through = np.fft.irfft(np.fft.rfft(filled, size) * _response(size, rate_hz, band), size)[: len(filled)]
    return np.where(heard, through, np.nan).astype(np.float32)


@lru_cache(maxsize=16)
def _response(size: int, rate_hz: int, band: tuple[float, float]) -> np.ndarray:
    """Of the filter to a transform of `size` points; its middle is at index 0, so that nothing is delayed."""
    reach = round(REACH_S * rate_hz)
    at = np.arange(-reach, reach + 1)
    low, high = (2 * edge / rate_hz for edge in band)
    kernel = (high * np.sinc(high * at) - low * np.sinc(low * at)) * np.hanning(2 * reach + 3)[1:-1]
    placed = np.zeros(size)
    placed[at % size] = kernel
    return np.fft.rfft(placed)
