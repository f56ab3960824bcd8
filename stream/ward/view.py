"""What the listener chose to see of a ward, and what each key changes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from stream.monitor.keys import Key


@dataclass(frozen=True)
class WardView:
    """What the listener chose; nothing of it changes what is heard, decided, logged or recorded.

    Attributes:
        top: index of the first row that is shown.
        help: whether the keys are explained.
        said: what the last key did, in words; empty after a while.
        keyboard: whether keys can be pressed.
    """

    top: int = 0
    help: bool = False
    said: str = ""
    keyboard: bool = False


class Room(NamedTuple):
    """How many rows fit on the screen, and how many there are."""

    shown: int
    rows: int

    @property
    def last_top(self) -> int:
        """Index of the first row where the last ones are shown."""
        return max(0, self.rows - self.shown)


def pressed(view: WardView, key: Key, room: Room) -> tuple[WardView, bool]:
    """The view after a key, and whether it asks for the end."""
    name = key.text if key.name == "text" else key.name
    view = replace(view, said="")
    if name in {"q", "Q"}:
        return replace(view, said="ending"), True
    if name == "?" or (name == "escape" and view.help):
        return replace(view, help=not view.help), False
    if name in _TO:
        moved = within(replace(view, top=_TO[name](view.top, room)), room)
        nothing = moved.top == view.top
        return replace(moved, said=_stands(room) if nothing else ""), False
    return replace(view, said="pasted text presses no keys" if name == "paste" else f"no key: {name}"), False


def within(view: WardView, room: Room) -> WardView:
    """The view, no farther down than there are rows."""
    return replace(view, top=min(max(0, view.top), room.last_top))


def _stands(room: Room) -> str:
    return "all streams are shown" if room.shown >= room.rows else "no more streams there"


#: Where each key leads to, from a row in a room; what lies beyond the ends is brought back.
_TO: Mapping[str, Callable[[int, Room], int]] = {
    "up": lambda top, _: top - 1,
    "k": lambda top, _: top - 1,
    "down": lambda top, _: top + 1,
    "j": lambda top, _: top + 1,
    "page up": lambda top, room: top - room.shown,
    "page down": lambda top, room: top + room.shown,
    "home": lambda _, __: 0,
    "g": lambda _, __: 0,
    "end": lambda _, room: room.last_top,
    "G": lambda _, room: room.last_top,
}
