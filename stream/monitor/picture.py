"""The screen as an SVG picture, for documents."""

from __future__ import annotations

import io
import re

from rich.console import Console

from stream.monitor.layout import render
from stream.snapshot import Snapshot

# Rich's frame loads its font from a server and names its maker's; a picture of ours names no address.
_ADDRESSES = re.compile(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", re.DOTALL)


def svg(snapshot: Snapshot, width: int, height: int, title: str) -> str:
    """Draw a snapshot as it looks on a terminal of `width` x `height` cells.

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
    console.print(render(snapshot, (width, height)), end="")
    return _ADDRESSES.sub("", console.export_svg(title=title, unique_id="laennec"))
