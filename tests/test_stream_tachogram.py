"""Cycle lengths, the spectrogram, large letters and bars: what is drawn is what was put in."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from models import bundle, decide, quality, regularity
from models.classes import CLASSES
from models.regularity import Premature
from models.rhythm import Beat
from stream import tachogram
from stream.monitor import answer, bars, cycle_strip, letters, spectrogram, timeline, words
from stream.monitor.trace import Extremes, extremes
from stream.patient import Patient
from stream.session import Session
from stream.sinks.sink import Heedless
from stream.snapshot import Snapshot
from stream.sources.simulated import SimulatedSource
from stream.tachogram import Cycle, CycleState
from tests import monitor_case as case
from tests.test_stream_monitor import SIZES, shown

# Finding cycles


def cycles_of(*onsets: tuple[float, str]) -> CycleState:
    state = tachogram.init_state()
    for t_s, sound in onsets:
        state = tachogram.heard(Beat(t_s, sound, 0.9), state)
    return state


def beats(*s1_s: float) -> list[tuple[float, str]]:
    return [onset for t_s in s1_s for onset in ((t_s, "S1"), (t_s + 0.3, "S2"))]


def test_a_cycle_runs_from_s1_to_s1():
    found = cycles_of(*beats(1.0, 1.8, 2.5)).found
    assert [(c.t_s, round(c.length_s, 6), c.early) for c in found] == [(1.8, 0.8, False), (2.5, 0.7, False)]


def test_a_missed_s1_or_a_pause_makes_no_cycle():
    assert not cycles_of((1.0, "S1"), (1.3, "S2"), (2.1, "S2"), (2.6, "S1")).found
    assert not cycles_of(*beats(1.0, 3.3)).found
    assert not cycles_of((1.0, "S1"), (1.2, "S1")).found


def test_no_cycle_spans_a_gap():
    state = tachogram.broken(cycles_of(*beats(1.0, 1.8)))
    for t_s, sound in beats(2.6, 3.4):
        state = tachogram.heard(Beat(t_s, sound, 0.9), state)
    assert [c.t_s for c in state.found] == [1.8, 3.4]


def test_a_mark_may_be_taken_back_while_its_beat_is_remembered_and_stays_after_that():
    state = cycles_of(*beats(*np.arange(1.0, 20.0)))
    early = case.steady(Premature(17.0, 0.6))
    state = tachogram.judged(19.0, early, state)
    assert [c.t_s for c in state.found if c.early] == [17.0]
    assert not any(c.early for c in tachogram.judged(19.5, case.steady(), state).found)
    kept = tachogram.judged(17.0 + regularity.MEMORY_S, case.steady(), state)
    assert [c.t_s for c in kept.found if c.early] == [17.0]
    assert tachogram.judged(19.5, None, state) == state


def test_a_day_of_beats_keeps_ten_minutes():
    state = cycles_of(*beats(*np.arange(0.0, 4000.0, 0.5)))
    assert len(state.found) == 1200
    assert state.found[-1].t_s - state.found[0].t_s < tachogram.KEPT_S


def test_a_session_shows_the_cycles_that_its_beats_make():
    told: list[Beat] = []
    early: set[float] = set()
    heeding = Heedless()
    heeding.beat = told.append  # type: ignore[method-assign]
    session = Session(SimulatedSource(Patient("extrasystole", seed=1), 40.0, speed=None), bundle.load(), [heeding])
    session.run()
    last = session.snapshot()
    s1_s = [beat.t_s for beat in told if beat.sound == "S1"]
    pairs = {(b, round(b - a, 6)) for a, b in itertools.pairwise(s1_s)}
    assert len(last.cycles) > 30
    assert {(c.t_s, round(c.length_s, 6)) for c in last.cycles} <= pairs
    early = {c.length_s for c in last.cycles if c.early}
    others = [c.length_s for c in last.cycles if not c.early]
    assert len(early) >= 3
    assert max(early) < np.median(others)


# Drawing them


def row(lengths_s: list[float], early: tuple[int, ...] = (), first_s: float = 10.0) -> list[Cycle]:
    ends_s = first_s + np.cumsum(lengths_s)
    return [Cycle(float(t), x, i in early) for i, (t, x) in enumerate(zip(ends_s, lengths_s, strict=True))]


def drawn(cycles: list[Cycle], width: int, rows: int, ascii_only: bool = False) -> list[str]:
    return [line.plain for line in cycle_strip.strip(cycles, width, rows, ascii_only)]


def test_heights_are_lengths():
    # 0.8 s of 1.2 s: 16 of 24 eighths, two whole lines; 1.2 s fills all three.
    assert drawn(row([0.8, 0.8, 1.2, 0.8]), 6, 3) == ["    █ ", "  ████", "  ████"]
    assert cycle_strip.top_s(row([0.8, 0.8, 1.2, 0.8])) == 1.2
    assert cycle_strip.top_s(row([0.4] * 5)) == 0.6
    assert drawn(row([0.2, 0.4, 0.6, 0.4]), 4, 1) == ["▃▅█▅"]


def test_an_early_beat_stands_out_without_colour():
    cycles = row([0.8, 0.8, 0.5, 1.1, 0.8], early=(2,))
    assert drawn(cycles, 5, 1) == ["▅▅!▇▅"]
    assert drawn(cycles, 5, 1, ascii_only=True) == ["==!#="]
    tall = drawn(cycles, 5, 3)
    assert [line[2] for line in tall] == [" ", "!", "█"] or [line[2] for line in tall] == ["!", "▂", "█"]
    assert sum(line.count("!") for line in tall) == 1


def test_the_newest_stands_at_the_right_and_what_is_missing_is_blank():
    lost = [*row([0.8] * 3), *row([0.8] * 2, first_s=20.0)]
    assert drawn(lost, 10, 1) == ["    ▅▅▅ ▅▅"]
    assert drawn(lost, 4, 1) == ["▅ ▅▅"]
    assert drawn([], 5, 2) == [" " * 5] * 2
    assert drawn(lost, 90, 1)[0].endswith("▅ ▅ ▅   ▅ ▅ ")


def with_cycles(label: str | None = "normal", status: str = "ok") -> Snapshot:
    decision = case.decided(97.0, label, status)
    return replace(
        case.murmur(),
        cycles=tuple(row([0.8] * 30, early=(25,), first_s=72.0)),
        decision=decision,
        history=(*(case.decided(float(t), "normal") for t in range(97)), decision),
    )


@pytest.mark.parametrize("size", [(60, 18), *SIZES[1:], (200, 60)])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_the_screen_has_them_from_18_lines_on(size: tuple[int, int], ascii_only: bool):
    text = shown(with_cycles(), size, ascii_only)
    (line,) = (line for line in text.splitlines() if "heart rate" in line)
    assert "!" in line.partition("early")[0]
    assert "0.80 s" in text


@pytest.mark.parametrize(("label", "status"), [("artifact", "ok"), (None, "poor_signal")])
def test_none_are_shown_while_no_heart_is_heard(label: str | None, status: str):
    assert len(cycle_strip.heard_cycles(with_cycles())) == 30
    assert cycle_strip.heard_cycles(with_cycles(label, status)) == []
    past = [
        case.decided(float(t), label if 80 <= t < 85 else "normal", status if 80 <= t < 85 else "ok") for t in range(98)
    ]
    told = cycle_strip.heard_cycles(replace(with_cycles(), history=tuple(past)))
    assert [c for c in told if 79 < c.t_s <= 84] == []
    assert len(told) == 30 - 7


def test_none_are_shown_while_the_device_is_away():
    (line,) = (n for n in shown(replace(with_cycles(), condition="lost")).splitlines() if "heart rate" in n)
    assert line.split() == ["heart", "rate", "not", "known", "cycles", "–"]


# The spectrogram


def tone(hz: float, rate_hz: int = 2000, size: float = 0.5, span_s: float = 6.0, end_s: float = 20.0) -> Snapshot:
    t_s = np.arange(round((end_s - span_s) * rate_hz), round(end_s * rate_hz)) / rate_hz
    heard = (size * np.sin(2 * np.pi * hz * t_s)).astype(np.float32)
    return replace(case.murmur(), trace=heard, trace_rate_hz=rate_hz, trace_end_s=end_s)


def reduced(snapshot: Snapshot, width: int) -> Extremes:
    return extremes(snapshot.trace, snapshot.trace_rate_hz, snapshot.trace_end_s, 2 * width, snapshot.span_s)


@pytest.mark.parametrize(("hz", "band"), [(40.0, 7), (100.0, 6), (200.0, 4), (390.0, 0)])
def test_a_tone_lights_its_row_at_its_level(hz: float, band: int):
    snapshot = tone(hz)
    db = spectrogram.levels_db(snapshot, reduced(snapshot, 100), 100, 8)  # 25 to 400 Hz: 46.9 Hz a band
    assert (db.argmax(axis=0) == band).all()
    assert db[band, 5:-5] == pytest.approx(20 * np.log10(0.5), abs=0.5)


@pytest.mark.parametrize("size", [(120, 40), (200, 60)])
def test_100_hz_on_the_screen(size: tuple[int, int]):
    for ascii_only, full in ((True, spectrogram.ASCII_SHADES[-1]), (False, "█")):
        lines = shown(tone(100.0), size, ascii_only).splitlines()
        (at,) = (n for n, line in enumerate(lines) if "spectrogram" in line)
        (end,) = (n for n, line in enumerate(lines) if "decision" in line)
        lit = [n for n in range(at + 1, end) if full * 90 in lines[n]]
        rows = end - at - 1
        row = at + rows - int((100 - 25) / (375 / rows))
        assert row in lit
        assert set(lit) <= {row - 1, row, row + 1}, "a window of 64 ms spreads a tone over 30 Hz to either side"


def test_half_blocks_show_two_bands_a_line():
    snapshot = tone(100.0)
    shades = ("#000000", "#ffffff")
    edge_db = spectrogram.RANGE_DB - 1  # so that the lighter one of two shades begins at -7 dB
    *dark, lit = spectrogram.lines(snapshot, reduced(snapshot, 60), edge_db, 60, 4, shades, False)
    assert "".join(line.plain for line in dark).isspace()
    # Band 6 of 8 is the upper one of the last line.
    assert "▀" * 55 in lit.plain
    assert {span.style for span in lit.spans} == {"#ffffff on #000000"}


def test_what_was_not_heard_is_blank_and_silence_too():
    short = tone(100.0, span_s=1.0)
    db = spectrogram.levels_db(short, reduced(short, 100), 100, 8)
    assert np.isnan(db[:, :79]).all()
    assert not np.isnan(db[:, 81:]).any()
    silent = replace(short, trace=np.zeros(2000, np.float32))
    for snapshot in (silent, replace(short, trace=np.zeros(0, np.float32))):
        for ramp in ((), ("#000000", "#ffffff")):
            lines = spectrogram.lines(snapshot, reduced(snapshot, 100), None, 100, 4, ramp, False)
            assert all(line.plain.isspace() and not (ramp and line.spans) for line in lines)


def test_bands_beyond_half_the_rate_are_blank():
    slow = tone(100.0, rate_hz=500)
    db = spectrogram.levels_db(slow, reduced(slow, 100), 100, 8)
    assert np.isnan(db[:3]).all()
    assert not np.isnan(db[4:]).any()


def test_columns_keep_their_levels_while_they_move():
    whole = np.random.default_rng(1).normal(size=40_000).astype(np.float32)
    before = replace(tone(100.0), trace=whole[:30_000], trace_end_s=15.0)
    after = replace(tone(100.0), trace=whole[:30_700], trace_end_s=15.35)
    one, two = (spectrogram.levels_db(s, reduced(s, 100), 100, 6) for s in (before, after))
    moved = reduced(after, 100).end // 2 - reduced(before, 100).end // 2
    assert moved == 7
    np.testing.assert_allclose(two[:, : -moved - 2], one[:, moved:-2])


def test_shades_rise_with_the_level():
    db = np.linspace(-60, 0, 50)
    found = spectrogram.shades(db, -10.0, 5)
    assert (np.diff(found) >= 0).all()
    assert set(found) == {0, 1, 2, 3, 4}
    assert (found[db >= -10.0] == 4).all()
    assert (found[db < -10.0 - spectrogram.RANGE_DB] == 0).all()


# Large letters


def test_everything_that_can_be_said_can_be_said_in_large_letters():
    kinds = [case.decided(1.0, name) for name in CLASSES]
    kinds += [case.decided(1.0, None, status) for status in decide.STATUSES if status != "ok"]
    said = [" ".join(filter(None, words.large_words(d, "listening"))) for d in [*kinds, None]]
    said += [words.large_words(None, c)[1] for c in ("paused", "stalled", "lost", "reconnecting", "gone")]
    assert "SOUNDS LIKE MURMUR" in said
    assert "NO HEART SOUND" in said
    for word, scale in itertools.product([*said, "0123456789 BPM ?"], letters.LINES):
        lines = letters.large(word, scale)
        assert len(lines) == letters.LINES[scale]
        assert len({len(line) for line in lines}) == 1
        assert set("".join(lines)) <= set(" ▀▄█")
    assert all(any("SOUNDS LIKE" in w for w in words.large_words(d, "listening")) for d in kinds[:4])
    assert len({tuple(letters.large(c)) for c in letters._ROWS}) == len(letters._ROWS) - 2, (
        "O and 0, S and 5 alone look the same"
    )


def test_a_large_letter():
    assert letters.large("L1") == ["█   ▄█ ", "█    █ ", "▀▀▀ ▀▀▀"]


@pytest.mark.parametrize("width", [58, 78, 118, 158])
@pytest.mark.parametrize("label", CLASSES)
def test_large_words_fit_and_always_say_sounds_like(width: int, label: str):
    snapshot = replace(case.murmur(), decision=case.decided(97.0, label))
    for scale, lines in letters.LINES.items():
        found = answer.large_decision(snapshot, width, scale)
        assert len(found) == lines + 1
        assert {line.cell_len for line in found} == {width}
        above, word = words.large_words(snapshot.decision, "")
        whole = letters.large(f"{above} {word}".strip())
        caption, *large = (line.plain for line in found)
        assert caption.strip() == (above if len(whole[0]) > width else "")
        if len(whole[0]) <= width and scale == 1:
            assert [line[: len(part)] for line, part in zip(large, whole, strict=True)] == whole


# The bars


def test_the_mark_is_where_the_newest_window_alone_would_end_the_bar():
    newest = (0.51, 0.21, 0.11, 0.09, 0.08)
    logits = tuple(float(x) for x in np.log(newest))
    made = case.decided(1.0, "murmur", logits=logits)
    lines = [line.plain for line in bars.bars(made, 98)]
    room = 98 - 9 - 29
    assert [line.index("┃") - 32 for line in lines] == [int(room * p) for p in newest]
    assert lines[1].count("▆") == round(0.83 * room) - 1  # the mark stands within
    assert "┃" not in "".join(line.plain for line in bars.bars(case.decided(1.0, "murmur"), 98))
    assert decide.of_window(made) == pytest.approx(newest)


# Lost time


def letters_of(times_s: list[float], lost_until_s: float | None = None) -> str:
    past = tuple(case.decided(t, "normal") for t in times_s)
    return timeline.strip(timeline.count(past, 60, lost_until_s)).plain


def test_lost_time_is_shown_as_lost():
    heard = [1.0 + i / 2 for i in range(10)]
    assert letters_of(heard) == "·NNNNN"
    assert letters_of([*heard, *(t + 8.0 for t in heard)]) == "·NNNNNxxxNNNNN"
    assert letters_of(heard, lost_until_s=9.2) == "·NNNNNxxxx"
    assert letters_of([], lost_until_s=3.5) == "xxxx"
    assert letters_of([t + 5.0 for t in heard]) == "xxxxxxNNNNN"
    long = [t for t in np.arange(1.0, 7200.0, 0.5) if not 3000 < t < 4000]
    assert "x" * 7 in letters_of([float(t) for t in long])


@pytest.mark.parametrize("size", SIZES)
def test_time_without_a_device_shows_while_it_passes(size: tuple[int, int]):
    past = tuple(case.decided(1.0 + i / 2, "normal") for i in range(10))
    ledger = replace(case.murmur().ledger, captured=20 * 4000)
    away = replace(case.murmur(), history=past, decision=past[-1], condition="lost", ledger=ledger)
    assert "x" * 15 in shown(away, size)
    assert "xxx" not in shown(replace(away, condition="listening"), size)


LONGEST = "no steady beat: hold the stethoscope still, try another place on the chest"


def test_remedies_are_not_cut_in_their_middle():
    reasons = (*quality._FAULTS, *quality._LACKS)
    assert LONGEST in reasons
    for reason, size in itertools.product(reasons, SIZES[1:]):
        poor = case.decided(97.0, None, "poor_signal", quality_reason=reason)
        noticed = case.decided(97.0, "murmur", quality_reason=reason)
        for decision in (poor, noticed):
            assert "…" not in shown(replace(case.murmur(), decision=decision), size)


@pytest.mark.parametrize("size", SIZES[1:])
def test_why_the_device_is_away_is_told_whole(size: tuple[int, int]):
    detail = "2 device(s) of this make were there, now 1: reconnect the same one, or begin anew with --device"
    text = shown(replace(case.murmur(), condition="reconnecting", condition_detail=detail), size)
    said = [line[1 : size[0] - 1].split("   ")[0].strip() for line in text.splitlines()]
    assert detail in " ".join(said)
    notice = "x.wav: recording stopped, the disk is full; free some space, and begin a new recording by pressing r " * 2
    text = shown(replace(case.murmur(), notice=notice.strip()), size)
    assert notice.strip() in " ".join(line.strip() for line in text.splitlines())
