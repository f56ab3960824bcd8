"""Recordings: whole at any time, gaps in their place, never too long, and what happens when the disk is full."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny_bundle
from conftest import skip_or_fail
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from program import check_end, lines, of_type, parsed, refused, run, started, surroundings

from models import bundle as bundles
from models.bundle import Bundle
from models.errors import InputFileError, SettingError
from stream import gaps, outputs
from stream.block import Block, Samples
from stream.session import Session
from stream.simulate import Patient, init_state, step
from stream.sinks.jsonl import JsonlSink
from stream.sinks.plain import PlainSink
from stream.sinks.recorder import MOST_BYTES, Recorder
from stream.sinks.wave import HEADER_BYTES, UPDATE_S, WaveWriter, header
from stream.sources.file import FileSource

RATE_HZ = 4000
LOUD = st.sampled_from([np.nan, np.inf, -np.inf, 3e12])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that hears beats in thumps."""
    path = tmp_path_factory.mktemp("model") / "hearing.onnx"
    path.write_bytes(tiny_bundle.data_of(tiny_bundle.hearing()))
    return path


@pytest.fixture(scope="module")
def bundle(model: Path) -> Bundle:
    return bundles.load(model)


class ListSource:
    """Blocks from a list; `before` is called before each."""

    def __init__(self, blocks: list[Block], before: Any = lambda n: None) -> None:
        self._blocks = blocks
        self._before = before
        self.rate_hz = RATE_HZ
        self.description: dict[str, object] = {"kind": "file", "name": "list", "rate_hz": RATE_HZ}

    def blocks(self) -> Iterator[Block]:
        for n, block in enumerate(self._blocks):
            self._before(n)
            yield block

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


def heard(seconds: float) -> Samples:
    """Thumps, on the grid of 24 bits."""
    sound = tiny_bundle.thumps(seconds, np.arange(0.2, seconds, 0.8), RATE_HZ)
    return (np.round(sound * 2**23) / 2**23).astype(np.float32)


def cut(samples: Samples, every: int, losses: dict[int, tuple[int, str]] | None = None) -> list[Block]:
    """Blocks of so many samples; losses come before the sample at their index, or after all."""
    found, start = [], 0
    edges = sorted({*range(0, len(samples), every), *(losses or {}), len(samples)})
    for a, b in zip(edges, [*edges[1:], len(samples)], strict=True):
        lost, reason = (losses or {}).get(a, (0, ""))
        start += lost
        if lost or b > a:
            found.append(Block(samples[a:b], start, RATE_HZ, lost, reason))
        start += b - a
    return found


def session(bundle: Bundle, source: Any, recorder: Recorder | None = None) -> list[dict[str, Any]]:
    """The log of a session."""
    stream = io.StringIO()
    Session(source, bundle, [JsonlSink(stream, "log", outputs.header(bundle, source))], recorder).run()
    return parsed(stream.getvalue())


def replayed(bundle: Bundle, path: Path, block_samples: int | None = None) -> list[dict[str, Any]]:
    return session(bundle, FileSource(path, block_samples=block_samples))


def audio(path: Path) -> Samples:
    """What is in a file, as others read it."""
    found = soundfile.read(path, dtype="float32")[0]
    assert np.array_equal(found, np.concatenate([b.samples for b in FileSource(path).blocks()]))
    return np.asarray(found, dtype=np.float32)


def lines_beside(path: Path) -> list[tuple[int, int, str]]:
    text = gaps.beside(path).read_text(encoding="utf-8")
    assert text.endswith("\n")
    found = [json.loads(line) for line in text.splitlines()]
    assert all(list(line) == ["at_sample", "lost_samples", "reason"] for line in found)
    return [tuple(line.values()) for line in found]  # type: ignore[misc]


# Replays


@st.composite
def streams(draw: st.DrawFn) -> list[Block]:
    """Audio with losses of all lengths at any place, values that are no audio, blocks of any length."""
    samples = heard(draw(st.floats(0.5, 9)))
    place = st.integers(0, len(samples))
    for at in draw(st.lists(place, max_size=3)):
        samples[at : at + draw(st.integers(1, 3000))] = draw(LOUD)
    samples[:10] = 0.25  # where nothing at all was heard there is nothing to replay
    reason = st.sampled_from(["", "overrun", "the device was away; “é”", 'a "quote"\n'])
    losses = draw(st.dictionaries(place, st.tuples(st.integers(1, 10**6), reason), max_size=4))
    return cut(samples, draw(st.sampled_from([50, 401, 4000, 10**6])), losses)


@pytest.mark.parametrize("name", ["a.wav", "A.FLAC"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(blocks=streams(), block_samples=st.sampled_from([None, 37, 1000]))
def test_a_replay_decides_as_the_session_did(
    bundle: Bundle, tmp_path: Path, name: str, blocks: list[Block], block_samples: int | None
) -> None:
    path = tmp_path / name
    told = session(bundle, ListSource(blocks), Recorder(path, RATE_HZ))
    again = replayed(bundle, path, block_samples)
    assert again[1:] == told[1:]
    dropped = told[-1]["ledger"]["dropped"]
    assert gaps.beside(path).exists() == (dropped > 0)
    everything = np.concatenate([b.samples for b in blocks])
    assert np.array_equal(audio(path), everything[np.abs(everything) <= 1e12])


def test_the_signals_of_the_replays_have_beats_decisions_and_gaps(bundle: Bundle, tmp_path: Path) -> None:
    blocks = cut(heard(12), 100, {0: (5, "a"), 20_000: (7000, "b"), 48_000: (9, "c")})
    told = session(bundle, ListSource(blocks), Recorder(tmp_path / "a.wav", RATE_HZ))
    counts = {kind: len(of_type(kind, told)) for kind in ("decision", "beat", "gap")}
    assert counts["gap"] == 3
    assert counts["decision"] > 15
    assert counts["beat"] > 15
    assert [gap["t_s"] for gap in of_type("gap", told)] == [0, 20_005 / RATE_HZ, 55_005 / RATE_HZ]
    assert replayed(bundle, tmp_path / "a.wav")[1:] == told[1:]


def test_neighbouring_losses_are_one_gap_as_in_the_log(bundle: Bundle, tmp_path: Path) -> None:
    samples = heard(1)
    samples[100:103] = np.nan
    samples[103:105] = 1e13
    blocks = [*cut(samples[:104], 104), Block(samples[104:], 204, RATE_HZ, 100, "overrun")]
    told = session(bundle, ListSource(blocks), Recorder(tmp_path / "a.wav", RATE_HZ))
    reasons = "values that are no audio; overrun"
    assert lines_beside(tmp_path / "a.wav") == [(100, 105, reasons)]
    assert [(g["lost_samples"], g["reason"]) for g in of_type("gap", told)] == [(105, reasons)]


def test_a_flac_is_off_by_its_rounding_at_most_and_clips(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, 9000).astype(np.float32)
    samples[:2] = (1.5, -1.5)
    recorder = Recorder(tmp_path / "a.flac", RATE_HZ)
    assert recorder.block(Block(samples, 0, RATE_HZ)) + recorder.close() == ""
    kept = audio(tmp_path / "a.flac")
    assert soundfile.info(tmp_path / "a.flac").subtype == "PCM_24"
    assert np.abs(kept[2:] - samples[2:]).max() <= 2**-24
    np.testing.assert_allclose(kept[:2], (1, -1), atol=2**-23)


# Damaged gaps

GOOD = '{"at_sample": 1, "lost_samples": 2, "reason": "r"}\n'
DAMAGED = {
    "no JSON": ("{]\n", "line 1 is no gap"),
    "no object": (GOOD + "[1, 2]\n", "line 2 is no gap"),
    "no line": ("\n", "line 1 is no gap"),
    "key missing": ('{"at_sample": 1, "reason": ""}\n', "line 1 is no gap"),
    "key too many": (GOOD.replace("}", ', "x": 1}'), "line 1 is no gap"),
    "fraction": (GOOD.replace("2", "2.5"), "line 1 is no gap"),
    "truth": (GOOD.replace("2", "true"), "line 1 is no gap"),
    "text": (GOOD.replace("2", '"2"'), "line 1 is no gap"),
    "no reason": (GOOD.replace('"r"', "null"), "line 1 is no gap"),
    "nothing lost": (GOOD.replace("2", "0"), "line 1 counts what can't be"),
    "negative": (GOOD.replace("1", "-1"), "line 1 counts what can't be"),
    "more than there can be": (GOOD.replace("2", "9" * 400), "line 1 counts what can't be"),
    "deep": ("[" * 100_000 + "\n", "line 1 is no gap"),
    "bytes": (b"\xff\xfe\x00\n", "line 1 is no gap"),
    "cut short": (GOOD + GOOD.rstrip("\n").replace("1", "3"), "line 2 is cut short|line 2 is no gap"),
    "twice at a place": (GOOD + GOOD, "line 2 is out of order"),
    "backwards": (GOOD.replace("1", "9") + GOOD, "line 2 is out of order"),
    "backwards beyond the end": (GOOD + GOOD.replace("1", "900") + GOOD.replace("1", "800"), "line 3 is out of order"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_gaps_are_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    text, wanted = DAMAGED[kind]
    soundfile.write(tmp_path / "a.wav", heard(1)[:100], RATE_HZ, "FLOAT")
    gaps.beside(tmp_path / "a.wav").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputFileError, match=rf"a\.wav\.gaps\.jsonl: ({wanted}); mend it, or delete") as error:
        FileSource(tmp_path / "a.wav")
    assert "\n" not in str(error.value)


UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "folder": (lambda path: path.mkdir(), "is no list of gaps; delete it"),
    "pipe that nobody writes to": (os.mkfifo, "is no list of gaps; delete it"),
    "far too long": (lambda path: path.write_bytes(b" " * 9_000_000), "is no list of gaps; delete it"),
    "link to itself": (lambda path: path.symlink_to(path), "can't be read: .*; check its permissions"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_gaps_that_cannot_be_read(tmp_path: Path, kind: str) -> None:
    make, wanted = UNREADABLE[kind]
    soundfile.write(tmp_path / "a.wav", heard(1), RATE_HZ, "FLOAT")
    make(gaps.beside(tmp_path / "a.wav"))
    with pytest.raises(InputFileError, match=rf"gaps\.jsonl: {wanted}"):
        FileSource(tmp_path / "a.wav")


def test_a_name_too_long_for_gaps_is_heard(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 250 + ".wav")
    soundfile.write(path, heard(1), RATE_HZ, "FLOAT")
    assert len(audio(path)) == RATE_HZ


def test_half_a_line_is_never_left_on_a_full_disk(tmp_path: Path) -> None:
    """The limit is in the middle of the second line; the first one stays."""
    code = (
        "import resource, sys; from pathlib import Path; from stream import gaps\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (80, 80))\n"
        "for at in (1, 2): gaps.write(Path(sys.argv[1]), gaps.Loss(at, 5, 'overrun'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.wav")],
        env=surroundings(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "OSError" in done.stderr
    assert lines_beside(tmp_path / "a.wav") == [(1, 5, "overrun")]


# Whole at any time


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
@pytest.mark.parametrize("every", [100, 1300, 9000])
def test_a_recording_is_whole_up_to_the_last_second_while_it_is_written(tmp_path: Path, name: str, every: int) -> None:
    samples, path = heard(12), tmp_path / name
    recorder = Recorder(path, RATE_HZ)
    for block in cut(samples, every):
        recorder.block(block)
        total = block.start + len(block.samples)
        if total >= RATE_HZ:
            found = audio(path)
            assert total - RATE_HZ < len(found) <= total
            assert np.array_equal(found, samples[: len(found)])
    recorder.close()
    assert np.array_equal(audio(path), samples)
    assert recorder.close() == recorder.name == ""


def test_the_header_is_the_standards(tmp_path: Path) -> None:
    head = header(44_100, 1000)
    assert len(head) == HEADER_BYTES
    assert head[:4] + head[8:16] == b"RIFFWAVEfmt "
    assert int.from_bytes(head[4:8], "little") == HEADER_BYTES + 4000 - 8
    assert int.from_bytes(head[-4:], "little") == 4000
    writer = WaveWriter(tmp_path / "a.wav", 44_100)
    writer.write(np.zeros(0, dtype=np.float32))
    writer.close()
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.frames, info.samplerate, info.channels, info.subtype) == (0, 44_100, 1, "FLOAT")
    assert MOST_BYTES < 2**32


@pytest.mark.parametrize("name", ["x.wav", "x.flac"])
def test_a_killed_program_leaves_what_it_heard_up_to_the_last_second(tmp_path: Path, model: Path, name: str) -> None:
    path, log = tmp_path / name, tmp_path / "log.jsonl"
    asked = ("demo", "murmur", "--speed", "20", "--record", path, "--log", log, "--model", model, "--quiet")
    with started(*asked) as process:
        deadline_s = time.monotonic() + 60
        while not (log.exists() and log.read_text(encoding="utf-8").count('"decision"') >= 10):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    told, found = [line for line in log.read_text(encoding="utf-8").split("\n")[:-1] if line], audio(path)
    patient = Patient("murmur")
    last_s = of_type("decision", [json.loads(line) for line in told])[-1]["t_s"]
    assert len(found) / patient.rate_hz > last_s - 1
    if name.endswith(".wav"):
        there = (path.stat().st_size - HEADER_BYTES) // 4
        assert 0 <= there - len(found) <= UPDATE_S * patient.rate_hz
    wanted, _ = step(patient, len(found), init_state(patient))
    assert np.abs(found - wanted).max() <= (0 if name.endswith(".wav") else 2**-24)


def places(blocks: Iterable[Block]) -> Iterator[tuple[float, int]]:
    """The samples with their indices in the stream, after the losses before them."""
    captured = 0
    for block in blocks:
        captured += block.lost
        for value in block.samples.tolist():
            yield value, captured
            captured += 1


@pytest.mark.parametrize(("name", "held_back"), [("a.wav", 0), ("a.flac", 1152)])
@pytest.mark.parametrize("every", [100, 1300])
def test_a_program_killed_after_a_gap_leaves_what_it_heard_before_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, held_back: int, every: int
) -> None:
    """What is on the disk after each gap and each block is copied and replayed."""
    losses = dict.fromkeys((1, 1500, 2000, 2001, 4608, 4700, 9000, 9950), (7, "overrun"))
    most_missing = UPDATE_S * RATE_HZ + held_back
    blocks = cut(heard(3), every, losses)
    wanted = list(places(blocks))
    now, killed = tmp_path / "now" / name, tmp_path / "killed" / name
    counted, with_gaps = [], 0

    def check_what_is_there(least: float) -> None:
        shutil.copytree(now.parent, killed.parent)
        found = []
        with contextlib.suppress(InputFileError):  # it holds no audio yet
            found = list(places(FileSource(killed).blocks()))
        assert found == wanted[: len(found)]
        assert least <= len(found) <= recorder.written
        counted.append(len(found))
        shutil.rmtree(killed.parent)

    class Watched(Recorder):
        written = 0

        def block(self, block: Block) -> str:
            said = super().block(block)
            self.written += len(block.samples)
            return said

    def write_and_be_killed(path: Path, loss: gaps.Loss) -> None:
        nonlocal with_gaps
        write(path, loss)
        check_what_is_there(loss.at_sample - held_back)
        with_gaps += 1

    now.parent.mkdir()
    write = gaps.write
    monkeypatch.setattr(gaps, "write", write_and_be_killed)
    recorder = Watched(now, RATE_HZ)
    for block in blocks:
        assert recorder.block(block) == ""
        check_what_is_there(recorder.written - most_missing)
    assert with_gaps == len(losses)
    assert counted == sorted(counted)
    assert len(set(counted)) > 4
    recorder.close()
    assert list(places(FileSource(now).blocks())) == wanted


def test_gaps_beyond_the_end_are_passed_over_and_one_at_the_end_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, heard(1)[:100], RATE_HZ, "FLOAT")
    for at in (30, 100, 101, 5000):
        gaps.write(path, gaps.Loss(at, 9, "overrun"))
    assert [(b.start, len(b.samples), b.lost) for b in FileSource(path).blocks()] == [
        (0, 30, 0),
        (39, 70, 9),
        (118, 0, 9),
    ]


# An older recording

STAMP = r"\d{4}-\d\d-\d\dT\d{6}\.\d{3}Z"


def record(path: Path, samples: Samples, losses: dict[int, tuple[int, str]] | None = None) -> None:
    recorder = Recorder(path, RATE_HZ)
    for block in cut(samples, 500, losses):
        assert recorder.block(block) == ""
    assert recorder.close() == ""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_older_recordings_are_put_away_with_their_gaps(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    takes: list[dict[int, tuple[int, str]]] = [{700: (5, "first")}, {}, {900: (6, "third")}, {}]
    for number, losses in enumerate(takes, 1):
        record(path, heard(1)[: 1000 * number], losses)
    *older, newest = sorted(tmp_path.glob(f"*{suffix}"))
    assert newest == path
    assert all(re.fullmatch(rf"x\.{STAMP}{re.escape(suffix)}", kept.name) for kept in older)
    assert len(contents(tmp_path)) == 6
    for number, (kept, losses) in enumerate(zip([*older, newest], takes, strict=True), 1):
        assert list(places(FileSource(kept).blocks())) == list(places(cut(heard(1)[: 1000 * number], 500, losses)))
        assert gaps.beside(kept).exists() == bool(losses)


def test_numbered_files_and_empty_ones_stay_and_gaps_left_over_are_put_away(tmp_path: Path) -> None:
    (tmp_path / "x.2.wav").write_text("somebody's")
    (tmp_path / "x.wav").touch()
    gaps.write(tmp_path / "x.wav", gaps.Loss(1, 2, "old"))
    record(tmp_path / "x.wav", heard(0.1))
    assert [b.lost for b in FileSource(tmp_path / "x.wav").blocks()] == [0]
    left_over, *others = sorted(contents(tmp_path), key=lambda name: "gaps" not in name)
    assert re.fullmatch(rf"x\.wav\.gaps\.{STAMP}\.jsonl", left_over)
    assert json.loads((tmp_path / left_over).read_text())["reason"] == "old"
    assert sorted(others) == ["x.2.wav", "x.wav"]
    assert (tmp_path / "x.2.wav").read_text() == "somebody's"


def test_a_link_is_renamed_and_what_it_points_to_stays(tmp_path: Path) -> None:
    record(tmp_path / "far.wav", heard(0.2))
    before = (tmp_path / "far.wav").read_bytes()
    (tmp_path / "x.wav").symlink_to("far.wav")
    record(tmp_path / "x.wav", heard(0.1))
    assert not (tmp_path / "x.wav").is_symlink()
    assert (tmp_path / "far.wav").read_bytes() == before
    assert [path.read_bytes() for path in tmp_path.iterdir() if path.is_symlink()] == [before]


@pytest.mark.parametrize("older", ["with gaps", "without", "empty", "none", "gaps alone"])
@pytest.mark.parametrize("name", ["x.wav", "x.flac"])
def test_a_recorder_that_is_withdrawn_leaves_the_folder_as_it_was(tmp_path: Path, name: str, older: str) -> None:
    path = tmp_path / name
    if older.startswith("with"):
        record(path, heard(1), {700: (5, "r")} if older == "with gaps" else {})
    elif older == "empty":
        path.touch()
    elif older == "gaps alone":
        gaps.write(path, gaps.Loss(1, 2, "old"))
    before = contents(tmp_path)
    recorder = Recorder(path, RATE_HZ)
    assert path.exists()
    assert recorder.name == name
    recorder.withdraw()
    assert contents(tmp_path) == before
    assert recorder.name == recorder.close() == ""


def test_a_file_that_cannot_be_begun_leaves_the_older_one_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path / "x.wav", heard(1), {700: (5, "r")})
    before = contents(tmp_path)

    def full(self: WaveWriter) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(WaveWriter, "_update", full)
    with pytest.raises(SettingError, match=r"x\.wav: the recording can't be written: No space left on device"):
        Recorder(tmp_path / "x.wav", RATE_HZ)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("at_fault", ["gaps are a folder", "the name of the gaps is taken"])
def test_an_older_one_that_cannot_be_put_away_stays_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_fault: str
) -> None:
    path, kept = tmp_path / "x.wav", tmp_path / "x.2026-11-23T114500.123Z.wav"
    if at_fault == "gaps are a folder":
        gaps.beside(path).mkdir()
    else:
        record(path, heard(1), {700: (5, "r")})
        gaps.beside(kept).write_text("somebody's")
        monkeypatch.setattr("stream.sinks.cleared.put_away", lambda path, now: path.rename(kept))
    before = contents(tmp_path)
    with pytest.raises(SettingError, match=r"Not a directory|File exists"):
        Recorder(path, RATE_HZ)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("older", [True, False])
def test_a_session_that_is_refused_leaves_an_older_recording_as_it_was(
    tmp_path: Path, model: Path, older: bool
) -> None:
    if older:
        record(tmp_path / "x.wav", heard(1), {700: (5, "r")})
    (tmp_path / "thesis.txt").write_text("no log")
    before = contents(tmp_path)
    asked = ("demo", "--seconds", 5, "--speed", "max", "--model", model, "--record", "x.wav", "--log", "thesis.txt")
    refused(run(*asked, cwd=tmp_path), 2, "thesis.txt", "no log of Laennec's")
    assert contents(tmp_path) == before


# Too long for a file


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_long_recording_goes_on_in_the_next_file(bundle: Bundle, tmp_path: Path, suffix: str) -> None:
    samples = heard(9)
    (tmp_path / f"x.3{suffix}").write_text("somebody's")
    gaps.beside(tmp_path / f"x.4{suffix}").write_text("somebody's")
    blocks = cut(samples, 777, {10_000: (50, "inside"), 20_000: (60, "where a file ends"), 36_000: (70, "last")})
    recorder = Recorder(tmp_path / f"x{suffix}", RATE_HZ, HEADER_BYTES + 4 * 10_000)
    told = session(bundle, ListSource(blocks), recorder)
    parts = [tmp_path / f"x{number}{suffix}" for number in ("", ".2", ".5", ".6")]
    assert [len(audio(part)) for part in parts] == [10_000, 10_000, 10_000, 6000]
    assert np.array_equal(np.concatenate([audio(part) for part in parts]), samples)
    if suffix == ".wav":
        assert all(part.stat().st_size <= HEADER_BYTES + 4 * 10_000 for part in parts)
    assert not gaps.beside(parts[0]).exists()
    kept = [lines_beside(part) for part in parts[1:]]
    assert kept == [[(0, 50, "inside")], [(0, 60, "where a file ends")], [(6000, 70, "last")]]
    notices = of_type("notice", told)
    assert [line["text"].split(": ")[0] for line in notices] == [
        f"the recording goes on in x.{number}{suffix}" for number in (2, 5, 6)
    ]
    assert [round(line["t_s"] * RATE_HZ) for line in notices] == [
        # the session's time when the block that did not fit came
        blocks_start(blocks, at)
        for at in (10_000, 20_000, 30_000)
    ]
    assert (tmp_path / f"x.3{suffix}").read_text() == "somebody's"
    plain = session(bundle, ListSource(blocks))
    assert [line for line in told if line["type"] != "notice"][1:] == plain[1:]
    alone = replayed(bundle, parts[1])
    assert alone[1]["type"] == "gap"
    assert (alone[-1]["ledger"]["captured"], alone[-1]["ledger"]["dropped"]) == (10_050, 50)


def blocks_start(blocks: list[Block], at: int) -> int:
    """Samples captured, losses included, before the block that holds the audio's sample at this index."""
    audio_before = captured = 0
    for block in blocks:
        if audio_before + len(block.samples) > at:
            return captured
        audio_before += len(block.samples)
        captured += block.lost + len(block.samples)
    raise AssertionError(at)


# Disk full

LIMITED = (
    "import resource, runpy, sys\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))\n"
    "runpy.run_module('laennec', run_name='__main__')\n"
)


@pytest.mark.parametrize("name", ["x.wav", "x.flac"])
def test_a_full_disk_ends_the_recording_and_not_the_session(tmp_path: Path, model: Path, name: str) -> None:
    path = tmp_path / name
    asked = ["demo", "murmur", "--seconds", "30", "--speed", "max", "--json", "--model", str(model)]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *asked, "--record", str(path)],
        env=surroundings(PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = parsed(done.stdout)
    check_end(told[-1])
    (notice,) = of_type("notice", told)
    assert list(notice) == ["type", "t_s", "text"]
    assert name in notice["text"]
    assert "free some space" in notice["text"]
    assert "\n" not in notice["text"]
    patient, found = Patient("murmur"), audio(path)
    assert told[-1]["ledger"]["captured"] == 30 * patient.rate_hz
    assert 100_000 < path.stat().st_size <= 150_000
    assert abs(notice["t_s"] - len(found) / patient.rate_hz) < 1
    if name.endswith(".wav"):
        assert len(found) == (150_000 - HEADER_BYTES) // 4  # to the last sample that fits
    wanted, _ = step(patient, len(found), init_state(patient))
    assert np.abs(found - wanted).max() <= (0 if name.endswith(".wav") else 2**-24)
    unlimited = parsed(run(*asked).stdout)
    assert [line for line in told if line["type"] != "notice"][1:] == unlimited[1:]


def test_where_gaps_cannot_be_written_the_recording_ends_before_the_gap(bundle: Bundle, tmp_path: Path) -> None:
    path, plain = tmp_path / "a.wav", io.StringIO()
    blocks = cut(heard(6), 400, {8000: (100, "overrun"), 16_000: (100, "overrun")})

    def spoil(number: int) -> None:
        if number == 5:
            gaps.beside(path).mkdir()

    seen = []
    going = Session(ListSource(blocks, spoil), bundle, [PlainSink(plain, 4000)], Recorder(path, RATE_HZ))
    going.run(after_block=lambda: seen.append((going.snapshot().recording, going.snapshot().notice)))
    (notice,) = [line for line in plain.getvalue().splitlines() if "notice" in line]
    assert notice.startswith("00:00:02.0  notice: the recording has ended: ")
    assert "Is a directory" in notice
    assert set(seen[:20]) == {("a.wav", "")}
    assert {name for name, _ in seen[20:]} == {""}
    assert all(text in notice and text for _, text in seen[20:])
    gaps.beside(path).rmdir()
    assert np.array_equal(audio(path), heard(6)[:8000])


def test_a_file_that_can_no_longer_be_grown_by_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    recorder = Recorder(tmp_path / "in" / "x.wav", RATE_HZ, HEADER_BYTES + 4 * 1000)
    recorder.block(Block(heard(1)[:1000], 0, RATE_HZ))
    (tmp_path / "in").rename(tmp_path / "out")
    said = recorder.block(Block(heard(1)[1000:], 1000, RATE_HZ))
    assert said.startswith("the recording has ended: ")
    assert "No such file or directory" in said
    assert recorder.block(Block(heard(1), RATE_HZ, RATE_HZ)) == recorder.close() == ""
    assert len(audio(tmp_path / "out" / "x.wav")) == 1000


# Refused at the start


@contextlib.contextmanager
def not_the_superuser() -> Iterator[None]:
    """The superuser may write anywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("name", ["x.wav", "x.flac"])
def test_a_folder_that_is_read_only_is_refused(tmp_path: Path, name: str) -> None:
    tmp_path.chmod(0o555)
    with not_the_superuser(), pytest.raises(SettingError, match=r"can't be written: Permission denied; give another"):
        Recorder(tmp_path / name, RATE_HZ)
    tmp_path.chmod(0o755)


@pytest.mark.parametrize("name", ["x.wav", "x.flac"])
def test_a_full_disk_is_refused_before_listening_begins(tmp_path: Path, model: Path, name: str) -> None:
    if not Path("/dev/full").exists():
        skip_or_fail("this system has no /dev/full")
    (tmp_path / name).symlink_to("/dev/full")
    log, session_line = tmp_path / "log.jsonl", {"type": "session", "laennec": "1"}
    log.write_text(json.dumps(session_line) + "\n")
    done = run("demo", "--seconds", 5, "--speed", "max", "--record", tmp_path / name, "--log", log, "--model", model)
    refused(done, 2, name, "No space left on device", "--record")
    assert lines(log) == [session_line]
    assert sorted(os.listdir(tmp_path)) == ["log.jsonl", name]  # noqa: PTH208
