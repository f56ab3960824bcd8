"""A session's own folder: made before it listens, summed up when it ends."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.errors import InputFileError, LaennecError, SettingError
from stream import gaps
from stream.log import reading
from stream.put_away import older
from stream.sessions.summary import Summary, checked, summarise

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOG = "log.jsonl"
SUMMARY = "summary.json"
_ID = re.compile(r"(\d{4}-\d\d-\d\dT\d{6}Z)(?:-([2-9]|[1-9]\d+))?")
_SOUND = (".wav", ".flac")
_GAPS = gaps.beside(Path("x")).name.removeprefix("x")
_MOST_SUMMARY_BYTES = 1 << 20


def usual() -> Path:
    """The user's own folder of sessions: `--session default`, and where `laennec sessions` looks."""
    import platformdirs

    return platformdirs.user_data_path("laennec") / "sessions"


def order(name: str) -> tuple[str, int] | None:
    """By which sessions sort in time; None for a name that is no session's."""
    found = _ID.fullmatch(name)
    return (found[1], int(found[2] or 1)) if found else None


@contextlib.contextmanager
def begun(parent: Path) -> Iterator[Path]:
    """A new session's folder. Once the session is over it gets its summary; without a line in its log it goes again.

    Args:
        parent: where to; made if it is missing.

    Raises:
        SettingError: it can't be made.
        LaennecError: at the end, the summary can't be written.
    """
    with _kept(_made(parent)) as path:
        yield path


@contextlib.contextmanager
def begun_ward(parent: Path, names: Sequence[str]) -> Iterator[list[Path]]:
    """A folder for each of several streams, by its name, in a new one for all of them; each is as of `begun`.

    Raises:
        SettingError: one can't be made.
        LaennecError: at the end, a summary can't be written.
    """
    whole = _made(parent)
    with contextlib.ExitStack() as leaving:
        leaving.callback(_withdraw, whole)
        yield [leaving.enter_context(_kept(_own(whole, name))) for name in names]


@contextlib.contextmanager
def _kept(path: Path) -> Iterator[Path]:
    """A folder that is a session's as long as this lasts, and summed up then."""
    with _held(path):
        try:
            yield path
        except BaseException:
            with contextlib.suppress(LaennecError):  # why it failed matters more
                _finish(path)
            raise
        _finish(path)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Until this is over, `is_kept`; also where the program is killed, it ends with it."""
    with contextlib.ExitStack() as leaving:
        if fcntl:
            try:
                descriptor = os.open(path, os.O_RDONLY)
            except OSError as error:
                _withdraw(path)
                raise SettingError(f"{path}: can't be kept: {error.strerror}; give another --session") from error
            leaving.callback(os.close, descriptor)
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def is_kept(path: Path) -> bool:
    """Whether a session is still being kept there; never on Windows, where that can't be known.

    Raises:
        OSError: it can't be read.
    """
    if not fcntl:
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False


def summary_of(path: Path) -> Summary:
    """A session's summary; where there is none that can be used, from its log.

    Raises:
        InputFileError: the log can't be read or is damaged.
    """
    return _stored(path) or _from_log(path)


def marks(path: Path) -> list[dict[str, Any]]:
    """The moments that were marked, as lines of the log.

    Raises:
        InputFileError: the log can't be read or is damaged.
    """
    return [line for line in reading.read(path / LOG) if line["type"] == "mark"]


def is_ours(path: Path) -> bool:
    """Whether what lies in a folder named as a session is one: its log, or else its summary, was written by Laennec."""
    log = path / LOG
    with contextlib.suppress(OSError):
        if _is_plain(log) and (reading.is_log(log) or not log.stat().st_size):
            return True
    return _stored(path) is not None


def own_files(path: Path) -> tuple[list[Path], list[Path]]:
    """What in a session's folder is the session's, and what is not, sorted by name.

    Its own are the log's files, the summary, sound files and their gaps. Links and folders are not.

    Raises:
        OSError: it can't be read.
    """
    logs = {LOG, SUMMARY, *(file.name for file in older(path / LOG))}
    own: list[Path] = []
    others: list[Path] = []
    for file in sorted(path.iterdir()):
        recorded = _is_sound(file) or _is_sound(Path(file.name.removesuffix(_GAPS)))
        (own if _is_plain(file) and (file.name in logs or recorded) else others).append(file)
    return own, others


def _is_sound(path: Path) -> bool:
    return path.suffix.lower() in _SOUND


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _stored(path: Path) -> Summary | None:
    file = path / SUMMARY
    with contextlib.suppress(OSError, ValueError, RecursionError):
        if _is_plain(file) and file.stat().st_size <= _MOST_SUMMARY_BYTES:
            return checked(json.loads(file.read_bytes()))
    return None


def _from_log(path: Path) -> Summary:
    if not _is_plain(path / LOG):
        raise InputFileError(f"{path}: holds no {LOG}; delete it by hand if nothing in it is wanted")
    try:
        recordings = [file.name for file in path.iterdir() if _is_sound(file) and _is_plain(file)]
    except OSError as error:
        raise InputFileError(f"{path}: can't be read: {error.strerror}; check its permissions") from error
    try:
        return summarise(reading.read(path / LOG), recordings)
    except InputFileError as error:
        named = str(error) if str(path) in str(error) else f"{path / LOG}: {error}"
        raise InputFileError(named) from error


def _own(whole: Path, name: str) -> Path:
    path = whole / name
    try:
        path.mkdir(mode=0o700)
    except OSError as error:
        raise SettingError(
            f"{path}: the folder can't be made: {error.strerror}; give another --session, or rename the recording"
        ) from error
    return path


def _made(parent: Path) -> Path:
    started = f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in itertools.count(1):
            path = parent / (started if number == 1 else f"{started}-{number}")
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
                return path
    except FileExistsError as error:
        raise SettingError(f"{parent}: is a file, no folder for sessions; give another --session") from error
    except OSError as error:
        raise SettingError(
            f"{parent}: no folder can be made there: {error.strerror}; give another --session"
        ) from error
    raise AssertionError("numbers never end")


def _finish(path: Path) -> None:
    log, file = path / LOG, path / SUMMARY
    if not log.is_file() or not log.stat().st_size:
        _withdraw(path)
        return
    try:
        file.write_text(json.dumps(_from_log(path), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        with contextlib.suppress(OSError):
            file.unlink()
        raise LaennecError(
            f"{file}: can't be written: {error.strerror}; free some space. It is told from the log meanwhile"
        ) from error


def _withdraw(path: Path) -> None:
    """The session was refused: as if its folder had never been."""
    with contextlib.suppress(OSError):
        (path / LOG).unlink(missing_ok=True)
        path.rmdir()
