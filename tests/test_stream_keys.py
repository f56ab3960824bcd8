"""Keys: what a terminal sends, what each press changes, and how the terminal is left."""

from __future__ import annotations

import contextlib
import os
import pty
import sys
import termios
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.monitor import keyboard as keyboards
from stream.monitor.keyboard import NoKeyboard, TerminalKeyboard
from stream.monitor.keys import Key, decode
from stream.monitor.view import MOST_NOTE, SPANS_S, Around, Mark, View, pressed, within

# What a terminal sends

SENT = {
    b"m": [Key("text", "m")],
    b" \r\n": [Key("text", " "), Key("enter"), Key("enter")],
    b"\x7f\x08": [Key("backspace")] * 2,
    b"\x1b[A\x1b[B\x1b[C\x1b[D": [Key("up"), Key("down"), Key("right"), Key("left")],
    b"\x1bOA\x1bOB\x1bOC\x1bOD\x1bOH\x1bOF": [*map(Key, ("up", "down", "right", "left", "home", "end"))],
    b"\x1b[H\x1b[F\x1b[1~\x1b[4~\x1b[7~\x1b[8~": [*map(Key, ("home", "end") * 3)],
    b"\x1b[1;5C\x1b[3~": [Key("right"), Key("delete")],
    b"\x1b[15~\x1b[200;1u\x00\x01": [],
    "é心".encode(): [Key("text", "é"), Key("text", "心")],
    b"\x1bq": [Key("escape"), Key("text", "q")],
    b"\x1b\x1b[A": [Key("escape"), Key("up")],
    b"\x1b[200~q \x1b[A\r\nq\x1b[201~m": [Key("paste", "q [A q"), Key("text", "m")],
    b"a\xffb": [Key("text", "a"), Key("text", "b")],
    "\u200b\x9b".encode(): [],
}


@pytest.mark.parametrize("sent", SENT)
def test_what_is_sent_is_decoded_however_it_is_cut(sent: bytes) -> None:
    assert decode(sent, final=True) == (SENT[sent], b"")
    for cut in range(len(sent)):
        first, rest = decode(sent[:cut])
        more, left = decode(rest + sent[cut:], final=True)
        assert (first + more, left) == (SENT[sent], b""), cut


@given(st.binary(max_size=60), st.integers(0, 60))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_bytes_are_decoded_the_same_however_they_are_cut(sent: bytes, cut: int) -> None:
    whole, left = decode(sent, final=True)
    first, rest = decode(sent[:cut])
    more, also_left = decode(rest + sent[cut:], final=True)
    assert (first + more, also_left) == (whole, left)
    assert all(key.text.isprintable() for key in whole)
    assert left == b"" or left.startswith(b"\x1b[200~")


def test_a_lone_escape_is_the_key_only_when_nothing_follows() -> None:
    assert decode(b"\x1b") == ([], b"\x1b")
    assert decode(b"\x1b", final=True) == ([Key("escape")], b"")
    assert decode(b"\x1b[1;", final=True) == ([], b"")


def test_a_paste_is_one_key_however_long_it_is_and_takes_little_memory() -> None:
    keys, left = decode(b"\x1b[200~")
    for _ in range(1000):
        more, left = decode(left + b"q" * 1000, final=True)
        keys += more
        assert len(left) < 5000
    more, left = decode(left + b"\x1b[201", final=True)
    assert (keys, more) == ([], [])
    more, left = decode(left + b"~v", final=True)
    assert [key.name for key in more] == ["paste", "text"]
    assert set(more[0].text[:4000]) == {"q"}


# What a press changes

AROUND = Around(now_s=400.0, live_s=399.0, edge_db=-12)


def after(view: View, *names: str, around: Around = AROUND) -> tuple[View, list[object]]:
    requests: list[object] = []
    for name in names:
        view, request = pressed(view, Key(name) if len(name) > 1 else Key("text", name), around)
        requests += [request] if request else []
    return view, requests


@pytest.mark.parametrize(
    ("key", "request_", "said"),
    [(" ", "pause", "paused"), ("r", "record", "begins"), ("d", "device", ""), ("c", "channel", ""), ("q", "quit", "")],
)
def test_keys_that_ask_something_of_the_session_change_no_view(key: str, request_: str, said: str) -> None:
    view, requests = after(View(), key)
    assert requests == [request_]
    assert said in view.said
    assert replace(view, said="") == View()


def test_what_is_said_follows_the_session() -> None:
    busy = AROUND._replace(paused=True, recording=True)
    assert after(View(), " ", around=busy)[0].said == "listening again"
    assert after(View(), "r", around=busy)[0].said == "the recording ends"


def test_zoom_goes_through_the_spans_and_stops_at_their_ends() -> None:
    view = View(span_s=SPANS_S[0])
    seen = [view.span_s]
    for _ in SPANS_S:
        view, _ = after(view, "-")
        seen.append(view.span_s)
    assert tuple(seen) == (*SPANS_S, SPANS_S[-1])
    assert view.said == "30 s is the most"
    for _ in SPANS_S:
        view, _ = after(view, "+")
    assert (view.span_s, view.said) == (2, "2 s is the least")


def test_gain_begins_where_automatic_gain_is_and_goes_back_to_it() -> None:
    assert after(View(), "up")[0].edge_db == -18
    assert after(View(), "down", "down")[0].edge_db == 0
    assert after(View(), *["up"] * 99)[0].edge_db == -96
    assert after(View(), *["down"] * 99)[0].edge_db == 24
    assert after(View(), "up", "a")[0].edge_db is None
    assert after(View(), "up", around=AROUND._replace(edge_db=None))[0].edge_db == -6


def test_the_sound_goes_round() -> None:
    view, seen = View(), []
    for _ in range(3):
        view, _ = after(view, "v")
        seen.append(view.sound)
    assert seen == ["bell", "diaphragm", "wide"]


def test_freeze_scroll_and_back() -> None:
    assert after(View(), "f")[0].frozen_at_s == 399.0
    assert after(View(), "f", "f")[0].frozen_at_s is None
    assert after(View(), "left")[0].frozen_at_s == 396.5
    assert after(View(), "left", "left", "right")[0].frozen_at_s == 396.5
    assert after(View(), "left", "right")[0].frozen_at_s is None
    assert after(View(), "home")[0].frozen_at_s == 104.0
    assert after(View(), *["left"] * 500)[0].frozen_at_s == 104.0
    assert after(View(), "home", "end")[0].frozen_at_s is None
    assert after(View(), "right")[0].frozen_at_s is None
    young = Around(3.1, 3.0)
    assert after(View(), "home", around=young)[0].frozen_at_s == 3.0


def test_a_frozen_view_stays_within_what_is_kept() -> None:
    view = View(frozen_at_s=10.0)
    assert within(view, 200.0).frozen_at_s == 10.0
    assert within(view, 400.0).frozen_at_s == 105.0
    assert within(View(frozen_at_s=10.0), 4.0).frozen_at_s == 4.0
    assert within(View(), 400.0) == View()


def test_a_mark_has_the_time_of_the_key_and_what_was_typed() -> None:
    view, requests = after(View(), "m", "q", "?", " ", "é", "backspace", around=AROUND)
    assert view.noting == Mark(400.0, "q? ")
    assert requests == []
    view, _ = pressed(view, Key("paste", "loud here "), AROUND._replace(now_s=410.0))
    view, requests = after(view, "enter")
    assert requests == [Mark(400.0, "q? loud here")]
    assert (view.noting, view.said) == (None, "marked 6:40")
    assert after(View(), "m", "enter")[1] == [Mark(400.0, "")]


def test_escape_drops_the_mark_and_other_keys_do_nothing_to_it() -> None:
    view, requests = after(View(), "m", "a", "escape")
    assert (requests, view.noting, view.said) == ([], None, "no mark")
    assert after(View(), "m", "a", "left", "up", "home")[0] == after(View(), "m", "a")[0]
    long, _ = pressed(after(View(), "m")[0], Key("paste", "x" * 999), AROUND)
    assert long.noting
    assert len(long.noting.note) == MOST_NOTE


def test_pasted_text_presses_no_keys() -> None:
    view, request = pressed(View(), Key("paste", "q"), AROUND)
    assert (request, view.said) == ("", "pasted text presses no keys")


def test_help_opens_and_closes() -> None:
    assert after(View(), "?")[0].help
    assert not after(View(), "?", "?")[0].help
    assert not after(View(), "?", "escape")[0].help
    assert "? explains" in after(View(), "x")[0].said


NAMES = st.sampled_from([*" mrdcv+-=afq?x", "up", "down", "left", "right", "home", "end", "enter", "escape"])


@given(st.lists(NAMES, max_size=40), st.floats(0, 1e6))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_whatever_is_pressed_the_view_is_one_that_can_be_shown(names: list[str], live_s: float) -> None:
    around = Around(live_s + 0.3, live_s, -12)
    view, _ = after(View(), *names, around=around)
    assert view.span_s in SPANS_S
    assert view.frozen_at_s is None or max(0, live_s - 300) <= view.frozen_at_s <= live_s
    assert view.edge_db is None or -96 <= view.edge_db <= 24
    assert len(view.said) < 79


# The terminal


class Line:
    """A pseudo-terminal: what is typed into one end comes out of the other."""

    def __init__(self) -> None:
        self.typed, inside = pty.openpty()
        self.inside = os.fdopen(inside, "r+b", buffering=0)
        self.encoding = "utf-8"

    def fileno(self) -> int:
        return self.inside.fileno()

    def modes(self) -> list[object]:
        return termios.tcgetattr(self.inside)


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    with contextlib.suppress(OSError):
        os.close(made.typed)
    made.inside.close()


def read_all(board: TerminalKeyboard, count: int) -> list[Key]:
    keys: list[Key] = []
    until_s = time.monotonic() + 5
    while len(keys) < count and time.monotonic() < until_s:
        keys += board.read(0.2)
    return keys


def test_keys_come_one_by_one_and_the_modes_are_given_back(line: Line) -> None:
    before, board = line.modes(), TerminalKeyboard(line, line)
    assert not board.works
    board.begin()
    assert board.works
    assert not line.modes()[3] & (termios.ICANON | termios.ECHO)  # type: ignore[operator]
    assert line.modes()[3] & termios.ISIG  # type: ignore[operator]
    os.write(line.typed, b"m\xc3")
    assert read_all(board, 1) == [Key("text", "m")]
    os.write(line.typed, b"\xa9\x1b[A\x1b")
    assert read_all(board, 3) == [Key("text", "é"), Key("up"), Key("escape")]
    for _ in range(2):
        board.end()
        assert line.modes() == before
    said = b""
    while b"\x1b[?2004l" not in said:  # what was written may come in parts
        said += os.read(line.typed, 100)
    assert said.index(b"\x1b[?2004h") < said.index(b"\x1b[?2004l")


def test_a_wait_ends_with_its_time_a_key_or_a_call(line: Line) -> None:
    board = TerminalKeyboard(line, line)
    board.begin()
    began_s = time.monotonic()
    assert board.read(0.1) == []
    assert 0.09 < time.monotonic() - began_s < 2
    threading.Timer(0.1, board.wake).start()
    assert board.read(30.0) == []
    threading.Timer(0.1, os.write, (line.typed, b"v")).start()
    assert board.read(30.0) == [Key("text", "v")]
    assert time.monotonic() - began_s < 10
    for _ in range(100_000):  # never blocks, though nobody reads
        board.wake()
    board.end()


def test_a_window_that_was_closed_is_no_key_and_no_busy_loop(line: Line) -> None:
    board = TerminalKeyboard(line, line)
    board.begin()
    os.close(line.typed)
    assert board.read(0.2) == []
    assert not board.works
    began_s = time.monotonic()
    assert board.read(0.2) == []
    assert time.monotonic() - began_s > 0.15
    board.end()


def test_without_a_terminal_there_is_no_keyboard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "in").open("w+") as file:
        monkeypatch.setattr(sys, "stdin", file)
        board = keyboards.keyboard()
    assert isinstance(board, NoKeyboard)
    assert isinstance(keyboards.keyboard(), NoKeyboard)  # now that it is closed
    monkeypatch.setattr(sys, "stdin", None)
    assert isinstance(keyboards.keyboard(), NoKeyboard)
    threading.Timer(0.05, board.wake).start()
    assert board.read(30.0) == []
