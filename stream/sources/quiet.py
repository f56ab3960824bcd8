"""Silence for libraries that write to standard error from C: ALSA and PortAudio do, across a live screen."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_quiet = threading.Lock()  # held while standard error is dropped


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what is written to file descriptor 2: ALSA and PortAudio write to it from C, across a live screen.

    It holds for the whole process, Python's own sys.stderr included. Within another it does nothing: a thread that was
    left behind in a hanging driver must not undo what the outer one restored.
    """
    if not _quiet.acquire(blocking=False):
        yield
        return
    try:
        with _stderr_dropped():
            yield
    finally:
        _quiet.release()


@contextmanager
def _stderr_dropped() -> Iterator[None]:
    try:
        saved = os.dup(2)
    except OSError:  # standard error is closed already
        yield
        return
    try:
        target = os.open(os.devnull, os.O_WRONLY)
    except OSError:  # too many files are open: better noise than no sound
        os.close(saved)
        yield
        return
    try:
        os.dup2(target, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(target)
