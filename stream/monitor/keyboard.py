"""Single keys from the terminal, read without a thread: whoever draws waits here, and is woken by a press."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, Protocol

from stream.monitor.keys import PASTES_OFF, PASTES_ON, Key, decode

if sys.platform != "win32":
    import termios

#: The rest of an escape sequence follows within this, also over a slow line.
_SEQUENCE_S = 0.05
_MOST_BYTES = 4096


class Keyboard(Protocol):
    """Where keys come from, while the screen is shown."""

    @property
    def works(self) -> bool:
        """Whether any can come."""

    def begin(self) -> None:
        """Listen to keys from now on."""

    def end(self) -> None:
        """Leave the terminal as it was; may be called twice, and before `begin`."""

    def read(self, timeout_s: float) -> list[Key]:
        """Keys that were pressed; waits for one for so long, or until `wake`."""

    def wake(self) -> None:
        """End a wait, from another thread or a signal handler."""


class NoKeyboard:
    """Standard input is no terminal: a wait is only a wait."""

    works = False

    def __init__(self) -> None:
        self._woken = threading.Event()

    def begin(self) -> None:
        """Nothing to do."""

    def end(self) -> None:
        """Nothing to do."""

    def read(self, timeout_s: float) -> list[Key]:
        """Wait."""
        self._woken.wait(timeout_s)
        self._woken.clear()
        return []

    def wake(self) -> None:
        """End a wait."""
        self._woken.set()


class TerminalKeyboard:
    """Keys of a POSIX terminal: without echo and without waiting for Enter; Ctrl-C and Ctrl-Z stay signals.

    Args:
        source: standard input; a terminal.
        sink: where the terminal is asked to frame pasted text.
    """

    def __init__(self, source: Any, sink: Any) -> None:
        self._in, self._out = source.fileno(), sink.fileno()
        self._encoding = source.encoding or "utf-8"
        self._before: list[Any] | None = None
        self._waiting = b""
        self._open = True
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._waker, False)

    @property
    def works(self) -> bool:
        """Whether the terminal is still there, and was asked for single keys."""
        return self._open and self._before is not None

    def begin(self) -> None:
        """Take single keys; what was typed before is not one of them. Nothing where the terminal refuses."""
        if self._before is not None:
            return
        with contextlib.suppress(OSError, termios.error):
            before = termios.tcgetattr(self._in)
            single = [*before[:6], list(before[6])]
            single[3] &= ~(termios.ICANON | termios.ECHO)
            single[6][termios.VMIN], single[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self._in, termios.TCSAFLUSH, single)
            self._before, self._waiting = before, b""
            os.write(self._out, PASTES_ON)

    def end(self) -> None:
        """Give the terminal its own modes back."""
        before, self._before = self._before, None
        if before is not None:
            with contextlib.suppress(OSError, termios.error):
                os.write(self._out, PASTES_OFF)
                # What was typed and not read would be a command line.
                termios.tcsetattr(self._in, termios.TCSAFLUSH, before)

    def read(self, timeout_s: float) -> list[Key]:
        """See `Keyboard`."""
        limit_s = min(timeout_s, _SEQUENCE_S) if self._waiting else timeout_s
        watched = [self._woken, *([self._in] if self.works else [])]
        ready, _, _ = select.select(watched, [], [], limit_s)
        if self._woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, _MOST_BYTES)
        if self._in not in ready:
            return self._decoded(b"", final=self._woken not in ready)
        return self._decoded(self._received(), final=False)

    def wake(self) -> None:
        """See `Keyboard`."""
        with contextlib.suppress(OSError):  # full: it is woken anyway
            os.write(self._waker, b"!")

    def _received(self) -> bytes:
        try:
            received = os.read(self._in, _MOST_BYTES)
        except OSError:  # the terminal's window was closed
            received = b""
        self._open = bool(received)
        return received

    def _decoded(self, received: bytes, final: bool) -> list[Key]:
        keys, self._waiting = decode(self._waiting + received, self._encoding, final)
        return keys


def keyboard() -> Keyboard:
    """The keyboard, where standard input and output are terminals."""
    if not (_is_terminal(sys.stdin) and _is_terminal(sys.stdout)):
        return NoKeyboard()
    if sys.platform == "win32":
        from stream.monitor.keyboard_windows import WindowsKeyboard

        return WindowsKeyboard()
    return TerminalKeyboard(sys.stdin, sys.stdout)


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # none at all, or closed
        return False


def in_foreground() -> bool:
    """Whether the terminal is this program's to draw on: a job that runs behind a shell must leave it alone."""
    try:
        return os.tcgetpgrp(sys.stdout.fileno()) == os.getpgrp()
    except (AttributeError, OSError, ValueError):  # no job control here
        return True


class Suspension:
    """Whether the program was asked to stop for a while (Ctrl-Z)."""

    def __init__(self) -> None:
        self.asked = False

    def stop(self) -> None:
        """Stop here, as the signal would have; returns once somebody lets the program go on."""
        self.asked = False
        number = signal.SIGTSTP
        handler = signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, handler)


@contextlib.contextmanager
def suspending(keyboard: Keyboard) -> Iterator[Suspension]:
    """Ctrl-Z only sets `asked`, and wakes who waits for a key: the screen is given back first. Not where ignored."""
    suspension = Suspension()
    number = getattr(signal, "SIGTSTP", None)
    if number is None or signal.getsignal(number) == signal.SIG_IGN:
        yield suspension
        return

    def ask(_number: int, _frame: Any) -> None:
        suspension.asked = True
        keyboard.wake()

    before = signal.signal(number, ask)
    try:
        yield suspension
    finally:
        signal.signal(number, before)
