"""How listening runs: to the end of what is heard, once, and whatever happens to a finish in good order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from models.errors import LaennecError

T = TypeVar("T")


class Loop:
    """Runs on the calling thread; another one, or a signal handler, may ask it to stop.

    Args:
        stop_source: asks what is heard to end soon; takes no lock.

    Attributes:
        reason: why somebody asked it to end; empty where nobody did.
    """

    def __init__(self, stop_source: Callable[[], None]) -> None:
        self._stop_source = stop_source
        self._failure: LaennecError | None = None
        self.reason = ""

    def stop(self, reason: str = "stopped") -> None:
        """End soon, in good order. Takes no lock: a signal handler may call it."""
        self.reason = self.reason or reason
        self._stop_source()

    def fail(self, error: LaennecError) -> None:
        """Remember the first failure, and end: those sinks that still work are to get everything."""
        self.note(error)
        self.stop(str(error))

    def note(self, error: LaennecError) -> None:
        """Remember the first failure, which is raised in the end; listening goes on."""
        self._failure = self._failure or error

    def run(self, heard: Iterable[T], hear: Callable[[T], None], finish: Callable[[str], None]) -> None:
        """Hear everything, and finish.

        Args:
            heard: what the source gives.
            hear: takes each in its turn.
            finish: is called in any case, with the reason of the end.

        Raises:
            LaennecError: what failed first; `finish` was called before.
        """
        reason = "broken off"
        try:
            for each in heard:
                hear(each)
            reason = "end of input"
        except LaennecError as error:
            self.fail(error)
        finally:
            self._stop_source()
            finish(self.reason or reason)
        if self._failure:
            raise self._failure
