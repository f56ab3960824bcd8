"""A recording -> mono samples at the rate a model hears, by the resampler that streaming uses."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import soundfile

from models import resampling
from models.errors import InputFileError

_LOG = logging.getLogger(__name__)

Samples = np.ndarray[tuple[int], np.dtype[np.float32]]


def load(path: Path, rate_hz: int, heard_s: float | None = None) -> Samples:
    """Decode a file and resample it.

    Args:
        path: WAV, FLAC, OGG or whatever else libsndfile reads. Of several channels the first is taken, and logged.
        rate_hz: the rate wanted, above 0.
        heard_s: only so much of its beginning is wanted; None for all.

    Returns:
        (n,) float32, full scale [-1, 1]; n is about the duration times rate_hz. Unchanged at equal rates.

    Raises:
        InputFileError: unreadable, empty, or with samples that are not finite numbers.
    """
    samples, file_rate_hz = _decode(path)
    if samples.size == 0:
        raise InputFileError(f"{path} holds no samples; leave it out")
    if not np.isfinite(samples).all():
        raise InputFileError(f"{path} holds samples that are not finite numbers (NaN or infinity); export it anew")
    if file_rate_hz != rate_hz:
        # A stream fed in one chunk, not soxr.resample: training audio passes through what live audio passes through.
        stream = resampling.stream(file_rate_hz, rate_hz, "HQ")
        samples = stream.resample_chunk(samples, last=True)
    return samples if heard_s is None else samples[: round(heard_s * rate_hz)]


def _decode(path: Path) -> tuple[Samples, int]:
    if not path.is_file():
        raise InputFileError(f"no file {path}; check the path")
    try:
        channels, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError, TypeError) as error:  # TypeError: a .raw file, which states no rate
        reason = getattr(error, "error_string", str(error))
        raise InputFileError(f"{path} can't be read as audio ({reason}); convert it to WAV or FLAC") from error
    if channels.shape[1] > 1:
        _LOG.info("%s has %d channels; the first is taken", path, channels.shape[1])
    return np.ascontiguousarray(channels[:, 0]), int(rate_hz)
