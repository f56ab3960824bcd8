"""The listener at the keyboard: turns each key into another view, or into something asked of the running session."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from stream.monitor import trace
from stream.monitor.keys import Key
from stream.monitor.view import Around, Mark, View, pressed, within
from stream.session import Session
from stream.snapshot import Snapshot

#: How long the screen says what a key did.
SAID_S = 4.0


class Switch(Protocol):
    """What else could be listened to; see `stream.other_input`."""

    def wish(self, what: str, now: dict[str, object]) -> str:
        """Listen to the next device or channel after this session.

        Args:
            what: "device" or "channel".
            now: the description of the source that is heard.

        Returns:
            Why that can't be; empty where the session may end for it.
        """


class Controls:
    """The view of all sessions of a program, and what its keys do.

    Args:
        switch: what else can be listened to; None where there is no choice.
        clock: monotonic seconds.

    Attributes:
        recording: where a recording that begins now is to go.
        quit: whether the listener asked for the end of everything.
    """

    def __init__(self, switch: Switch | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.recording = recordings(None, Path())
        self._switch = switch
        self._clock = clock
        self._said_s = 0.0
        self._view = View()
        self.quit = False

    def session_begins(self) -> None:
        """Another stream: what was frozen or half typed belongs to the last one, which kept it."""
        self._view = replace(self._view, frozen_at_s=None, noting=None)

    def view(self, session: Session, keyboard: bool) -> View:
        """What is to be shown now."""
        said = self._view.said if self._clock() - self._said_s < SAID_S else ""
        self._view = replace(within(self._view, session.live_s), said=said, keyboard=keyboard)
        return self._view

    def press(self, key: Key, session: Session) -> None:
        """Do what a key is for."""
        edge_db, recording = _edge_db(session.snapshot(self._view)), bool(session.recording)
        around = Around(session.now_s, session.live_s, edge_db, session.paused, recording)
        self._view, request = pressed(self._view, key, around)
        self._said_s = self._clock()
        if isinstance(request, Mark):
            session.mark(request)
        elif request == "pause":
            session.pause(not around.paused)
        elif request == "record":
            session.record(None if around.recording else self.recording())
        elif request == "quit":
            self.quit = True
            session.stop()
        elif request:
            self._choose(request, session)
        session.note(self._view.noting)

    def _choose(self, what: str, session: Session) -> None:
        refusal = self._switch.wish(what, session.source) if self._switch else f"only `listen` can change the {what}"
        self._view = replace(self._view, said=refusal or f"next {what}")
        if not refusal:
            session.stop(f"the listener chose another {what}")


def _edge_db(snapshot: Snapshot) -> int | None:
    """The level of the trace's edge as automatic gain has it."""
    columns = 2 * 80
    shown = trace.extremes(snapshot.trace, snapshot.trace_rate_hz, snapshot.trace_end_s, columns, snapshot.span_s)
    return trace.scale_db(shown)


def recordings(path: Path | None, folder: Path) -> Callable[[], Path]:
    """Names for recordings that the listener begins: the one asked for, or one by the time in UTC, in a folder."""

    def name() -> Path:
        return path or folder / f"laennec-{datetime.now(UTC):%Y-%m-%dT%H%M%S}Z.wav"

    return name
