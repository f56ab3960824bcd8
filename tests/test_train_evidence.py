"""What the rhythm says offline, for evaluation, is what a stream of the same sound says, whatever its blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_bundle
import tiny_data
import torch

from export.onnx import Trained
from models import bundle as bundles
from models import decide, intervals, windows
from models.bundle import Bundle
from models.classes import CLASSES
from models.decide import Decision
from models.join import NEVER, Joined, join, probabilities
from stream.block import Block
from stream.pipeline import Pipeline
from train import evidence, extrasystole, nested
from train.config import Config, from_dict
from train.datasets import Recording
from train.evidence import Moments
from train.filterbank import front_end
from train.predict import window_logits
from train.table import Features, Table

Array = np.ndarray
RATE_HZ = 2000
HOP = 40


def thumps(frames: int, onsets_s: Array) -> Array:
    """Sound of so many frames."""
    return tiny_bundle.thumps(((frames - 1) * HOP + 100) / RATE_HZ, onsets_s)


@pytest.fixture(scope="module")
def trained() -> Trained:
    torch.set_num_threads(1)  # as in training; on busy cores more only wait for each other
    return tiny_bundle.hearing()


@pytest.fixture(scope="module")
def bundle(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("model") / "hearing.onnx"
    path.write_bytes(tiny_bundle.data_of(trained))
    return bundles.load(path)


def one(config: Config, samples: Array) -> Table:
    """A table of one recording."""
    heard = front_end(config.front_end).extract(samples).astype(np.float32)
    recording = Recording(Path("a.wav"), "a.wav", "normal", "folder", "folder/a", (True,) * 5)
    return Table.of(Features((recording,), heard, np.array([0, len(heard)])))


def streamed(bundle: Bundle, samples: Array, block: int) -> list[Decision]:
    """The last decision at each moment: that of a short sound is taken anew at its end."""
    pipeline = Pipeline(bundle, RATE_HZ)
    blocks = [Block(samples[k : k + block], k, RATE_HZ) for k in range(0, len(samples), block)]
    events = [e for b in blocks for e in pipeline.process(b)] + pipeline.flush()
    by_time = {e.t_s: e for e in events if isinstance(e, Decision)}
    return [by_time[t_s] for t_s in sorted(by_time)]


def alike(found: list[Decision], wanted: Joined) -> None:
    """What decisions hold of their moments, and what is told with it, is what is wanted."""
    np.testing.assert_allclose([d.logits for d in found], wanted.logits, rtol=0, atol=1e-3)
    assert [d.early for d in found] == wanted.early.tolist()
    told = [Joined(np.array(d.logits), np.array(d.early)).told for d in found]
    np.testing.assert_allclose(told, wanted.told, rtol=0, atol=1e-3)


@pytest.mark.parametrize("block", [37, 1999, 100_000])
def test_offline_and_streamed_logits_are_the_same_at_every_moment(trained: Trained, bundle: Bundle, block: int) -> None:
    """16 s, so that frames leave the memory of 10 s and the window of 4 s."""
    samples = thumps(800, tiny_bundle.skipping(16))
    learned, sources = tiny_bundle.offline(trained, one(trained.config, samples))
    _, (wanted,) = nested.answer(trained.config, learned, sources, np.array([0]))
    found = streamed(bundle, samples, block)
    spec = trained.config.front_end
    assert [d.t_s for d in found] == [spec.span_samples(end) / RATE_HZ for end in sources.moments.ends]
    alike(found, wanted)
    # All that is joined had something to say.
    assert set(sources.early.tolist()) >= {0, 1, 2}
    assert set(wanted.early.tolist()) == {NEVER, tiny_bundle.JOIN.early}
    assert learned.machine is not None
    assert np.ptp(learned.machine.scores(sources.moments.intervals)) > 0.1
    assert [len(d.regularity.premature) for d in found if d.regularity] == sources.early.tolist()


#: The third beat comes early, the sixth and the last one: with it they are enough without a sure rate.
LATE = np.append(np.arange(0.1, 7.5, 0.8) - 0.32 * np.isin(np.arange(10), (2, 5)), 7.85)


@pytest.mark.parametrize("frames", [8, 30, 47, 48, 49, 73, 120, 197, 198, 199, 222, 223, 224, 397, 398, 399, 402, 410])
def test_a_sound_of_any_length_is_heard_alike_to_its_end(trained: Trained, bundle: Bundle, frames: int) -> None:
    """Also where the last decision fell due before anyone knew that it was over: beats are still waited for then."""
    samples = thumps(frames, LATE)
    learned, sources = tiny_bundle.offline(trained, one(trained.config, samples))
    found = streamed(bundle, samples, 333)
    whole, (wanted,) = nested.answer(trained.config, learned, sources, np.array([0]))
    alike(found, wanted)
    speaking = [d for d in found if d.status != "listening"] or [found[-1]]
    np.testing.assert_allclose(decide.whole(speaking), probabilities(whole)[0], atol=1e-4)


def test_the_end_of_a_sound_makes_a_difference_to_the_beats_that_are_told(trained: Trained) -> None:
    """The early beat at 7.85 s is told with 398 frames, once one knows that it is over, and not when that falls due.

    It is the third, so the whole recording is told otherwise.
    """
    counts, odds = {}, {}
    for frames in (397, 398, 399):
        learned, sources = tiny_bundle.offline(trained, one(trained.config, thumps(frames, LATE)))
        counts[frames] = int(sources.early[-1])
        whole, (told,) = nested.answer(trained.config, learned, sources, np.array([0]))
        odds[frames] = told.early[sources.moments.speaks].max()
        speaking = told.logits[sources.moments.speaks].mean(axis=0)
        np.testing.assert_allclose(whole[0], Joined(speaking, odds[frames]).told, rtol=1e-12)
    assert counts == {397: 3, 398: 0, 399: 3}
    assert odds == {397: tiny_bundle.JOIN.early, 398: NEVER, 399: tiny_bundle.JOIN.early}


# --- moments


def small_config() -> Config:
    front = {"front_end": {"bands": 8}, "net": {"features": 8}, "beat_net": {"features": 8}}
    window = {"window_frames": 60, "hop_frames": 10, "first_frames": 20}
    return from_dict({**front, "window": window, "intervals": {"bands": [2, 4, 8], "memory_frames": 70}})


def made(count: int) -> list[Recording]:
    return [
        Recording(Path(f"{i}.wav"), f"{i}.wav", CLASSES[i % 5], "folder", f"g{i}", (True,) * 5) for i in range(count)
    ]


@pytest.fixture(scope="module")
def told() -> tuple[Config, Table, Moments]:
    """Recordings of 95, 5 (too short), 30 and 60 frames."""
    config, table = small_config(), tiny_data.table(made(4), [95, 5, 30, 60])
    ticks: list[int] = []
    found = evidence.moments(config, table, lambda: ticks.append(1))
    assert len(ticks) == 4
    return config, table, found


def test_moments_are_those_of_the_stream_by_recording(told: tuple[Config, Table, Moments]) -> None:
    config, table, at = told
    assert [at.ends[at.rows(i)].tolist() for i in range(4)] == [
        [*range(20, 95, 10), 95],
        [],
        [20, 30],
        [20, 30, 40, 50, 60],
    ]
    for i in range(4):
        speaking = at.ends[at.rows(i)][at.speaks[at.rows(i)]].tolist()
        assert speaking == windows.recording_ends(config.window, table.frames(i))


def test_each_moment_knows_of_what_was_heard_by_then_alone(told: tuple[Config, Table, Moments]) -> None:
    config, table, at = told
    for i in (0, 2, 3):
        heard = table.features(i).astype(np.float64)
        for end, row in zip(at.ends[at.rows(i)], at.intervals[at.rows(i)], strict=True):
            assert np.array_equal(row, intervals.describe(config.intervals, 0.02, heard[max(0, end - 70) : end]))
    last = at.last([3, 1, 0])
    assert np.array_equal(last[[0, 2]], at.intervals[[at.offsets[4] - 1, at.offsets[1] - 1]])
    assert not last[1].any()  # too short for any decision


def test_what_is_said_of_a_recording_is_of_the_windows_that_speak_for_it(told: tuple[Config, Table, Moments]) -> None:
    config, _, at = told
    machine = tiny_bundle.machine(config)
    scores = evidence.mean_scores(machine, at, range(4))
    for i in (0, 2, 3):
        rows = [row for row in range(len(at.ends))[at.rows(i)] if at.speaks[row]]
        assert at.speaking(i).tolist() == rows
        assert scores[i] == pytest.approx(np.mean([machine.scores(at.intervals[row]) for row in rows]))
        assert np.array_equal(evidence.scores(machine, at, np.array(rows)), machine.scores(at.intervals[rows]))
    assert scores[1] == 0  # too short for any
    assert evidence.mean_scores(machine, at, [3, 1]).tolist() == [scores[3], 0]
    assert not evidence.mean_scores(None, at, range(4)).any()
    assert not evidence.scores(None, at, np.arange(5)).any()


def test_early_beats_at_a_moment_that_does_not_speak_for_a_recording_tell_nothing_of_it(
    told: tuple[Config, Table, Moments],
) -> None:
    """Once a window is full they are still remembered, and the moment before may have misheard them."""
    config, table, at = told
    learned, sources = tiny_bundle.offline(tiny_bundle.untrained(config), table)
    plain = nested.answer(config, learned, sources, np.arange(4))[0]
    for row in range(len(at.ends)):
        early = np.zeros(len(at.ends), dtype=np.int64)
        early[row] = 3
        whole = nested.answer(config, learned, sources._replace(early=early), np.arange(4))[0]
        own = [at.offsets[i] <= row < at.offsets[i + 1] for i in range(4)]
        assert (whole != plain).any(axis=1).tolist() == [bool(at.speaks[row]) and bool(mine) for mine in own]


def test_a_recording_s_answer_is_of_its_speaking_moments_together(told: tuple[Config, Table, Moments]) -> None:
    """What `classify` does with the stream's decisions: logits in the mean, early beats at any of them."""
    config, table, at = told
    trained = tiny_bundle.untrained(config)
    learned, sources = tiny_bundle.offline(trained, table)
    counts = (np.arange(len(at.ends)) + 1) % 3
    sources = sources._replace(early=counts)
    whole, rolling = nested.answer(config, learned, sources, np.array([3, 1, 0]))
    for found, moments, i in zip(whole, rolling, (3, 1, 0), strict=True):
        count = len(range(len(at.ends))[at.rows(i)])
        assert (moments.logits.shape, moments.early.shape) == ((count, 5), (count,))
        speaks = at.speaks[at.rows(i)]
        wanted = np.zeros(5)
        if count:
            wanted = Joined(moments.logits[speaks].mean(axis=0), moments.early[speaks].max()).told
        np.testing.assert_allclose(found, wanted, atol=1e-12)
    # Of the recording of 95 frames some speaking moments know of two early beats, but not the last.
    assert set(rolling[2].early[at.speaks[at.rows(0)]].tolist()) == {NEVER, tiny_bundle.JOIN.early}
    assert rolling[2].early[-1] == NEVER
    for moments, i in ((rolling[0], 3), (rolling[2], 0)):
        heard = table.features(i)
        for k, row in enumerate(range(len(at.ends))[at.rows(i)]):
            end = at.ends[row]
            logits = window_logits(trained.net, [heard[max(0, end - 60) : end]])
            score = tiny_bundle.machine(config).scores(at.intervals[row])
            joined = join(learned.join, logits, score, counts[row : row + 1])
            np.testing.assert_allclose(moments.logits[k], joined.logits[0], atol=1e-5)
            assert moments.early[k] == joined.early[0] == (tiny_bundle.JOIN.early if counts[row] == 2 else NEVER)


def test_without_a_network_for_beats_none_is_early(told: tuple[Config, Table, Moments]) -> None:
    config, table, at = told
    assert evidence.early_beats(config, None, table, at).tolist() == [0] * len(at.ends)


# --- early beats


@pytest.mark.parametrize("ends", [[400], [100, 101, 250, 400], [*range(48, 400, 25), 400]])
def test_how_often_one_asks_does_not_change_how_many_beats_are_early(trained: Trained, ends: list[int]) -> None:
    heard = front_end(trained.config.front_end).extract(thumps(400, tiny_bundle.skipping(8)))
    assert trained.beat_net is not None
    often = extrasystole.premature(trained.config, trained.beat_net, heard, list(range(1, 401)))
    found = extrasystole.premature(trained.config, trained.beat_net, heard, ends)
    assert found.tolist() == [often[end - 1] for end in ends]
    assert found[-1] == 1


def test_a_moment_knows_of_no_later_beat(trained: Trained) -> None:
    config = trained.config
    heard = front_end(config.front_end).extract(thumps(400, tiny_bundle.skipping(8)))
    other = heard.copy()
    other[250:] = -20
    assert trained.beat_net is not None
    ends = [150, 200, 250, 400]
    one_, two = (extrasystole.premature(config, trained.beat_net, x, ends)[:3] for x in (heard, other))
    assert np.array_equal(one_, two)
