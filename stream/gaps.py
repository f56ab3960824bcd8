"""Where a recording has gaps: NAME.wav.gaps.jsonl beside NAME.wav, one JSON object a line, absent where it has none."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import NamedTuple

from models.errors import InputFileError

#: Beyond this, seconds could not be told exactly; at 192 kHz it is more than a thousand years.
_MOST_SAMPLES = 2**53
#: A hundred thousand gaps.
_MOST_BYTES = 8 * 2**20
#: A recording may lie where no such file can be, or have a name too long to carry the ending.
_NONE_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


class Loss(NamedTuple):
    """Samples that a recording leaves out.

    Attributes:
        at_sample: index in the file of the first sample after them; the file's length where nothing follows.
        lost_samples: how many, at least 1.
        reason: why, in words; may be empty.
    """

    at_sample: int
    lost_samples: int
    reason: str


def beside(recording: Path) -> Path:
    """The file that holds a recording's gaps."""
    return recording.with_name(f"{recording.name}.gaps.jsonl")


def write(recording: Path, loss: Loss) -> None:
    """Add a gap, in one piece or not at all; it outlives a process that is killed.

    Raises:
        OSError: disk full, or the folder can't be written.
    """
    line = (json.dumps(loss._asdict()) + "\n").encode("ascii")
    with beside(recording).open("ab", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        try:
            if file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            file.truncate(end)  # half a line would spoil those before it
            raise


def read(recording: Path, frames: int | None) -> list[Loss]:
    """A recording's gaps, in order, at most one at a sample.

    Those beyond its end are left out: where the recorder was killed, what followed them is missing too (a FLAC's newest
    frame).

    Args:
        recording: the sound file.
        frames: its length, or None where that is unknown.

    Raises:
        InputFileError: they can't be read or are damaged.
    """
    path = beside(recording)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
            raise InputFileError(f"{path}: is no list of gaps; delete it to hear the recording without gaps")
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        if error.errno in _NONE_THERE:
            return []
        raise InputFileError(f"{path}: can't be read: {error.strerror}; check its permissions") from error
    losses: list[Loss] = []
    for number, line in enumerate(lines[:-1], 1):
        losses.append(_parsed(path, number, line))
        if len(losses) > 1 and losses[-2].at_sample >= losses[-1].at_sample:
            raise _damaged(path, number, "is out of order")
    if lines[-1]:
        raise _damaged(path, len(lines), "is cut short")
    return [loss for loss in losses if frames is None or loss.at_sample <= frames]


def _parsed(path: Path, number: int, line: bytes) -> Loss:
    try:
        loss = Loss(**json.loads(line))
    except (ValueError, TypeError, RecursionError) as error:
        raise _damaged(path, number, "is no gap") from error
    counts = loss.at_sample, loss.lost_samples
    if any(type(n) is not int for n in counts) or not isinstance(loss.reason, str):
        raise _damaged(path, number, "is no gap")
    if not (0 <= loss.at_sample <= _MOST_SAMPLES and 0 < loss.lost_samples <= _MOST_SAMPLES):
        raise _damaged(path, number, "counts what can't be")
    return loss


def _damaged(path: Path, number: int, what: str) -> InputFileError:
    return InputFileError(f"{path}: line {number} {what}; mend it, or delete the file to hear the rest without gaps")
