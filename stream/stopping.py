"""How listening is ended from outside: signals, handed on to what runs."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_CLOSED = getattr(signal, "SIGHUP", None)
AGAIN_S = 0.5


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
