"""How a session shows itself on the terminal, and how it is stopped: screen, plain lines, JSON lines or nothing."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, Protocol

from rich.console import Console

from stream.monitor.palette import ThemeName
from stream.monitor.screen import Screen, screen_possible
from stream.session import Session
from stream.sinks.plain import PlainSink

FRAME_S = 0.12
_LAST_WAIT_S = 5.0
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def wants_screen(plain: bool, json_lines: bool, quiet: bool) -> bool:
    """Whether the options and the terminal call for the full screen."""
    return not (plain or json_lines or quiet) and screen_possible(Console())


class Stoppable(Protocol):
    """What can be asked to end: a session, a source."""

    def stop(self) -> None:
        """End soon; takes no lock."""


class Stopper:
    """Hands a signal on to the session that runs. One that comes between two sessions ends the next at once."""

    def __init__(self) -> None:
        self.asked = False
        self._session: Stoppable | None = None

    def watch(self, session: Stoppable) -> None:
        """The session that runs from now on."""
        self._session = session
        if self.asked:
            session.stop()

    def ask(self) -> None:
        """End soon, in good order. Takes no lock: a signal handler calls it."""
        self.asked = True
        if self._session:
            self._session.stop()


def run(session: Session, screen: Screen | None) -> None:
    """Run a session to its end.

    Args:
        session: what to run.
        screen: an open screen to draw on, or None.

    Raises:
        LaennecError: as `Session.run`.
    """
    if screen is None:
        session.run()
    else:
        _run_under(session, screen)


@contextlib.contextmanager
def opened(wanted: bool, theme: ThemeName = ThemeName.DARK) -> Iterator[Screen | None]:
    """The screen, if wanted."""
    if not wanted:
        yield None
        return
    with Screen(theme=theme) as screen:
        yield screen


def summary(session: Session) -> None:
    """What remains on the terminal after the screen has gone, unless that was closed."""
    last = session.snapshot()
    sink = PlainSink(sys.stdout)
    with contextlib.suppress(BrokenPipeError):
        if last.decision:
            sink.decision(last.decision)
        if last.notice:
            sink.notice(last.ledger.captured / last.rate_hz, last.notice)
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
    try:
        while worker.is_alive():
            # Where the terminal's window was closed, SIGHUP says whether the session is to end; drawing does not.
            with contextlib.suppress(OSError):
                screen.draw(session.snapshot())
            worker.join(FRAME_S)
    finally:
        # Whatever went wrong with drawing, the log is ended and the device let go.
        if worker.is_alive():
            session.stop("the screen failed")
            worker.join(_LAST_WAIT_S)
    if failures:
        raise failures[0]


@contextlib.contextmanager
def stopping() -> Iterator[Stopper]:
    """Ctrl-C, SIGTERM and a closed terminal end sessions in good order; a second signal does what it always does."""
    stopper = Stopper()
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    # `nohup` asks a program to outlive its terminal.
    numbers = [n for n in numbers if n.name != "SIGHUP" or signal.getsignal(n) != signal.SIG_IGN]
    before: dict[int, Any] = {}

    def ask(number: int, _frame: Any) -> None:
        signal.signal(number, before[number])
        stopper.ask()

    for number in numbers:
        before[number] = signal.signal(number, ask)
    try:
        yield stopper
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
