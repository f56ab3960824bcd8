from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from models.classes import CLASSES, WORDS
from models.regularity import UNKNOWN, Premature
from models.rhythm import Beat
from stream.monitor import timeline, trace, words
from stream.monitor.layout import MIN_HEIGHT, plan, render
from stream.monitor.picture import svg
from stream.monitor.screen import Screen, screen_possible
from stream.snapshot import Ledger, Level, Snapshot
from tests import monitor_case as case
from tests.conftest import ROOT, skip_or_fail

SIZES = [(60, 16), (80, 24), (120, 40), (200, 60)]


def shown(snapshot: Snapshot, size: tuple[int, int] = (80, 24), ascii_only: bool = False, colour: bool = False) -> str:
    stream = io.StringIO()
    width, height = size
    system = "256" if colour else None
    console = Console(file=stream, width=width, height=height, force_terminal=True, color_system=system, no_color=False)
    console.print(render(snapshot, size, ascii_only), end="")
    return stream.getvalue()


def without_escapes(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def with_decision(*args, **changes) -> Snapshot:
    decision = case.decided(*args, **changes)
    return replace(case.murmur(), decision=decision, history=(*case.murmur().history, decision))


ODD = {
    "murmur": case.murmur(),
    "start": case.start(),
    "unknowns": case.unknowns(),
    "no probabilities": with_decision(97.0, None, "listening", probabilities=None, quality=None),
    "silence": replace(case.murmur(), trace=np.zeros(3000, np.float32), level=Level()),
    "one sample": replace(case.murmur(), trace=np.ones(1, np.float32)),
    "hot floats": replace(case.murmur(), trace=np.full(3000, np.inf, np.float32), level=Level(7.0, 3.0, 1.0)),
    "10,000 decisions": replace(case.murmur(), history=case.history(10_000)),
    "a week": replace(case.murmur(), history=case.history(2000, hop_s=302.4), trace_end_s=604_800.0),
    "ledger of a week": replace(case.murmur(), ledger=Ledger(58_060_800_000, 58_060_700_000, 99_000, 1000)),
    "long names": replace(case.murmur(), source="心音" * 60, model="m" * 90, recording="r" * 300, ended="e" * 99),
    "hostile name": replace(case.murmur(), source="\x1b[2J\nevil\a", recording="a\r\tb"),
    "long reason": with_decision(97.0, "murmur", quality_reason="knocks and speech; hold the chest piece still" * 3),
    "clipping": replace(case.murmur(), level=Level(1.0, 0.5, 0.032)),
    "lost": replace(
        case.murmur(), condition="lost", condition_detail="'mic' went away: reconnect it " * 3, drift_ppm=-12.3
    ),
    "notice": replace(case.murmur(), notice="the disk is full " * 9, drift_ppm=7.0),
    "flutter": replace(case.murmur(), beats=tuple(Beat(90 + i / 40, ("S1", "S2")[i % 2], 0.5) for i in range(252))),
    "all early": with_decision(
        97.0, "normal", regularity=case.steady(*(Premature(b.t_s, 0.4) for b in case.beats(96.3)))
    ),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("ascii_only", [False, True])
def test_every_line_fits_exactly(name: str, ascii_only: bool):
    for width, height in [*SIZES, (61, 17), (79, 29), (97, 33), (211, 67)]:
        lines = shown(ODD[name], (width, height), ascii_only).splitlines()
        assert len(lines) == height
        assert {cell_len(line) for line in lines} == {width}
        assert not ascii_only or all(line.isascii() for line in lines)
        assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("size", SIZES)
def test_colour_adds_nothing_but_colour(size: tuple[int, int]):
    coloured = shown(case.murmur(), size, colour=True)
    assert "\x1b[" in coloured
    assert without_escapes(coloured) == shown(case.murmur(), size)


def test_nothing_blinks_and_nothing_is_red():
    for snapshot in ODD.values():
        for codes in re.findall(r"\x1b\[([0-9;]*)m", shown(snapshot, (120, 40), colour=True)):
            # 5 and 6 blink; 31, 41, 91 and 101 are the reds.
            assert not {"5", "6", "31", "41", "91", "101"} & set(codes.split(";"))


def test_no_color_leaves_no_colour(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    console = Console(file=stream, width=80, height=24, force_terminal=True, color_system="256")
    console.print(render(case.murmur(), (80, 24)), end="")
    codes = {c for codes in re.findall(r"\x1b\[([0-9;]*)m", stream.getvalue()) for c in codes.split(";")}
    assert codes <= {"0", "1", "2", "7"}  # bold, faint and reversed only


@pytest.mark.parametrize("size", SIZES)
def test_what_must_be_on_the_screen(size: tuple[int, int]):
    text = shown(case.murmur(), size)
    for needed in [
        *(
            "Laennec",
            "simulated patient",
            "laennec-1",
            "SYNTHETIC",
            "0.5 s/div",
            "25–400 Hz",
            "relative, edge −12 dBFS",
        ),
        *("sounds like murmur", "for 0:05", "83 %", "level", "−24 dBFS", "quality", "0.72", "heart rate 75 bpm"),
        *("elapsed 1:36", "latency 0.21 s", "recording heart.wav", "captured 385200", "lost 480", "discarded 0"),
        *("Ctrl-C ends", "research and education, not a medical device", "? uncertain", "1 column = "),
    ]:
        assert needed in text
    for word in WORDS.values():
        assert (word if size[0] >= 80 else word.split(" (")[0]) in text


def test_a_real_heart_is_not_called_synthetic():
    assert "SYNTHETIC" not in shown(replace(case.murmur(), synthetic=False, source="microphone"))


@pytest.mark.parametrize(
    ("label", "status", "reason", "text"),
    [
        ("normal", "ok", "", "sounds like normal heart sounds"),
        ("extra_heart_sound", "ok", "", "sounds like extra heart sound (S3/S4)"),
        ("extrasystole", "ok", "", "sounds like extrasystole (premature beat)"),
        ("artifact", "ok", "", "no heart sound heard (artifact)"),
        (None, "listening", "", "listening… (window filling)"),
        (None, "uncertain", "", "uncertain: no class stands out"),
        (None, "poor_signal", "too quiet", "poor signal: too quiet"),
        (None, "gap", "", "gap: audio was lost, listening again"),
    ],
)
@pytest.mark.parametrize("size", SIZES)
def test_words_of_the_decision(size, label, status, reason, text):
    screen = shown(with_decision(97.0, label, status, quality_reason=reason), size)
    assert f" {text} " in screen
    assert ("sounds like" in screen) == (label not in (None, "artifact"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("stalled", "no audio comes from the device"),
        ("lost", "the device is away: waiting for it"),
        ("reconnecting", "the device is away: reconnecting"),
        ("gone", "the device is gone"),
    ],
)
def test_a_device_that_gives_nothing_takes_the_decisions_place(size, condition, words):
    screen = shown(replace(case.murmur(), condition=condition), size)
    assert words in screen
    assert "sounds like" not in screen
    assert "%" not in screen, "probabilities of what was heard before"
    assert "heart rate not known" in screen
    assert "not a medical device" in screen


def test_a_device_that_is_heard_is_not_mentioned():
    assert "device is" not in shown(case.murmur())
    assert "ppm" not in shown(case.murmur(), (120, 40))
    assert "clock −12 ppm" in shown(replace(case.murmur(), drift_ppm=-12.3), (120, 40))


@pytest.mark.parametrize("size", SIZES)
def test_what_must_be_known_of_disk_and_device_stands_first(size):
    muted = replace(case.murmur(), condition_detail="nothing but zeros: muted or unplugged")
    assert "notice: nothing but zeros" in shown(muted, size)
    full = replace(muted, notice="x.wav: recording stopped, the disk is full")
    assert "notice: x.wav: recording stopped" in shown(full, size)
    assert "ended: stopped" in shown(replace(full, ended="stopped"), size)


def test_notices():
    assert "notice: clipping 3.2 %" in shown(ODD["clipping"])
    assert "notice: too quiet" in shown(with_decision(97.0, "murmur", quality_reason="too quiet"))
    assert "ended: end of file" in shown(replace(case.murmur(), ended="end of file"))


def test_the_heart_rate_says_how_sure_it_is():
    unsure = with_decision(97.0, "murmur", regularity=case.steady(confidence=0.6))
    unasked = with_decision(97.0, "murmur", regularity=None)
    withheld = with_decision(97.0, "artifact", heart_rate_bpm=None, regularity=UNKNOWN)
    assert [heart_rate(s, (80, 24)) for s in (case.murmur(), unsure, unasked, withheld)] == [
        "heart rate 75 bpm, sure",
        "heart rate 75 bpm, unsure",
        "heart rate 75 bpm",
        "heart rate not known",
    ]
    assert [heart_rate(s, (60, 16)) for s in (case.murmur(), unsure)] == ["heart rate 75 bpm", "heart rate 75 bpm ?"]
    fast = with_decision(97.0, "murmur", heart_rate_bpm=180.4, regularity=case.steady(confidence=0.5))
    assert heart_rate(fast, (60, 16)) == "heart rate 180 bpm ?"


def heart_rate(snapshot: Snapshot, size: tuple[int, int]) -> str:
    (line,) = (line for line in shown(snapshot, size).splitlines() if "heart rate" in line)
    return line[line.index("heart rate") :].partition("cycles")[0].rstrip()


def test_a_notice_that_does_not_fit_keeps_its_fault():
    reason = "no steady beat: hold the stethoscope still, try another place on the chest"
    assert "notice: no steady beat: hold" in shown(with_decision(97.0, "murmur", quality_reason=reason))
    assert "notice: no steady beat " in shown(with_decision(97.0, "murmur", quality_reason=reason), (76, 16))
    assert f"poor signal: {reason}" in shown(with_decision(97.0, None, "poor_signal", quality_reason=reason), (120, 40))


def test_unknowns_are_shown_as_unknown():
    text = shown(case.unknowns())
    assert "nan" not in text.lower()
    assert "heart rate not known" in text
    assert "latency – (not live)" in text


@pytest.mark.parametrize(("width", "height"), [(59, 24), (80, 15), (30, 10), (12, 3), (5, 1), (1, 1)])
def test_too_small_says_what_it_needs(width: int, height: int):
    (line,) = shown(case.murmur(), (width, height)).splitlines()
    assert cell_len(line) <= width
    assert "60x16".startswith(line) if width < 12 else "60x16" in line


def test_more_height_is_never_less_trace_than_least_and_all_of_it_is_used():
    for height in range(MIN_HEIGHT, 120):
        assert plan(height).trace_rows >= (2 if height == MIN_HEIGHT else 3)
    assert plan(40).trace_rows > plan(24).trace_rows > plan(16).trace_rows
    assert plan(40).lanes
    assert not plan(24).lanes


# The trace


@pytest.mark.parametrize("at", range(0, 2400, 97))
def test_a_single_sample_click_reaches_the_edge_wherever_it_falls(at: int):
    samples = np.zeros(2500, np.float32)
    samples[at] = 1.0
    found = trace.extremes(samples, 500, 5.0, 156, 5.0)
    assert trace.scale_db(found) == 0
    top = trace.braille(found, 6)[0]
    assert len(top.replace(" ", "")) == 1


def test_extremes_are_those_of_each_stretch():
    samples = np.sin(np.arange(2500, dtype=np.float32) ** 1.5)
    found = trace.extremes(samples, 500, 5.0, 100, 5.0)  # 25 samples to a column
    np.testing.assert_array_equal(found.low, samples.reshape(100, 25).min(axis=1))
    np.testing.assert_array_equal(found.high, samples.reshape(100, 25).max(axis=1))


def test_a_beat_keeps_its_shape_while_it_moves():
    whole = case.heart(20.0, span_s=20.0)
    before = trace.extremes(whole[:8000], 500, 16.0, 156, 5.0)
    after = trace.extremes(whole[:8123], 500, 16.246, 156, 5.0)
    moved = after.end - before.end
    assert moved > 0
    np.testing.assert_array_equal(after.low[:-moved], before.low[moved:])
    np.testing.assert_array_equal(after.high[:-moved], before.high[moved:])


def test_a_short_trace_stands_at_the_right_and_an_empty_one_is_blank():
    found = trace.extremes(np.ones(500, np.float32), 500, 1.0, 100, 5.0)
    assert np.isnan(found.low[:80]).all()
    assert not np.isnan(found.low[80:]).any()
    empty = trace.extremes(np.zeros(0, np.float32), 500, 0.0, 100, 5.0)
    assert trace.braille(empty, 3) == [" " * 50] * 3
    assert trace.ascii_art(empty, 3) == [" " * 100] * 3


@pytest.mark.parametrize(
    ("peak", "db"), [(1.0, 0), (0.5, -6), (0.26, -6), (0.25, -12), (1e-9, -96), (3.0, 12), (0.0, None)]
)
def test_the_gain_comes_in_steps_of_6_db_and_nothing_is_cut_off(peak: float, db: int | None):
    samples = np.zeros(2500, np.float32)
    samples[::7] = -peak
    assert trace.scale_db(trace.extremes(samples, 500, 5.0, 100, 5.0)) == db


def test_a_fullscale_square_fills_the_ascii_trace():
    samples = np.tile(np.array([1, -1], np.float32), 1250)
    assert trace.ascii_art(trace.extremes(samples, 500, 5.0, 60, 5.0), 3) == ["|" * 60] * 3
    assert trace.braille(trace.extremes(samples, 500, 5.0, 60, 5.0), 3) == ["⣿" * 30] * 3


def test_division_marks_stand_at_their_samples():
    samples = np.zeros(2500, np.float32)
    samples[1000] = 1.0  # heard at 12.0 s of a trace that ends at 15.0 s
    found = trace.extremes(samples, 500, 15.0, 156, 5.0)
    beat = trace.braille(found, 4)[0].index(trace.braille(found, 4)[0].strip())
    marks = trace.division_marks(found, 78)
    assert [t for _, t in marks] == [10.0 + i / 2 for i in range(10)]
    assert (beat, 12.0) in marks


# The ticks


def ticks_of(snapshot: Snapshot, size: tuple[int, int], ascii_only: bool = False) -> str:
    """The line over the trace, without the margin."""
    return shown(snapshot, size, ascii_only).splitlines()[2][1:-1]


def clicks(end_s: float, *at_s: float) -> np.ndarray:
    samples = np.zeros(3000, np.float32)
    samples[[round((t_s - end_s) * 500) + 3000 for t_s in at_s]] = 1.0
    return samples


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("end_s", [6.0, 96.3, 97.774, 604_801.23])
def test_ticks_stand_over_what_they_mark(size: tuple[int, int], ascii_only: bool, end_s: float):
    at_s = [end_s - before_s for before_s in (4.9, 4.56, 3.22, 2.9, 1.33, 1.0, 0.5)]
    beats = tuple(Beat(t_s, f"S{1 + i % 2}", 0.9) for i, t_s in enumerate(at_s))
    snapshot = replace(case.murmur(), trace=clicks(end_s, *at_s), trace_end_s=end_s, beats=beats)
    lines = shown(snapshot, size, ascii_only).splitlines()
    assert lines[2].split() == ["S1", "S2", "S1", "S2", "S1", "S2", "S1"]
    peaks = [n for n, cell in enumerate(lines[3]) if cell not in " ┊:"]
    assert [found.start() for found in re.finditer("S", lines[2])] == peaks
    assert len(peaks) == 7


def test_the_murmurs_ticks_are_where_its_beats_are():
    # 78 columns for 5 s up to 96.3 s, of beats each 0.8 s; the newest 0.6 s are not known yet.
    row = ticks_of(case.murmur(), (80, 24))
    assert row.split() == ["S2", *["S1", "S2"] * 5]
    assert row[70:].isspace()


def test_where_beats_crowd_a_single_character_stands_for_each():
    beats = tuple(Beat(92 + i * 0.1, f"S{1 + i % 2}", 0.9) for i in range(30))
    row = ticks_of(replace(case.murmur(), beats=beats), (60, 16))
    assert row.replace(" ", "") == "12" * 15
    assert len(ticks_of(ODD["flutter"], (120, 40))) == 118


@pytest.mark.parametrize(("size", "labels"), [((80, 24), "S1 S2 S1! S2"), ((60, 16), "1 2 ! 2 1")])
def test_an_early_beat_bears_a_mark(size: tuple[int, int], labels: str):
    at_s = [94.0, 94.3, 94.6, 94.9] if size == (80, 24) else [94.0, 94.3, 94.6, 94.69, 94.93]
    beats = tuple(Beat(t_s, f"S{1 + i % 2}", 0.9) for i, t_s in enumerate(at_s))
    early = case.steady(Premature(94.6, 0.6))
    snapshot = replace(with_decision(97.0, "normal", regularity=early), beats=beats)
    assert ticks_of(snapshot, size).replace("!", "! ").split() == labels.split()
    assert ("1 early beat in 10 s, marked !" in shown(snapshot, size)) == (size == (80, 24))
    assert "2 early beats in 10 s, marked !" in shown(
        with_decision(97.0, "normal", regularity=case.steady(Premature(90.0, 0.4), Premature(92.0, 0.4))), (80, 24)
    )
    assert "early" not in shown(case.murmur(), size)


@pytest.mark.parametrize(("label", "status"), [("artifact", "ok"), (None, "poor_signal")])
def test_no_ticks_where_no_heart_is_heard(label: str | None, status: str):
    assert ticks_of(with_decision(97.0, label, status), (80, 24)).isspace()


@pytest.mark.parametrize(
    "decision", [None, case.decided(97.0, None, "uncertain"), case.decided(97.0, None, "listening")]
)
def test_ticks_while_in_doubt(decision):
    assert "S1" in ticks_of(replace(case.murmur(), decision=decision), (80, 24))


def test_beats_of_before_a_gap_are_not_drawn():
    snapshot = replace(case.murmur(), trace=case.heart(96.3, span_s=2.0))
    assert ticks_of(snapshot, (80, 24)).split() == ["S1", "S2"] * 2
    assert ticks_of(replace(case.murmur(), trace=np.zeros(0, np.float32)), (80, 24)).isspace()


# The timeline


@pytest.mark.parametrize("count", [1, 50, 78, 79, 500, 10_000])
def test_the_whole_session_fits_and_no_decision_is_left_out(count: int):
    spans = timeline.count(case.history(count), 78)
    assert len(spans.counts) <= 78
    assert spans.counts.sum() == count
    assert len(timeline.strip(spans)) == len(spans.counts)


def test_columns_lengthen_only_when_they_must():
    assert timeline.count(case.history(78), 78).span_s == 1
    assert timeline.count(case.history(79), 78).span_s == 2
    assert timeline.count(case.history(40, hop_s=6.0), 78).span_s == 6


def test_letters_follow_the_decisions():
    past = [case.decided(float(i), name) for i, name in enumerate(CLASSES)]
    past += [case.decided(5.0 + i, None, s) for i, s in enumerate(("uncertain", "poor_signal", "gap", "listening"))]
    assert timeline.strip(timeline.count(past, 78)).plain == "NMSPA?~x·"
    letters = set(timeline.strip(timeline.count(past, 78)).plain)
    assert all(f"{letter} " in timeline.legend()[0] for letter in letters)


def test_lanes_keep_a_rare_decision_visible():
    past = [case.decided(float(t), "normal") for t in range(7000)]
    past[3500] = case.decided(3500.0, "extrasystole")
    lanes = timeline.lanes(timeline.count(past, 70))
    assert set(lanes[0].plain[2:]) == {"█"}
    assert lanes[3].plain[2:].strip() == "▃"


def test_held_time_ends_at_the_last_other_decision():
    past = [
        case.decided(0.0, "murmur"),
        case.decided(1.0, "normal"),
        *(case.decided(t, "murmur") for t in (2.0, 3.0, 4.0)),
    ]
    assert words.held_s(past[-1], past) == 2.0
    assert words.held_s(case.decided(9.0, None, "gap"), past) == 0.0


# The terminal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_screen_needs_a_terminal_that_can_move_its_cursor(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert not screen_possible(Console(file=io.StringIO()))
    assert screen_possible(Console(file=Terminal()))
    monkeypatch.setenv("TERM", "dumb")
    assert not screen_possible(Console(file=Terminal()))


def test_a_terminal_without_utf8_gets_ascii():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="latin-1")
    with Screen(Console(file=stream, width=80, height=24, force_terminal=True)) as screen:
        screen.draw(case.murmur())
    stream.flush()
    assert raw.getvalue().isascii()
    assert b"sounds like murmur" in raw.getvalue()


def test_an_error_while_drawing_gives_the_terminal_back():
    stream = io.StringIO()
    with pytest.raises(ZeroDivisionError), Screen(Console(file=stream, force_terminal=True)):
        raise ZeroDivisionError
    assert stream.getvalue().rindex("\x1b[?1049l") > stream.getvalue().rindex("\x1b[?1049h")
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")


SCRIPT = """
import time
from stream.monitor.screen import Screen
from tests.monitor_case import murmur
try:
    with Screen() as screen:
        while True:
            screen.draw(murmur())
            time.sleep(0.05)
except KeyboardInterrupt:
    print("left by Ctrl-C")
"""


class Tmux:
    """A tmux server of its own, with one window."""

    def __init__(self, socket: Path) -> None:
        self._command = ["tmux", "-u", "-f", "/dev/null", "-S", str(socket)]

    def __call__(self, *arguments: str) -> str:
        # The environment is given: readline, which pytest imports, sets LINES and COLUMNS behind Python's back.
        command = [*self._command, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=dict(os.environ)).stdout

    def screen(self) -> list[str]:
        return self("capture-pane", "-p").split("\n")[:-1]

    def wait_for(self, seen: Callable[[list[str]], bool]) -> list[str]:
        deadline = time.monotonic() + 20
        while not seen(lines := self.screen()):
            assert time.monotonic() < deadline, "\n".join(lines)
            time.sleep(0.05)
        return lines


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    if shutil.which("tmux") is None:
        skip_or_fail("tmux is not installed; it is the terminal of this test")
    script = tmp_path / "draw.py"
    script.write_text(SCRIPT)
    run = Tmux(tmp_path / "socket")
    python = (
        f"PYTHONPATH={shlex.quote(str(ROOT))} PYTHONUTF8=1 {shlex.quote(sys.executable)} {shlex.quote(str(script))}"
    )
    run(
        "new-session", "-d", "-x", "80", "-y", "24", f"trap : INT; echo shell before; {python}; echo after $?; sleep 99"
    )
    yield run
    run("kill-server")


def test_on_a_terminal_resized_ended_and_restored(tmux: Tmux):
    lines = tmux.wait_for(lambda s: "not a medical device" in s[-1])
    assert len(lines) == 24
    assert "Laennec" in lines[0]
    tmux("resize-window", "-x", "120", "-y", "40")
    lines = tmux.wait_for(lambda s: len(s) == 40 and "not a medical device" in s[-1] and cell_len(s[1]) > 100)
    assert "Laennec" in lines[0]
    assert sum("sounds like murmur" in line for line in lines) == 1
    tmux("resize-window", "-x", "50", "-y", "10")
    tmux.wait_for(lambda s: "needs 60x16, has 50x10" in s[0] and not "".join(s[1:]).strip())
    tmux("resize-window", "-x", "80", "-y", "24")
    tmux.wait_for(lambda s: "not a medical device" in s[-1])
    tmux("send-keys", "C-c")
    lines = tmux.wait_for(lambda s: "after 0" in s)
    assert lines[:2] == ["shell before", "left by Ctrl-C"]
    assert tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").split() == ["0", "1"]


# The picture


def test_the_picture_names_no_address_and_is_the_same_each_time(monkeypatch: pytest.MonkeyPatch):
    picture = svg(case.murmur(), 80, 24, "laennec demo murmur")
    addresses = re.findall(r"\w+://[^\s\"'<>)]+|@import|@font-face|url\((?!#)", picture)
    assert set(addresses) <= {"http://www.w3.org/2000/svg"}  # the name of the format, not a place to fetch from
    assert "murmur" in picture
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "33")
    assert svg(case.murmur(), 80, 24, "laennec demo murmur") == picture


def test_the_picture_is_well_formed_and_whole():
    from xml.etree import ElementTree

    root = ElementTree.fromstring(svg(case.murmur(), 120, 40, "a < b"))
    text = "".join(root.itertext()).replace("\xa0", " ")
    assert "a < b" in text
    assert "not a medical device" in text
    assert text.count("sounds like murmur") == 1
