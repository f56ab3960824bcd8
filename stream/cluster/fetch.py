"""What lies at a URL, brought to a temporary file and heard like a local one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from models.errors import InputFileError, printable
from stream import gaps
from stream.cluster import places

#: An hour of stereo at 48 kHz in 24 bit; more is no recording of a heart but a mistake that would fill the disk.
MOST_BYTES = 2**30
#: Fetched at a time, and ahead of what is heard: storage answers in tens of milliseconds, and a file takes as long.
_AHEAD = 8
_TRIES, _WAIT_S = 3, 1.0
_PIECE_BYTES = 2**20
#: Answers of HTTP: not found, gone.
_ABSENT = (404, 410)


class Fetched:
    """Local files for the places of recordings, in their order, each there when its turn comes.

    Args:
        given: paths, which are left alone, and URLs.
        folder: holds what is fetched, and is the caller's to remove.

    Attributes:
        names: for each path that was given out, its place.
        errors: why a place could not be fetched; what was given out for it does not exist.
    """

    def __init__(self, given: Sequence[str], folder: Path) -> None:
        self._given = given
        self._folder = folder
        self.errors: dict[str, InputFileError] = {}

    def __iter__(self) -> Iterator[Path]:
        with ThreadPoolExecutor(_AHEAD) as threads:
            coming: deque[Future[Path]] = deque()
            left = iter(enumerate(self._given))
            while True:
                for index, place in left:
                    coming.append(threads.submit(self._one, index, place))
                    if len(coming) == _AHEAD:
                        break
                if not coming:
                    return
                yield coming.popleft().result()

    def path(self, index: int) -> Path:
        """Where the file is, or would be if it could be fetched."""
        place = self._given[index]
        if places.protocol(place) is None:
            return Path(place)
        return self._folder / f"{index:06d}{PurePosixPath(place).suffix.lower()[:10]}"

    def drop(self, index: int) -> None:
        """Remove what was fetched; a path that was given stays."""
        if places.protocol(self._given[index]) is not None:
            for path in (self.path(index), gaps.beside(self.path(index))):
                path.unlink(missing_ok=True)

    def _one(self, index: int, place: str) -> Path:
        path = self.path(index)
        if places.protocol(place) is not None:
            try:
                _fetch(place, path)
            except InputFileError as error:
                self.errors[place] = error
                self.drop(index)
        return path


def _fetch(url: str, path: Path) -> None:
    """Bring a recording, and the gaps that are written down beside it; what is passing is tried again.

    Raises:
        InputFileError: it is not there, can't be had, or is too large.
    """
    for left in reversed(range(_TRIES)):
        try:
            return _fetch_once(url, path)
        except InputFileError:
            raise
        except IsADirectoryError as error:
            raise InputFileError(f"{url}: holds no sound file; give WAV, FLAC or OGG files, or a folder") from error
        except PermissionError as error:
            raise InputFileError(f"{url}: can't be read: {printable(error)}; check your access to it") from error
        except Exception as error:  # whatever the protocol's package raises
            cause = _cause(error)
            if isinstance(cause, FileNotFoundError):
                raise InputFileError(f"{url}: no such file; check the name") from error
            if not left:
                raise InputFileError(f"{url}: can't be fetched: {printable(cause)}; try it again") from error
            time.sleep(_WAIT_S)
    return None


def _cause(error: Exception) -> BaseException:
    """What went wrong: fsspec says that there is no such file of a server that refuses or can't be reached, too."""
    cause = error.__cause__
    if not isinstance(error, FileNotFoundError) or cause is None:
        return error
    answered = getattr(cause, "status", None)  # aiohttp's, where the server said anything
    is_absent = answered in _ABSENT if answered else not isinstance(cause, OSError)
    return error if is_absent else cause


def _fetch_once(url: str, path: Path) -> None:
    from fsspec.core import url_to_fs

    system, name = url_to_fs(url)
    _copy(system, name, path, url)
    written = f"{name}.gaps.jsonl"
    if system.exists(written):
        _copy(system, written, gaps.beside(path), url)


def _copy(system: Any, name: str, path: Path, url: str) -> None:
    with system.open(name, "rb") as far, path.open("wb") as near:
        count = 0
        while piece := far.read(_PIECE_BYTES):
            count += len(piece)
            if count > MOST_BYTES:
                raise InputFileError(f"{url}: is longer than {MOST_BYTES / 2**30:g} GiB; cut it")
            near.write(piece)
