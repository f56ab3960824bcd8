"""Single keys on Windows, whose consoles know no `select`: asked for some 30 times a second."""

from __future__ import annotations

import sys
import threading
import time

from stream.monitor.keys import Key, decode

if sys.platform == "win32":
    import msvcrt

_POLL_S = 0.03
_AFTER_ESCAPE = {
    **{"H": "up", "P": "down", "K": "left", "M": "right", "G": "home", "O": "end", "S": "delete"},
    **{"I": "page up", "Q": "page down"},
}


class WindowsKeyboard:
    """Keys of a Windows console; see `keyboard.Keyboard`. Tried on no Windows yet."""

    works = True

    def __init__(self) -> None:
        self._woken = threading.Event()

    def begin(self) -> None:
        """Nothing to do: `getwch` neither echoes nor waits for Enter."""

    def end(self) -> None:
        """Nothing to do."""

    def read(self, timeout_s: float) -> list[Key]:
        """See `keyboard.Keyboard`."""
        until_s = time.monotonic() + timeout_s
        while not (keys := _pressed()) and (left_s := until_s - time.monotonic()) > 0:
            if self._woken.wait(min(left_s, _POLL_S)):
                break
        self._woken.clear()
        return keys

    def wake(self) -> None:
        """See `keyboard.Keyboard`."""
        self._woken.set()


def _pressed() -> list[Key]:
    keys: list[Key] = []
    if sys.platform == "win32":
        while msvcrt.kbhit():
            character = msvcrt.getwch()
            if character in "\x00\xe0":
                name = _AFTER_ESCAPE.get(msvcrt.getwch())
                keys += [Key(name)] if name else []
            else:
                keys += decode(character.encode("utf-8", "ignore"), final=True)[0]
    return keys
