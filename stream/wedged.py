"""Calls into a sound system that may never come back: waited for within limits, and left behind at the end."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn, Protocol, TypeVar

import typer

from models.errors import DeviceError, LaennecError
from stream.sources.quiet import quiet_stderr

Made = TypeVar("Made")
_LIMIT_S = 10.0
_calls: list[threading.Thread] = []


class Closed(Protocol):
    """What may not have let its device go."""

    @property
    def closed_cleanly(self) -> bool:
        """Whether it did."""


def bounded(make: Callable[[], Made]) -> Made:
    """What a call makes, on a thread of its own: where that hangs, Ctrl-C is still heard.

    Raises:
        DeviceError: it does not come back within 10 s.
    """
    made: list[Made] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            made.append(make())
        except BaseException as error:  # raised again below, on the caller's thread
            errors.append(error)

    thread = threading.Thread(target=work, name="ask the sound system", daemon=True)
    _calls.append(thread)
    with quiet_stderr():  # here, so that a thread that hangs does not keep standard error silent
        thread.start()
        _wait(thread)
    if errors:
        raise errors[0]
    return made[0]


def _wait(thread: threading.Thread) -> None:
    until_s = time.monotonic() + _LIMIT_S
    while thread.is_alive():
        thread.join(0.05)
        if thread.is_alive() and time.monotonic() > until_s:
            raise DeviceError("the sound system does not answer: restart it, or reconnect the device")


@contextmanager
def left_behind(held: list[Closed]) -> Iterator[None]:
    """Where a driver still holds on at the end of this, the program ends here: the interpreter would wait for it."""
    try:
        yield
    except LaennecError as error:
        if _hangs(held):
            typer.echo(f"laennec: {error}", err=True)
            leave(error.exit_code)
        raise
    except KeyboardInterrupt:  # pressed again while the driver was asked to let go
        if _hangs(held):
            leave(130)
        raise
    except typer.Exit as end:
        if _hangs(held):
            leave(end.exit_code)
        raise
    if _hangs(held):
        leave(0)


def _hangs(held: list[Closed]) -> bool:
    return any(thread.is_alive() for thread in _calls) or not all(source.closed_cleanly for source in held)


def leave(code: int) -> NoReturn:
    """End the program at once, its output written."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
