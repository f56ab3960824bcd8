"""How listening shows itself on the terminal: screen, or plain lines, JSON lines, nothing; and what stays there."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rich.console import Console, Group

from stream.controls import Controls
from stream.monitor import layout
from stream.monitor.keyboard import Keyboard, Suspension, in_foreground, keyboard, suspending
from stream.monitor.keys import Key
from stream.monitor.palette import ThemeName
from stream.monitor.screen import Screen, screen_possible
from stream.session import Session
from stream.sinks.plain import PlainSink
from stream.snapshot import Snapshot

FRAME_S = 0.2
_LAST_WAIT_S = 5.0
#: Leaves the alternate screen and shows the cursor, where nothing can be waited for any more.
_GIVE_BACK = b"\x1b[?1049l\x1b[?25h"


def wants_screen(plain: bool, json_lines: bool, quiet: bool) -> bool:
    """Whether the options and the terminal call for the full screen."""
    return not (plain or json_lines or quiet) and screen_possible(Console())


class Listening(Protocol):
    """What runs beside the screen: a session, or a ward."""

    def run(self) -> None:
        """To its end; raises what failed."""

    def stop(self, reason: str = ...) -> None:
        """End soon, for that reason."""


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

    def draw(self, look: Callable[[bool], Any]) -> None:
        """Show how things stand; stop here first where the listener pressed Ctrl-Z.

        Args:
            look: what the screen draws, now; told whether keys can be pressed.
        """
        if self._suspension.asked:
            self._hide()
            self._suspension.stop()
        self._show()
        if self._shown:
            self._screen.draw(look(self.keys.works))

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
        return
    asked = controls or Controls()
    asked.session_begins()

    def look(keyboard: bool) -> Snapshot:
        return session.snapshot(asked.view(session, keyboard))

    run_under(session, terminal, look, lambda key: asked.press(key, session))


@contextlib.contextmanager
def opened(
    wanted: bool, theme: ThemeName = ThemeName.DARK, render: Callable[..., Group] = layout.render
) -> Iterator[Terminal | None]:
    """The screen and the keyboard, if wanted; `render` as for `Screen`."""
    if not wanted:
        yield None
        return
    with Terminal(Screen(theme=theme, render=render), keyboard()) as terminal:
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


def run_under(
    listening: Listening, terminal: Terminal, look: Callable[[bool], Any], press: Callable[[Key], None]
) -> None:
    """A worker listens to the end, this thread draws, and heeds the keys.

    Args:
        listening: what runs.
        terminal: where it is shown.
        look: as for `Terminal.draw`.
        press: does what a key is for.

    Raises:
        LaennecError: as `listening.run`.
    """
    failures: list[BaseException] = []

    def work() -> None:
        try:
            listening.run()
        except BaseException as error:  # raised again below, on the main thread
            failures.append(error)
        finally:
            terminal.keys.wake()

    worker = threading.Thread(target=work, name="listen", daemon=True)
    worker.start()
    try:
        while worker.is_alive():
            # Where the terminal's window was closed, SIGHUP says whether the session is to end; drawing does not.
            with contextlib.suppress(OSError):
                terminal.draw(look)
            for key in terminal.keys.read(FRAME_S):
                press(key)
    finally:
        # Whatever went wrong with drawing, the log is ended and the device let go.
        if worker.is_alive():
            listening.stop("the screen failed")
            worker.join(_LAST_WAIT_S)
    if failures:
        raise failures[0]
