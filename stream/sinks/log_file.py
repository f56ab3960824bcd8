"""The session log's file: goes on in a new one by size or by day, and never writes over an older one."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import FileIO
from pathlib import Path

from models.errors import LaennecError, SettingError
from stream.put_away import put_away
from stream.sinks.hindered import HinderedError


@dataclass(frozen=True)
class Rotation:
    """When the log goes on in a new file.

    Attributes:
        max_bytes: with the line that would make the file longer; None is never. A file holds at least one line beside
            its session line, however long the two are.
        daily: with the first line of a new day in UTC, like all dates in the log and in its files' names: a local
            day may last 23 or 25 hours, and is another one after a journey.
    """

    max_bytes: int | None = None
    daily: bool = False


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class LogFile:
    """A log that several sessions may write, one after the other. `path` is always its newest file.

    Each line goes to the disk at once, as a whole or not at all: one that the disk did not hold is cut off again.

    Args:
        path: where to; a link is followed. What is no plain file (a pipe) is written as it is.
        rotation: when to go on in a new file.
        now: the wall clock, in UTC.

    Raises:
        SettingError: it can't be written, or holds something else than a session log. An older log is put away.
    """

    def __init__(self, path: Path, rotation: Rotation | None = None, now: Callable[[], datetime] = utc_now) -> None:
        self._name = str(path)
        self._now = now
        try:
            self._path = path if _is_special(path) else Path(os.path.realpath(path))
            self._file = self._opened()
        except OSError as error:
            raise SettingError(f"{path}: the log can't be written: {error.strerror}; give another --log") from error
        self._rotation = rotation if rotation and self._path.is_file() else Rotation()
        self._lines = 0  # in this file
        self._size = 0  # of this file, bytes
        self._counted_from = 0  # where in this file `max_bytes` begins: after a rotation that failed, not at 0
        self._day: date = now().date()
        self._hindered = False
        self._trouble = ""
        self._lost = ""

    def session(self) -> SessionLines:
        """Where the next session writes its lines."""
        return SessionLines(self)

    def append(self, line: str, head: str) -> None:
        """Write a line, in a new file if that is due.

        Args:
            line: ASCII, ends in a line feed.
            head: the line that a new file begins with; empty where `line` itself begins a session.

        Raises:
            LaennecError: the first line of a session can't be written.
            HinderedError: a later one can't, and none will be from now on; or no new file could be begun.
            BrokenPipeError: nobody reads any more what is no plain file.
        """
        if not self._lost:
            self._write_in_turn(line.encode("ascii"), head.encode("ascii"))
        if not head and self._lost:
            raise LaennecError(self._lost)
        if head and self._trouble:
            trouble, self._trouble = self._trouble, ""
            raise HinderedError(trouble)

    def check(self) -> None:
        """Say again, at the end of everything, that the log is not whole.

        Raises:
            LaennecError: it is not.
        """
        if self._lost:
            raise LaennecError(self._lost)

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        # What could not be written was told already.
        with contextlib.suppress(OSError):
            self._file.close()

    def _opened(self) -> FileIO:
        if self._path.is_file() and self._path.stat().st_size:
            from stream.log.reading import is_log  # here, so that `--help` need not wait for numpy

            if not is_log(self._path):
                raise SettingError(f"{self._name}: is no log of Laennec's, and is left as it is; give another --log")
            put_away(self._path, self._now())
        return self._path.open("wb", buffering=0)

    def _write_in_turn(self, line: bytes, head: bytes) -> None:
        try:
            if self._due(len(line)):
                self._turn(head)
            self._write(line)
        except BrokenPipeError:
            raise
        except OSError as error:
            self._lost = f"{self._name}: can't be written any more: {error.strerror}; free some space"
            self._trouble = f"{self._lost}. Listening goes on without a log"

    def _due(self, coming_bytes: int) -> bool:
        if self._lines < 2:  # a file with nothing but a session line says nothing
            return False
        most = self._rotation.max_bytes
        too_long = most is not None and self._size - self._counted_from + coming_bytes > most
        return too_long or (self._rotation.daily and self._now().date() > self._day)

    def _turn(self, head: bytes) -> None:
        """Go on in a new file. Where that can't be, go on in the old one until the next is due."""
        self._counted_from, self._day = self._size, self._now().date()
        self._file.close()  # Windows renames no open file
        old = self._path
        try:
            if old.exists():
                old = put_away(self._path, self._now())
            self._file = _begun(self._path, head)
        except OSError as error:
            self._file = _reopened(old, self._path)
            if not self._hindered:
                self._trouble = f"{self._name}: no new file can be begun: {error.strerror}; it goes on in the old one"
            self._hindered = True
        else:
            self._lines, self._size, self._counted_from = int(bool(head)), len(head), 0
            self._hindered = False

    def _write(self, line: bytes) -> None:
        try:
            _write_all(self._file, line)
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(self._size)
            raise
        self._lines += 1
        self._size += len(line)


class SessionLines:
    """One session's part of the log: what a `JsonlSink` writes to. The first line is to be the session's."""

    def __init__(self, file: LogFile) -> None:
        self._file = file
        self._head = ""

    def write(self, line: str) -> None:
        """Append a whole line; raises as `LogFile.append`."""
        self._file.append(line, self._head)
        self._head = self._head or json.dumps({**json.loads(line), "continued": True}) + "\n"

    def flush(self) -> None:
        """Nothing is held back."""


def _is_special(path: Path) -> bool:
    """A pipe or device, whose real path may be none that can be opened (/dev/stdout)."""
    return path.exists() and not path.is_file()


def _begun(path: Path, head: bytes) -> FileIO:
    """A new file with its first line, or no file."""
    file = path.open("xb", buffering=0)
    try:
        _write_all(file, head)
    except OSError:
        file.close()
        path.unlink()
        raise
    return file


def _reopened(old: Path, path: Path) -> FileIO:
    """The old file again, by its own name unless that is taken by now."""
    if old != path and not path.exists():
        old = old.rename(path)
    return old.open("ab", buffering=0)


def _write_all(file: FileIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) or 0 :]
