"""The full-screen monitor: draws snapshots that it is handed, and leaves the terminal as it was."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any

from rich.color import ColorSystem
from rich.console import Console, Group

from stream.monitor import layout
from stream.monitor.paint import Cell, Pen, changes
from stream.monitor.palette import AUTO, THEMES, Theme, ThemeName

_ENTER = "\x1b[?1049h\x1b[?25l"  # the alternate screen, no cursor
_LEAVE = "\x1b[?25h\x1b[?1049l"
# One frame appears as one; terminals that do not know this ignore it.
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_SYSTEMS = {"standard": ColorSystem.STANDARD, "256": ColorSystem.EIGHT_BIT, "truecolor": ColorSystem.TRUECOLOR}


def screen_possible(console: Console) -> bool:
    """Whether the console can show a full screen; otherwise plain lines are the choice.

    Rich's own `is_terminal` may be forced by FORCE_COLOR, so the stream itself is asked.
    """
    return console.file.isatty() and not console.is_dumb_terminal and not console.legacy_windows


class Screen:
    """The alternate screen of a terminal, for a `with` statement.

    It has no thread and no clock of its own: whoever holds the snapshots calls `draw`, some times a second. Only cells
    that changed are written. Nothing else may be printed meanwhile; stdout and stderr are not redirected.

    Args:
        console: where to draw; else standard output.
        theme: its colours. A terminal of 16 colours, or NO_COLOR, keeps its own.
        render: draws what is handed to `draw`, as `layout.render` does a snapshot.
    """

    def __init__(
        self,
        console: Console | None = None,
        theme: ThemeName = ThemeName.DARK,
        render: Callable[..., Group] = layout.render,
    ) -> None:
        self._console = console or Console()
        self._render = render
        self._theme = _possible(self._console, THEMES[theme])
        system = None if self._console.no_color else _SYSTEMS.get(self._console.color_system or "")
        self._pen = Pen(self._theme, system)
        self._entered = False
        self._size = (0, 0)
        self._shown: list[list[Cell]] = []

    def __enter__(self) -> Screen:
        self.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # the terminal was closed
            self.leave()

    def enter(self) -> None:
        """Take the terminal, unless it is taken; the next frame is drawn whole."""
        if not self._entered:
            self._entered = True
            self._size = (0, 0)
            self._write(_ENTER)

    def leave(self) -> None:
        """Give the terminal back as it was, unless it was given back."""
        if self._entered:
            self._entered = False
            self._write(_LEAVE)

    def draw(self, snapshot: Any) -> None:
        """Show a snapshot at the terminal's present size; nothing where the screen was left."""
        if not self._entered:
            return
        size = self._console.size
        ascii_only = self._console.options.ascii_only or _plain_locale()
        lines = self._render(snapshot, size, ascii_only, self._theme.ramp).renderables
        cells = self._pen.page(lines, *size)
        afresh = size != self._size
        told = changes([] if afresh else self._shown, cells)
        self._size, self._shown = size, cells
        if told:
            # A terminal that was resized has moved what stood there.
            self._write(f"{_BEGIN}{self._pen.clear if afresh else ''}{told}{_END}")

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()


def _possible(console: Console, theme: Theme) -> Theme:
    return theme if console.color_system in {"256", "truecolor"} and not console.no_color else AUTO


def _plain_locale() -> bool:
    """Whether the user asked for the C locale by name: Python writes UTF-8 then all the same."""
    named = os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    # What Python itself sets where it finds the C locale does not count.
    chosen = os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE", "C.UTF-8") == "C.UTF-8"
    return named in {"C", "POSIX"} and bool(chosen)
