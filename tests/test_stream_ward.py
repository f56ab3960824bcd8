"""Several streams at once: each is told what it would be told alone, on one clock, with every sample counted."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import failing_model
import numpy as np
import pytest
import soundfile
import tiny_bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from test_stream_session import ListSource, heart

from models import bundle as bundles
from models.bundle import Bundle
from models.errors import InputFileError, LaennecError, ModelError
from stream import gaps, together
from stream.block import Block, Condition
from stream.session import Session
from stream.sinks.jsonl import JsonlSink
from stream.sinks.sink import Sink
from stream.sources.file import FileSource
from stream.ward.channels import split
from stream.ward.feed import Member, Over, Round, unique
from stream.ward.files import Files
from stream.ward.ward import Listeners, Ward

#: The model's own, and others that are multiples of it and are not.
RATES_HZ = (2000, 2500, 4000, 11025)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundles.load(tiny_bundle.write(tmp_path_factory.mktemp("model") / "tiny.onnx"))


class ListFeed:
    """Rounds from a list; an exception among them is raised in its turn."""

    def __init__(self, rates_hz: Sequence[int], rounds: Sequence[Round | Exception]) -> None:
        self.members = tuple(
            Member(f"s{k}", hz, {"kind": "file", "name": f"s{k}", "rate_hz": hz}) for k, hz in enumerate(rates_hz)
        )
        self.name = "list"
        self.reads: frozenset[Path] = frozenset()
        self.closed = self.stopped = False
        self._rounds = rounds

    def rounds(self) -> Iterator[Round]:
        for each in self._rounds:
            if self.stopped:
                return
            if isinstance(each, Exception):
                raise each
            yield each

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        self.closed = True


def told(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def logs(count: int) -> tuple[list[io.StringIO], list[Listeners]]:
    """A log for each of so many streams, and who writes it."""
    streams = [io.StringIO() for _ in range(count)]
    return streams, [Listeners([JsonlSink(stream, "log", {})]) for stream in streams]


def cut(draw: st.DrawFn, samples: np.ndarray, rate_hz: int) -> list[Block]:
    """A stream in pieces of any length, with losses between them and values that are no audio in it."""
    samples = samples.copy()
    if draw(st.booleans()):
        at = draw(st.integers(0, len(samples) - 1))
        samples[at : at + draw(st.integers(1, rate_hz))] = np.nan
    inside = st.lists(st.integers(1, len(samples) - 1), max_size=8, unique=True)
    edges = [0, *sorted(draw(inside)), len(samples)]
    blocks, start = [], 0
    for begin, end in pairwise(edges):
        lost = draw(st.sampled_from((0, 0, 0, 7, rate_hz // 3, 2 * rate_hz)))
        start += lost
        blocks.append(Block(samples[begin:end], start, rate_hz, lost, "a fault" if lost else ""))
        start += end - begin
    return blocks


@st.composite
def wards(draw: st.DrawFn) -> tuple[list[int], list[list[Block]], list[Round]]:
    """Streams of several rates, lengths and faults, and the rounds in which their blocks come, in any order."""
    rates_hz = draw(st.lists(st.sampled_from(RATES_HZ), min_size=1, max_size=4))
    streams = [
        cut(draw, heart(draw(st.sampled_from((0.3, 1.2, 4.6, 6.1))), hz, seed), hz) for seed, hz in enumerate(rates_hz)
    ]
    left = {k: iter([*blocks, Over(f"end of {k}")]) for k, blocks in enumerate(streams)}
    rounds: list[Round] = []
    while left:
        now = draw(st.lists(st.sampled_from(sorted(left)), min_size=1, unique=True))
        given_out = [(k, next(left[k])) for k in now]
        rounds.append(given_out)
        for k, each in given_out:
            if isinstance(each, Over):
                del left[k]
    return rates_hz, streams, rounds


@settings(deadline=None, max_examples=15)
@given(wards())
def test_a_stream_in_a_ward_tells_what_it_tells_alone(
    bundle: Bundle, made: tuple[list[int], list[list[Block]], list[Round]]
) -> None:
    rates_hz, streams, rounds = made
    written, listeners = logs(len(rates_hz))
    ward = Ward(ListFeed(rates_hz, rounds), bundle, listeners)
    ward.run()
    for k, (rate_hz, blocks) in enumerate(zip(rates_hz, streams, strict=True)):
        alone = io.StringIO()
        session = Session(ListSource(blocks, rate_hz), bundle, [JsonlSink(alone, "log", {})])
        session.run()
        *middle, end = told(written[k])
        *middle_alone, end_alone = told(alone)
        assert middle == middle_alone
        assert end == {**end_alone, "reason": f"end of {k}"}
        assert ward.snapshot().rows[k].ledger == session.ledger
        assert ward.snapshot().rows[k].decision == session.snapshot().decision


def test_a_ward_does_step_its_streams_in_one_call(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = together.process

    def process(pipelines: Any, blocks: Any) -> Any:
        calls.append(len(pipelines))
        return real(pipelines, blocks)

    monkeypatch.setattr(together, "process", process)
    block = Block(heart(1.0, 4000), 0, 4000)
    Ward(ListFeed([4000] * 5, [[(k, block) for k in range(5)]]), bundle, [Listeners()] * 5).run()
    assert calls == [5]


def wav(path: Path, seconds: float, rate_hz: int, seed: int = 0, *losses: gaps.Loss) -> Path:
    soundfile.write(path, heart(seconds, rate_hz, seed), rate_hz, "FLOAT")
    for loss in losses:
        gaps.write(path, loss)
    return path


@pytest.mark.parametrize("speed", [None, 200.0])
def test_files_together_tell_what_each_tells_alone(speed: float | None, bundle: Bundle, tmp_path: Path) -> None:
    """Of unequal length and rate, one with gaps, one of them at its very end, and the same one twice."""
    files = [
        wav(tmp_path / "long.wav", 9.0, 4000),
        wav(tmp_path / "odd.wav", 5.3, 11025, 1),
        wav(tmp_path / "gaps.wav", 6.0, 2000, 2, gaps.Loss(5000, 9000, "away"), gaps.Loss(12000, 44, "end")),
        wav(tmp_path / "short.wav", 0.1, 4000, 3),
        tmp_path / "long.wav",
    ]
    written, listeners = logs(len(files))
    feed = Files(files, [None], speed)
    assert [member.name for member in feed.members] == ["long", "odd", "gaps", "short", "long-2"]
    Ward(feed, bundle, listeners).run()
    for path, stream in zip(files, written, strict=True):
        alone = io.StringIO()
        Session(FileSource(path), bundle, [JsonlSink(alone, "log", {})]).run()
        assert stream.getvalue() == alone.getvalue()


def test_files_share_one_clock(bundle: Bundle, tmp_path: Path) -> None:
    """At no time is one ahead of another by more than a round and a block, whatever their rates."""
    files = [wav(tmp_path / f"{hz}.wav", 6.0, hz) for hz in RATES_HZ]
    feed = Files(files, [None], 1000.0)
    ended_s = [0.0] * len(files)
    for each in feed.rounds():
        for k, block in each:
            if isinstance(block, Block):
                ended_s[k] = (block.start + len(block.samples)) / block.rate_hz
        assert max(ended_s) - min(ended_s) <= 0.2 + 1e-9
    assert ended_s == [6.0] * len(files)
    feed.close()


def test_a_channel_of_a_file_is_a_stream(bundle: Bundle, tmp_path: Path) -> None:
    path, sounds = tmp_path / "two.wav", [heart(5.0, 4000, seed) for seed in (1, 2)]
    soundfile.write(path, np.stack(sounds, axis=1), 4000, "FLOAT")
    feed = Files([path], (), None)
    assert [(m.name, m.description["channel"]) for m in feed.members] == [("two-ch1", 1), ("two-ch2", 2)]
    heard: dict[int, list[np.ndarray]] = {0: [], 1: []}
    for each in feed.rounds():
        for k, block in each:
            if isinstance(block, Block):
                heard[k].append(block.samples)
    for k, sound in enumerate(sounds):
        np.testing.assert_array_equal(np.concatenate(heard[k]), sound)
    feed.close()


def test_a_file_that_fails_midway_ends_alone_and_is_raised_in_the_end(bundle: Bundle, tmp_path: Path) -> None:
    spoilt = heart(6.0, 4000)
    spoilt[14_000] = np.inf
    soundfile.write(tmp_path / "spoilt.wav", spoilt, 4000, "FLOAT")
    files = [tmp_path / "spoilt.wav", wav(tmp_path / "whole.wav", 8.0, 4000)]
    written, listeners = logs(2)
    with pytest.raises(InputFileError, match=r"spoilt\.wav: holds NaN or infinity at 3\.500 s"):
        Ward(Files(files, [None], None), bundle, listeners).run()
    ends = [told(stream)[-1] for stream in written]
    assert "holds NaN" in ends[0]["reason"]
    assert ends[0]["ledger"]["captured"] <= 14_000
    assert (ends[1]["reason"], ends[1]["ledger"]["captured"]) == ("end of input", 32_000)


def test_a_bad_file_among_many_leaves_none_open(tmp_path: Path) -> None:
    good = wav(tmp_path / "good.wav", 1.0, 4000)
    (tmp_path / "bad.wav").write_text("no sound")
    with pytest.raises(InputFileError, match=r"bad\.wav: is no sound file"):
        Files([good, good, tmp_path / "bad.wav"], [None], None)
    for file in Path("/proc/self/fd").iterdir() if Path("/proc/self/fd").exists() else ():
        assert not file.exists() or file.resolve() != good.resolve()


def test_a_device_that_is_gone_ends_every_stream_with_the_reason(bundle: Bundle) -> None:
    written, listeners = logs(2)
    block = Block(heart(2.0, 4000), 0, 4000)
    gone = Condition("gone", 8000, "unplugged")
    feed = ListFeed(
        [4000, 4000], [[(0, block), (1, block)], [(0, gone), (1, gone)], LaennecError("it is gone; buy one")]
    )
    with pytest.raises(LaennecError, match="buy one"):
        Ward(feed, bundle, listeners).run()
    assert feed.closed
    for stream in written:
        (device,) = [line for line in told(stream) if line["type"] == "device"]
        end = told(stream)[-1]
        assert (device["type"], device["state"], device["t_s"]) == ("device", "gone", 2.0)
        assert [line for line in told(stream) if line["type"] == "decision"]
        assert (end["reason"], end["ledger"]["analysed"]) == ("it is gone; buy one", 8000)


class Failing(io.StringIO):
    def write(self, text: str) -> int:
        if self.tell() > 100:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_a_sink_of_one_stream_that_fails_ends_all_in_good_order(bundle: Bundle) -> None:
    written, listeners = logs(2)
    full: list[Sink] = [JsonlSink(Failing(), "full.jsonl", {}), *listeners[0].sinks]
    blocks = [Block(heart(0.5, 4000), 2000 * k, 4000) for k in range(20)]
    feed = ListFeed([4000, 4000], [[(0, block), (1, block)] for block in blocks])
    with pytest.raises(LaennecError, match=r"full\.jsonl: can't be written"):
        Ward(feed, bundle, [Listeners(full), listeners[1]]).run()
    for stream in written:
        assert "full.jsonl" in told(stream)[-1]["reason"]
        assert 0 < told(stream)[-1]["ledger"]["captured"] < 40_000


def test_a_model_that_fails_ends_every_log(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_pipelines: Any) -> Any:
        raise ModelError("it fails on this sound; give another")

    monkeypatch.setattr(together, "flush", fail)
    written, listeners = logs(3)
    block = Block(heart(2.0, 4000), 0, 4000)
    with pytest.raises(ModelError):
        Ward(ListFeed([4000] * 3, [[(k, block) for k in range(3)]]), bundle, listeners).run()
    for stream in written:
        assert told(stream)[-1]["reason"] == "it fails on this sound; give another"


def adds_up(end: dict[str, Any]) -> bool:
    ledger = end["ledger"]
    return bool(ledger["captured"] == ledger["analysed"] + ledger["dropped"] + ledger["discarded"])


def test_a_model_that_fails_as_one_stream_ends_leaves_every_log_its_end(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The samples of all are counted, and what was heard before is decided."""
    failing_model.install(monkeypatch)
    written, listeners = logs(2)
    blocks = [Block(heart(3.0, 4000, seed), 0, 4000) for seed in (0, 1)]
    feed = ListFeed([4000, 4000], [[(0, blocks[0]), (1, blocks[1])], [(0, Over("end of input"))]])
    with pytest.raises(ModelError, match=failing_model.SAID):
        Ward(feed, bundle, listeners).run()
    assert feed.closed
    for stream in written:
        (end,) = [line for line in told(stream) if line["type"] == "end"]
        assert end == told(stream)[-1]
        assert end["reason"] == failing_model.SAID
        assert (adds_up(end), end["ledger"]["captured"]) == (True, 12_000)
        assert [line for line in told(stream) if line["type"] == "decision"]


def test_an_answer_is_held_as_long_as_its_kind_stays(bundle: Bundle) -> None:
    blocks = [Block(heart(0.5, 4000, 0), 2000 * k, 4000) for k in range(16)]
    ward = Ward(ListFeed([4000], [[(0, block)] for block in blocks]), bundle, logs(1)[1])
    ward.run()
    written, listeners = logs(1)
    Ward(ListFeed([4000], [[(0, block)] for block in blocks]), bundle, listeners).run()
    kinds = [(line["label"] or line["status"], line["t_s"]) for line in told(written[0]) if line["type"] == "decision"]
    newest = [list(run) for _, run in groupby(kinds, key=lambda kind: kind[0])][-1]
    assert ward.snapshot().rows[0].held_s == pytest.approx(newest[-1][1] - newest[0][1], abs=1e-5)


@given(
    st.integers(0, 30).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, 6))),
    st.integers(0, 10**12),
    st.integers(0, 500),
)
def test_a_gap_is_a_gap_in_each_channel(shape: tuple[int, int], start: int, lost: int) -> None:
    samples = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    apart = split(Block(samples, start, 4000, lost, "why"), shape[1])
    assert len(apart) == shape[1]
    for k, block in enumerate(apart):
        np.testing.assert_array_equal(block.samples, samples[:, k])
        assert (block.start, block.rate_hz, block.lost, block.reason) == (start, 4000, lost, "why")
    nothing = split(Block(np.zeros(0, np.float32), start, 4000, lost, "why"), 3)
    assert [(len(block.samples), block.lost) for block in nothing] == [(0, lost)] * 3


@given(st.lists(st.sampled_from(("a", "A", "b", "a-2", "ch1"))))
def test_names_are_told_apart_also_where_capitals_make_no_difference(names: list[str]) -> None:
    found = unique(names)
    assert len({name.casefold() for name in found}) == len(names)
    assert all(own.startswith(name) for own, name in zip(found, names, strict=True))
