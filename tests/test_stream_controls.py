"""What the listener asks of a running session: to pause, to mark, to record, to hear another device."""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny_bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from program import check_session, of_type, parsed

from models import bundle as bundles
from models.bundle import Bundle
from models.decide import Decision
from models.errors import DeviceError
from stream import outputs
from stream.block import Block, Samples, joined, unheard
from stream.controls import SAID_S, Controls, recordings
from stream.monitor.keys import Key
from stream.monitor.view import Mark, View
from stream.other_input import Input, Inputs
from stream.patient import Patient
from stream.session import PAUSED, Session
from stream.sinks.jsonl import JsonlSink
from stream.sinks.plain import PlainSink
from stream.sinks.recorder import Recorder
from stream.sources.devices import DeviceInfo
from stream.sources.file import FileSource
from stream.sources.simulated import SimulatedSource

RATE_HZ = 4000


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundles.load(tiny_bundle.write(tmp_path_factory.mktemp("model") / "tiny.onnx"))


def heart(seconds: float) -> Samples:
    source = SimulatedSource(Patient("normal", rate_hz=RATE_HZ), seconds, RATE_HZ * 60, speed=None)
    return next(iter(source.blocks())).samples


class Blocks:
    """Blocks of so many samples; between them, things happen."""

    def __init__(self, samples: Samples, every: int, losses: dict[int, int] | None = None) -> None:
        self._samples, self._every, self._losses = samples, every, losses or {}
        self.rate_hz = RATE_HZ
        self.description: dict[str, object] = {"kind": "file", "name": "list", "rate_hz": RATE_HZ}
        self.before: dict[int, Callable[[], None]] = {}
        self._stopped = False

    def blocks(self) -> Iterator[Block]:
        start = 0
        for number, at in enumerate(range(0, len(self._samples), self._every)):
            self.before.get(number, lambda: None)()
            if self._stopped:
                return
            lost = self._losses.get(number, 0)
            start += lost
            yield Block(self._samples[at : at + self._every], start, RATE_HZ, lost, "overrun" if lost else "")
            start += self._every

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None: ...


def run(
    bundle: Bundle, source: Any, recorder: Recorder | None = None, prepare: Callable[[Session], None] = lambda _: None
) -> tuple[Session, list[dict[str, Any]]]:
    stream = io.StringIO()
    session = Session(source, bundle, [JsonlSink(stream, "log", outputs.header(bundle, source))], recorder)
    prepare(session)
    session.run()
    return session, parsed(stream.getvalue())


# Pause


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    every=st.integers(50, 900),
    edges=st.lists(st.integers(0, 100), max_size=6, unique=True).map(sorted),
    losses=st.dictionaries(st.integers(0, 100), st.integers(1, 3000), max_size=3),
)
def test_what_comes_in_a_pause_is_counted_to_the_sample_and_replays_the_same(
    bundle: Bundle,
    tmp_path_factory: pytest.TempPathFactory,
    every: int,
    edges: list[int],
    losses: dict[int, int],
) -> None:
    samples = heart(7)
    source, path = Blocks(samples, every, losses), tmp_path_factory.mktemp("kept") / "a.wav"
    count = -(-len(samples) // every)
    losses = {at: lost for at, lost in losses.items() if at < count}
    flips = [edge for edge in edges if edge < count]

    def prepare(session: Session) -> None:
        for edge, on in zip(flips, itertools.cycle([True, False]), strict=False):
            source.before[edge] = lambda on=on: session.pause(on)  # type: ignore[misc]

    session, log = run(bundle, source, Recorder(path, RATE_HZ), prepare)
    spans = pairs(flips, count)
    paused = sum(min(b * every, len(samples)) - a * every for a, b in spans)
    ledger = check_session(log)["ledger"]
    assert ledger["captured"] == len(samples) + sum(losses.values())
    assert ledger["dropped"] == paused + sum(losses.values())
    if spans and not losses:
        assert [gap["reason"] for gap in of_type("gap", log)] == [PAUSED] * len(spans)
        assert [gap["t_s"] for gap in of_type("gap", log)] == [round(a * every / RATE_HZ, 6) for a, _ in spans]
    if len(soundfile.read(path)[0]):
        _, again = run(bundle, FileSource(path))
        assert again[1:-1] == log[1:-1]
        assert again[-1]["ledger"] == log[-1]["ledger"]
    assert session.ledger.captured == ledger["captured"]


def pairs(flips: list[int], count: int) -> list[tuple[int, int]]:
    """Where each pause begins and ends, in blocks."""
    return list(zip(flips[::2], [*flips[1::2], count], strict=False))


def test_a_pause_is_shown_and_leaves_a_blank_not_a_flat_line(bundle: Bundle) -> None:
    source, seen = Blocks(heart(9), 100), []

    def prepare(session: Session) -> None:
        source.before[160] = lambda: session.pause(True)
        source.before[200] = lambda: seen.append(session.snapshot())
        source.before[240] = lambda: session.pause(False)
        source.before[359] = lambda: seen.append(session.snapshot())

    run(bundle, source, prepare=prepare)
    paused, after = seen
    assert paused.paused
    assert not after.paused
    assert np.isnan(paused.level.rms)
    assert paused.ledger.dropped == 4000
    heard = np.isfinite(after.trace)  # 5 s up to 8.9 s or a little less; nothing from 4 to 6 s
    at_s = after.trace_end_s + (np.arange(len(heard)) - len(heard)) / after.trace_rate_hz
    assert heard[(at_s < 3.99) | (at_s > 6.01)].all()
    assert not heard[(at_s > 4.01) & (at_s < 5.99)].any()


def test_a_block_that_is_unheard_keeps_its_place() -> None:
    block = unheard(Block(np.ones(7, np.float32), 20, RATE_HZ, 3, "overrun"), PAUSED)
    assert (len(block.samples), block.start, block.lost) == (0, 27, 10)
    assert block.reason == f"overrun; {PAUSED}"
    assert joined("a; b", "b; c") == "a; b; c"
    assert joined("", "b") == joined("b", "") == joined("b", "b") == "b"


# Looking back


def test_looking_back_shows_what_was_shown_then(bundle: Bundle) -> None:
    source, then = Blocks(heart(20), 100), []

    def prepare(session: Session) -> None:
        source.before[400] = lambda: then.append(session.snapshot(View(span_s=3)))

    session, _ = run(bundle, source, prepare=prepare)
    (live,) = then
    back = session.snapshot(View(span_s=3, frozen_at_s=live.trace_end_s))
    reach = 3 * live.trace_rate_hz
    assert (len(live.trace), back.trace_end_s, back.span_s) == (reach, live.trace_end_s, 3)
    np.testing.assert_allclose(back.trace, live.trace, atol=1e-4)
    assert back.decision is not None
    assert back.decision.t_s <= live.trace_end_s < back.decision.t_s + 0.5
    assert len(back.history) > len(live.history)
    assert back.ledger.captured == 80_000
    early = session.snapshot(View(frozen_at_s=0.5))
    assert early.decision is None
    assert all(beat.t_s <= 0.5 for beat in early.beats)
    assert len(early.trace) == 0.5 * early.trace_rate_hz


def test_looking_back_into_lost_time_shows_no_heart(bundle: Bundle) -> None:
    """What was decided before the pause must not stand over a blank trace."""
    source = Blocks(heart(30), RATE_HZ // 10)

    def prepare(session: Session) -> None:
        source.before[120] = lambda: session.pause(True)
        source.before[240] = lambda: session.pause(False)

    session, _ = run(bundle, source, prepare=prepare)
    before, within_s, after = (session.snapshot(View(frozen_at_s=t_s)) for t_s in (11.0, 20.0, 29.0))
    assert before.decision is not None
    assert before.decision.probabilities is not None
    assert within_s.decision == Decision(20.0, 0.0, None, "gap", None)
    assert np.isnan(within_s.trace[-RATE_HZ // 2 :]).all()
    assert after.decision is not None
    assert after.decision.t_s > 24
    assert np.isnan(within_s.level.rms)


def test_bell_and_diaphragm_change_the_trace_and_nothing_else(bundle: Bundle, tmp_path: Path) -> None:
    logs, traces = [], []
    for sound in ("wide", "bell", "diaphragm"):
        source = Blocks(heart(6), 100)
        out = io.StringIO()
        session = Session(source, bundle, [JsonlSink(out, "log", {})])
        session.run(lambda session=session, sound=sound: session.snapshot(View(sound=sound)))  # type: ignore[misc]
        logs.append(out.getvalue())
        traces.append(session.snapshot(View(sound=sound)))
    assert logs[0] == logs[1] == logs[2]
    assert [t.band_hz for t in traces] == [(25, 400), (20, 150), (100, 400)]
    assert np.abs(traces[0].trace - traces[1].trace).max() > 1e-3
    assert np.abs(traces[2].trace).max() < np.abs(traces[0].trace).max()


# Marks


def test_marks_are_told_kept_and_bounded(bundle: Bundle) -> None:
    source, plain = Blocks(heart(5), 1000), io.StringIO()

    def prepare(session: Session) -> None:
        session._telling.sinks.append(PlainSink(plain, 4000))
        source.before[8] = lambda: session.mark(Mark(1.75, "loud “here”"))
        source.before[9] = lambda: [session.mark(Mark(i / 100)) for i in range(300)]  # type: ignore[func-returns-value]

    session, log = run(bundle, source, prepare=prepare)
    check_session(log)
    told = of_type("mark", log)
    assert told[0] == {"type": "mark", "t_s": 1.75, "note": "loud “here”"}
    assert len(told) == 301
    assert len(session.snapshot().marks) == 200
    assert "00:00:01.8  mark: loud “here”\n" in plain.getvalue()
    assert "00:00:02.5  mark\n" in plain.getvalue()


def test_a_note_that_is_being_typed_at_the_end_is_kept_once(bundle: Bundle) -> None:
    source = Blocks(heart(3), 1000)

    def prepare(session: Session) -> None:
        source.before[2] = lambda: session.note(Mark(0.5, "dropped"))
        source.before[3] = lambda: session.note(None)
        source.before[4] = lambda: session.note(Mark(1.0, "ke"))
        source.before[5] = lambda: session.mark(Mark(1.0, "kept"))
        source.before[6] = lambda: session.note(Mark(1.5, "half a no"))

    _, log = run(bundle, source, prepare=prepare)
    assert [(line["t_s"], line["note"]) for line in of_type("mark", log)] == [(1.0, "kept"), (1.5, "half a no")]
    assert log[-1]["type"] == "end"


# Recordings


def test_a_recording_begun_in_mid_session_says_where_and_holds_what_followed(bundle: Bundle, tmp_path: Path) -> None:
    samples = heart(12)
    source = Blocks(samples, 1000, {20: 500})

    def prepare(session: Session) -> None:
        source.before[10] = lambda: session.record(tmp_path / "a.wav")
        source.before[30] = lambda: session.record(None)
        source.before[35] = lambda: session.record(tmp_path / "a.wav")

    session, log = run(bundle, source, prepare=prepare)
    notices = [(line["t_s"], line["text"]) for line in of_type("notice", log)]
    assert notices == [
        (2.5, "recording begins: a.wav"),
        (7.625, "recording ends: a.wav"),
        (8.875, "recording begins: a.wav"),
    ]
    assert session.recorded_to_end
    (older,) = set(tmp_path.glob("*.wav")) - {tmp_path / "a.wav"}
    np.testing.assert_array_equal(soundfile.read(older, dtype="float32")[0], samples[10_000:30_000])
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a.wav", dtype="float32")[0], samples[35_000:])
    beside = json.loads((tmp_path / f"{older.name}.gaps.jsonl").read_text())
    assert beside == {"at_sample": 10_000, "lost_samples": 500, "reason": "overrun"}
    assert session.snapshot().notice == "", "it is no trouble, so it does not stay on the screen"


def test_a_recording_that_cannot_begin_is_told_and_listening_goes_on(bundle: Bundle, tmp_path: Path) -> None:
    source = Blocks(heart(5), 1000)

    def prepare(session: Session) -> None:
        source.before[3] = lambda: session.record(tmp_path / "nowhere" / "a.wav")

    session, log = run(bundle, source, prepare=prepare)
    (notice,) = of_type("notice", log)
    assert "can't be written" in notice["text"]
    assert session.snapshot().notice == notice["text"]
    assert check_session(log)["reason"] == "end of input"


def test_names_of_recordings(tmp_path: Path) -> None:
    assert recordings(Path("x.flac"), tmp_path)() == Path("x.flac")
    name = recordings(None, tmp_path)()
    assert name.parent == tmp_path
    assert re.fullmatch(r"laennec-\d{4}-\d\d-\d\dT\d{6}Z\.wav", name.name)


# Keys on a session


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def press(controls: Controls, session: Session, *names: str) -> None:
    for name in names:
        controls.press(Key(name) if len(name) > 1 else Key("text", name), session)


def test_keys_reach_the_session(bundle: Bundle, tmp_path: Path) -> None:
    source, clock = Blocks(heart(10), 1000), Clock()
    controls = Controls(clock=clock)
    controls.recording = recordings(tmp_path / "a.wav", tmp_path)
    controls.session_begins()
    seen: list[str] = []

    def prepare(session: Session) -> None:
        def at(block: int, *names: str) -> None:
            source.before[block] = lambda: press(controls, session, *names)

        at(4, "m", "a", "enter", "r")
        at(8, " ")
        at(12, " ", "r")
        at(20, "d")
        at(24, "up", "v", "left")
        source.before[25] = lambda: seen.append(controls.view(session, True).said)
        at(30, "m", "z", "q")
        at(32, "escape", "q")

    session, log = run(bundle, source, prepare=prepare)
    assert [(m["t_s"], m["note"]) for m in of_type("mark", log)] == [(1.0, "a")]
    assert [(g["t_s"], g["lost_samples"], g["reason"]) for g in of_type("gap", log)] == [(2.0, 4000, PAUSED)]
    assert [n["text"] for n in of_type("notice", log)] == ["recording begins: a.wav", "recording ends: a.wav"]
    assert log[-1]["reason"] == "stopped"
    assert log[-1]["ledger"]["captured"] == 32_000
    assert controls.quit
    view = controls.view(session, True)
    assert (view.sound, view.keyboard) == ("bell", True)
    assert view.edge_db is not None
    assert view.frozen_at_s is not None
    assert seen == [f"back at 0:0{int(view.frozen_at_s)}"]
    clock.now_s += SAID_S
    assert controls.view(session, True).said == ""
    controls.session_begins()
    assert controls.view(session, True).frozen_at_s is None


def test_another_device_is_for_listen_alone(bundle: Bundle, tmp_path: Path) -> None:
    session = Session(Blocks(heart(1), 1000), bundle, [])
    controls = Controls()
    controls.recording = recordings(None, tmp_path)
    press(controls, session, "c")
    assert controls.view(session, True).said == "only `listen` can change the channel"
    assert not session.stopped


# Other inputs


def info(index: int, name: str, channels: int = 1) -> DeviceInfo:
    return DeviceInfo(index, name, "ALSA", channels, 48_000, index == 0)


class Room:
    """Devices that can be opened, but for those that refuse."""

    def __init__(self, *devices: DeviceInfo) -> None:
        self.devices = list(devices)
        self.opened: list[Input] = []
        self.refusing: set[str] = set()

    def open(self, wanted: Input) -> Any:
        if wanted.device in self.refusing:
            raise DeviceError(f"{wanted.device} is busy")
        self.opened.append(wanted)
        device = next((d for d in self.devices if d.id == wanted.device), self.devices[0])
        channel = wanted.channel or 1
        return {"id": device.id, "channel": channel, "channels": device.max_input_channels}

    def inputs(self) -> Inputs:
        return Inputs(self.open, Input(None, None), lambda: self.devices)


def test_devices_and_channels_go_round_as_wished() -> None:
    room = Room(info(0, "mic"), info(3, "eko", 2))
    inputs = room.inputs()
    heard, said = [], []
    for opener, wish in zip(inputs, ("device", "channel", "channel", "device", "channel"), strict=False):
        now: Any = opener()
        heard.append((now["id"], now["channel"]))
        assert not inputs.wished
        said.append(inputs.wish(wish, now))
    assert heard == [("alsa:mic", 1), ("alsa:eko", 1), ("alsa:eko", 2), ("alsa:eko", 1), ("alsa:mic", 1)]
    assert said == ["", "", "", "", "this device has one channel"]


def test_without_a_wish_there_is_no_other() -> None:
    inputs = Room(info(0, "mic")).inputs()
    assert len([opener() for opener in inputs]) == 1
    alone = Room(info(0, "mic"))
    only: Any = next(iter(alone.inputs()))()
    assert alone.inputs().wish("device", only) == "there is no other device"


def test_a_device_that_refuses_leaves_the_one_before() -> None:
    room = Room(info(0, "mic"), info(1, "eko"))
    inputs = room.inputs()
    openers = iter(inputs)
    now: Any = next(openers)()
    room.refusing.add("alsa:eko")
    assert inputs.wish("device", now) == ""
    again: Any = next(openers)()
    assert again["id"] == "alsa:mic"
    assert inputs.trouble == "alsa:eko is busy; listening goes on with the device before"
    inputs.wish("device", now)
    room.refusing.add("alsa:mic")
    with pytest.raises(DeviceError, match="mic is busy"):
        next(openers)()
