"""What a report is made from: logs and recordings read, checked, and given out again as labels, tables and pictures."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import report_case
import soundfile
from program import RATE_HZ, heart, lines, of_type, refused, run, succeed, write_wav
from report_case import MARKS, decision, end, session_line, write_log

from models import bundle as bundles
from models.errors import InputFileError, SettingError
from models.rhythm import Beat
from stream import gaps
from stream.gaps import Loss
from stream.log import reading
from stream.pipeline import Gap
from stream.report import (
    csv_table,
    facts,
    inputs,
    labels,
    making,
    moments,
    pixels,
    recording,
    rows,
    session_log,
    sound,
    takes,
)
from stream.report.band import BandPass, kernel
from stream.report.heard import Early, Heard, Mark, Span, early_beats, gap_end_s, heart_heard, spans
from stream.report.sound import Window
from stream.report.strips import WORDS

MODEL = bundles.load()
SPEC = MODEL.front_end.spec


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report_case.folder(tmp_path_factory.mktemp("sessions") / "20261123T140509Z")


def read(path: Path, *audio: Path, number: int | None = None) -> inputs.Given:
    return inputs.read(path, list(audio), number, None, MODEL)


# --- a session's folder, its log, a sound


def test_a_folder_gives_what_its_log_says_and_its_recording(folder: Path) -> None:
    given, found = read(folder), lines(folder / "log.jsonl")
    heard = given.heard
    for kind, told in (("decision", heard.decisions), ("beat", heard.beats), ("gap", heard.gaps)):
        assert [line["t_s"] for line in of_type(kind, found)] == [event.t_s for event in told]
        assert told
    assert [(mark.t_s, mark.note) for mark in heard.marks] == list(MARKS)
    assert heard.ledger
    assert heard.span_s == found[-1]["ledger"]["captured"] / RATE_HZ
    assert heard.caveats == ()
    assert given.recording
    assert given.recording.names == ("recording.wav",)
    assert given.recording.end_s == pytest.approx(heard.span_s, abs=0.5)


def test_a_sound_is_heard_as_replay_hears_it(folder: Path) -> None:
    """The recording with its gap, as a stream: the same decisions, beats and gaps as the session's own."""
    logged, heard = read(folder).heard, read(folder / "recording.wav").heard
    assert [d.t_s for d in heard.decisions] == pytest.approx([d.t_s for d in logged.decisions])
    assert [d.label for d in heard.decisions] == [d.label for d in logged.decisions]
    assert [(round(b.t_s, 6), b.sound) for b in heard.beats] == [(b.t_s, b.sound) for b in logged.beats]
    assert [gap.lost_samples for gap in heard.gaps] == [gap.lost_samples for gap in logged.gaps]
    assert early_beats(heard)
    assert [round(b.t_s, 4) for b in early_beats(heard)] == [round(b.t_s, 4) for b in early_beats(logged)]


def test_a_log_goes_on_in_files_that_are_read_as_one(tmp_path: Path) -> None:
    one, other = decision(1.0), decision(1.5)
    older = write_log(tmp_path / "s.2026-11-23T140600.000Z.jsonl", session_line(), one)
    newer = write_log(tmp_path / "s.jsonl", session_line(continued=True), other, end(8000))
    foreign = write_log(tmp_path / "s.2026-11-22T140600.000Z.jsonl", session_line(), decision(9.0), end(40000))
    (heard,) = session_log.sessions(reading.read(newer))
    assert [d.t_s for d in heard.decisions] == [1.0, 1.5]
    assert not heard.caveats
    (alone,) = session_log.sessions(reading.read(older))
    assert [d.t_s for d in alone.decisions] == [1.0]
    assert foreign.exists()


def test_sessions_of_one_log_are_told_apart(tmp_path: Path) -> None:
    log = write_log(
        tmp_path / "s.jsonl", session_line(), decision(1.0), end(8000), session_line(), decision(2.0), end(12000)
    )
    assert [d.t_s for d in read(log).heard.decisions] == [2.0]
    first = read(log, number=1).heard
    assert [d.t_s for d in first.decisions] == [1.0]
    assert "session 1 of the 2" in " ".join(first.caveats)
    with pytest.raises(SettingError, match=r"holds 2 session.s.; choose --number 1 to 2"):
        read(log, number=3)


# --- damage


def test_a_damaged_line_is_named_by_its_number(tmp_path: Path) -> None:
    log = write_log(tmp_path / "s.jsonl", session_line(), decision(0.5), decision(1.0, quality=2), end(8000))
    with pytest.raises(InputFileError, match=r"s\.jsonl: line 3 is damaged: quality can't be 2"):
        read(log)


def test_a_killed_session_is_reported_as_far_as_it_goes(tmp_path: Path) -> None:
    log = write_log(tmp_path / "s.jsonl", session_line(), decision(3.0), {"type": "mark", "t_s": 5.0, "note": "a"})
    heard = read(log).heard
    assert heard.span_s == 5.0
    assert "no end" in heard.caveats[0]
    log.write_text(log.read_text(encoding="utf-8") + '{"type": "decision", "t_s"', encoding="utf-8")
    cut = read(log).heard
    assert cut.decisions == heard.decisions
    assert "cut off" in " ".join(cut.caveats)


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    for text, words in (
        ("", "holds no whole line"),
        ("hello\n", "is no log of Laennec's"),
        (json.dumps(decision(1.0)) + "\n", "is no log of Laennec's"),
    ):
        log = tmp_path / "s.jsonl"
        log.write_text(text, encoding="utf-8")
        with pytest.raises(InputFileError, match=words):
            read(log)
    with pytest.raises(InputFileError, match=r"is no session: it holds no log\.jsonl"):
        read(tmp_path)
    with pytest.raises(InputFileError, match="no such file"):
        read(tmp_path / "nothing")


# --- log and recording


def test_a_recording_of_another_session_is_refused(folder: Path, tmp_path: Path) -> None:
    whole = heart(28.0, "murmur")
    log = folder / "log.jsonl"
    span_s = read(log).heard.span_s
    same_length = write_wav(tmp_path / "other.wav", np.resize(whole, round(span_s * RATE_HZ)))
    with pytest.raises(InputFileError, match="the log alone has a gap of"):
        read(log, same_length)
    with pytest.raises(InputFileError, match=r"it lasts 0:05\.0, the session"):
        read(log, write_wav(tmp_path / "short.wav", whole[: 5 * RATE_HZ]))
    with pytest.raises(InputFileError, match=r"it lasts 1:52\.0, the session"):
        read(log, write_wav(tmp_path / "long.wav", np.tile(whole, 4)))
    with pytest.raises(InputFileError, match="it has 8000 Hz, the session 4000 Hz"):
        read(log, write_wav(tmp_path / "rate.wav", whole, 8000))
    other_gap = write_wav(tmp_path / "gap.wav", whole)
    gaps.write(other_gap, Loss(3 * RATE_HZ, 6000, "elsewhere"))
    with pytest.raises(InputFileError, match="does not belong to this session"):
        read(log, other_gap)


def test_the_recording_that_a_log_names_is_taken_only_where_it_fits(tmp_path: Path) -> None:
    source = {"kind": "file", "name": "heart.wav", "rate_hz": RATE_HZ, "channel": 2}
    log = write_log(tmp_path / "s.jsonl", session_line(source=source), decision(1.0), end(5 * RATE_HZ))
    assert read(log).recording is None
    assert "no recording was kept" in read(log).heard.caveats[0]
    stereo = np.stack([heart(5.0), heart(5.0)], axis=1)
    write_wav(tmp_path / "heart.wav", stereo)
    found = read(log).recording
    assert found
    assert found.channel == 2
    write_wav(tmp_path / "heart.wav", stereo[:RATE_HZ])
    assert read(log).recording is None
    assert "is left out" in read(log).heard.caveats[0]


def test_a_recording_that_ended_early_is_drawn_as_far_as_it_goes(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    write_log(tmp_path / "s" / "log.jsonl", session_line(), decision(1.0), end(60 * RATE_HZ))
    write_wav(tmp_path / "s" / "recording.wav", heart(5.0))
    given = read(tmp_path / "s")
    assert "The recording ends at 0:05, the session at 1:00." in given.heard.caveats
    drawn = making.parts(given, MODEL).sound
    assert drawn
    known = np.isfinite(drawn.high)
    assert known[: len(known) // 13].all()
    assert not known[len(known) // 11 :].any()


def test_files_that_follow_each_other_are_one_recording(tmp_path: Path) -> None:
    """With a gap in the second: everything stands at the session's time."""
    samples = heart(9.0)
    for name, piece in (("x.wav", samples[:16000]), ("x.2.wav", samples[16000:]), ("x.10.wav", samples[:400])):
        write_wav(tmp_path / name, piece)
    gaps.write(tmp_path / "x.2.wav", Loss(RATE_HZ, 2 * RATE_HZ, "away"))
    ((take,), nothing) = takes.in_folder(tmp_path, [made()], 0)[::-1]
    assert not nothing
    assert [path.name for path in take.files] == ["x.wav", "x.2.wav", "x.10.wav"]
    found = recording.opened(take.pieces(0.0), None)
    assert found.lost == ((5.0, 7.0),)
    assert found.covered == ((0.0, 4.0), (4.0, 11.0), (11.0, 11.1))
    blocks = list(found.blocks())
    assert np.array_equal(np.concatenate([b.samples for b in blocks]), np.concatenate([samples, samples[:400]]))
    assert [b.start for b in blocks if b.lost] == [7 * RATE_HZ]


def begins(t_s: float, name: str) -> dict[str, object]:
    return {"type": "notice", "t_s": t_s, "text": f"recording begins: {name}"}


def test_recordings_that_began_in_mid_session_stand_at_their_time(tmp_path: Path) -> None:
    """One from the session's beginning, put away when its name was used again; one by another name."""
    other, again = begins(12.0, "other.wav"), begins(6.0, "x.wav")
    write_log(tmp_path / "log.jsonl", session_line(), decision(4.0), again, other, end(20 * RATE_HZ))
    for name, seconds in (("x.2026-11-23T140600.000Z.wav", 3), ("x.wav", 4), ("other.wav", 5)):
        write_wav(tmp_path / name, heart(float(seconds)))
    given = read(tmp_path)
    assert given.recording
    assert given.recording.covered == ((0.0, 3.0), (6.0, 10.0), (12.0, 17.0))
    drawn = making.parts(given, MODEL).sound
    assert drawn
    at_s = (np.arange(len(drawn.high)) + 0.5) * 20 / len(drawn.high)
    recorded = (at_s < 3) | ((at_s > 6) & (at_s < 10)) | ((at_s > 12) & (at_s < 17))
    assert np.array_equal(np.isfinite(drawn.high), recorded)


def test_each_session_of_a_folder_has_its_own_recordings(tmp_path: Path) -> None:
    """The listener went on to another device: a session each, in one log."""
    first = [session_line(), decision(4.0), end(5 * RATE_HZ)]
    second = [session_line(), decision(4.0), begins(2.0, "late.wav"), end(9 * RATE_HZ)]
    write_log(tmp_path / "log.jsonl", *first, *second)
    write_wav(tmp_path / "early.wav", heart(5.0))
    write_wav(tmp_path / "late.wav", heart(4.0))
    one, two = (read(tmp_path, number=number).recording for number in (1, 2))
    assert one
    assert two
    assert (one.names, one.covered) == (("early.wav",), ((0.0, 5.0),))
    assert (two.names, two.covered) == (("late.wav",), ((2.0, 6.0),))


# --- what follows from it


def made(*decisions: dict[str, object], **changed: object) -> Heard:
    """A session of such decisions."""
    (heard,) = session_log.sessions([session_line(), *decisions, end(20 * RATE_HZ)])
    return replace(heard, **changed)  # type: ignore[arg-type]


def test_answers_are_spans_that_no_gap_is_in() -> None:
    told = [decision(t_s) for t_s in (4.0, 4.5)] + [decision(5.0, "murmur")] + [decision(9.0)]
    heard = made(*told, decision(9.5), gaps=(Gap(5.0, 3 * RATE_HZ, "away"),))
    assert gap_end_s(heard, heard.gaps[0]) == 8.0
    assert spans(heard) == [
        Span(0.0, 4.5, "normal"),
        Span(4.5, 5.0, "murmur"),
        Span(8.0, 9.5, "normal"),
    ]


def test_beats_are_hidden_while_no_heart_is_heard() -> None:
    shown = heart_heard([Span(0, 4, "artifact"), Span(4, 6, "normal"), Span(6, 8, "poor_signal"), Span(8, 9, "gap")])
    assert [shown(t_s) for t_s in (1.0, 4.5, 7.0, 8.5, 12.0)] == [False, True, False, True, True]


@pytest.mark.parametrize(
    ("of", "words"),
    [
        ([], "No answer"),
        ([Span(0, 4, "listening")], "No answer"),
        ([Span(0, 4, "listening"), Span(4, 9, "murmur")], "Sounds like murmur"),
        ([Span(0, 6, "murmur"), Span(6, 10, "normal")], "Mostly: sounds like murmur"),
        (
            [Span(0, 4, "murmur"), Span(4, 7, "normal"), Span(7, 10, "uncertain")],
            "Changing; longest: sounds like murmur",
        ),
        ([Span(0, 10, "artifact")], "No heart sound heard (artifact)"),
        ([Span(0, 10, "poor_signal")], "Poor signal: no answer is given"),
    ],
)
def test_the_answer_is_what_it_sounds_like_and_never_a_diagnosis(of: list[Span], words: str) -> None:
    told, share = facts.answer(of)
    assert told.startswith(words)
    assert " has " not in f"{told} {share}"
    assert "diagnos" not in f"{told} {share}"


def test_moments_are_marks_early_beats_and_the_first_of_each_answer() -> None:
    marks = (Mark(50.0, "a"), Mark(50.5, "b"))
    heard = replace(made(), marks=marks, ledger=None, beats=(Beat(100.0, "S1", 1.0),))
    of = [Span(0, 4, "listening"), Span(4, 60, "normal"), Span(60, 70, "murmur"), Span(70, 80, "normal")]
    early = [Early(float(t_s), 0.4) for t_s in range(80, 100)]
    found = moments.chosen(heard, of, early)
    assert [m.window.start_s for m in found] == sorted(m.window.start_s for m in found)
    assert all(0 <= m.window.start_s < m.window.end_s <= 100 for m in found)
    told = [reason for m in found for reason in m.reasons]
    assert [m.reasons for m in found if 50 > m.window.start_s > 45] == [("mark 1: a", "mark 2: b")]
    assert sum("early beat" in reason for reason in told) == 4
    assert [r for r in told if r.startswith("first")] == [
        "first time that it sounds like normal heart sounds (0:04.0)",
        "first time that it sounds like murmur (1:00.0)",
    ]


# --- sound for the eye


def test_the_band_is_the_models_and_shifts_nothing() -> None:
    rate_hz, t = 2000, np.arange(60_000) / 2000
    response = np.abs(np.fft.rfft(kernel(25, 400, rate_hz), 40_000))
    gain = dict(zip(np.fft.rfftfreq(40_000, 1 / rate_hz).tolist(), response.tolist(), strict=True))
    assert gain[25.0] == pytest.approx(0.5, abs=0.05)
    assert gain[400.0] == pytest.approx(0.5, abs=0.05)
    assert all(abs(gain[float(hz)] - 1) < 0.01 for hz in range(45, 381, 5))
    assert max(gain[float(hz)] for hz in [*range(6), *range(420, 1000)]) < 0.01
    x = np.sin(2 * np.pi * 100 * t).astype(np.float32)
    whole = BandPass(25, 400, rate_hz)
    once = np.concatenate([whole.process(x), whole.flush()])
    assert len(once) == len(x)
    assert np.abs(once - x)[300:-300].max() < 0.01
    pieces = BandPass(25, 400, rate_hz)
    cut = [pieces.process(x[begin : begin + 7001]) for begin in range(0, len(x), 7001)]
    assert np.concatenate([*cut, pieces.flush()]) == pytest.approx(once, abs=1e-5)


def tones(folder: Path) -> recording.Recording:
    """Two seconds of 100 Hz, two lost, two of 300 Hz at half the amplitude."""
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    x = np.concatenate([0.5 * np.sin(2 * np.pi * 100 * t), 0.25 * np.sin(2 * np.pi * 300 * t)]).astype(np.float32)
    path = write_wav(folder / "tones.wav", x)
    gaps.write(path, Loss(2 * RATE_HZ, 2 * RATE_HZ, "away"))
    return recording.opened(recording.of_files([path]), None)


def test_columns_and_cuts_stand_at_their_times_and_gaps_are_empty(tmp_path: Path) -> None:
    found = sound.listen(tones(tmp_path), SPEC, 6.0, [Window(1.0, 5.0)], 6.0, 60)
    for low, high in ((found.low, found.high), (found.fine.low, found.fine.high)):
        at_s = (np.arange(len(low)) + 0.5) * 6 / len(low)
        for begin_s, end_s, size in ((0.3, 1.7, 0.5), (4.3, 5.7, 0.25)):
            inside = (at_s > begin_s) & (at_s < end_s)
            assert np.quantile(high[inside], 0.9) == pytest.approx(size, rel=0.05)
            assert np.quantile(-low[inside], 0.9) == pytest.approx(size, rel=0.05)
        assert np.isnan(high[(at_s > 2.11) & (at_s < 3.89)]).all()
        assert np.isfinite(high[(at_s < 1.9) | (at_s > 4.1)]).all()
    (cut,) = found.cuts
    assert len(cut.samples) == 4 * SPEC.rate_hz
    assert np.array_equal(np.isnan(cut.samples), (np.arange(8000) >= 2000) & (np.arange(8000) < 6000))


def test_the_spectrogram_shows_a_tone_at_its_pitch_and_level(tmp_path: Path) -> None:
    found = sound.listen(tones(tmp_path), SPEC, 6.0, [Window(0.0, 2.0)], 0.0, 0)
    for shown, span_s in ((found.spectrogram, 6.0), (sound.of_cut(found.cuts[0], found.band_hz), 2.0)):
        bins, columns = shown.db.shape
        hz = shown.low_hz + (np.arange(bins) + 0.5) * (shown.high_hz - shown.low_hz) / bins
        for t_s, pitch_hz, level_db in ((1.0, 100, -9.0), (5.0, 300, -15.1)):
            if t_s < span_s:
                column = shown.db[:, int(t_s * columns / span_s)]
                assert abs(hz[np.argmax(column)] - pitch_hz) < 16
                assert column.max() == pytest.approx(level_db, abs=1.5)
    middle = found.spectrogram.db[:, int(3.0 * found.spectrogram.db.shape[1] / 6)]
    assert np.isnan(middle).all()
    edges = found.spectrogram.db[:, [0, -1]]
    assert np.isfinite(edges).all()


def test_the_image_of_a_spectrogram_is_a_png_that_others_read(tmp_path: Path) -> None:
    from matplotlib.image import imread

    db = np.array([[-100.0, -20.0, np.nan], [-42.5, -20.0, np.nan]])
    path = tmp_path / "x.png"
    path.write_bytes(pixels.png(pixels.indices(db)))
    seen = np.round(imread(path) * 255).astype(int)
    assert seen.shape == (2, 3, 4)
    assert seen[0, 0, :3].tolist() == list(pixels.ANCHORS[0])
    assert seen[0, 1, :3].tolist() == list(pixels.ANCHORS[-1])
    assert seen[:, 2, 3].tolist() == [0, 0]
    assert seen[:, :2, 3].min() == 255
    light = pixels.palette()[1:].astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light) >= -0.5).all()  # the level can be told from lightness alone


@pytest.mark.parametrize("span_s", [0.0, 14.9, 15.0, 601.0, 3600.0, 86_400.0, 1e7])
def test_lines_cover_the_session_and_are_bounded(span_s: float) -> None:
    count = rows.count(span_s)
    assert count <= 60
    assert count * rows.length_s(span_s) >= span_s * (span_s >= 15)


# --- given out again


def test_labels_are_read_back(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.txt"
    succeed("report", folder, "--out", out)
    heard = read(folder).heard
    found = [line.split("\t") for line in out.read_text(encoding="utf-8").splitlines()]
    assert {len(fields) for fields in found} == {3}
    events = [(float(start), float(stop), name) for start, stop, name in found]
    assert events == sorted(events)
    assert all(start <= stop for start, stop, _ in events)
    for sound_name in ("S1", "S2"):
        points = [(a, b) for a, b, name in events if name.removesuffix(" early") == sound_name]
        assert points == [(b.t_s, b.t_s) for b in heard.beats if b.sound == sound_name]
    assert sum(name == "S1 early" for *_, name in events) == len(early_beats(heard)) > 0
    (gap,) = [event for event in events if event[2].startswith("gap: ")]
    assert gap[:2] == (heard.gaps[0].t_s, pytest.approx(gap_end_s(heard, heard.gaps[0]), abs=1e-6))
    assert [name for *_, name in events if name.startswith("mark")][1] == "mark: tab here, line there"
    answers = [event for event in events if event[2] in {*WORDS.values()}]
    assert "listening again after a gap" in {name for *_, name in answers}
    assert len(answers) == len(spans(heard))
    assert len(answers) + len(heard.beats) + len(heard.gaps) + len(MARKS) == len(events)


def test_the_table_is_read_back(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    succeed("report", folder, "--out", out)
    heard = read(folder).heard
    with out.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert tuple(found[0]) == csv_table.COLUMNS
    by = {kind: [row for row in found if row["type"] == kind] for kind in ("decision", "beat", "gap", "mark")}
    assert sum(map(len, by.values())) == len(found)
    times = [float(row["t_s"]) for row in found]
    assert times == sorted(times)
    assert [(float(r["t_s"]), r["label"] or None, r["status"]) for r in by["decision"]] == [
        (d.t_s, d.label, d.status) for d in heard.decisions
    ]
    assert [tuple(float(r[f"p_{name}"]) for name in MODEL.meta["classes"]) for r in by["decision"]] == [
        d.probabilities for d in heard.decisions
    ]
    assert [(float(r["t_s"]), r["sound"], float(r["confidence"])) for r in by["beat"]] == list(heard.beats)
    assert [(float(r["t_s"]), int(r["lost_samples"]), r["reason"]) for r in by["gap"]] == [
        (g.t_s, g.lost_samples, g.reason) for g in heard.gaps
    ]
    assert [(float(r["t_s"]), r["note"]) for r in by["mark"]] == list(MARKS)
    assert [float(r["coupling_s"]) for r in by["beat"] if r["coupling_s"]] == [e.coupling_s for e in early_beats(heard)]


def test_the_picture_has_all_strips(folder: Path, tmp_path: Path) -> None:
    from matplotlib.image import imread

    out = tmp_path / "x.png"
    succeed("report", folder, "--out", out)
    seen = imread(out)[:, :, :3]
    assert seen.shape[0] > 1000
    assert seen.shape[1] > 1500
    for strip in np.array_split(seen[100:-80], 7):  # each has something drawn on white
        assert (strip.min(axis=2) < 0.6).mean() > 0.005
    without = succeed("report", folder / "log.jsonl", "--out", tmp_path / "y.png")
    assert "reported" in without


def test_matplotlib_is_asked_for_in_one_line_where_it_is_missing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"needs matplotlib; .*\[report\]"):
        making.check_name(tmp_path / "x.png")
    making.check_name(tmp_path / "x.html")


# --- the command


def test_an_older_report_is_put_away_and_the_line_says_what_was_written(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    out.write_text("mine", encoding="utf-8")
    said = succeed("report", folder, "--out", out)
    assert said.startswith(f"{out}: ")
    (older,) = tmp_path.glob("x.2*.csv")
    assert older.read_text(encoding="utf-8") == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([older.name, "x.csv"])
    assert out.stat().st_mode & 0o044 == 0o044  # as any new file, not the owner's alone


def test_the_command_refuses_in_one_line(folder: Path, tmp_path: Path) -> None:
    refused(run("report", folder, "--out", tmp_path / "x.pdf"), 2, "x.pdf", ".html, .png, .txt, .csv")
    refused(run("report", folder, "--out", tmp_path / "no" / "x.html"), 2, "a folder that exists")
    refused(run("report", tmp_path / "none", "--out", tmp_path / "x.html"), 3, "no such file")
    refused(run("report", folder / "recording.wav", "--number", 1, "--out", tmp_path / "x.html"), 2, "is no log")
    noise = tmp_path / "noise.wav"
    soundfile.write(noise, np.full(8000, np.nan), RATE_HZ, "FLOAT")
    refused(run("report", noise, "--out", tmp_path / "x.html"), 3, "holds NaN")
    assert [path.name for path in tmp_path.iterdir()] == ["noise.wav"]


@pytest.mark.parametrize("ending", sorted(making.MAKERS))
def test_a_session_of_nothing_has_a_report_too(ending: str, tmp_path: Path) -> None:
    given = read(write_log(tmp_path / "s.jsonl", session_line(), end(0)))
    assert isinstance(making.MAKERS[ending](given, MODEL), bytes)
    started = read(write_log(tmp_path / "t.jsonl", session_line()))
    assert isinstance(making.MAKERS[ending](started, MODEL), bytes)


def test_labels_of_a_session_without_marks_hold_nothing_else(tmp_path: Path) -> None:
    log = write_log(tmp_path / "s.jsonl", session_line(), decision(2.0), decision(2.5), end(10_000))
    assert labels.track(read(log).heard) == "0.000000\t2.500000\tnormal\n"


@pytest.mark.parametrize("ending", sorted(making.MAKERS))
def test_texts_that_no_encoding_holds_are_reported_all_the_same(ending: str, tmp_path: Path) -> None:
    """As names of files may be, and what others write into a log."""
    source = {"kind": "file", "name": "\udcff", "rate_hz": RATE_HZ}
    told = [{"type": "mark", "t_s": 1.0, "note": "here \ud800"}, {"type": "notice", "t_s": 1.0, "text": "\udcff"}]
    log = write_log(tmp_path / "s.jsonl", session_line(source=source), *told, decision(2.0), end(10_000))
    assert isinstance(making.MAKERS[ending](read(log), MODEL), bytes)


def test_a_source_without_a_name_names_no_recording(tmp_path: Path) -> None:
    source = {"kind": "file", "name": "", "rate_hz": RATE_HZ}
    assert read(write_log(tmp_path / "s.jsonl", session_line(source=source), end(9))).recording is None
