"""One command at a time writes to a table."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from models.errors import SettingError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def held(table: Path) -> Iterator[None]:
    """Until this is over, the table is ours, by a lock on NAME.csv.lock; where the program is killed, it ends with it.

    The table itself can't be locked: another file takes its name when it is put away or gets other rows.

    Raises:
        SettingError: another command writes to the table.
    """
    path = Path(os.path.realpath(table))
    if not fcntl or (path.exists() and not path.is_file()):
        yield
        return
    lock = path.with_name(f"{path.name}.lock")
    try:
        descriptor = _locked(lock)
    except BlockingIOError as error:
        raise SettingError(
            f"{table}: another command writes to it at the moment; wait until that has ended, or give another --out"
        ) from error
    except OSError as error:
        raise SettingError(f"{table}: can't be written: {error.strerror}; give another --out") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()
        os.close(descriptor)


def _locked(lock: Path) -> int:
    """The lock's file, open. One that its holder deleted between our opening and locking it is none."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor)
            if os.path.samestat(os.fstat(descriptor), lock.stat()):
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks
        pass
