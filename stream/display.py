"""How a session shows itself on the terminal, and how it is stopped: screen, plain lines, JSON lines or nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rich.console import Console

from stream.controls import Controls
from stream.monitor.keyboard import Keyboard, Suspension, in_foreground, keyboard, suspending
from stream.monitor.palette import ThemeName
from stream.monitor.screen import Screen, screen_possible
from stream.session import Session
from stream.sinks.plain import PlainSink
from stream.snapshot import Snapshot

FRAME_S = 0.2
_LAST_WAIT_S = 5.0
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_CLOSED = getattr(signal, "SIGHUP", None)
AGAIN_S = 0.5
#: Leaves the alternate screen and shows the cursor, where nothing can be waited for any more.
_GIVE_BACK = b"\x1b[?1049l\x1b[?25h"


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

    @property
    def watches(self) -> bool:
        """Whether there is a session to ask."""
        return self._session is not None

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


class Terminal:
    """A screen, and the keyboard before it, for a `with` statement: both are the terminal's again afterwards.

    While the program is a job behind a shell, the terminal is left alone.
    """

    def __init__(self, screen: Screen, keys: Keyboard) -> None:
        self.keys = keys
        self._screen = screen
        self._shown = False
        self._suspension = Suspension()
        self._leaving = contextlib.ExitStack()

    def __enter__(self) -> Terminal:
        self._suspension = self._leaving.enter_context(suspending(self.keys))
        self._leaving.callback(self._hide)
        self._show()
        return self

    def __exit__(self, *_error: object) -> None:
        self._leaving.close()

    def draw(self, session: Session, controls: Controls) -> None:
        """Show how a session stands; stop here first where the listener pressed Ctrl-Z."""
        if self._suspension.asked:
            self._hide()
            self._suspension.stop()
        self._show()
        if self._shown:
            self._screen.draw(session.snapshot(controls.view(session, self.keys.works)))

    def give_back(self) -> None:
        """Leave the terminal as it was, at once: a signal is about to end the program."""
        if self._shown:
            self.keys.end()
            with contextlib.suppress(OSError):
                os.write(sys.stdout.fileno(), _GIVE_BACK)

    def _show(self) -> None:
        if not self._shown and in_foreground():
            self._shown = True
            self.keys.begin()
            self._screen.enter()

    def _hide(self) -> None:
        if self._shown:
            self._shown = False
            try:
                with contextlib.suppress(OSError):  # the terminal was closed
                    self._screen.leave()
            finally:
                self.keys.end()


def run(session: Session, terminal: Terminal | None, controls: Controls | None = None) -> None:
    """Run a session to its end.

    Args:
        session: what to run.
        terminal: where it is shown, or None.
        controls: what the keys do; where not given, recordings begin in the current folder.

    Raises:
        LaennecError: as `Session.run`.
    """
    if terminal is None:
        session.run()
    else:
        _run_under(session, terminal, controls or Controls())


@contextlib.contextmanager
def opened(wanted: bool, theme: ThemeName = ThemeName.DARK) -> Iterator[Terminal | None]:
    """The screen and the keyboard, if wanted."""
    if not wanted:
        yield None
        return
    with Terminal(Screen(theme=theme), keyboard()) as terminal:
        yield terminal


class Left(NamedTuple):
    """What a session leaves: how it stood in the end, and its folder, if it has one."""

    last: Snapshot
    kept: Path | None


def summary(sessions: Sequence[Left]) -> None:
    """What remains on the terminal after the screen has gone, unless that was closed; of several, each is named."""
    with contextlib.suppress(BrokenPipeError):
        for last, kept in sessions:
            _summary(last, kept, named=len(sessions) > 1)


def _summary(last: Snapshot, kept: Path | None, named: bool) -> None:
    sink = PlainSink(sys.stdout, last.rate_hz)
    if named:
        sink.line(f"{last.source}:")
    if last.decision:
        sink.decision(last.decision)
    if last.notice:
        sink.notice(last.ledger.captured / last.rate_hz, last.notice)
    sink.end(last.ledger, last.ended)
    if kept:
        sink.line(f"kept in {kept}")


def _run_under(session: Session, terminal: Terminal, controls: Controls) -> None:
    """The worker listens, this thread draws, and heeds the keys."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            session.run()
        except BaseException as error:  # raised again below, on the main thread
            failures.append(error)
        finally:
            terminal.keys.wake()

    controls.session_begins()
    worker = threading.Thread(target=work, name="listen", daemon=True)
    worker.start()
    try:
        while worker.is_alive():
            # Where the terminal's window was closed, SIGHUP says whether the session is to end; drawing does not.
            with contextlib.suppress(OSError):
                terminal.draw(session, controls)
            for key in terminal.keys.read(FRAME_S):
                controls.press(key, session)
    finally:
        # Whatever went wrong with drawing, the log is ended and the device let go.
        if worker.is_alive():
            session.stop("the screen failed")
            worker.join(_LAST_WAIT_S)
    if failures:
        raise failures[0]


@contextlib.contextmanager
def stopping(give_back: Callable[[], None] = lambda: None) -> Iterator[Stopper]:
    """Ctrl-C, SIGTERM and a closed terminal end sessions in good order; a second signal does what it always does.

    But for one that comes with the first: shells, terminals and `timeout` may each send theirs. A terminal is closed
    once, however often that is told. Before the first session there is nothing to be ended in good order: then the
    first one ends the program.

    Args:
        give_back: called before a second signal ends the program at once.
    """
    stopper = Stopper()
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    # `nohup` asks a program to outlive its terminal.
    numbers = [n for n in numbers if n.name != "SIGHUP" or signal.getsignal(n) != signal.SIG_IGN]

    first_s: list[float] = []

    def ask(number: int, _frame: Any) -> None:
        if not stopper.watches:  # the device is still being opened, which may hang
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        if not first_s:
            first_s.append(time.monotonic())
            stopper.ask()
        elif number != _CLOSED and time.monotonic() - first_s[0] > AGAIN_S:
            again(number)

    def again(number: int) -> None:
        give_back()
        signal.signal(number, before[number])
        os.kill(os.getpid(), number)

    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, ask)
    try:
        yield stopper
    finally:
        if not first_s:  # else the program is about to end, and the same signal may come again before it has
            for number, handler in before.items():
                signal.signal(number, handler)
