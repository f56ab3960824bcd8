"""A recording's name is made free for a new one, and given back where the new one is not to be."""

from __future__ import annotations

import errno
import os
from datetime import datetime
from pathlib import Path

from stream import gaps
from stream.put_away import put_away


class Cleared:
    """Puts an older recording away, with its gaps.

    x.wav becomes x.2026-11-23T114500.123Z.wav (`put_away`), and x.wav.gaps.jsonl is named after that. Gaps whose
    recording is gone are put away too. A link is renamed itself, so that what it points to stays. What holds nothing
    (an empty file) or is no plain file (a device) is left in its place, to be written to.

    Args:
        path: the recording that is to be.
        now: the wall clock, with its time zone.

    Raises:
        OSError: it can't be put away; then it is where it was.
    """

    def __init__(self, path: Path, now: datetime) -> None:
        self._path = path
        self._moves: list[tuple[Path, Path]] = []
        try:
            self._put_away(gaps.beside(path), now)
        except OSError:
            self._bring_back()
            raise
        self._in_place = os.path.lexists(path)

    def restore(self) -> None:
        """Remove the new recording, which is closed and holds no sample, and bring the older one back.

        Raises:
            OSError: it stays under its new name.
        """
        if not self._in_place:
            self._path.unlink(missing_ok=True)
        elif self._path.is_file():
            os.truncate(self._path, 0)
        self._bring_back()

    def _put_away(self, beside: Path, now: datetime) -> None:
        if self._path.is_file() and self._path.stat().st_size:
            kept = put_away(self._path, now)
            self._moves.append((self._path, kept))
            if beside.exists():
                self._moves.append((beside, _renamed(beside, gaps.beside(kept))))
        elif beside.exists():
            self._moves.append((beside, put_away(beside, now)))

    def _bring_back(self) -> None:
        while self._moves:
            path, kept = self._moves.pop()
            kept.replace(path)


def _renamed(path: Path, name: Path) -> Path:
    if name.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    return path.rename(name)
