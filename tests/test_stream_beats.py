"""Beats in the stream: the same however it is cut, told once and for all, at exact times, and known to decisions."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from program import heart

from models import bundle as bundles
from models import regularity
from models.bundle import Bundle
from models.decide import Decision
from models.frontend import FrontEndSpec
from models.regularity import UNKNOWN, Premature
from models.rhythm import Beat, Rhythm, RhythmSpec
from stream import outputs
from stream.block import Block, Samples
from stream.monitor.view import View
from stream.past import BEATS_S
from stream.patient import Patient
from stream.pipeline import Event, Gap, Pipeline
from stream.pulse import Pulse
from stream.session import Session
from stream.simulate import onsets
from stream.sinks.jsonl import JsonlSink
from stream.sources.file import FileSource
from stream.sources.pace import Pacer
from stream.sources.simulated import SimulatedSource

RATE_HZ = 4000
CASES = ("normal", "murmur", "extrasystole", "artifact")
#: Later than a 32-bit counter of samples can tell: six days at 4 kHz.
LATE = 2**31 + 12_345


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """The shipped one: an untrained one hears no beats."""
    return bundles.load()


def blocks(samples: Samples, cuts: list[int], losses: dict[int, int] | None = None) -> list[Block]:
    """The stream, cut at some places (twice at the same makes an empty block); losses come before an index."""
    left, start, found = dict(losses or {}), 0, []
    inside = [c for c in cuts if c <= len(samples)]
    for a, b in itertools.pairwise(sorted([0, *inside, *left, len(samples), len(samples)])):
        lost = left.pop(a, 0)
        start += lost
        found.append(Block(samples[a:b], start, RATE_HZ, lost, "overrun" if lost else ""))
        start += b - a
    return found


def heard(bundle: Bundle, stream: list[Block], flush: bool = True) -> list[Event]:
    pipeline = Pipeline(bundle, RATE_HZ)
    events = [event for block in stream for event in pipeline.process(block)]
    return events + pipeline.flush() if flush else events


def beats(events: list[Event]) -> list[Beat]:
    return [e for e in events if isinstance(e, Beat)]


def decisions(events: list[Event]) -> list[Decision]:
    return [e for e in events if isinstance(e, Decision)]


class Source:
    """Blocks from a list."""

    rate_hz = RATE_HZ
    description: dict[str, object] = {"kind": "file", "name": "list", "rate_hz": RATE_HZ}  # noqa: RUF012 - never altered

    def __init__(self, stream: list[Block]) -> None:
        self._stream = stream

    def blocks(self) -> Any:
        yield from self._stream

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


def log_of(bundle: Bundle, source: Any) -> str:
    """A session's log, without what time it began and which source it heard."""
    stream = io.StringIO()
    Session(source, bundle, [JsonlSink(stream, "log", {})]).run()
    return stream.getvalue()


def lines(log: str, kind: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, log.splitlines()) if line["type"] == kind]


lengths = st.integers(0, 12 * RATE_HZ)
gaps = st.dictionaries(lengths, st.integers(1, 9000), max_size=2)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    case=st.sampled_from(CASES), n=lengths, losses=gaps, cuts=st.lists(lengths, max_size=60), every=st.integers(1, 3)
)
def test_beats_decisions_and_the_log_do_not_depend_on_how_the_stream_is_cut(
    bundle: Bundle, case: str, n: int, losses: dict[int, int], cuts: list[int], every: int
) -> None:
    samples = heart(12, case)[:n]
    losses = {at: lost for at, lost in losses.items() if at <= n}
    whole = blocks(samples, [], losses)
    wanted, log = heard(bundle, whole), log_of(bundle, Source(whole))
    # The front end takes 80 of these samples a frame, the rhythm 800 at a time, the windows 2000.
    for cut in (cuts, list(range(0, n, 100)), list(range(0, n, 800 * every)), list(range(0, n, 1999))):
        stream = blocks(samples, cut, losses)
        assert heard(bundle, stream) == wanted
        assert log_of(bundle, Source(stream)) == log


@settings(max_examples=40, deadline=None, derandomize=True)
@given(case=st.sampled_from(CASES[:3]), n=lengths, losses=gaps, size=st.integers(50, 4000))
def test_a_beat_once_told_is_never_moved_or_taken_back(
    bundle: Bundle, case: str, n: int, losses: dict[int, int], size: int
) -> None:
    every = list(range(0, 12 * RATE_HZ, size))
    whole = heard(bundle, blocks(heart(12, case), every, losses))
    before = {at: lost for at, lost in losses.items() if at < n}
    part = heard(bundle, blocks(heart(12, case)[:n], every, before), flush=False)
    assert part == whole[: len(part)]


def test_a_simulated_hearts_beats_are_found_where_they_are(bundle: Bundle) -> None:
    found = beats(heard(bundle, blocks(heart(30, "normal"), [])))
    truth = [onset for onset in onsets(Patient("normal"), 30) if onset[0] < 29.9]
    assert len(found) == pytest.approx(len(truth), abs=2)
    for t_s, sound in truth:
        nearest = min(found, key=lambda beat: abs(beat.t_s - t_s))
        assert nearest.sound == sound
        assert nearest.t_s == pytest.approx(t_s, abs=0.06)
        assert 0 < nearest.confidence <= 1
    assert [beat.t_s for beat in found] == sorted(beat.t_s for beat in found)


def test_a_beat_is_told_no_later_than_the_delay_that_is_stated(bundle: Bundle) -> None:
    assert bundle.rhythm is not None
    delay_s = bundle.rhythm.spec.delay_s(bundle.front_end.spec)
    assert delay_s <= 1.0
    pipeline, rate_hz = Pipeline(bundle, 2000), bundle.front_end.spec.rate_hz  # no resampler, which has its own delay
    assert rate_hz == 2000
    told = 0
    for k in range(0, 24_000, 10):
        for beat in beats(pipeline.process(Block(heart(12, "normal", 2000)[k : k + 10], k, rate_hz))):
            assert 0 < (k + 10) / rate_hz - beat.t_s <= delay_s + 0.5 * 0.02
            told += 1
    assert told > 20


def known_s(bundle: Bundle, t_s: float) -> float:
    """Up to where a decision at a time of its stretch may know beats: the definition, written out."""
    assert bundle.rhythm is not None
    spec, front_end = bundle.rhythm.spec, bundle.front_end.spec
    frames = round((t_s * front_end.rate_hz - front_end.frame_samples) / front_end.hop_samples) + 1
    blocks_heard = frames // spec.block_frames
    answered = max(0, blocks_heard * spec.block_frames - spec.lookahead_frames - spec.near_frames)
    return ((answered - 0.5) * front_end.hop_samples + front_end.frame_samples / 2) / front_end.rate_hz


@pytest.mark.parametrize("case", ["normal", "extrasystole"])
@pytest.mark.parametrize("size", [100, 10**9])
def test_a_decision_judges_the_beats_told_before_it_and_no_others(bundle: Bundle, case: str, size: int) -> None:
    events = heard(bundle, blocks(heart(30, case), list(range(0, 30 * RATE_HZ, size))), flush=False)
    all_beats, told, judged = beats(events), 0, 0
    for event in events:
        if isinstance(event, Beat):
            told += 1
        elif isinstance(event, Decision):
            up_to_s = known_s(bundle, event.t_s)
            assert [b for b in all_beats if b.t_s <= up_to_s] == all_beats[:told]
            wanted = regularity.assess(all_beats[:told], up_to_s)
            assert event.regularity in (wanted, UNKNOWN)
            assert event.heart_rate_bpm == event.regularity.heart_rate_bpm
            judged += event.regularity is not UNKNOWN
    assert judged > 40


def test_the_last_decision_knows_the_beats_of_the_streams_end(bundle: Bundle) -> None:
    samples = heart(7.2, "normal")  # no decision falls due at its end
    streaming, whole = (heard(bundle, blocks(samples, []), flush) for flush in (False, True))
    rest = whole[len(streaming) :]
    late = beats(rest)
    assert rest == [*late, rest[-1]]
    assert 1 <= len(late) <= 4
    assert all(beat.t_s < 7.2 for beat in late)
    last = rest[-1]
    assert isinstance(last, Decision)
    frames = bundle.front_end.spec.frames_in(14_400)
    assert last.regularity == regularity.assess(beats(whole), (frames * 40 + 50) / 2000)


def test_after_a_gap_times_still_count_from_the_streams_first_sample(bundle: Bundle) -> None:
    samples, at, lost = heart(24, "normal"), 10 * RATE_HZ + 77, 3 * RATE_HZ + 1
    cut_out = np.concatenate([samples[:at], samples[at + lost :]])
    found = beats(heard(bundle, blocks(cut_out, [], {at: lost})))
    truth = [t_s for t_s, _ in onsets(Patient("normal"), 23.9) if not (at - 400 < t_s * RATE_HZ < at + lost + 4000)]
    for t_s in truth:
        assert min(abs(beat.t_s - t_s) for beat in found) < 0.06
    assert not [beat for beat in found if at / RATE_HZ < beat.t_s < (at + lost) / RATE_HZ]


def test_no_beat_is_judged_across_a_gap(bundle: Bundle) -> None:
    samples, at = heart(20, "normal"), 10 * RATE_HZ
    events = heard(bundle, blocks(samples, [], {at: 100}))
    alone = heard(bundle, blocks(samples[at:], []))
    begin = next(n for n, event in enumerate(events) if isinstance(event, Gap)) + 1
    after, start_s = events[begin:], (at + 100) / RATE_HZ
    assert [b._replace(t_s=b.t_s + start_s) for b in beats(alone)] == beats(after)
    for wanted, found in zip(decisions(alone), decisions(after), strict=True):
        assert found.status in ("gap", wanted.status)
        if found.status == "gap":
            assert (found.heart_rate_bpm, found.regularity) == (None, UNKNOWN)
        else:
            assert (found.heart_rate_bpm, found.regularity) == (wanted.heart_rate_bpm, wanted.regularity)


@pytest.mark.parametrize("case", ["normal", "extrasystole"])
def test_beyond_2_to_the_31_samples_the_same_beats_come_at_exactly_their_times(bundle: Bundle, case: str) -> None:
    samples = heart(20, case)
    early = heard(bundle, blocks(samples, []))
    late = heard(bundle, blocks(samples, [], {0: LATE}))
    assert late[0] == Gap(0.0, LATE, "overrun")
    assert len(beats(early)) > 30
    assert [(b.sound, b.confidence) for b in beats(late)] == [(b.sound, b.confidence) for b in beats(early)]
    shift_s = LATE / RATE_HZ
    for before, after in zip(beats(early), beats(late), strict=True):
        assert after.t_s - shift_s == pytest.approx(before.t_s, abs=1e-9)
    for was, now in zip(decisions(early), decisions(late), strict=True):
        assert now.t_s - shift_s == pytest.approx(was.t_s, abs=1e-9)
        if now.status != "gap":
            assert (now.label, now.heart_rate_bpm) == (was.label, was.heart_rate_bpm)
            assert now.regularity is not None
            assert was.regularity is not None
            early_s = [(b.t_s - shift_s, b.coupling_s) for b in now.regularity.premature]
            np.testing.assert_allclose(early_s, [tuple(b) for b in was.regularity.premature], atol=1e-9)


def test_hours_into_a_stream_times_in_the_log_are_exact_to_the_microsecond(bundle: Bundle) -> None:
    samples = heart(12, "normal")
    early, late = (log_of(bundle, Source(blocks(samples, [], losses))) for losses in ({}, {0: LATE}))
    shifted = [line["t_s"] - LATE / RATE_HZ for line in lines(late, "beat")]
    np.testing.assert_allclose(shifted, [line["t_s"] for line in lines(early, "beat")], atol=1.001e-6)
    assert len(shifted) > 15


class FakeTime:
    """A clock that only sleep moves on."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_replay_in_real_time_at_once_and_as_a_demonstration_writes_the_same_beats(
    bundle: Bundle, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "a.wav", heart(10, "extrasystole"), RATE_HZ, "FLOAT")
    time_told, patient = FakeTime(), Patient("extrasystole")
    paced = FileSource(tmp_path / "a.wav", speed=1.0)
    paced._pacer = Pacer(RATE_HZ, 1.0, time_told.clock, time_told.sleep)
    simulated = SimulatedSource(patient, 10, speed=1.0)
    simulated._pacer = Pacer(RATE_HZ, 1.0, time_told.clock, time_told.sleep)
    sources = [FileSource(tmp_path / "a.wav"), FileSource(tmp_path / "a.wav", block_samples=61), paced, simulated]
    logs = {log_of(bundle, source) for source in sources}
    assert time_told.now_s - 100.0 == pytest.approx(20)
    assert len(logs) == 1
    assert len(lines(logs.pop(), "beat")) > 15


def test_the_logs_lines_are_those_of_the_contract(bundle: Bundle) -> None:
    events = heard(bundle, blocks(heart(12, "normal"), []))
    log = log_of(bundle, Source(blocks(heart(12, "normal"), [])))
    wanted = [
        {"type": "beat", "t_s": round(b.t_s, 6), "sound": b.sound, "confidence": round(b.confidence, 4)}
        for b in beats(events)
    ]
    assert lines(log, "beat") == wanted
    assert {b["sound"] for b in wanted} == {"S1", "S2"}
    for line, made in zip(lines(log, "decision"), decisions(events), strict=True):
        assert list(line)[-2:] == ["heart_rate_bpm", "rhythm"]
        assert list(line["rhythm"]) == ["confidence", "variation", "shortest", "premature"]
        assert made.regularity is not None
        assert line["rhythm"]["confidence"] == round(made.regularity.confidence, 4)
    last = lines(log, "decision")[-1]
    assert last["heart_rate_bpm"] == pytest.approx(72, abs=2)
    assert 0.9 <= last["rhythm"]["shortest"] <= 1
    assert 0 <= last["rhythm"]["variation"] < 0.1


def test_premature_beats_are_written_with_their_coupling() -> None:
    stream = io.StringIO()
    early = (Premature(3.123456789, 0.4567891), Premature(5.0, 0.4))
    judged = regularity.Regularity(71.26, 0.654321, 0.123456, 0.623456, early)
    base = Decision(6.0, 4.0, "extrasystole", "ok", None, 0.9, "", 71.26)
    sink = JsonlSink(stream, "log", {})
    sink.decision(replace(base, regularity=judged))
    sink.decision(replace(base, regularity=UNKNOWN))
    sink.decision(base)
    full, unknown, none = (line["rhythm"] for line in lines(stream.getvalue(), "decision"))
    assert full == {
        "confidence": 0.6543,
        "variation": 0.1235,
        "shortest": 0.6235,
        "premature": [{"t_s": 3.123457, "coupling_s": 0.456789}, {"t_s": 5.0, "coupling_s": 0.4}],
    }
    assert unknown == {"confidence": 0.0, "variation": None, "shortest": None, "premature": []}
    assert none is None


def test_where_no_heart_is_heard_nothing_poses_as_one(bundle: Bundle) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, 20 * RATE_HZ).astype(np.float32)
    for samples in (heart(20, "artifact"), noise, np.zeros(20 * RATE_HZ, np.float32)):
        for made in decisions(heard(bundle, blocks(samples, []))):
            if made.label == "artifact" or made.status == "poor_signal":
                assert (made.heart_rate_bpm, made.regularity) == (None, UNKNOWN)
            assert made.heart_rate_bpm is None


def test_too_little_for_a_decision_is_too_little_for_a_beat(bundle: Bundle) -> None:
    at = next(round(t_s * RATE_HZ) for t_s, sound in onsets(Patient("normal"), 5) if sound == "S1")
    assert heard(bundle, blocks(heart(12, "normal")[at - 200 : at + 500], [])) == []


def test_a_model_without_rhythm_decides_all_the_same(bundle: Bundle) -> None:
    without = replace(bundle, rhythm=None)
    stream = blocks(heart(12, "normal"), [])
    found, wanted = heard(without, stream), decisions(heard(bundle, stream))
    assert found == [replace(made, heart_rate_bpm=None, regularity=None) for made in wanted]
    log = log_of(without, Source(stream))
    assert {line["rhythm"] for line in lines(log, "decision")} == {None}
    source = Source(stream)
    assert outputs.header(without, source)["settings"]["rhythm"] is None
    assert outputs.header(bundle, source)["settings"]["rhythm"]["block_frames"] >= 1


def test_the_snapshot_holds_the_beats_of_the_minute_before_its_trace_ends(bundle: Bundle) -> None:
    session = Session(Source(blocks(heart(90, "normal"), list(range(0, 90 * RATE_HZ, 4000)))), bundle, [])
    most = 0
    told = []

    def look() -> None:
        nonlocal most
        seen = session.snapshot()
        most = max(most, len(seen.beats))
        told.append(seen.beats)
        assert all(seen.trace_end_s - BEATS_S <= beat.t_s <= seen.trace_end_s for beat in seen.beats)

    session.run(after_block=look)
    assert 120 <= most <= 150  # at 72 beats a minute
    wanted = beats(heard(bundle, blocks(heart(90, "normal"), [])))
    assert list(session.snapshot().beats) == [b for b in wanted if b.t_s >= session.snapshot().trace_end_s - BEATS_S]
    looked_back = session.snapshot(View(frozen_at_s=20.0)).beats
    assert list(looked_back) == [b for b in wanted if b.t_s <= 20.0]


# The pulse of a stretch, over a network that says what it is given

FRONT_END = FrontEndSpec(bands=2)


class Echo:
    """A network whose logits are what it hears."""

    state_size = 1

    def __call__(self, features: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return features, state


def echo(block_frames: int, lookahead_frames: int, near_frames: int) -> Rhythm:
    return Rhythm(RhythmSpec(block_frames, lookahead_frames, near_frames, 0.3), FRONT_END, Echo())


@settings(max_examples=100, deadline=None)
@given(
    block=st.integers(1, 12),
    lookahead=st.integers(0, 15),
    near=st.integers(1, 4),
    seed=st.integers(0, 999),
    steps=st.lists(st.integers(0, 40), max_size=12),
)
def test_what_is_known_is_what_was_told(block: int, lookahead: int, near: int, seed: int, steps: list[int]) -> None:
    rhythm = echo(block, lookahead, near)
    features = np.random.default_rng(seed).normal(0, 3, (sum(steps), 2))
    state, told, known, heard = rhythm.init_state(), [], [], 0
    for part in np.split(features, np.cumsum(steps))[:-1]:
        found, state = rhythm.step(part, state)
        told.append(found)
        heard += len(part)
        known.append(rhythm.known_s(heard))
    told.append(rhythm.flush(state))
    known.append(rhythm.known_s(heard, ended=True))
    assert known == sorted(known)
    for n, up_to_s in enumerate(known):
        assert all(beat.t_s <= up_to_s for found in told[: n + 1] for beat in found)
        assert all(beat.t_s >= up_to_s for found in told[n + 1 :] for beat in found)


def heard_by(rhythm: Rhythm, pulse: Pulse, parts: Sequence[np.ndarray]) -> list[Beat]:
    """What a pulse tells of features (k, 2) that come in parts."""
    told, frames = [], 0
    for part in parts:
        [(found, state)] = rhythm.steps([part], [pulse.state], [False])
        pulse.put(found, state)
        frames += len(part)
        told += pulse.until(frames)
    return told


def test_a_pulse_forgets_what_no_longer_counts() -> None:
    features = np.full((4000, 2), -9.0)
    features[::40, 0], features[16::40, 1] = 5.0, 4.0  # 80 s at 75 bpm
    rhythm = echo(10, 0, 3)
    pulse = Pulse(rhythm, 1000.0)
    told = heard_by(rhythm, pulse, np.split(features, 400))
    assert len(told) == 200
    assert len(pulse._recent) <= 26
    assert pulse.regularity.heart_rate_bpm == pytest.approx(75)
    assert told[-1].t_s == pytest.approx(1000 + (3976 * 40 + 50) / 2000)


def test_a_premature_beat_is_told_at_the_time_of_its_s1() -> None:
    starts = np.array([20, 60, 100, 140, 164, 220, 260, 300])  # frames; the fifth comes after .6 of a cycle
    features = np.full((360, 2), -9.0)
    features[starts, 0], features[starts + 15, 1] = 5.0, 4.0
    rhythm = echo(10, 0, 3)
    pulse = Pulse(rhythm, 1e6 / 3)
    told = heard_by(rhythm, pulse, [features])
    assert pulse.regularity.premature == (Premature(told[8].t_s, pytest.approx(0.48)),)
    assert told[8].t_s == pytest.approx(1e6 / 3 + (164 * 40 + 50) / 2000)
    assert told[8].sound == "S1"
