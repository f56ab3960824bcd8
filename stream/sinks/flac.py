"""A FLAC file that says how long it is while it is being written: mono, 24 bit, by libsndfile."""

from __future__ import annotations

import errno
from pathlib import Path

import soundfile

from stream.block import Samples
from stream.sinks.wave import UPDATE_S

#: libFLAC's level 2: frames of 1152 samples. Higher levels hold back 4096, two seconds at 2 kHz, for 1 % less space.
_COMPRESSION = 0.25
# Places in the file (RFC 9639, 8.2): the stream's block size, and the byte in whose low half its 36-bit length begins.
_BLOCK_SIZE_AT, _LENGTH_AT = 10, 21
_LENGTH_BYTES, _LENGTH_BITS = 5, 36


class FlacWriter:
    """Appends samples; an older file of that name is overwritten. What is beyond full scale is clipped.

    libFLAC gives a frame to the operating system once it is full, and tells the length at the end; here it is told at
    times. A killed process leaves a file that is short by `UPDATE_S` and a frame at most.

    Raises:
        OSError: by every method; what was written before stays valid.
    """

    def __init__(self, path: Path, rate_hz: int) -> None:
        self.samples = 0
        self._counted = 0  # samples when the length was told last
        self._rate_hz = rate_hz
        with path.open("wb", buffering=0) as file:
            file.write(b"fLaC")  # libsndfile writes nothing before the first sample: a full disk shows now
        try:
            self._file = soundfile.SoundFile(
                path, "w", rate_hz, 1, "PCM_24", format="FLAC", compression_level=_COMPRESSION
            )
        except soundfile.LibsndfileError as error:
            raise OSError(errno.EIO, error.error_string) from error
        self._head = path.open("r+b", buffering=0)

    def write(self, samples: Samples) -> None:
        """Append (n,) float32, n >= 0."""
        try:
            self._file.write(samples)
        except soundfile.LibsndfileError as error:  # it seldom knows why
            raise OSError(errno.EIO, "the disk is full or the file went away") from error
        self.samples += len(samples)
        if self.samples - self._counted >= UPDATE_S * self._rate_hz:
            self._update()

    def tell_length(self) -> None:
        """Count in the file what was written, but for the newest frame: libFLAC still holds it."""
        if self.samples > self._counted:
            self._update()

    def close(self) -> None:
        """Finish the file, also after a write that failed; may be called twice."""
        try:
            self._file.close()
        except soundfile.LibsndfileError as error:
            raise OSError(errno.EIO, "the disk is full or the file went away") from error
        finally:
            self._head.close()

    def _update(self) -> None:
        """Tell the length of the frames that are in the file."""
        self._head.seek(_BLOCK_SIZE_AT)
        block_samples = int.from_bytes(self._head.read(2), "big")
        # libFLAC holds a full frame back until the sample after it has come.
        whole = (self.samples - 1) // block_samples * block_samples
        self._head.seek(_LENGTH_AT)
        field = int.from_bytes(self._head.read(_LENGTH_BYTES), "big")
        field = field >> _LENGTH_BITS << _LENGTH_BITS | whole
        self._head.seek(_LENGTH_AT)
        self._head.write(field.to_bytes(_LENGTH_BYTES, "big"))
        self._counted = self.samples
