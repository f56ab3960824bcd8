"""How a session shows itself on the terminal, and how it is stopped: screen, plain lines, JSON lines or nothing."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from stream.monitor.screen import Screen, screen_possible
from stream.session import Session
from stream.sinks.plain import PlainSink
from stream.sources.portaudio import quiet_stderr

FRAME_S = 0.12
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def wants_screen(plain: bool, json_lines: bool, quiet: bool) -> bool:
    """Whether the options and the terminal call for the full screen."""
    return not (plain or json_lines or quiet) and screen_possible(Console())


def run(session: Session, screen: Screen | None) -> None:
    """Run a session to its end; Ctrl-C, SIGTERM and a closed terminal end it in good order.

    Args:
        session: what to run.
        screen: an open screen to draw on, or None.

    Raises:
        LaennecError: as `Session.run`.
    """
    with _stopping(session):
        if screen is None:
            session.run()
        else:
            _run_under(session, screen)


@contextlib.contextmanager
def opened(wanted: bool) -> Iterator[Screen | None]:
    """The screen, if wanted. PortAudio's C library writes to standard error, which would tear it: it is sent away."""
    if not wanted:
        yield None
        return
    with quiet_stderr(), Screen() as screen:
        yield screen


def summary(session: Session) -> None:
    """What remains on the terminal after the screen has gone."""
    last = session.snapshot()
    sink = PlainSink(sys.stdout)
    if last.decision:
        sink.decision(last.decision)
    sink.end(last.ledger, last.ended)


def _run_under(session: Session, screen: Screen) -> None:
    """The worker listens, this thread draws."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            session.run()
        except BaseException as error:  # raised again below, on the main thread
            failures.append(error)

    worker = threading.Thread(target=work, name="listen", daemon=True)
    worker.start()
    while worker.is_alive():
        screen.draw(session.snapshot())
        worker.join(FRAME_S)
    if failures:
        raise failures[0]


@contextlib.contextmanager
def _stopping(session: Session) -> Iterator[None]:
    """The first signal stops the session; a second one of its kind does what it always does."""
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before: dict[int, Any] = {}

    def ask(number: int, _frame: Any) -> None:
        signal.signal(number, before[number])
        session.stop("stopped")

    for number in numbers:
        before[number] = signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
