"""A recording as a stream, in real time, faster, or as fast as it goes."""

from __future__ import annotations

import os
import stat
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from models.errors import InputFileError
from stream import gaps
from stream.block import Block, Samples
from stream.gaps import Loss
from stream.resample import RATES_HZ
from stream.sources import opening
from stream.sources.pace import Pacer
from stream.sources.quiet import quiet_stderr

#: Formats of libsndfile that a folder is searched for.
SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64", ".rf64"}
)
_PACED_S = 0.025
#: Of a block, all channels together: a thousand channels are read in short blocks.
_MOST_VALUES = 2**20
#: libsndfile's answer for a FLAC whose writer was killed or wrote to a pipe.
_UNKNOWN_FRAMES = 2**63 - 1
#: Full scale is 1.
_OF_16_BITS = np.float32(2**-15)


class FileSource:
    """One channel of a sound file, with the gaps that are written down beside it (`gaps`).

    Args:
        path: WAV of any width, FLAC, OGG or another format of libsndfile.
        channel: which channel to hear, from 1; may be left out only for mono.
        speed: 1 is real time; None is as fast as it goes.
        block_samples: length of a block; None chooses one. May be set anew before the first is asked for.
        unpaced_s: length of a block that is chosen, in seconds, where `speed` is None; less where channels are many.

    Raises:
        InputFileError: no such file, not audio, no samples, cut short, a rate that can't be heard, a channel that is
            not there or has to be chosen, or damaged gaps.
    """

    def __init__(
        self,
        path: Path,
        channel: int | None = None,
        speed: float | None = None,
        block_samples: int | None = None,
        unpaced_s: float = 0.5,
    ) -> None:
        self._path = path
        self._file = opening.opened(path)
        frames = int(self._file.frames)
        self._frames = frames if frames < _UNKNOWN_FRAMES else None
        self._heard_frames = 0
        try:
            self._check(channel)
            self._losses = gaps.read(path, self._frames)
        except InputFileError:
            self.close()
            raise
        self._channel = channel or 1
        usual = round(self.rate_hz * (_PACED_S if speed else unpaced_s))
        self.block_samples = block_samples or max(1, min(usual, _MOST_VALUES // self._file.channels))
        self._pacer = Pacer(self.rate_hz, speed)
        self._stopped = threading.Event()

    def _check(self, channel: int | None) -> None:
        low, high = RATES_HZ
        if not low <= self.rate_hz <= high:
            raise InputFileError(
                f"{self._path}: has a sample rate of {self.rate_hz} Hz, heard are {low} to {high} Hz; convert it first"
            )
        if self._frames == 0:
            raise opening.no_audio(self._path)
        channels = self._file.channels
        if channel is None and channels > 1:
            raise InputFileError(f"{self._path}: has {channels} channels; choose one with --channel 1 to {channels}")
        if channel is not None and not 1 <= channel <= channels:
            raise InputFileError(f"{self._path}: has no channel {channel}; it has {channels}, numbered from 1")

    @property
    def rate_hz(self) -> int:
        """Sample rate of the file."""
        return int(self._file.samplerate)

    @property
    def duration_s(self) -> float:
        """Length that the file's header promises, gaps left out; of what was heard so far where it promises nothing."""
        frames = self._heard_frames if self._frames is None else self._frames
        return float(frames / self._file.samplerate)

    @property
    def span_s(self) -> float | None:
        """As `duration_s`, but with the gaps; None where the header promises nothing."""
        if self._frames is None:
            return None
        return (self._frames + sum(loss.lost_samples for loss in self._losses)) / self.rate_hz

    @property
    def description(self) -> dict[str, object]:
        """What the session log says of the source."""
        return {
            "kind": "file",
            "name": self._path.name,
            "rate_hz": self.rate_hz,
            "channel": self._channel,
            "channels": int(self._file.channels),
            "frames": self._frames,
            "format": f"{self._file.format} {self._file.subtype}",
        }

    def blocks(self) -> Iterator[Block]:
        """Blocks in order, each once its last sample is due, until the end or `stop`.

        A FLAC that says no length, because its writer was killed, is heard to the first place that can't be read.

        Raises:
            InputFileError: a value that is no number, or fewer frames than the header promises.
        """
        start = 0
        for samples, loss in self._pieces():
            start += loss.lost_samples if loss else 0
            self._pacer.wait(start + len(samples), self._stopped.is_set)
            if self._stopped.is_set():
                return
            if loss:
                yield Block(samples, start, self.rate_hz, loss.lost_samples, loss.reason)
            else:
                yield Block(samples, start, self.rate_hz)
            start += len(samples)

    def _pieces(self) -> Iterator[tuple[Samples, Loss | None]]:
        """The file's samples in order, each piece with the loss before it; one at the end comes with no samples."""
        left = self._losses[::-1]
        at = wanted = 0
        while at == wanted and not self._stopped.is_set():
            loss = left.pop() if left and left[-1].at_sample == at else None
            count = min(left[-1].at_sample - at, self.block_samples) if left else self.block_samples
            samples = self._read(at, count)
            at, wanted = at + len(samples), at + count
            self._heard_frames = at
            if loss or len(samples):
                yield samples, loss
        if not self._stopped.is_set():
            self._check_heard()

    def _check_heard(self) -> None:
        """Refuse a file that ended too early."""
        if self._frames is not None and self._heard_frames < self._frames:
            raise self._cut_short(self._heard_frames)
        if self._heard_frames == 0:
            raise opening.no_audio(self._path)

    def _read(self, at: int, count: int) -> Samples:
        """The next samples; fewer than asked for at the end."""
        frames = self._read_unended(count) if self._frames is None else self._read_known(at, count, self._frames)
        heard, samples = frames[:, self._channel - 1], np.empty(len(frames), np.float32)
        if frames.dtype == np.int16:
            np.multiply(heard, _OF_16_BITS, out=samples)
            return samples
        samples[:] = heard
        if not np.isfinite(samples).all():
            at_s = (at + np.isfinite(samples).argmin()) / self.rate_hz
            raise InputFileError(f"{self._path}: holds NaN or infinity at {at_s:.3f} s; export the recording again")
        return samples

    def _read_known(self, at: int, count: int, frames: int) -> np.ndarray:
        # libsndfile's own way to floats gives the same and takes twice as long.
        dtype = np.int16 if self._file.subtype == "PCM_16" else np.float32
        out = np.empty((min(count, frames - at), self._file.channels), dtype)
        try:
            with quiet_stderr():
                return np.asarray(self._file.read(out=out))
        except soundfile.LibsndfileError as error:
            raise self._cut_short(at) from error

    def _read_unended(self, count: int) -> np.ndarray:
        # A read that meets the end of a FLAC without length raises, though it has read; what it did not fill stays NaN.
        out = np.full((count, self._file.channels), np.nan, np.float32)
        try:
            with quiet_stderr():
                return np.asarray(self._file.read(out=out))
        except soundfile.LibsndfileError:
            return out[: np.isfinite(out).all(axis=1).sum()]

    def _cut_short(self, at: int) -> InputFileError:
        return InputFileError(
            f"{self._path}: is damaged or cut short after {at / self.rate_hz:.2f} of {self.duration_s:.2f} s; "
            "copy it again"
        )

    def stop(self) -> None:
        """Ask `blocks` to end soon."""
        self._stopped.set()

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()


def audio_files(folder: Path) -> list[Path]:
    """What a folder and those below it hold to be heard, sorted; hidden files and folders are left out.

    Links are followed; a folder is walked once, by its own name where it has one below. Nothing is left out silently:
    folders and files that can't be opened, and links that lead nowhere, are among what is found.
    """
    found: list[Path] = []
    left, walked = deque([str(folder)]), set[str]()

    def refused(error: OSError) -> None:
        found.append(Path(error.filename))

    while left:
        for at, folders, names in os.walk(left.popleft(), onerror=refused):
            real = os.path.realpath(at)
            folders[:] = sorted(name for name in folders if not name.startswith(".") and real not in walked)
            if real not in walked:
                walked.add(real)
                paths = (Path(at, name) for name in names if not name.startswith("."))
                found += (path for path in paths if _may_be_heard(path))
                left.extend(path for path in (f"{at}/{name}" for name in folders) if _is_link(path))
    return sorted(found)


def _may_be_heard(path: Path) -> bool:
    """Whether it is a sound file by its name, and no pipe; or nobody can know what it is."""
    is_sound = path.suffix.lower() in SUFFIXES
    if not is_sound and not _is_link(path):
        return False
    try:
        return stat.S_ISREG(os.stat(path).st_mode) and is_sound  # noqa: PTH116 - pathlib's own way costs as much again
    except OSError:
        return True


def _is_link(path: Path | str) -> bool:
    return os.path.islink(path)  # noqa: PTH114 - never raises, as Path's does
