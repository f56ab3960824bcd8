"""Sessions as a command runs them: one source after the other, on one screen, into one log, to a clean end."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer

from models import bundle as bundles
from models.bundle import Bundle
from models.errors import DeviceError, LaennecError
from stream import display, options
from stream.block import Source
from stream.session import Session
from stream.sinks.jsonl import Lines
from stream.sinks.recorder import Recorder

if TYPE_CHECKING:
    from stream.sinks.metrics import MetricsSink

Made = TypeVar("Made")
_OPEN_LIMIT_S = 10.0
_opening: list[threading.Thread] = []


def run(openers: Iterator[Callable[[], Source]], model: Path | None, output: options.Output) -> None:
    """Run a session per source, one after the other, on one screen and into one log."""
    bundle = bundles.load(model or bundles.SHIPPED)
    screen_wanted = display.wants_screen(output.plain, output.json_lines, output.quiet)
    session: Session | None = None
    try:
        with (
            options.metrics(output.metrics) as metrics,
            options.log_file(output.log, output.rotation) as log,
            display.opened(screen_wanted) as screen,
            display.stopping() as stopper,
        ):
            for opener in openers:
                session = _session(opener(), bundle, output, log, screen is not None, metrics)
                stopper.watch(session)
                display.run(session, screen)
                if session.stopped:
                    break
    finally:
        if session and screen_wanted:
            display.summary(session)


def _session(
    source: Source,
    bundle: Bundle,
    output: options.Output,
    log: Callable[[], Lines | None],
    screen: bool,
    metrics: MetricsSink | None,
) -> Session:
    recorder: Recorder | None = None
    try:
        # The recorder first: it can be withdrawn. A log that was begun can't.
        recorder = Recorder(output.record, source.rate_hz) if output.record else None
        sinks = options.sinks(output, log(), bundle, source, screen)
    except (LaennecError, OSError):
        source.close()
        if recorder:
            recorder.withdraw()
        raise
    if metrics is None:
        return Session(source, bundle, sinks, recorder)
    session = Session(source, bundle, [*sinks, metrics], recorder)
    metrics.watch(session.snapshot)
    return session


def bounded(make: Callable[[], Made]) -> Made:
    """What a call into the sound system makes, on a thread of its own: where that hangs, Ctrl-C is still heard.

    Raises:
        DeviceError: it does not come back.
    """
    made: list[Made] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            made.append(make())
        except BaseException as error:  # raised again below, on the caller's thread
            errors.append(error)

    thread = threading.Thread(target=work, name="open audio device", daemon=True)
    thread.start()
    _opening.append(thread)
    until_s = time.monotonic() + _OPEN_LIMIT_S
    while thread.is_alive():
        thread.join(0.05)
        if thread.is_alive() and time.monotonic() > until_s:
            raise DeviceError("the sound system does not answer: restart it, or reconnect the device")
    if errors:
        raise errors[0]
    return made[0]


def leave_if_wedged(held: list[Any], error: LaennecError | KeyboardInterrupt | None) -> None:
    """A driver that does not let go would keep the interpreter from ending: leave without its consent."""
    hangs = any(thread.is_alive() for thread in _opening)
    if not hangs and (not held or held[-1].closed_cleanly):
        return
    if isinstance(error, KeyboardInterrupt):  # pressed again while the driver was asked to let go
        leave(130)
    if error:
        typer.echo(f"laennec: {error}", err=True)
    leave(error.exit_code if error else 0)


def leave(code: int) -> NoReturn:
    """End the program at once, its output written."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
