"""The ward's screen: a row a stream at every size, in words as well as colours, and its keys. Fixed snapshots."""

from __future__ import annotations

from dataclasses import replace

import monitor_case as case
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from stream.block import CONDITIONS
from stream.monitor.keys import Key
from stream.snapshot import Ledger
from stream.ward import names, summary
from stream.ward.layout import render, room
from stream.ward.snapshot import Row, WardSnapshot
from stream.ward.view import Room, WardView, pressed

SIZES = ((60, 16), (80, 24), (100, 30), (120, 40), (160, 50))


def row(name: str, label: str | None = "murmur", status: str = "ok", **changes: object) -> Row:
    made = case.decided(12.0, label, status)
    base = Row(name, 4000, made, 9.0, Ledger(48_000, 48_000), "listening", "", "", "")
    return base._replace(**changes)  # type: ignore[arg-type]


def low(name: str) -> Row:
    made = case.decided(12.0, None, "poor_signal", quality=0.2, quality_reason="too quiet: press the stethoscope on")
    return row(name, decision=made)


def ward(*rows: Row, **view: object) -> WardSnapshot:
    return WardSnapshot("Scarlett 18i8", "laennec-4", rows, 0.31, 12.0, WardView(**view))  # type: ignore[arg-type]


def shown(snapshot: WardSnapshot, size: tuple[int, int], ascii_only: bool = False) -> list[str]:
    lines = render(snapshot, size, ascii_only).renderables
    return [line.plain for line in lines if isinstance(line, Text)]


MIXED = ward(
    row("ch1"),
    row("ch2", "normal", ledger=Ledger(48_000, 36_000, 12_000)),
    low("ch3"),
    row("ch4", None, "uncertain"),
    row("ch5", condition="stalled", detail="no audio comes"),
    row("ch6", ended="end of input"),
    row("ch7", "extrasystole"),
    Row("ch8", 4000, None, 0.0, Ledger(), "listening", "nothing but zeros: muted or unplugged", "", ""),
)


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("streams", [1, 8, 40])
def test_every_size_is_filled_exactly(size: tuple[int, int], streams: int, ascii_only: bool) -> None:
    rows = [MIXED.rows[k % 8]._replace(name=f"ch{k + 1}") for k in range(streams)]
    for helped in (False, True):
        lines = shown(ward(*rows, keyboard=True, help=helped), size, ascii_only)
        assert len(lines) == size[1]
        assert {cell_len(line) for line in lines} == {size[0]}
        assert not ascii_only or all(line.isascii() for line in lines)


@pytest.mark.parametrize("size", SIZES)
def test_each_row_says_in_words_what_its_colour_says(size: tuple[int, int]) -> None:
    lines = shown(MIXED, size)
    of = {line.split()[0]: line for line in lines if line.strip().startswith("ch")}
    assert len(of) == 8, "all of them, also on the least screen"
    assert "M sounds like murmur" in of["ch1"]
    assert "75" in of["ch1"].split()
    assert "N sounds like normal" in of["ch2"]
    assert "3.0" in of["ch2"], "what was lost"
    assert "~ poor signal" in of["ch3"]
    assert "!" in of["ch3"], "a low quality is marked, and not by colour alone"
    assert "? uncertain" in of["ch4"]
    assert "x no audio comes from" in of["ch5"]
    assert "murmur" not in of["ch5"], "what was heard last must not stand there while nothing is heard"
    assert "ended" in of["ch6"]
    assert "P sounds like extrasyst" in of["ch7"]
    assert "8 streams · heart sounds in 4 · 1 not heard · 1 ended" in lines[1]


@pytest.mark.parametrize("size", SIZES[1:])
def test_a_poor_signal_comes_with_its_remedy(size: tuple[int, int]) -> None:
    text = "\n".join(shown(MIXED, size))
    assert "too quiet: press the stethoscope on" in text
    assert "nothing but zeros: muted or unplugged" in text
    assert "ended: end of input" in text


def test_no_colour_is_an_alarm_and_nothing_is_a_diagnosis() -> None:
    lines = [line for line in render(MIXED, (160, 50)).renderables if isinstance(line, Text)]
    styles = " ".join(str(span.style) for line in lines for span in line.spans)
    assert "red" not in styles.replace("rendered", "")
    assert "blink" not in styles
    words = "\n".join(line.plain for line in lines)
    assert " has " not in words
    assert "not a medical device" in words


def test_rows_stay_where_they_are_whatever_they_say() -> None:
    before = shown(MIXED, (80, 24))
    after = shown(
        replace(MIXED, rows=tuple(r._replace(decision=None, detail="", ended="") for r in MIXED.rows)), (80, 24)
    )
    for number, (was, now) in enumerate(zip(before, after, strict=True)):
        assert was.split()[:1] == now.split()[:1] or not was.strip().startswith("ch"), number


def test_names_can_neither_move_the_cursor_nor_push_the_columns_out() -> None:
    wild = ward(row("\x1b[2J\n" + "x" * 500), row("日本語" * 20, notice="\x1b[31mred"), row("ch3"))
    for size in SIZES:
        lines = shown(wild, size)
        assert {cell_len(line) for line in lines} == {size[0]}
        assert not any("\x1b" in line or "\n" in line for line in lines)
        assert sum("sounds like murmur" in line for line in lines) == 3


@given(
    st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30), min_size=1, max_size=40, unique=True),
    st.integers(6, 30),
    st.booleans(),
)
def test_no_two_streams_look_alike_however_little_room_there_is(found: list[str], width: int, ascii_only: bool) -> None:
    shown_as = names.fitting(tuple(found), width, ascii_only)
    assert len(set(shown_as.values())) == len(found)
    assert all(cell_len(text) <= width for text in shown_as.values())


def test_a_name_is_cut_in_its_middle() -> None:
    found = names.fitting(("bed", "patient-0012", "patient-0013"), 8, False)
    assert list(found.values()) == ["bed", "pati…012", "pati…013"]
    found = names.fitting(("left-patient-1", "left-mother-1"), 6, False)
    assert list(found.values()) == ["1 le…1", "2 le…1"]


@pytest.mark.parametrize("state", CONDITIONS)
def test_every_condition_has_its_words(state: str) -> None:
    (line,) = [x for x in shown(ward(row("only", condition=state)), (80, 24)) if x.strip().startswith("only")]
    assert ("murmur" in line) == (state == "listening")


def test_a_screen_that_is_too_small_says_so() -> None:
    assert "needs 60x16" in shown(MIXED, (59, 24))[0]


def test_scrolling_shows_every_stream_and_stops_at_the_ends() -> None:
    rows = [row(f"s{k:03}") for k in range(40)]
    fits = room(40, (80, 24))
    assert fits == (19, 40)
    view, seen = WardView(), set()
    for _ in range(4):
        lines = shown(ward(*rows, top=view.top), (80, 24))
        seen |= {line.split()[0] for line in lines if line.strip().startswith("s0")}
        assert f"streams {view.top + 1}–{view.top + 19} of 40" in "\n".join(lines)
        view, ends = pressed(view, Key("page down"), fits)
        assert not ends
    assert seen == {r.name for r in rows}
    assert view.top == 21
    assert pressed(view, Key("page down"), fits)[0].said == "no more streams there"


@given(
    st.lists(
        st.sampled_from(
            [Key(name) for name in ("up", "down", "page up", "page down", "home", "end", "escape", "enter")]
        )
        | st.characters().map(lambda c: Key("text", c))
        | st.just(Key("paste", "q")),
        max_size=30,
    ),
    st.integers(1, 50),
    st.integers(1, 1100),
)
def test_no_keys_lead_beyond_the_rows_and_only_q_ends(keys: list[Key], lines: int, rows: int) -> None:
    fits = Room(min(lines, rows), rows)
    view = WardView()
    for key in keys:
        view, ends = pressed(view, key, fits)
        assert 0 <= view.top <= rows - fits.shown
        assert ends == (key.name == "text" and key.text in "qQ")


def test_letters_move_as_arrows_do() -> None:
    fits = Room(5, 50)
    for letter, name in {"j": "down", "k": "up", "g": "home", "G": "end"}.items():
        assert pressed(WardView(top=7), Key("text", letter), fits) == pressed(WardView(top=7), Key(name), fits)


def test_help_opens_and_closes() -> None:
    view, _ = pressed(WardView(), Key("text", "?"), Room(5, 5))
    text = "\n".join(shown(ward(row("a"), help=view.help), (80, 24)))
    assert "PgUp PgDn" in text
    assert "space m r only where one heart alone is heard " in text
    assert not pressed(view, Key("escape"), Room(5, 5))[0].help


def test_the_summary_has_a_line_a_stream_and_the_sum_of_all_samples() -> None:
    lines = summary.table(MIXED, 120)
    assert len(lines) == 9
    assert lines[6].startswith("ch6")
    assert lines[6].endswith("end of input")
    assert summary.total(MIXED) == (
        "total of 8 streams: 336000 samples captured = 324000 analysed + 12000 lost + 0 discarded"
    )


@pytest.mark.parametrize("width", [60, 70, 80, 100, 200])
def test_the_summary_fits_the_terminal(width: int) -> None:
    long = [f"2026-11-23 ward east bed {k:02} room 11 left sternal border" for k in range(8)]
    named = [r._replace(name=name) for r, name in zip(MIXED.rows, long, strict=True)]
    named[0] = named[0]._replace(ended="x.wav: is damaged at 12.3 s: it can't be read any further; cut it there")
    named[1] = named[1]._replace(name="\u5fc3\u97f3" * 20)
    head, *lines = summary.table(ward(*named), width)
    assert len(lines) == 8
    assert max(map(cell_len, [head, *lines])) <= width
    assert ("end" in head.split()) == (width >= 80)
    assert all(word in head for word in ("stream", "last answer", "bpm", "quality"))
    assert "sounds like murmur" in lines[0]
    assert len({line.split("  ")[0] for line in lines}) == 8, "no two are called the same"


def test_a_full_ward_says_the_cause_where_there_is_room() -> None:
    rows = [MIXED.rows[k % 8]._replace(name=f"ch{k + 1}") for k in range(40)]
    lines = shown(ward(*rows), (80, 24))
    assert "~ poor signal: too quiet " in next(line for line in lines if line.startswith(" ch3 "))
    assert "nothing but zeros" in next(line for line in lines if line.startswith(" ch8 "))
    text = "\n".join(shown(ward(*rows, help=True), (60, 16)))
    for said in (
        "murmur, artifact",
        "extrasystole ",
        "no audio ",
        "below 60%; a larger window says why ",
        "how long the answer has stood",
        "close this",
    ):
        assert said in text
