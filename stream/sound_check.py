"""What a few seconds of captured sound say of a microphone and its sound card. Pure: numbers in, numbers out.

Nothing here says whether a number is good; `device_check` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from stream.block import Block, Samples

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

SEGMENT_S = 0.5  # of a spectrum: lines 2 Hz apart, and short enough to fall between two words
#: Where a heart is heard least hindered, most, and where a room's noise is to be compared with.
BANDS_HZ = ((20.0, 60.0), (60.0, 150.0), (150.0, 400.0))
FLOOR_BAND_HZ = (25.0, 400.0)  # the front end's
FULL_SCALE = 0.999  # some converters stop a little short of 1
STILL_S = 0.02  # no converter with a microphone on it repeats itself for so long
DRIFT_WINDOW_S = 0.25  # several callbacks, of which the most punctual counts
LINE_DB = 15.0  # by chance, one bin's lower quartile stands some 5 dB above its neighbours'

_LEAST_POWER = 1e-20  # -200 dBFS stands for digital silence
_HZ = round(1 / SEGMENT_S)  # between two lines of a spectrum
_TOP_HZ = 450.0
_FLOOR_RATE_HZ = 1000
_FLOOR_FRAME = 50  # samples at that rate
_CLOCK_GRAIN_S = 0.001  # how late a punctual callback may be on a busy computer


@dataclass(frozen=True)
class Capture:
    """What was heard, and when.

    Attributes:
        samples: (n,) float32, full scale 1; what was lost is left out.
        rate_hz: at which the device was opened.
        counts: (k,) samples of the stream so far, lost ones included, at each of `at_s`; rising.
        at_s: (k,) monotonic time of the delivery that brought the last of them.
        lost_samples: lost in all.
        lost_reasons: why, one after the other; empty where nothing was lost.
    """

    samples: Samples
    rate_hz: int
    counts: Array
    at_s: Array
    lost_samples: int = 0
    lost_reasons: str = ""


@dataclass(frozen=True)
class Hum:
    """The mains in the signal.

    Attributes:
        mains_hz: 50 or 60.
        lines_hz: its multiples that stand out.
        level_dbfs: their power together.
    """

    mains_hz: int
    lines_hz: tuple[int, ...]
    level_dbfs: float


@dataclass(frozen=True)
class Sound:
    """Measures of captured sound. dBFS are over a power of 1: a full-scale sine has -3.

    Attributes:
        level_dbfs: of the whole, its offset left out.
        peak_dbfs: the largest sample.
        floor_dbfs: short-time level in `FLOOR_BAND_HZ` that is exceeded nine tenths of the time.
        clipped_share: of samples at full scale.
        offset: mean, full scale 1.
        still_share: of samples in stretches of `STILL_S` and more that repeat one value: zeros, or a stuck converter.
        hum: None where none stands out.
        bands_dbfs_hz: density of the steady noise in each of `BANDS_HZ`, dBFS per Hz.
    """

    level_dbfs: float
    peak_dbfs: float
    floor_dbfs: float
    clipped_share: float
    offset: float
    still_share: float
    hum: Hum | None
    bands_dbfs_hz: tuple[float, float, float]


@dataclass(frozen=True)
class Drift:
    """How much faster a device's clock runs than the computer's: `ppm`, give or take `within_ppm`."""

    ppm: float
    within_ppm: float


def gather(heard: Iterable[tuple[Block, float]], rate_hz: int, skip_s: float = 0.0) -> Capture:
    """A capture from blocks, each with the time of the last delivery when it was read.

    Args:
        heard: blocks in order, and monotonic times.
        rate_hz: of the blocks.
        skip_s: so much at the beginning is left out of `samples` (not of the clock's points).
    """
    pairs = list(heard)
    kept = [block.samples[max(0, round(skip_s * rate_hz) - block.start) :] for block, _ in pairs]
    return Capture(
        samples=np.concatenate([np.zeros(0, dtype=np.float32), *kept]),
        rate_hz=rate_hz,
        counts=np.array([block.start + len(block.samples) for block, _ in pairs], dtype=np.float64),
        at_s=np.array([at_s for _, at_s in pairs]),
        lost_samples=sum(block.lost for block, _ in pairs),
        lost_reasons="; ".join(dict.fromkeys(block.reason for block, _ in pairs if block.reason)),
    )


def measure(samples: Samples, rate_hz: int) -> Sound:
    """Measure sound of 1 s or longer.

    Args:
        samples: (n,) float32, full scale 1, n >= rate_hz.
        rate_hz: >= 2,000.
    """
    x = samples.astype(np.float64)
    spectra = _spectra(x, rate_hz)
    return Sound(
        level_dbfs=dbfs(float(np.var(x))),
        peak_dbfs=dbfs(float(np.max(np.abs(x))) ** 2),
        floor_dbfs=_floor_dbfs(x, rate_hz),
        clipped_share=float(np.mean(np.abs(x) >= FULL_SCALE)),
        offset=float(np.mean(x)),
        still_share=_still_share(x, rate_hz),
        hum=_hum(spectra),
        bands_dbfs_hz=_bands(spectra),
    )


def dbfs(power: float) -> float:
    """Decibels over a power of 1; -200 for nothing."""
    return float(10 * np.log10(max(power, _LEAST_POWER)))


def quantisation_dbfs_hz(rate_hz: int) -> float:
    """Density of the noise that rounding to 16 bits adds, spread evenly up to half the rate."""
    return dbfs(2.0**-30 / 12 / (rate_hz / 2))


def _spectra(x: Array, rate_hz: int) -> Array:
    """Power density (segments, bins) below 450 Hz, bin k at k / SEGMENT_S: Hann windows, half overlapping (Welch 1967).

    Each segment's mean is taken off, so that an offset does not leak into the low band.
    """
    size = round(SEGMENT_S * rate_hz)
    window = np.hanning(size + 1)[:-1]
    bins = round(_TOP_HZ * SEGMENT_S)
    segments = sliding_window_view(x, size)[:: size // 2]
    lines = np.array([np.fft.rfft((segment - segment.mean()) * window)[:bins] for segment in segments])
    return np.asarray(np.abs(lines) ** 2 * 2 / (rate_hz * np.sum(window**2)))


def _steady(spectra: Array) -> Array:
    """Density of what is always there, (bins,): each bin's lower quartile, so that a voice or a bump does not count.

    It is taken over its value for noise, whose power in a bin is distributed exponentially.
    """
    return np.asarray(np.quantile(spectra, 0.25, axis=0) / -np.log(0.75))


def _bands(spectra: Array) -> tuple[float, float, float]:
    """Medians over each band's bins: the lines of the mains do not count."""
    steady = _steady(spectra)
    low, middle, high = (
        dbfs(float(np.median(steady[round(begin / _HZ) : round(end / _HZ) + 1]))) for begin, end in BANDS_HZ
    )
    return low, middle, high


def _hum(spectra: Array) -> Hum | None:
    found = [hum for mains_hz in (50, 60) if (hum := _hum_of(spectra, mains_hz))]
    return max(found, key=lambda hum: hum.level_dbfs, default=None)


def _hum_of(spectra: Array, mains_hz: int) -> Hum | None:
    """The mains' lines that stand out; none, unless the first or second does: a rectifier doubles the frequency."""
    steady, mean = np.quantile(spectra, 0.25, axis=0), spectra.mean(axis=0)
    lines = [f for f in range(mains_hz, 401, mains_hz) if _stands_out(steady, f // _HZ)]
    if not {mains_hz, 2 * mains_hz} & set(lines):
        return None
    power = sum(float(mean[f // _HZ - 2 : f // _HZ + 3].sum()) * _HZ for f in lines)
    return Hum(mains_hz, tuple(lines), dbfs(power))


def _stands_out(steady: Array, k: int) -> bool:
    around = np.median(np.concatenate([steady[k - 8 : k - 2], steady[k + 3 : k + 9]]))
    return dbfs(float(steady[k])) > dbfs(float(around)) + LINE_DB


def _floor_dbfs(x: Array, rate_hz: int) -> float:
    """Only the band's bins go back into time, at 1 kHz; 50 ms a frame."""
    duration_s = len(x) / rate_hz
    count = round(duration_s * _FLOOR_RATE_HZ)
    bins = np.fft.rfft(x)[: count // 2 + 1]
    at_hz = np.arange(len(bins)) / duration_s
    bins[(at_hz < FLOOR_BAND_HZ[0]) | (at_hz > FLOOR_BAND_HZ[1])] = 0
    band = np.fft.irfft(bins, count) * count / len(x)
    frames = band[: count // _FLOOR_FRAME * _FLOOR_FRAME].reshape(-1, _FLOOR_FRAME)
    return dbfs(float(np.quantile(np.mean(frames**2, axis=1), 0.1)))


def _still_share(x: Array, rate_hz: int) -> float:
    ends = np.concatenate([[-1], np.flatnonzero(np.diff(x)), [len(x) - 1]])
    lengths = np.diff(ends)
    return float(lengths[lengths >= STILL_S * rate_hz].sum() / len(x))


def drift(capture: Capture) -> Drift | None:
    """The device's clock against the computer's; None where too little is known (1 s, or samples were lost).

    A delivery is late by what it waited, never early. So of every quarter second the most punctual one counts, and a
    line goes through these (slope of Theil 1950 and Sen 1968, which single late ones don't turn). How well it fits says
    how far it can be trusted: a true line may cross the band of the points from corner to corner, and twice that is
    what we say.
    """
    if capture.lost_samples or len(capture.at_s) == 0:
        return None
    late_s = capture.at_s - capture.counts / capture.rate_hz
    windows = np.floor((capture.at_s - capture.at_s[0]) / DRIFT_WINDOW_S)
    best = [_most_punctual(late_s, windows == w) for w in np.unique(windows)[:-1]]  # the last one is not whole
    if len(best) < 4:
        return None
    at_s, late = capture.at_s[best], late_s[best]
    before, after = np.triu_indices(len(best), 1)
    slope = float(np.median((late[after] - late[before]) / (at_s[after] - at_s[before])))
    low, high = np.quantile(late - slope * at_s, [0.1, 0.9])
    within = 2 * (float(high - low) + _CLOCK_GRAIN_S) / float(at_s[-1] - at_s[0])
    return Drift(-slope * 1e6, within * 1e6)


def _most_punctual(late_s: Array, chosen: np.ndarray) -> int:
    indices = np.flatnonzero(chosen)
    return int(indices[np.argmin(late_s[indices])])
