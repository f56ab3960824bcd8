"""Log mel energies (or cepstra) of a stream: one implementation for training, evaluation and listening.

python_speech_features defines the features; `train.filterbank` builds its matrices once, the bundle carries them, and
this module applies them with numpy alone.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

Array = np.ndarray

RESAMPLERS = ("QQ", "LQ", "MQ", "HQ", "VHQ")
#: FFT bins a second; the default takes 51,200.
_MOST_BINS_HZ = 4_000_000
#: Frames that are worked on together: as many as stay in the processor's cache.
_AT_A_TIME = 256
#: Of a matrix' entries: a mel filter's are 1 at most, liftering multiplies by ten or so.
_LARGEST = 1e6


@dataclass(frozen=True)
class FrontEndSpec:
    """What audio passes through before the network. Part of the bundle.

    Attributes:
        rate_hz: rate the audio is resampled to.
        resampler: kernel of the resampler, as soxr names it.
        low_hz: lower edge of the lowest mel band.
        high_hz: upper edge of the highest mel band.
        frame_samples: length of a frame at `rate_hz`.
        hop_samples: distance between frames at `rate_hz`.
        fft_samples: length of the zero-padded transform; large enough that no mel band comes out empty.
        bands: mel bands.
        pre_emphasis: coefficient of x[n] - c x[n-1]; 0 for none.
        centred: whether each frame's mean is taken off, so that a DC offset does not leak into the lowest bands
            (python_speech_features has no such step: it equals its features of each frame by itself, mean taken off).
        floor: natural logarithm below which an energy counts as silence.
        cepstra: cepstral coefficients (DCT-II, orthonormal, liftered) instead of log energies; 0 for log energies.
        lifter: cepstral lifter length, 0 for none.
    """

    rate_hz: int = 2000
    resampler: str = "HQ"
    low_hz: float = 25.0
    high_hz: float = 400.0
    frame_samples: int = 100
    hop_samples: int = 40
    fft_samples: int = 1024
    bands: int = 32
    pre_emphasis: float = 0.0
    centred: bool = True
    floor: float = -23.0
    cepstra: int = 0
    lifter: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.low_hz < self.high_hz <= self.rate_hz / 2:
            raise ValueError(f"the band {self.low_hz}-{self.high_hz} Hz does not fit below {self.rate_hz / 2} Hz")
        if not 0 < self.hop_samples <= self.frame_samples <= self.fft_samples:
            raise ValueError("hop_samples <= frame_samples <= fft_samples must hold, all above 0")
        if not 0 <= self.cepstra <= self.bands:
            raise ValueError(f"cepstra must be between 0 and bands ({self.bands}), not {self.cepstra}")
        if self.resampler not in RESAMPLERS:
            raise ValueError(f"resampler must be one of {', '.join(RESAMPLERS)}, not {self.resampler!r:.20}")
        if not (abs(self.floor) <= 100 and abs(self.pre_emphasis) <= 1 and self.bands <= 256):
            raise ValueError("floor must be in [-100, 100], pre_emphasis in [-1, 1], bands 256 at most")
        if self.rate_hz > 48_000 or self.fft_samples * self.rate_hz > _MOST_BINS_HZ * self.hop_samples:
            raise ValueError("rate_hz must be 48000 at most, and fft_samples / hop_samples far smaller")

    @property
    def features(self) -> int:
        """Values per frame."""
        return self.cepstra or self.bands

    @property
    def hop_s(self) -> float:
        """Seconds from one frame to the next."""
        return self.hop_samples / self.rate_hz

    def middle_s(self, frame: float) -> float:
        """The middle of a frame, whose number may have a fraction, in seconds from the first sample."""
        return (frame * self.hop_samples + self.frame_samples / 2) / self.rate_hz

    def span_samples(self, frames: int) -> int:
        """Samples at `rate_hz` that so many frames cover; 0 for none."""
        return (frames - 1) * self.hop_samples + self.frame_samples if frames else 0

    def frames_in(self, samples: int) -> int:
        """Whole frames in so many samples at `rate_hz`."""
        return max(0, 1 + (samples - self.frame_samples) // self.hop_samples)


class Matrices(NamedTuple):
    """The linear maps of python_speech_features."""

    bank: Array  # (bands, fft_samples // 2 + 1) float64, mel filters
    cepstral: Array  # (cepstra, bands) float64, liftered DCT; zero rows where the spec asks for log energies


class FrameState(NamedTuple):
    """What the front end carries from block to block."""

    previous: float  # last sample heard, for pre-emphasis
    tail: Array  # (n,) float64, pre-emphasised samples not yet in a whole frame


class FrontEnd:
    """Features of a stream, frame by frame.

    Args:
        spec: what to compute.
        matrices: from `train.filterbank.build` or a bundle.

    Raises:
        ValueError: matrices whose shape does not fit the spec, or of numbers beyond use, or a mel band without a single
            FFT bin.
    """

    def __init__(self, spec: FrontEndSpec, matrices: Matrices) -> None:
        bins = spec.fft_samples // 2 + 1
        if matrices.bank.shape != (spec.bands, bins) or matrices.cepstral.shape != (spec.cepstra, spec.bands):
            raise ValueError("the front end's matrices do not have the shapes that its spec asks for")
        if not all((np.abs(matrix) <= _LARGEST).all() for matrix in matrices):
            raise ValueError("the front end's matrices hold values that are not finite, or huge")
        if not (matrices.bank > 0).any(axis=1).all():
            raise ValueError("a mel band holds no FFT bin: raise fft_samples or lower bands")
        self.spec = spec
        self.matrices = matrices
        self._fft_samples = min(spec.fft_samples, fast_length(2 * spec.frame_samples))
        self._bank = _folded(matrices.bank, spec, self._fft_samples)
        self._floor = math.exp(spec.floor)
        self._window = np.hamming(spec.frame_samples)
        self._back = np.linalg.pinv(matrices.cepstral).T if spec.cepstra else None
        if self._back is not None and not (np.abs(self._back) <= _LARGEST).all():
            raise ValueError("the front end's cepstra can't be turned back into energies")

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides a feature's value."""
        sha = hashlib.sha256(json.dumps(asdict(self.spec), sort_keys=True).encode())
        for matrix in self.matrices:
            sha.update(np.ascontiguousarray(matrix, dtype="<f8").tobytes())
        return sha.hexdigest()

    def init_state(self) -> FrameState:
        """The state before any sample."""
        return FrameState(0.0, np.zeros(0))

    def step(self, samples: Array, state: FrameState) -> tuple[Array, FrameState]:
        """Hear some samples.

        Args:
            samples: (n,) at the spec's rate, n >= 0.
            state: from `init_state` or the previous call.

        Returns:
            Features (k, spec.features) float64, k >= 0, in the order heard, and the next state. A frame appears once
            its last sample has been heard; a stretch shorter than a frame is kept, never padded
            (python_speech_features pads it with zeros).
        """
        frames, following = self.cut(samples, state)
        return self.features(frames), following

    def cut(self, samples: Array, state: FrameState) -> tuple[Array, FrameState]:
        """The frames (k, frame_samples) that samples (n,) complete, pre-emphasised, and the next state; as `step`."""
        if not len(samples):
            return np.zeros((0, self.spec.frame_samples)), state
        emphasised = np.asarray(samples, dtype=np.float64)
        if self.spec.pre_emphasis:
            emphasised = emphasised - self.spec.pre_emphasis * np.concatenate([[state.previous], samples[:-1]])
        waiting = np.concatenate([state.tail, emphasised])
        count = self.spec.frames_in(len(waiting))
        rest = waiting[count * self.spec.hop_samples :]
        if not count:
            return np.zeros((0, self.spec.frame_samples)), FrameState(float(samples[-1]), rest)
        step = waiting.itemsize
        shape, strides = (count, self.spec.frame_samples), (self.spec.hop_samples * step, step)
        frames = as_strided(waiting, shape, strides, writeable=False)
        return frames, FrameState(float(samples[-1]), rest)

    def features(self, frames: Array) -> Array:
        """Features (k, spec.features) of frames (k, frame_samples) from `cut`, of any streams: each for itself.

        A frame's are the same to the bit whatever frames are beside it.
        """
        parts = [self._features(frames[k : k + _AT_A_TIME]) for k in range(0, len(frames), _AT_A_TIME)]
        return np.concatenate(parts) if parts else np.zeros((0, self.spec.features))

    def extract(self, signal: Array) -> Array:
        """Features (k, spec.features) of a whole signal (n,): one step from the initial state."""
        return self.step(signal, self.init_state())[0]

    def log_energies(self, features: Array) -> Array:
        """Log mel energies (..., bands) of features (..., spec.features); of cepstra the smooth ones they stand for."""
        if self._back is None:
            return features
        return np.asarray(np.matmul(features[..., None, :], self._back)[..., 0, :])

    def _features(self, frames: Array) -> Array:
        if self.spec.centred:
            frames = frames - frames.sum(axis=1, keepdims=True) / self.spec.frame_samples
        spectrum = np.fft.rfft(frames * self._window, self._fft_samples)
        power = spectrum.real**2 + spectrum.imag**2
        # A product a frame: of all frames at once, a BLAS product's rounding depends on how many there are.
        energy = np.matmul(power[:, None, :], self._bank)[:, 0]
        logs = np.log(np.maximum(energy, self._floor))
        if not self.spec.cepstra:
            return np.asarray(logs)
        return np.asarray(np.matmul(logs[:, None, :], self.matrices.cepstral.T)[:, 0])


def fast_length(least: int) -> int:
    """The first even length from `least` on whose transform is quick: no prime factor above 5."""
    length = least + least % 2
    while 30**60 % length:  # a divisor of so high a power of 30 has no other prime factors
        length += 2
    return length


def _folded(bank: Array, spec: FrontEndSpec, fft_samples: int) -> Array:
    """The filter bank (fft_samples // 2 + 1, bands) for power spectra of a shorter transform.

    Zero-padding adds no knowledge: a frame of n samples has n lags in its autocorrelation, a transform of 2 n samples
    already holds them, and every bin of a longer one is a sum of their cosines. So the energies of the bands, which are
    sums over bins, are sums over the shorter transform's bins too, with other weights.
    """
    if fft_samples == spec.fft_samples:
        return np.ascontiguousarray(bank.T / spec.fft_samples)
    lags = np.arange(spec.frame_samples)
    bins = np.arange(spec.fft_samples // 2 + 1)
    cosines = np.cos(2 * np.pi * (np.outer(bins, lags) % spec.fft_samples) / spec.fft_samples)
    of_lags = bank @ (cosines * np.where(lags, 2, 1)) / spec.fft_samples
    # The lags of each bin of the shorter transform alone.
    correlations = np.fft.irfft(np.eye(fft_samples // 2 + 1), fft_samples)[:, : spec.frame_samples]
    return np.ascontiguousarray(correlations @ of_lags.T)
