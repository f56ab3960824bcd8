"""Deleting sessions for good: their own files, one by one, and the folder if nothing else is in it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

from models.errors import LaennecError
from stream.sessions import folder, words


class Removed(NamedTuple):
    """What became of a session's folder.

    Attributes:
        path: of the folder.
        files: how many were deleted.
        length: of them together, bytes.
        left: names of what is not the session's, and stays with the folder.
    """

    path: Path
    files: int
    length: int
    left: list[str]


def remove(path: Path) -> Removed:
    """Delete a session that `listing.at` has found. Links and what lies behind them stay.

    The log goes last: what is left when something fails can still be named and deleted.

    Raises:
        LaennecError: the session still runs, or not all of it can be deleted.
    """
    files = length = 0
    try:
        _refuse_kept(path)
        own, others = folder.own_files(path)
        for file in sorted(own, key=lambda file: file.name == folder.LOG):
            size = file.lstat().st_size
            file.unlink()
            files, length = files + 1, length + size
        if not others:
            path.rmdir()
            _leave_none_empty(path.parent)
    except OSError as error:
        raise LaennecError(
            f"{path}: can't be deleted: {error.strerror}; {files} of its files are gone; check its permissions"
        ) from error
    return Removed(path, files, length, [file.name for file in others])


def stays(path: Path) -> str:
    """A line that names what is left in the folder of several streams whose sessions were deleted; or empty."""
    if not path.exists():
        return ""
    return f"{path}: left, as not the sessions': {words.listed(sorted(each.name for each in path.iterdir()))}"


def _leave_none_empty(parent: Path) -> None:
    """The folder of several streams goes with the last of them."""
    if folder.order(parent.name):
        with contextlib.suppress(OSError):
            parent.rmdir()


def asked(path: Path) -> str:
    """A line that says what would be deleted.

    Raises:
        LaennecError: the session still runs, or the folder can't be read.
    """
    try:
        _refuse_kept(path)
        own, others = folder.own_files(path)
        length = sum(file.lstat().st_size for file in own)
    except OSError as error:
        raise LaennecError(f"{path}: can't be read: {error.strerror}; check its permissions") from error
    kept = words.listed([file.name for file in others])
    return f"{path}: {words.counted(len(own), 'file')}, {words.megabytes(length)}" + (
        f" (stays: {kept})" if others else ""
    )


def _refuse_kept(path: Path) -> None:
    if folder.is_kept(path):
        raise LaennecError(f"{path}: is still being kept by a running session; end that one first")


def told(done: Removed) -> str:
    """A line that says what was deleted."""
    kept = f"; left, as not the session's: {words.listed(done.left)}" if done.left else ""
    return f"{done.path}: deleted {words.counted(done.files, 'file')}, {words.megabytes(done.length)}{kept}"
