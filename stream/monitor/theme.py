"""Letters, colours and ASCII stand-ins. A letter or a position always says what a colour says."""

from __future__ import annotations

from types import MappingProxyType

#: Every kind of decision the timeline knows: the five classes in their order, then the states without a label.
LETTERS = MappingProxyType(
    {
        "normal": "N",
        "murmur": "M",
        "extra_heart_sound": "S",
        "extrasystole": "P",
        "artifact": "A",
        "uncertain": "?",
        "poor_signal": "~",
        "gap": "x",
        "listening": "·",
    }
)

#: Names of plain ANSI colours; a theme (`palette.py`) gives each a value, or the terminal does. No red: nothing is
#: an alarm here.
STYLES = MappingProxyType(
    {
        "normal": "green",
        "murmur": "magenta",
        "extra_heart_sound": "cyan",
        "extrasystole": "bright_blue",
        "artifact": "",
        "uncertain": "yellow",
        "poor_signal": "yellow",
        "gap": "yellow",
        "listening": "dim",
    }
)

NOTICE = "yellow"
FAINT = "dim"
TRACE = "cyan"

#: One character for one character, so that a line keeps its width.
_ASCII = str.maketrans("─·–−…█▆▃╵┊┃▼│┌┐└┘↑↓←→", "-.--.#=-':|V|++++^v<>")


def to_ascii(text: str) -> str:
    """The same text in ASCII, one character for each; what has no stand-in becomes `?`."""
    return text.translate(_ASCII).encode("ascii", "replace").decode("ascii")
