"""Calls into a sound system that may never come back: waited for within limits, and left behind at the end."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, Protocol, TypeVar

import typer

from models.errors import DeviceError, LaennecError
from stream.sources.quiet import quiet_stderr

Made = TypeVar("Made")
_LIMIT_S = 10.0
_calls: list[threading.Event] = []  # set when the call came back


class Closable(Protocol):
    """What holds a device."""

    @property
    def closed_cleanly(self) -> bool:
        """Whether it let it go."""


def bounded(make: Callable[[], Made], limit_s: float = _LIMIT_S) -> Made:
    """What a call makes, on a thread of its own: where that hangs, Ctrl-C is still heard.

    Raises:
        DeviceError: it does not come back in time.
    """
    made: list[Made] = []
    errors: list[BaseException] = []
    over = threading.Event()  # not `Thread.join`: see `DeviceSource.close`

    def work() -> None:
        try:
            made.append(make())
        except BaseException as error:  # raised again below, on the caller's thread
            errors.append(error)
        finally:
            over.set()

    _calls.append(over)
    with quiet_stderr():  # here, so that a thread that hangs does not keep standard error silent
        threading.Thread(target=work, name="ask the sound system", daemon=True).start()
        if not over.wait(limit_s):
            raise DeviceError("the sound system does not answer: restart it, or reconnect the device")
    if errors:
        raise errors[0]
    return made[0]


@contextmanager
def left_behind(held: list[Closable]) -> Iterator[None]:
    """Where a driver still holds on at the end of this, the program ends here: the interpreter would wait for it."""
    try:
        yield
    except BaseException as end:
        if not _hangs(held):
            raise
        if isinstance(end, LaennecError | OSError):
            typer.echo(f"laennec: {end}", err=True)
        leave(_exit_code(end))
    if _hangs(held):
        leave(0)


def _exit_code(end: BaseException) -> int:
    if isinstance(end, KeyboardInterrupt):
        return 130
    if isinstance(end, SystemExit):
        return end.code if isinstance(end.code, int) else 1
    return int(getattr(end, "exit_code", 1))  # of a refusal, or of Typer's own end


def _hangs(held: list[Closable]) -> bool:
    return any(not over.is_set() for over in _calls) or not all(source.closed_cleanly for source in held)


def leave(code: int) -> NoReturn:
    """End the program at once, its output written as far as anybody takes it."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)
