"""Recording of what was heard, as it came, at the source's rate. Off unless asked for."""

from __future__ import annotations

import contextlib
import itertools
from datetime import UTC, datetime
from pathlib import Path

from models.errors import SettingError
from stream import gaps
from stream.block import NO_AUDIO, Block, Samples, joined, runs
from stream.sinks.cleared import Cleared
from stream.sinks.flac import FlacWriter
from stream.sinks.wave import HEADER_BYTES, SAMPLE_BYTES, WaveWriter

#: A WAV counts its bytes in 32 bits, and FAT keeps no larger file.
MOST_BYTES = 4_000_000_000
_WRITERS: dict[str, type[WaveWriter] | type[FlacWriter]] = {".wav": WaveWriter, ".flac": FlacWriter}

#: How a notice begins that says so.
HAS_ENDED = "the recording has ended"


class Recorder:
    """Writes the samples of blocks to a sound file, exactly as captured (WAV); a recording that fails ends, no more.

    What the pipeline counts as lost, values that are no audio included, is left out of the sound and written down
    beside it (`gaps`), so that a replay meets the same gaps. Before a file gets too long the next one begins: x.wav,
    x.2.wav, x.3.wav and so on, or the next number that is free. An older x.wav is put away (`Cleared`).

    Args:
        path: ends in .wav (32-bit float) or .flac (24 bit).
        rate_hz: of the blocks.
        most_bytes: limit to a WAV's length; a FLAC gets as many samples.

    Raises:
        SettingError: another suffix, or the file can't be written; then an older one is where it was.
    """

    def __init__(self, path: Path, rate_hz: int, most_bytes: int = MOST_BYTES) -> None:
        writer = _WRITERS.get(path.suffix.lower())
        if writer is None:
            raise SettingError(f"{path}: can't record to {path.suffix or 'a name without ending'}; use .wav or .flac")
        self._writer = writer
        self._first = self._path = path
        self._rate_hz = rate_hz
        self._most_samples = (most_bytes - HEADER_BYTES) // SAMPLE_BYTES
        self._lost, self._reason = 0, ""
        try:
            self._cleared = Cleared(path, datetime.now(UTC))
            self._file: WaveWriter | FlacWriter | None = self._begun()
        except OSError as error:
            raise SettingError(
                f"{path}: the recording can't be written: {error.strerror}; give another --record"
            ) from error

    @property
    def name(self) -> str:
        """Name of the file that is being written; empty once the recording has ended."""
        return self._path.name if self._file else ""

    def block(self, block: Block) -> str:
        """Append a block.

        Returns:
            What the listener must know: the recording goes on in another file, or has ended. Mostly empty.
        """
        said = ""
        try:
            self._lose(block.lost, block.reason)
            for samples, usable in runs(block.samples):
                if usable:
                    said = self._keep(samples) or said
                else:
                    self._lose(len(samples), NO_AUDIO)
        except OSError as error:
            return self._give_up(error)
        return said

    def close(self) -> str:
        """Finish the file; may be called twice. Returns as `block`."""
        try:
            self._tell_gap()
            if self._file:
                self._file.close()
        except OSError as error:
            return self._give_up(error)
        self._file = None
        return ""

    def withdraw(self) -> None:
        """Leave the folder as it was, the older recording in its place: nothing was heard, the session was refused."""
        if self._file:
            with contextlib.suppress(OSError):
                self._file.close()
        self._file = None
        self._restore()

    def _begun(self) -> WaveWriter | FlacWriter:
        try:
            return self._writer(self._path, self._rate_hz)
        except OSError:
            self._restore()
            raise

    def _restore(self) -> None:
        # What can't be brought back is kept under its new name; why the session was refused matters more.
        with contextlib.suppress(OSError):
            self._cleared.restore()

    def _lose(self, samples: int, reason: str) -> None:
        """Remember a loss until audio comes again: neighbouring ones are one gap, as in the session's log."""
        if samples:
            self._lost += samples
            self._reason = joined(self._reason, reason)

    def _keep(self, samples: Samples) -> str:
        said = ""
        while self._file and len(samples):
            room = self._most_samples - self._file.samples
            if room <= 0:
                said = self._roll_over()
                continue
            self._tell_gap()
            self._file.write(samples[:room])
            samples = samples[room:]
        return said

    def _tell_gap(self) -> None:
        if self._file and self._lost:
            self._file.tell_length()  # a program killed now must not leave a gap beyond the file's end
            gaps.write(self._path, gaps.Loss(self._file.samples, self._lost, self._reason))
            self._lost, self._reason = 0, ""

    def _roll_over(self) -> str:
        full = self._path.name
        if self._file:
            self._file.close()
        self._path = _claim_next(self._first)
        self._file = self._writer(self._path, self._rate_hz)
        return f"the recording goes on in {self._path.name}: {full} is as long as a file may be"

    def _give_up(self, error: OSError) -> str:
        if self._file:
            with contextlib.suppress(OSError):
                self._file.close()
        self._file = None
        return (
            f"{HAS_ENDED}: {self._path}: {error.strerror}; what was kept so far can be heard, and listening"
            " goes on; free some space and start anew to record again"
        )


def _claim_next(first: Path) -> Path:
    """Make the file after a full one, empty. The next number that is free: nothing is overwritten.

    Raises:
        OSError: it can't be made.
    """
    for number in itertools.count(2):
        path = first.with_stem(f"{first.stem}.{number}")
        if not gaps.beside(path).exists():
            with contextlib.suppress(FileExistsError):
                path.open("xb").close()
                return path
    raise AssertionError("numbers never end")
