"""The screen as an SVG picture, for documents."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from rich.console import Console, ConsoleOptions, Group
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from stream.monitor import layout
from stream.monitor.palette import THEMES, Theme, ThemeName, themed

# Rich's frame loads its font from a server and names its maker's; a picture of ours names no address.
_ADDRESSES = re.compile(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", re.DOTALL)


def svg(
    snapshot: object,
    width: int,
    height: int,
    title: str,
    name: ThemeName = ThemeName.DARK,
    render: Callable[..., Group] = layout.render,
) -> str:
    """Draw a snapshot as it looks on a terminal of `width` x `height` cells; `render` as for `Screen`.

    Returns:
        An SVG document that refers to nothing outside itself, the same for the same snapshot.
    """
    console = Console(
        record=True,
        width=width,
        height=height,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        no_color=False,
        legacy_windows=False,
    )
    theme = THEMES[name]
    lines = render(snapshot, (width, height), ramp=theme.ramp).renderables
    console.print(Themed([line for line in lines if isinstance(line, Text)], replace(theme, background="")), end="")
    frame = TerminalTheme(_rgb(theme.background), _rgb(theme.foreground), [_rgb(theme.foreground)] * 8)
    return _ADDRESSES.sub("", console.export_svg(title=title, theme=frame, unique_id="laennec"))


@dataclass(frozen=True)
class Themed:
    """Lines in a theme's colours, for a console of rich's."""

    lines: list[Text]
    theme: Theme

    def __rich_console__(self, console: Console, _options: ConsoleOptions) -> Iterator[Segment]:
        for line in self.lines:
            for text, style, _ in line.render(console, end="\n"):
                yield Segment(text, themed(style or Style.null(), self.theme))


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue
