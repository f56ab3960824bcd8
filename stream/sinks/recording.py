"""The recording of a session, which the listener turns on and off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from models.errors import SettingError
from stream.block import Block
from stream.sinks.recorder import Recorder

Tell = Callable[[str], None]

#: How the notices begin that say where in the session a recording lies; then its name.
BEGINS, ENDS = "recording begins: ", "recording ends: "


class Recording:
    """Keeps the audio as long as the listener wants it. Where it can't any more, that is told, and listening goes on.

    Args:
        recorder: runs from the beginning, if given.
        rate_hz: of the blocks.
        notice: tells the listener something; an empty text is nothing.
        log: tells the sinks alone: what begins and ends by the listener's own key.
    """

    def __init__(self, recorder: Recorder | None, rate_hz: int, notice: Tell, log: Tell) -> None:
        self._recorder = recorder
        self._rate_hz = rate_hz
        self._notice = notice
        self._log = log

    @property
    def name(self) -> str:
        """Of the file that is being recorded; empty where none is. Another thread may ask."""
        recorder = self._recorder
        return recorder.name if recorder else ""

    def block(self, block: Block) -> None:
        """Keep a block, if anything is recorded."""
        if self._recorder:
            self._notice(self._recorder.block(block))

    def begin(self, path: Path) -> None:
        """From the next sample on, in a new file; its own time counts from there, so the log says where that is."""
        self.end()
        try:
            self._recorder = Recorder(path, self._rate_hz)
        except SettingError as error:
            self._notice(str(error))
        else:
            self._log(f"{BEGINS}{self._recorder.name}")

    def end(self) -> None:
        """Record no longer, until the next `begin`."""
        if not self._recorder:
            return
        name = self.name
        self.close()
        self._recorder = None
        if name:
            self._log(f"{ENDS}{name}")

    def close(self) -> None:
        """Finish the file, as the session ends; may be called twice."""
        if self._recorder:
            self._notice(self._recorder.close())
