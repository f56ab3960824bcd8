"""Recording of what was heard, at the source's rate. Off unless asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from models.errors import LaennecError, SettingError
from stream.block import Block

_FORMATS = {".wav": "FLOAT", ".flac": "PCM_24"}


class Recorder:
    """Writes the samples of blocks to a sound file, exactly as captured (WAV); lost ones and NaN are left out.

    Args:
        path: ends in .wav (32-bit float) or .flac (24 bit).
        rate_hz: of the blocks.

    Raises:
        SettingError: another suffix, or the file can't be written.
    """

    def __init__(self, path: Path, rate_hz: int) -> None:
        subtype = _FORMATS.get(path.suffix.lower())
        if subtype is None:
            raise SettingError(f"{path}: can't record to {path.suffix or 'a name without ending'}; use .wav or .flac")
        self._path = path
        try:
            self._file = soundfile.SoundFile(path, "w", rate_hz, 1, subtype)
        except (OSError, soundfile.LibsndfileError) as error:
            raise SettingError(f"{path}: the recording can't be written; give another --record") from error

    def block(self, block: Block) -> None:
        """Append a block.

        Raises:
            LaennecError: the disk is full, or the file went away.
        """
        try:
            self._file.write(block.samples[np.isfinite(block.samples)])
        except (OSError, soundfile.LibsndfileError) as error:
            raise LaennecError(f"{self._path}: can't be written any more; free some space") from error

    def close(self) -> None:
        """Finish the file; may be called twice."""
        self._file.close()
