"""Files that may be open at once: many systems allow a program 256 or 1,024 unless it asks for more."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from models.errors import LaennecError, SettingError

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

_PER_STREAM = 4  # the recording that is read, one that is written, a log, the lock of its folder
_OTHERS = 128


def make_room(streams: int) -> None:
    """Ask for as many as so many streams may need; what the system refuses shows when a file is opened."""
    wanted = streams * _PER_STREAM + _OTHERS
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


@contextlib.contextmanager
def shortage_told() -> Iterator[None]:
    """Where a log, recording or folder can't be opened because too many files are: another place would not help.

    Raises:
        SettingError: that is why.
    """
    try:
        yield
    except (LaennecError, OSError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            raise SettingError(
                "so many streams need more files open at once than the system allows; hear fewer, leave --session "
                "and --record out, or allow more (`ulimit -n`)"
            ) from error
        raise
