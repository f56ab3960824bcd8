"""What the listener chose to see, and what each key changes. Pure: a view and a key in, the next view out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from stream.memory import BACK_S
from stream.monitor.keys import Key
from stream.monitor.words import clock

SPANS_S = (2.0, 3.0, 5.0, 10.0, 30.0)
SOUNDS = ("wide", "bell", "diaphragm")
GAIN_STEP_DB = 6
LOWEST_DB, HIGHEST_DB = -96, 24
MOST_NOTE = 200


class Mark(NamedTuple):
    """A moment that the listener marked.

    Attributes:
        t_s: stream time at which the key was pressed.
        note: what the listener typed; may be empty.
    """

    t_s: float
    note: str = ""


@dataclass(frozen=True)
class View:
    """What the listener chose; nothing of it changes what is heard, decided, logged or recorded.

    Attributes:
        span_s: what the trace shows, one of `SPANS_S`.
        edge_db: level of the trace's edge in dB re full scale, or None for automatic.
        sound: what the trace lets through, one of `SOUNDS`.
        frozen_at_s: stream time of the right edge, or None while it follows what is heard.
        help: whether the keys are explained.
        noting: the mark whose note is being typed, or None.
        said: what the last key did, in words; empty after a while.
        keyboard: whether keys can be pressed.
    """

    span_s: float = 5.0
    edge_db: int | None = None
    sound: str = "wide"
    frozen_at_s: float | None = None
    help: bool = False
    noting: Mark | None = None
    said: str = ""
    keyboard: bool = False


class Around(NamedTuple):
    """What a key's effect depends on.

    Attributes:
        now_s: stream time of the sample to come.
        live_s: stream time of the right edge of a trace that is not frozen.
        edge_db: level of the edge that is shown, or None for silence.
        paused: whether the listener paused.
        recording: whether the audio is kept.
    """

    now_s: float
    live_s: float
    edge_db: int | None = None
    paused: bool = False
    recording: bool = False


#: What a key asks of the session, beside the view; a `Mark` is to be kept.
Request = Literal["", "pause", "record", "device", "channel", "quit"] | Mark


def pressed(view: View, key: Key, around: Around) -> tuple[View, Request]:
    """The view after a key, and what the session is asked for."""
    view = replace(view, said="")
    if view.noting:
        return _noted(view, view.noting, key)
    name = key.text.lower() if key.name == "text" else key.name
    if name in _REQUESTS:
        request, said = _REQUESTS[name]
        return replace(view, said=said(around)), request
    if name in _VIEWS:
        return _VIEWS[name](view, around), ""
    if name == "paste":
        return replace(view, said="pasted text presses no keys"), ""
    if name == "escape" and view.help:
        return replace(view, help=False), ""
    return replace(view, said=f"no key: {name}; ? explains the keys"), ""


def within(view: View, live_s: float) -> View:
    """The view as far back as is kept."""
    if view.frozen_at_s is None:
        return view
    return replace(view, frozen_at_s=min(max(view.frozen_at_s, _oldest_s(view, live_s)), live_s))


def _noted(view: View, mark: Mark, key: Key) -> tuple[View, Request]:
    if key.name in ("text", "paste"):
        return replace(view, noting=mark._replace(note=(mark.note + key.text)[:MOST_NOTE])), ""
    if key.name in ("backspace", "delete"):
        return replace(view, noting=mark._replace(note=mark.note[:-1])), ""
    if key.name == "enter":
        kept = mark._replace(note=mark.note.strip())
        return replace(view, noting=None, said=f"marked {clock(mark.t_s)}"), kept
    if key.name == "escape":
        return replace(view, noting=None, said="no mark"), ""
    return view, ""


def _mark(view: View, around: Around) -> View:
    return replace(view, noting=Mark(around.now_s), help=False)


def _zoom(step: int) -> Callable[[View, Around], View]:
    def zoomed(view: View, around: Around) -> View:
        at = SPANS_S.index(view.span_s) + step
        if not 0 <= at < len(SPANS_S):
            return replace(view, said=f"{view.span_s:g} s is the {'least' if step < 0 else 'most'}")
        view = replace(view, span_s=SPANS_S[at], said=f"{SPANS_S[at]:g} s across")
        return within(view, around.live_s)

    return zoomed


def _gain(step_db: int) -> Callable[[View, Around], View]:
    def gained(view: View, around: Around) -> View:
        now_db = view.edge_db if view.edge_db is not None else around.edge_db
        edge_db = min(max((now_db or 0) + step_db, LOWEST_DB), HIGHEST_DB)
        return replace(view, edge_db=edge_db, said=f"gain fixed: edge {edge_db} dBFS")

    return gained


def _automatic(view: View, _around: Around) -> View:
    return replace(view, edge_db=None, said="gain automatic")


def _sound(view: View, _around: Around) -> View:
    sound = SOUNDS[(SOUNDS.index(view.sound) + 1) % len(SOUNDS)]
    return replace(view, sound=sound, said=f"trace: {sound}; what is analysed stays the same")


def _freeze(view: View, around: Around) -> View:
    if view.frozen_at_s is not None:
        return _live(view)
    return replace(view, frozen_at_s=around.live_s, said="frozen; listening goes on")


def _live(view: View) -> View:
    return replace(view, frozen_at_s=None, said="live")


def _oldest_s(view: View, live_s: float) -> float:
    """The earliest right edge: as far back as one may look, and all of the span filled where there was so much."""
    return min(max(0.0, live_s - BACK_S) + view.span_s, live_s)


def _scroll(spans: float) -> Callable[[View, Around], View]:
    """By so many spans; beyond the newest is live."""

    def scrolled(view: View, around: Around) -> View:
        now_s = around.live_s if view.frozen_at_s is None else view.frozen_at_s
        then_s = max(now_s + spans * view.span_s, _oldest_s(view, around.live_s))
        if then_s >= around.live_s and spans > 0:
            return _live(view)
        return replace(view, frozen_at_s=then_s, said=f"back at {clock(then_s)}")

    return scrolled


def _help(view: View, _around: Around) -> View:
    return replace(view, help=not view.help)


def _end(view: View, _around: Around) -> View:
    return _live(view)


_PAUSED = "paused: counted as lost until space is pressed"
_REQUESTS: dict[str, tuple[Request, Callable[[Around], str]]] = {
    " ": ("pause", lambda around: "listening again" if around.paused else _PAUSED),
    "r": ("record", lambda around: "the recording ends" if around.recording else "a recording begins"),
    "d": ("device", lambda _: ""),
    "c": ("channel", lambda _: ""),
    "q": ("quit", lambda _: "ending"),
}
_VIEWS: dict[str, Callable[[View, Around], View]] = {
    "m": _mark,
    "v": _sound,
    "+": _zoom(-1),
    "=": _zoom(-1),
    "-": _zoom(1),
    "up": _gain(-GAIN_STEP_DB),
    "down": _gain(GAIN_STEP_DB),
    "a": _automatic,
    "f": _freeze,
    "left": _scroll(-0.5),
    "right": _scroll(0.5),
    "home": _scroll(-BACK_S),
    "end": _end,
    "?": _help,
}
