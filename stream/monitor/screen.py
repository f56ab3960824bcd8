"""The full-screen monitor: draws snapshots that it is handed, and leaves the terminal as it was."""

from __future__ import annotations

import contextlib
from types import TracebackType

from rich.console import Console
from rich.live import Live

from stream.monitor.layout import render
from stream.snapshot import Snapshot


def screen_possible(console: Console) -> bool:
    """Whether the console can show a full screen; otherwise plain lines are the choice.

    Rich's own `is_terminal` may be forced by FORCE_COLOR, so the stream itself is asked.
    """
    return console.file.isatty() and not console.is_dumb_terminal


class Screen:
    """The alternate screen of a terminal, for a `with` statement.

    It has no thread and no clock of its own: whoever holds the snapshots calls `draw`, some 10 times a second.
    Nothing else may be printed meanwhile; stdout and stderr are not redirected.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._live = Live(
            console=self._console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )

    def __enter__(self) -> Screen:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # the terminal was closed
            self._live.stop()

    def draw(self, snapshot: Snapshot) -> None:
        """Show a snapshot at the terminal's present size."""
        ascii_only = self._console.options.ascii_only
        self._live.update(render(snapshot, self._console.size, ascii_only), refresh=True)
