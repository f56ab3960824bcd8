"""What the listener chose, on the screen: from frozen snapshots, at every size, with and without UTF-8 and colour."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from stream.monitor.layout import render
from stream.monitor.view import Mark, View
from stream.snapshot import Level, Snapshot
from tests import monitor_case as case

SIZES = [(60, 16), (80, 24), (120, 40), (211, 67)]
KEYS = View(keyboard=True)


def shown(snapshot: Snapshot, size: tuple[int, int], ascii_only: bool = False, colour: bool = False) -> str:
    stream, (width, height) = io.StringIO(), size
    system = "256" if colour else None
    console = Console(file=stream, width=width, height=height, force_terminal=True, color_system=system, no_color=False)
    console.print(render(snapshot, size, ascii_only), end="")
    return stream.getvalue()


def seen(**view: object) -> Snapshot:
    return replace(case.murmur(), view=replace(KEYS, **view))


UNKNOWN = Level(float("nan"), float("nan"), 0.0)
PAUSED = replace(seen(), paused=True, level=UNKNOWN)
CASES = {
    "keys": (seen(), "? help  q quit"),
    "help": (seen(help=True), "freeze what is shown"),
    "help over wide characters": (replace(seen(help=True), source="心音" * 60), "freeze what is shown"),
    "paused": (PAUSED, " PAUSED "),
    "paused and away": (replace(PAUSED, condition="lost"), " PAUSED "),
    "frozen": (replace(seen(frozen_at_s=50.0), trace_end_s=50.0), "FROZEN at 0:50: sounds like murmur"),
    "frozen and paused": (replace(seen(frozen_at_s=50.0), paused=True), "FROZEN at 0:50"),
    "frozen and away": (replace(seen(frozen_at_s=50.0), condition="gone"), "FROZEN at 0:50"),
    "typing": (seen(noting=Mark(61.0, "loud")), "mark at 1:01, note: loud_"),
    "a long note": (seen(noting=Mark(61.0, "x" * 190 + "the end")), "the end_"),
    "a hostile note": (seen(noting=Mark(61.0, "a\x1b[2Jb")), "a?[2Jb_"),
    "said": (seen(said="gain automatic"), "gain automatic"),
    "fixed gain": (seen(edge_db=-24), "edge −24 dBFS fixed"),
    "bell": (replace(seen(sound="bell"), band_hz=(20, 150)), "bell 20–150 Hz"),
    "marks": (replace(seen(), marks=(Mark(0.2), Mark(93.0, "here"), Mark(1e9))), "▼"),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", SIZES)
def test_what_was_chosen_is_shown_and_every_line_fits(name: str, size: tuple[int, int]) -> None:
    snapshot, words = CASES[name]
    text = shown(snapshot, size)
    assert words in text
    assert "medical device" in text or snapshot.view.noting or snapshot.view.said
    for lines in (text.splitlines(), shown(snapshot, size, ascii_only=True).splitlines()):
        assert len(lines) == size[1]
        assert {cell_len(line) for line in lines} == {size[0]}
        assert all(line.isprintable() for line in lines)
    assert shown(snapshot, size, ascii_only=True).isascii()
    coloured = shown(snapshot, size, colour=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == text
    for codes in re.findall(r"\x1b\[([0-9;]*)m", coloured):
        assert not {"5", "6", "31", "41", "91", "101"} & set(codes.split(";")), "it blinks, or is red"


@pytest.mark.parametrize("size", SIZES)
def test_while_paused_nothing_old_stands_there_as_if_it_were_heard(size: tuple[int, int]) -> None:
    text = shown(PAUSED, size)
    assert "sounds like" not in text
    assert "%" not in text
    assert "heart rate not known" in text
    assert "silence" not in text
    assert "counted as lost" in text


def test_frozen_shows_that_moment_and_what_is_heard_now() -> None:
    then = case.decided(50.0, "normal", heart_rate_bpm=61.0)
    text = shown(replace(seen(frozen_at_s=50.2), decision=then), (80, 24))
    assert "FROZEN at 0:50: sounds like normal" in text
    assert "now: sounds like murmur" in text
    assert "heart rate 61 bpm" in text
    assert "elapsed 1:36" in text


def test_a_mark_stands_over_its_moment() -> None:
    end_s = case.murmur().trace_end_s
    one = shown(replace(seen(), marks=(Mark(end_s - 2.5),)), (80, 24)).splitlines()
    assert one[2].index("▼") in (39, 40, 41)
    (timeline,) = (line for line in one if "1 column = 2 s" in line)
    # Beside the words of the rule, where it would cover one of their letters.
    assert abs(timeline.index("▼") - 1 - int((end_s - 2.5) / 2)) <= 2
    assert "─ timeline · 1 column = 2 s · ? uncertain ~ poor x gap · listening ─" in timeline.replace("▼", " ")
    assert sum("▼" in line for line in one) == 2
    assert "V" in shown(replace(seen(), marks=(Mark(end_s - 2.5),)), (80, 24), ascii_only=True).splitlines()[2]


def test_without_a_keyboard_no_keys_are_offered() -> None:
    text = shown(case.murmur(), (120, 40))
    assert "Ctrl-C ends" in text
    assert "? help" not in text
