"""The listener at the keyboard, before a ward's screen."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from stream.controls import SAID_S
from stream.monitor.keys import Key
from stream.ward.layout import room
from stream.ward.snapshot import WardSnapshot
from stream.ward.view import Room, WardView, pressed, within
from stream.ward.ward import Ward


class WardControls:
    """The view of a ward, and what its keys do.

    Args:
        ward: what is listened to.
        size: width and height of the terminal, now.
        clock: monotonic seconds.
    """

    def __init__(
        self, ward: Ward, size: Callable[[], tuple[int, int]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ward = ward
        self._size = size
        self._clock = clock
        self._said_s = 0.0
        self._view = WardView()

    def look(self, keyboard: bool) -> WardSnapshot:
        """What is to be shown now."""
        said = self._view.said if self._clock() - self._said_s < SAID_S else ""
        self._view = replace(within(self._view, self._room), said=said, keyboard=keyboard)
        return self._ward.snapshot(self._view)

    def press(self, key: Key) -> None:
        """Do what a key is for."""
        self._view, ends = pressed(self._view, key, self._room)
        self._said_s = self._clock()
        if ends:
            self._ward.stop()

    @property
    def _room(self) -> Room:
        return room(self._ward.streams, self._size())
