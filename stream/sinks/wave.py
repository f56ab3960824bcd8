"""A WAV file that is whole at any time: mono, 32-bit float. libsndfile would tell its length only at the end."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

from stream.block import Samples

HEADER_BYTES = 58
SAMPLE_BYTES = 4
#: The header is brought up to date this often, in audio time: no more is lost when the process is killed.
UPDATE_S = 0.5
_FLOAT = 3  # WAVE_FORMAT_IEEE_FLOAT


def header(rate_hz: int, samples: int) -> bytes:
    """RIFF, `fmt ` with its empty extension, `fact`, and the head of `data`: what a non-PCM WAV begins with.

    Args:
        rate_hz: sample rate.
        samples: how many follow; the file's length stays below 2^32 bytes.
    """
    data_bytes = samples * SAMPLE_BYTES
    return b"".join(
        (
            struct.pack("<4sI4s", b"RIFF", HEADER_BYTES - 8 + data_bytes, b"WAVE"),
            struct.pack(
                "<4sIHHIIHHH",
                b"fmt ",
                18,
                _FLOAT,
                1,
                rate_hz,
                rate_hz * SAMPLE_BYTES,
                SAMPLE_BYTES,
                SAMPLE_BYTES * 8,
                0,
            ),
            struct.pack("<4sII", b"fact", 4, samples),
            struct.pack("<4sI", b"data", data_bytes),
        )
    )


class WaveWriter:
    """Appends samples; an older file of that name is overwritten.

    Every write goes to the operating system at once, first the samples, then at times the header that counts them. So
    a killed process leaves a file that is valid, and short by `UPDATE_S` at most. A power cut may take what the system
    had not yet put on the disk.

    Raises:
        OSError: by every method; what was written before stays valid.
    """

    def __init__(self, path: Path, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._bytes = 0  # of data
        self._counted = 0  # samples that the header knows of
        self._file = path.open("wb", buffering=0)
        try:
            self._update()
        except OSError:
            self._file.close()
            raise

    @property
    def samples(self) -> int:
        """Whole samples written."""
        return self._bytes // SAMPLE_BYTES

    def write(self, samples: Samples) -> None:
        """Append (n,) float32, n >= 0."""
        left = samples.astype("<f4").tobytes()
        while left:
            written = self._file.write(left)  # short where the disk fills up; the next one says why
            self._bytes += written
            left = left[written:]
        if self.samples - self._counted >= UPDATE_S * self._rate_hz:
            self._update()

    def tell_length(self) -> None:
        """Count in the file what was written: before something outside refers to it."""
        if self.samples > self._counted:
            self._update()

    def close(self) -> None:
        """Finish the file, also after a write that failed; may be called twice."""
        if self._file.closed:
            return
        try:
            self._file.truncate(HEADER_BYTES + self.samples * SAMPLE_BYTES)
            self._update()
        finally:
            self._file.close()

    def _update(self) -> None:
        head = header(self._rate_hz, self.samples)
        self._file.seek(0)
        if self._file.write(head) < len(head):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._file.seek(HEADER_BYTES + self._bytes)
        self._counted = self.samples
