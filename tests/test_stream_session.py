"""Sessions: the log, the recording, and how a session ends whatever fails."""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import json
import math
import os
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import failing_model
import numpy as np
import pytest
import soundfile
import tiny_bundle
from conftest import skip_or_fail
from hypothesis import given, settings
from hypothesis import strategies as st

from models import bundle as bundles
from models.bundle import Bundle
from models.classes import CLASSES
from models.decide import STATUSES, Decision
from models.errors import DeviceError, InputFileError, LaennecError, ModelError, SettingError
from stream import display, options, outputs, past
from stream.block import Block, Samples
from stream.monitor.keyboard import NoKeyboard
from stream.patient import Patient
from stream.ring import Ring
from stream.session import Session
from stream.sinks.jsonl import JsonlSink
from stream.sinks.log_file import LogFile
from stream.sinks.recorder import Recorder
from stream.sinks.sink import Sink
from stream.snapshot import Ledger, Snapshot
from stream.sources.file import FileSource
from stream.sources.pace import Pacer
from stream.sources.simulated import SimulatedSource


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundles.load(tiny_bundle.write(tmp_path_factory.mktemp("model") / "tiny.onnx"))


def heart(seconds: float, rate_hz: int, seed: int = 0) -> Samples:
    source = SimulatedSource(Patient("normal", seed=seed, rate_hz=rate_hz), seconds, rate_hz * 60, speed=None)
    return next(iter(source.blocks())).samples


class ListSource:
    """Blocks from a list; an exception among them is raised in its turn."""

    def __init__(self, blocks: Iterable[Block | Exception], rate_hz: int = 4000) -> None:
        self._blocks = iter(blocks)
        self.rate_hz = rate_hz
        self.description: dict[str, object] = {"kind": "file", "name": "list", "rate_hz": rate_hz}
        self.given = 0
        self.stops = 0
        self.closed = False

    def blocks(self) -> Iterator[Block]:
        for block in self._blocks:
            if self.stops:
                return
            if isinstance(block, Exception):
                raise block
            self.given += 1
            yield block

    def stop(self) -> None:
        self.stops += 1

    def close(self) -> None:
        self.closed = True


class Failing(io.StringIO):
    """A text stream whose writes fail from the n-th on."""

    def __init__(self, good_writes: int, error: Exception) -> None:
        super().__init__()
        self._left = good_writes
        self._error = error

    def write(self, text: str) -> int:
        self._left -= 1
        if self._left < 0:
            raise self._error
        return super().write(text)


def cut(samples: Samples, every: int, rate_hz: int = 4000, losses: dict[int, int] | None = None) -> list[Block]:
    """Blocks of so many samples; a loss comes before the sample at its index."""
    left, start, found = dict(losses or {}), 0, []
    edges = sorted({0, *range(0, len(samples), every), *left, len(samples)})
    for a, b in zip(edges, [*edges[1:], len(samples)], strict=True):
        lost = left.pop(a, 0)
        start += lost
        found.append(Block(samples[a:b], start, rate_hz, lost, "overrun" if lost else ""))
        start += b - a
    return found


def log_of(bundle: Bundle, source: Any) -> str:
    stream = io.StringIO()
    Session(source, bundle, [JsonlSink(stream, "log", outputs.header(bundle, source))]).run()
    return stream.getvalue()


def lines(text: str) -> list[dict[str, Any]]:
    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is no JSON")

    assert text.endswith("\n")
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def without_started(log: str) -> str:
    head, _, rest = log.partition("\n")
    return json.dumps({k: v for k, v in json.loads(head).items() if k != "started"}) + "\n" + rest


# The log


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    n=st.integers(0, 32_000),
    losses=st.dictionaries(st.integers(0, 32_000), st.integers(1, 5000), max_size=3),
    bad=st.integers(0, 40_000),
    every=st.integers(1, 3000),
)
def test_the_log_is_the_same_to_the_byte_however_the_stream_is_cut(
    bundle: Bundle, n: int, losses: dict[int, int], bad: int, every: int
) -> None:
    samples = heart(8, 4000)[:n].copy()
    samples[bad : bad + 500] = np.nan
    losses = {at: lost for at, lost in losses.items() if at <= n}
    logs = {
        without_started(log_of(bundle, ListSource(cut(samples, max(size, n // 500), losses=losses))))
        for size in (100, 2000, 10**9, every)
    }
    assert len(logs) == 1


class RingSource(ListSource):
    """A device's way without the device: some samples are written into a ring, some are read, and none is overrun.

    Args:
        about: the source whose log is to come out; it says what the header says.
        samples: what is captured.
        writes: lengths of what the callback brings, over and over.
        reads: most that the worker takes, over and over.
    """

    def __init__(self, about: FileSource, samples: Samples, writes: list[int], reads: list[int]) -> None:
        super().__init__(self._hear(samples, itertools.cycle(writes), itertools.cycle(reads)), about.rate_hz)
        self.description = about.description
        self._ring = Ring(2 * max(writes))

    def _hear(self, samples: Samples, writes: Iterator[int], reads: Iterator[int]) -> Iterator[Block]:
        ring, taken = self._ring, 0
        for count in writes:
            ring.write(samples[ring.written : ring.written + count])
            over = ring.written == len(samples)
            while True:
                reading = ring.read(next(reads))
                taken = reading.start + len(reading.samples)
                yield Block(reading.samples, reading.start, self.rate_hz, reading.lost, "overrun")
                if taken == ring.written or (not over and ring.written - taken <= count):
                    break  # what is left stays in the ring, where there is room for the next write
            if over:
                return


class FakeTime:
    """A clock that only sleep moves on."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


sizes = st.lists(st.integers(1, 3000), max_size=8).map(lambda some: [*some, 1000])


@settings(max_examples=20, deadline=None, derandomize=True)
@given(n=st.integers(1, 32_000), writes=sizes, reads=sizes)
def test_live_real_time_and_full_speed_write_the_same_log_to_the_byte(
    bundle: Bundle, tmp_path_factory: pytest.TempPathFactory, n: int, writes: list[int], reads: list[int]
) -> None:
    path = tmp_path_factory.getbasetemp() / "same.wav"
    soundfile.write(path, heart(8, 4000)[:n], 4000, "FLOAT")
    at_once, paced, time_told = FileSource(path), FileSource(path, speed=1.0), FakeTime()
    paced._pacer = Pacer(4000, 1.0, time_told.clock, time_told.sleep)
    live = RingSource(at_once, heart(8, 4000)[:n], writes, reads)
    wanted = without_started(log_of(bundle, at_once))
    assert without_started(log_of(bundle, paced)) == wanted
    assert time_told.now_s - 100.0 == pytest.approx(n / 4000)
    assert without_started(log_of(bundle, live)) == wanted
    assert lines(wanted)[-1]["ledger"]["captured"] == n
    assert lines(wanted)[-1]["ledger"]["dropped"] == 0


def test_a_simulated_patient_in_real_time_and_at_once_writes_the_same_log(bundle: Bundle) -> None:
    patient, time_told = Patient("murmur", seed=4), FakeTime()
    paced = SimulatedSource(patient, 6, speed=1.0)
    paced._pacer = Pacer(patient.rate_hz, 1.0, time_told.clock, time_told.sleep)
    logs = {without_started(log_of(bundle, source)) for source in (paced, SimulatedSource(patient, 6, speed=None))}
    assert len(logs) == 1
    assert time_told.now_s - 100.0 == pytest.approx(6)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_replay_in_real_time_faster_and_at_once_write_the_same_log(bundle: Bundle, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, heart(6, 8000), 8000, "PCM_16")
    logs = {
        without_started(log_of(bundle, FileSource(path, speed=speed, block_samples=block)))
        for speed, block in ((None, None), (40.0, None), (None, 61), (1000.0, 48_000))
    }
    assert len(logs) == 1


def test_the_log_says_what_the_design_promises(bundle: Bundle) -> None:
    log = lines(log_of(bundle, ListSource(cut(heart(12, 4000), 100, losses={24_000: 40}))))
    assert list(log[0]) == ["type", "schema", "laennec", "model", "source", "settings", "started"]
    assert (log[0]["type"], log[0]["schema"]) == ("session", 1)
    assert log[0]["model"] == {"id": bundle.id, "sha256": bundle.sha256}
    assert log[0]["source"]["name"] == "list"
    keys = {
        "decision": [
            *(
                "type",
                "t_s",
                "window_s",
                "label",
                "status",
                "probabilities",
                "quality",
                "quality_reason",
                "heart_rate_bpm",
                "rhythm",
            )
        ],
        "beat": ["type", "t_s", "sound", "confidence"],
        "gap": ["type", "t_s", "lost_samples", "reason"],
        "end": ["type", "ledger", "reason"],
    }
    assert set(keys) - {"beat"} <= {line["type"] for line in log[1:]} <= set(keys)
    for line in log[1:]:
        assert list(line) == keys[line["type"]]
    told = [line for line in log if line["type"] == "decision"]
    assert {d["status"] for d in told} <= set(STATUSES)
    for d in told:
        assert list(d["probabilities"]) == list(CLASSES)
        assert sum(d["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert (d["label"] is not None) == (d["status"] == "ok")
        assert d["label"] is None or d["label"] in CLASSES
        assert 0 <= d["quality"] <= 1
        assert d["heart_rate_bpm"] is None or 37 <= d["heart_rate_bpm"] <= 200
    assert {"ok", "listening", "gap"} <= {d["status"] for d in told}
    assert [line for line in log if line["type"] == "gap"] == [
        {"type": "gap", "t_s": 6.0, "lost_samples": 40, "reason": "overrun"}
    ]
    ledger = {"captured": 48_040, "analysed": 48_000, "dropped": 40, "discarded": 0}
    assert log[-1] == {"type": "end", "ledger": ledger, "reason": "end of input"}
    assert list(log[-1]["ledger"]) == list(ledger)


def test_an_empty_stream_has_a_whole_log(bundle: Bundle) -> None:
    log = lines(log_of(bundle, ListSource([])))
    assert [line["type"] for line in log] == ["session", "end"]
    assert set(log[-1]["ledger"].values()) == {0}


def test_each_line_is_on_disk_as_soon_as_it_is_told(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    seen: list[int] = []
    with outputs.log_file(path) as opened:
        source = ListSource(cut(heart(6, 4000), 4000))
        told = outputs.sinks(options.Output(path, quiet=True), opened(), bundle, source, screen=False)
        Session(source, bundle, told).run(after_block=lambda: seen.append(len(lines(path.read_text()))))
    assert seen[0] >= 1
    assert seen[-1] > 8
    assert seen == sorted(seen)


def test_a_value_that_is_no_number_never_gets_into_the_log() -> None:
    stream = io.StringIO()
    sink = JsonlSink(stream, "log", {})
    with pytest.raises(ValueError, match="JSON"):
        sink.decision(Decision(1.0, math.nan, None, "listening", None))
    assert len(lines(stream.getvalue())) == 1


def test_names_of_any_bytes_can_be_logged(tmp_path: Path) -> None:
    name = os.fsdecode(b"h\xe9art \xf0\x9f\xab\x80.wav")
    with contextlib.closing(LogFile(tmp_path / "log.jsonl")) as file:
        JsonlSink(file.session(), "log", {"source": {"name": name}})
    assert lines((tmp_path / "log.jsonl").read_bytes().decode("utf-8"))[0]["source"]["name"] == name


def test_a_log_that_cannot_be_opened_is_a_setting_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"log.*can't be written.*--log"):
        LogFile(tmp_path / "nowhere" / "a.jsonl")


# Ends


@pytest.mark.parametrize("kind", [InputFileError, DeviceError])
def test_a_source_that_fails_leaves_a_whole_log_and_recording(
    bundle: Bundle, tmp_path: Path, kind: type[LaennecError]
) -> None:
    error = kind("it went away; bring it back")
    samples, stream = heart(5.3, 4000), io.StringIO()
    source = ListSource([*cut(samples, 100), error])
    recorder = Recorder(tmp_path / "kept.wav", 4000)
    session = Session(source, bundle, [JsonlSink(stream, "log", {})], recorder)
    with pytest.raises(kind, match=str(error)):
        session.run()
    log = lines(stream.getvalue())
    assert log[-1]["reason"] == str(error)
    assert log[-1]["ledger"]["analysed"] == len(samples)
    wanted = lines(log_of(bundle, ListSource(cut(samples, 100))))
    assert log[1:-1] == wanted[1:-1]
    assert np.array_equal(soundfile.read(tmp_path / "kept.wav", dtype="float32")[0], samples)
    assert source.closed
    assert session.snapshot().ended == str(error)


def test_a_reader_that_goes_away_ends_the_session_and_the_others_get_everything(bundle: Bundle) -> None:
    pipe, whole = Failing(3, BrokenPipeError(errno.EPIPE, "Broken pipe")), io.StringIO()
    source = ListSource(cut(heart(30, 4000), 100))
    session = Session(source, bundle, [JsonlSink(pipe, "pipe", {}), JsonlSink(whole, "log", {})])
    session.run()
    log = lines(whole.getvalue())
    assert log[-1]["reason"] == "output closed"
    assert session.stopped
    heard_s = log[-1]["ledger"]["analysed"] / 4000
    assert heard_s < 3  # it ended soon after the third line
    assert log[-2]["type"] == "decision"
    assert log[-2]["t_s"] > heard_s - 0.05  # and what was left was decided
    assert lines(pipe.getvalue()) == log[:3]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("good_writes", [2, 4])
def test_a_full_disk_is_told_once_and_the_rest_is_closed_properly(
    bundle: Bundle, tmp_path: Path, first: bool, good_writes: int
) -> None:
    full, whole = Failing(good_writes, OSError(errno.ENOSPC, "No space left on device")), io.StringIO()
    # All in one block: a failure at one of its events must not keep the later ones from the other log.
    source = ListSource(cut(heart(8, 4000), 10**9))
    sinks: list[Sink] = [JsonlSink(full, "full.jsonl", {}), JsonlSink(whole, "log", {})]
    recorder = Recorder(tmp_path / "kept.wav", 4000)
    with pytest.raises(LaennecError, match=r"full\.jsonl: can't be written.*No space left.*free some space"):
        Session(source, bundle, sinks if first else sinks[::-1], recorder).run()
    log, wanted = lines(whole.getvalue()), lines(log_of(bundle, ListSource(cut(heart(8, 4000), 10**9))))
    assert log[1:-1] == wanted[1:-1]
    assert log[-1]["type"] == "end"
    assert "full.jsonl" in log[-1]["reason"]
    assert soundfile.info(tmp_path / "kept.wav").frames == 32_000
    assert source.closed


def test_a_sink_that_fails_at_the_end_keeps_no_other_from_its_end(bundle: Bundle) -> None:
    events = len(lines(log_of(bundle, ListSource(cut(heart(5, 4000), 100)))))
    full, whole = Failing(events - 1, OSError(errno.ENOSPC, "No space left on device")), io.StringIO()
    source = ListSource(cut(heart(5, 4000), 100))
    with pytest.raises(LaennecError, match="free some space"):
        Session(source, bundle, [JsonlSink(full, "full", {}), JsonlSink(whole, "log", {})]).run()
    assert lines(whole.getvalue())[-1]["type"] == "end"
    assert source.closed


def dev_full() -> Path:
    path = Path("/dev/full")
    if not path.exists():
        skip_or_fail("this system has no /dev/full")
    return path


def test_a_log_on_a_full_disk_is_one_refusal(bundle: Bundle) -> None:
    source = ListSource([])

    def log() -> None:
        with outputs.log_file(dev_full()) as opened:
            stream = opened()
            assert stream is not None
            JsonlSink(stream, "/dev/full", outputs.header(bundle, source))

    with pytest.raises(LaennecError, match=r"/dev/full.*free some space"):
        log()


def test_a_model_that_fails_at_a_gap_leaves_every_sink_its_end(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_model.install(monkeypatch)
    sound = heart(6.0, 4000)
    logs = [io.StringIO(), io.StringIO()]
    source = ListSource([Block(sound[:12_000], 0, 4000), Block(sound[12_000:], 16_000, 4000, 4_000, "away")])
    with pytest.raises(ModelError, match=failing_model.SAID):
        Session(source, bundle, [JsonlSink(log, "log", {}) for log in logs]).run()
    assert source.closed
    for log in logs:
        (end,) = [line for line in lines(log.getvalue()) if line["type"] == "end"]
        assert end == lines(log.getvalue())[-1]
        assert end["reason"] == failing_model.SAID
        ledger = end["ledger"]
        assert ledger["captured"] == ledger["analysed"] + ledger["dropped"] + ledger["discarded"] == 12_000
        assert [line for line in lines(log.getvalue()) if line["type"] == "decision"]


def test_a_fault_of_our_own_still_closes_everything(bundle: Bundle, tmp_path: Path) -> None:
    stream, source = io.StringIO(), ListSource([*cut(heart(3, 4000), 100), ZeroDivisionError("a bug")])
    with pytest.raises(ZeroDivisionError):
        Session(source, bundle, [JsonlSink(stream, "log", {})], Recorder(tmp_path / "kept.wav", 4000)).run()
    assert lines(stream.getvalue())[-1]["reason"] == "broken off"
    assert source.closed
    assert soundfile.info(tmp_path / "kept.wav").frames == 12_000


def test_stopping_from_another_thread_decides_on_what_was_heard(bundle: Bundle) -> None:
    source, stream = SimulatedSource(Patient("normal"), None, speed=20.0), io.StringIO()
    session = Session(source, bundle, [JsonlSink(stream, "log", {})])
    threading.Timer(0.4, session.stop).start()
    began_s = time.monotonic()
    session.run()
    assert time.monotonic() - began_s < 10
    log = lines(stream.getvalue())
    assert log[-1]["reason"] == "stopped"
    assert log[-1]["ledger"]["captured"] > 0
    assert session.stopped


# The screen's view


def test_the_snapshot_follows_the_session(bundle: Bundle, tmp_path: Path) -> None:
    source = ListSource(cut(heart(8, 4000), 400))
    session = Session(source, bundle, [], Recorder(tmp_path / "kept.wav", 4000))
    before = session.snapshot()
    assert (before.decision, before.history, before.ended, len(before.trace)) == (None, (), "", 0)
    seen: list[Snapshot] = []
    session.run(after_block=lambda: seen.append(session.snapshot()))
    assert [s.ledger.captured for s in seen] == [*range(400, 32_001, 400), 32_000]
    assert all((s.ended, s.recording, s.notice) == ("", "kept.wav", "") for s in seen)
    last = session.snapshot()
    assert last.ended == "end of input"
    assert last.decision == last.history[-1]
    assert len(last.history) >= 15
    assert (last.recording, last.synthetic, last.model, last.source) == ("", False, bundle.id, "list")
    assert 0 < seen[-1].level.peak <= 1
    assert 7.3 < seen[-1].trace_end_s <= 8


@pytest.mark.parametrize("hours", [1, 3, 9])
def test_a_long_history_reaches_back_to_its_beginning(hours: int) -> None:
    """Evenly, however often it was thinned; and the newest minutes are whole."""
    history: tuple[Decision, ...] = ()
    total = hours * 7200
    for k in range(total):
        history = (*past.thinned(history), Decision(1.0 + k / 2, 4.0, None, "uncertain", None))
    times = np.array([d.t_s for d in history])
    assert len(times) <= 4000
    assert (np.diff(times) > 0).all()
    span_s = total / 2
    assert times[0] < span_s / 500
    assert np.diff(times).max() < max(1.0, span_s / 250)
    assert np.allclose(np.diff(times[-900:]), 0.5)


def test_the_history_stays_bounded_and_keeps_the_newest(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.past._MOST_HISTORY", 20)
    session = Session(ListSource(cut(heart(40, 4000), 10**9)), bundle, [])
    session.run()
    times = [d.t_s for d in session.snapshot().history]
    assert len(times) <= 20
    assert times == sorted(times)
    assert times[-1] > 39
    np.testing.assert_allclose(np.diff(times[-6:]), 0.5)
    assert times[0] < 1


class FakeScreen:
    def __init__(self) -> None:
        self.drawn: list[Snapshot] = []

    def enter(self) -> None: ...

    def leave(self) -> None: ...

    def draw(self, snapshot: Snapshot) -> None:
        self.drawn.append(snapshot)


def on(screen: FakeScreen) -> display.Terminal:
    return display.Terminal(screen, NoKeyboard())  # type: ignore[arg-type]


def test_a_session_runs_beside_the_screen(bundle: Bundle) -> None:
    session = Session(SimulatedSource(Patient("normal"), 4, speed=8.0), bundle, [])
    screen = FakeScreen()
    display.run(session, on(screen))
    assert len(screen.drawn) >= 2
    assert screen.drawn[-1].ledger.captured > screen.drawn[0].ledger.captured
    assert session.snapshot().ended == "end of input"


def test_what_fails_beside_the_screen_is_raised(bundle: Bundle) -> None:
    error = DeviceError("mic: gone; plug it in")
    with pytest.raises(DeviceError, match="plug it in"):
        display.run(Session(ListSource([error]), bundle, []), on(FakeScreen()))


class FailingScreen(FakeScreen):
    """Draws once, and never again."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def draw(self, snapshot: Snapshot) -> None:
        super().draw(snapshot)
        if len(self.drawn) > 1:
            raise self._error


def test_a_drawing_that_fails_ends_the_log_and_closes_the_recording(bundle: Bundle, tmp_path: Path) -> None:
    stream, source = io.StringIO(), SimulatedSource(Patient("normal"), None, speed=8.0)
    session = Session(source, bundle, [JsonlSink(stream, "log", {})], Recorder(tmp_path / "kept.wav", source.rate_hz))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        display.run(session, on(FailingScreen(ZeroDivisionError("a bug"))))
    last = lines(stream.getvalue())[-1]
    assert (last["type"], last["reason"]) == ("end", "the screen failed")
    assert 0 < last["ledger"]["captured"] == soundfile.info(tmp_path / "kept.wav").frames
    assert session.snapshot().ended == "the screen failed"


def test_a_terminal_that_went_away_does_not_end_the_session(bundle: Bundle) -> None:
    session = Session(SimulatedSource(Patient("normal"), 4, speed=8.0), bundle, [])
    screen = FailingScreen(OSError(errno.EIO, "Input/output error"))
    display.run(session, on(screen))
    assert len(screen.drawn) > 2
    assert session.snapshot().ended == "end of input"


def test_no_screen_where_another_output_is_asked_for() -> None:
    assert not display.wants_screen(plain=True, json_lines=False, quiet=False)
    assert not display.wants_screen(plain=False, json_lines=True, quiet=False)
    assert not display.wants_screen(plain=False, json_lines=False, quiet=True)


def test_the_sinks_are_those_asked_for(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    source, log = ListSource(cut(heart(5, 4000), 400)), io.StringIO()
    output = options.Output(log=Path("log.jsonl"), json_lines=True)
    Session(source, bundle, outputs.sinks(output, log, bundle, source, screen=False)).run()
    assert without_started(capsys.readouterr().out) == without_started(log.getvalue())
    for quiet, screen in ((True, False), (False, True)):
        assert outputs.sinks(options.Output(quiet=quiet), None, bundle, source, screen) == []


@pytest.mark.parametrize(("text", "speed"), [("max", None), ("1", 1.0), ("0.5", 0.5), ("1e3", 1000.0)])
def test_speeds(text: str, speed: float | None) -> None:
    assert options.speed(text) == speed


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "fast", "", "1x"])
def test_speeds_that_are_none(text: str) -> None:
    with pytest.raises(SettingError, match=r"--speed.*above 0.*max"):
        options.speed(text)


# The recording


@pytest.mark.parametrize(("name", "subtype", "tolerance"), [("a.wav", "FLOAT", 0), ("A.FLAC", "PCM_24", 2**-23)])
def test_a_recording_is_what_was_heard_and_replays_the_same(
    bundle: Bundle, tmp_path: Path, name: str, subtype: str, tolerance: float
) -> None:
    samples = heart(6.3, 8000, seed=3)
    live = io.StringIO()
    source = ListSource(cut(samples, 200, 8000), 8000)
    Session(source, bundle, [JsonlSink(live, "log", {})], Recorder(tmp_path / name, 8000)).run()
    kept, rate_hz = soundfile.read(tmp_path / name, dtype="float32")
    assert (rate_hz, soundfile.info(tmp_path / name).subtype, len(kept)) == (8000, subtype, len(samples))
    assert np.abs(kept - samples).max() <= tolerance
    again, told = lines(log_of(bundle, FileSource(tmp_path / name))), lines(live.getvalue())
    if tolerance == 0:
        assert again[1:] == told[1:]
    answers = [[(d["t_s"], d["status"], d["label"]) for d in log if d["type"] == "decision"] for log in (again, told)]
    assert answers[0] == answers[1]


def test_a_float_recording_keeps_what_is_beyond_full_scale_and_leaves_out_what_is_no_number(tmp_path: Path) -> None:
    samples = np.array([0.5, np.nan, 3.25, -np.inf, -7.5], dtype=np.float32)
    recorder = Recorder(tmp_path / "a.wav", 4000)
    recorder.block(Block(samples, 0, 4000))
    recorder.block(Block(samples[:0], 5, 4000, 9, "lost"))
    recorder.close()
    recorder.close()
    assert soundfile.read(tmp_path / "a.wav", dtype="float32")[0].tolist() == [0.5, 3.25, -7.5]


@pytest.mark.parametrize("name", ["a.mp3", "a", "nowhere/a.wav"])
def test_recordings_that_cannot_be_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingError, match=r"use \.wav or \.flac|give another --record"):
        Recorder(tmp_path / name, 4000)


def test_a_decisions_numbers_are_rounded_for_reading() -> None:
    stream: TextIO = io.StringIO()
    made = Decision(1.23456789, 0.99, "murmur", "ok", (0.1, 0.6, 0.1, 0.1, 0.1), 0.123456, "", 71.26)
    sink = JsonlSink(stream, "log", {})
    sink.decision(made)
    sink.decision(replace(made, probabilities=None, quality=None, heart_rate_bpm=None, label=None, status="listening"))
    sink.end(Ledger(3, 1, 1, 1), "done")
    assert isinstance(stream, io.StringIO)
    _, full, empty, _ = lines(stream.getvalue())
    assert (full["t_s"], full["quality"], full["heart_rate_bpm"]) == (1.234568, 0.1235, 71.3)
    assert [empty[k] for k in ("label", "probabilities", "quality", "heart_rate_bpm")] == [None] * 4
