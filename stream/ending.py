"""How a long table is ended from outside: at once, its worker processes too, and the rows that were written stay."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import active_children
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Shows the cursor again, and goes to a new line.
_LEAVE_BAR = b"\x1b[?25h\n"


@dataclass
class Tally:
    """How far a table has come, in rows.

    Attributes:
        begun: one more than `written` while a row is being written.
        written: those that the table holds, or the file of what was heard again; not those that are to be heard again.
        total: those that it is to hold; None as long as that is not known.
        todo: recordings that are to be heard now.
        resumable: whether --resume can go on with the table.
        screen: whether a progress bar is shown.
    """

    begun: int = 0
    written: int = 0
    total: int | None = None
    todo: int = 0
    resumable: bool = False
    screen: bool = False


@contextlib.contextmanager
def at_a_signal(tally: Tally) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the program with one line and exit code 130 or 143; further ones change nothing.

    The handler itself ends it. An exception might be swallowed, by an import for instance, or wait for whatever this
    thread waits for; a row goes to the file in a single call, so that none is cut in two. A signal that is ignored
    from the start, as by a program that a script left in the background, stays so.
    """
    # `quiet_stderr` takes standard error itself away for moments.
    errors = os.dup(2)
    heard = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]

    def end(number: int, _frame: Any) -> None:
        for other in heard:
            signal.signal(other, signal.SIG_IGN)
        for worker in active_children():
            worker.kill()
            worker.join()
        with contextlib.suppress(OSError):
            os.write(
                errors,
                _LEAVE_BAR * tally.screen
                + f"laennec: ended by {signal.Signals(number).name}; {_told(tally)}\n".encode(),
            )
        os._exit(128 + number)

    before = {number: signal.signal(number, end) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(errors)


def _told(tally: Tally) -> str:
    if tally.total is None:
        return "no row was written"
    perhaps = f" or {tally.begun}" * (tally.begun > tally.written)
    told = f"{tally.written}{perhaps} of {tally.total} rows were written"
    return told + "; the same command with --resume goes on" * tally.resumable
