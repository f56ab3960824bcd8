"""Learning S1 and S2: what a step sees, what counts in its loss, and that a tiny network finds beats it was shown."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import SettingError
from models.nets import BeatNet
from train import beat_baselines, checkpoint
from train.beat_windows import BeatBatch, BeatSampler, BeatWindow, early_beats, irregular
from train.beats import beat_loss, beats
from train.beats import fit as beat_fit
from train.config import Config, from_dict
from train.loop import Interrupted
from train.onsets import onset_scores, rate_scores
from train.table import Features
from train.timings import DIASTOLE, S1, S2, SYSTOLE, Timed, to_frames

Array = np.ndarray
TINY = from_dict(tomllib.loads(tiny_data.TINY_TOML.format(steps=20)))
STILL = {"alone_share": 0, "stretch": 1, "irregular_share": 0, "filter_sd": 0, "floor_share": 0, "noise_share": 0}
LATE = TINY.rhythm.lookahead_frames
HOP_S = TINY.front_end.hop_samples / TINY.front_end.rate_hz


def changed(config: Config, part: str, **values: Any) -> Config:
    return dataclasses.replace(config, **{part: dataclasses.replace(getattr(config, part), **values)})


QUIET = changed(TINY, "beat_augment", **STILL)


def seconds(frame: float) -> float:
    """The middle of a frame; undone by `to_frames`."""
    return (frame * TINY.front_end.hop_samples + TINY.front_end.frame_samples / 2) / TINY.front_end.rate_hz


def cycles(first: int, cycle: int, end: int) -> Array:
    """(n, 3) segments in frames: S1 of 5, systole to 15, S2 of 4, diastole to the next."""
    rows = []
    for begin in range(first, end - cycle + 1, cycle):
        places = begin + np.array([0, 5, 15, 19, cycle])
        rows += [(a, b, state) for a, b, state in zip(places, places[1:], (S1, SYSTOLE, S2, DIASTOLE), strict=False)]
    return np.array(rows, dtype=float)


def timed(index: int, segments: Array) -> Timed:
    in_seconds = segments.copy()
    in_seconds[:, :2] = [[seconds(a), seconds(b)] for a, b in segments[:, :2]]
    return Timed(Path(f"{index}.wav"), f"{index}.wav", "circor", f"circor/{index // 2}", in_seconds)


def sounding(segments: Array, frames: int, rng: np.random.Generator) -> Array:
    """Features of a heart: S1 in the low bands, S2 in the high ones, over noise."""
    features = rng.normal(-8, 0.3, (frames, 8))
    for begin, _, state in segments:
        if state in (S1, S2):
            bands = slice(0, 4) if state == S1 else slice(4, 8)
            features[int(begin) : int(begin) + 4, bands] += 5
    return features.astype(np.float32)


def small_table(count: int = 12, frames: int = 200) -> Features[Timed]:
    rng = np.random.default_rng(0)
    parts, recordings = [], []
    for k in range(count):
        segments = cycles(5 + 2 * k, 35 + k % 9, frames - 3 * k)
        recordings.append(timed(k, segments))
        parts.append(sounding(segments, frames, rng))
    return Features(tuple(recordings), np.concatenate(parts), np.arange(count + 1) * frames)


def noises(count: int = 3) -> list[Array]:
    rng = np.random.default_rng(1)
    return [rng.normal(-8, 0.3, (60, 8)) + 3 * (rng.random((60, 8)) < 0.1) for _ in range(count)]


def counting(segments: Array, frames: int = 200) -> Features[Timed]:
    """One recording whose frames say their number, but for 0 and for what `np.float32` can't."""
    values = np.repeat(np.arange(1.0, frames + 1)[:, None], 8, axis=1).astype(np.float32)
    return Features((timed(0, segments),), values, np.array([0, frames]))


# --- windows


def test_a_window_is_cut_from_the_recording_and_its_targets_come_late() -> None:
    frames, segments = 200, cycles(20, 40, 190)
    sampler = BeatSampler(changed(QUIET, "beat_fit", batch=60), counting(segments), [0], [])
    batch = sampler.batch(np.random.default_rng(0))
    assert batch.features.shape == (60, 70, 8)
    assert [part.dtype.name for part in batch] == ["float32", "float32", "int64"]
    width = TINY.beat_fit.onset_s / HOP_S
    starts = set()
    for x, onsets, phase in zip(*batch, strict=True):
        start = int(x[0, 0]) - 1
        starts.add(start)
        assert np.array_equal(x[:, 3], np.arange(start, start + 70) + 1)
        assert start + 70 <= frames
        own = np.arange(start, start + 70 - LATE)
        for sound, state in enumerate((S1, S2)):
            away = np.abs(own[:, None] - segments[segments[:, 2] == state, 0]).min(axis=1)
            np.testing.assert_allclose(onsets[LATE:, sound], np.exp(-0.5 * (away / width) ** 2), atol=1e-5)
        states = {at: s for a, b, s in segments for at in range(int(a), int(b))}
        wanted = [-1 if at not in states else 1 if states[at] in (S1, SYSTOLE) else 2 for at in own.tolist()]
        assert phase[LATE:].tolist() == wanted
        assert not onsets[:LATE].any()
        assert (phase[:LATE] == -1).all()
    assert len(starts) > 20


def test_a_window_lies_where_something_is_known() -> None:
    """Of 600 frames 80 are annotated: no window may miss them."""
    table = counting(cycles(400, 40, 480), 600)
    batch = BeatSampler(changed(QUIET, "beat_fit", batch=40, window_frames=200), table, [0], []).batch(
        np.random.default_rng(0)
    )
    assert all((phase > 0).any() for phase in batch.phase)
    assert np.mean([(phase > 0).sum() for phase in batch.phase]) > 50


def test_a_recording_shorter_than_a_window_is_padded_with_what_is_unknown() -> None:
    table = counting(cycles(2, 30, 50), 50)
    batch = BeatSampler(changed(QUIET, "beat_fit", batch=5), table, [0], []).batch(np.random.default_rng(0))
    assert not batch.features[:, 50:].any()
    assert (batch.phase[:, 50:] == -1).all()
    assert not batch.onsets[:, 50:].any()
    assert (batch.phase[:, 20:40] > 0).any()


def test_noise_alone_holds_no_heart_and_that_is_known() -> None:
    config = changed(TINY, "beat_augment", **{**STILL, "alone_share": 1})
    batch = BeatSampler(config, small_table(), range(12), noises()).batch(np.random.default_rng(0))
    assert (batch.phase[:, LATE:] == 0).all()
    assert (batch.phase[:, :LATE] == -1).all()
    assert not batch.onsets.any()
    held = np.concatenate(noises())
    for x in batch.features:  # 70 frames of a noise of 60: it is repeated
        assert all(np.abs(held - frame).max(axis=1).min() < 1e-5 for frame in x)


def test_without_noises_there_is_always_a_heart() -> None:
    for held in ([], [np.zeros((0, 8))]):
        config = changed(TINY, "beat_augment", **{**STILL, "alone_share": 1, "noise_share": 1})
        batch = BeatSampler(config, small_table(), range(12), held).batch(np.random.default_rng(0))
        assert (batch.phase == 0).sum() == 0
        assert all((phase > 0).any() for phase in batch.phase)


@pytest.mark.parametrize(
    "share", [{"filter_sd": 1}, {"floor_share": 1}, {"noise_share": 1, "noise_snr_db": (0, 0)}, {"stretch": 1.6}]
)
def test_each_change_changes_the_features_and_the_beats_stay_in_them(share: dict[str, Any]) -> None:
    """S1 is loudest in the low bands: where a target says S1, the features must show it `LATE` frames before."""
    table = small_table()
    config = changed(changed(TINY, "beat_augment", **{**STILL, **share}), "beat_fit", batch=40)
    plain, disturbed = (
        BeatSampler(c, table, range(12), noises()).batch(np.random.default_rng(3))
        for c in (changed(QUIET, "beat_fit", batch=40), config)
    )
    assert not np.array_equal(plain.features, disturbed.features)
    rises = []
    for x, onsets in zip(disturbed.features, disturbed.onsets, strict=True):
        low = x[:, :4].mean(axis=1) - x[:, 4:].mean(axis=1)
        for at in np.flatnonzero(onsets[:, 0] > 0.9) - LATE:
            if 3 <= at < len(x) - 3:
                rises.append(low[at : at + 3].mean() - low[at - 3 : at - 1].mean())
    assert len(rises) > 30
    assert np.mean(np.array(rises) > 0) > 0.95


def test_the_same_seed_draws_the_same_batch() -> None:
    sampler = BeatSampler(TINY, small_table(), range(12), noises())
    first, again, other = (sampler.batch(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.features, other.features)


def test_only_the_given_recordings_are_drawn() -> None:
    table = small_table()
    values = np.repeat(np.repeat(np.arange(12.0), 200)[:, None], 8, axis=1).astype(np.float32)
    marked = dataclasses.replace(table, values=values)
    batch = BeatSampler(changed(QUIET, "beat_fit", batch=60), marked, [2, 7], []).batch(np.random.default_rng(0))
    assert set(np.unique(batch.features[:, :30])) == {2.0, 7.0}


@given(frame=st.floats(-100, 10_000))
def test_a_frame_stands_for_its_middle(frame: float) -> None:
    assert to_frames(TINY.front_end, np.array([seconds(frame)]))[0] == pytest.approx(frame, abs=1e-6)


# --- irregular rhythms


@pytest.mark.parametrize("respace", [irregular, early_beats])
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**31), cycle=st.integers(25, 60), first=st.integers(-30, 40))
def test_irregular_beats_are_the_same_beats_otherwise_spaced(
    respace: Callable[[BeatWindow, np.random.Generator], BeatWindow], seed: int, cycle: int, first: int
) -> None:
    """Systoles last as they did, and every onset is played where its segment says."""
    segments, frames = cycles(first, cycle, 300), 300
    features = np.repeat(np.arange(0.0, frames)[:, None], 4, axis=1)
    window = respace(BeatWindow(features, segments), np.random.default_rng(seed))
    assert window.segments[:, 2].tolist() == segments[:, 2].tolist()
    moved = window.segments
    played = window.features[:, 0]
    for before, after in zip(segments, moved, strict=True):
        begin = int(before[0])
        if not 0 <= begin < frames:
            continue
        assert after[0] == int(after[0])  # whole frames stay whole
        assert played[int(after[0])] == begin
        if before[2] != DIASTOLE and before[1] < frames:
            assert after[1] - after[0] == before[1] - before[0]
    begins = moved[(segments[:, 0] >= 0) & (segments[:, 0] < frames), 0]
    assert (np.diff(begins) > 0).all()


def lengths(seed: int) -> Array:
    """Cycles of a steady heart of 40 frames a cycle, made irregular, over the usual."""
    segments = cycles(0, 40, 400)
    window = irregular(BeatWindow(np.zeros((400, 4)), segments), np.random.default_rng(seed))
    onsets: Array = window.segments[window.segments[:, 2] == S1, 0]
    return np.diff(onsets) / 40


def test_irregular_rhythms_are_of_every_kind() -> None:
    drawn = [lengths(seed) for seed in range(200)]
    early = [x for x in drawn if x.min() < 0.8]
    paused = [x for x in drawn if x.max() > 1.3]
    uneven = [x for x in drawn if (np.abs(x - 1) > 0.02).mean() > 0.7]
    single = [x for x in drawn if (x < 0.85).sum() == 1 and (np.abs(x - 1) < 0.02).sum() >= 5]
    assert min(len(early), len(paused)) > 60
    assert min(len(uneven), len(single)) > 10
    assert all(x.min() > 0.4 and x.max() < 3 for x in drawn)


def test_early_beats_are_cut_short_and_followed_by_a_pause_and_the_rest_stays() -> None:
    """A diastole of 21 of 40 frames is cut to .05 to .6 of it, so a cycle to .5 to .8; the next may be longer."""
    found = []
    for seed in range(300):
        segments = cycles(0, 40, 400)
        window = early_beats(BeatWindow(np.zeros((400, 4)), segments), np.random.default_rng(seed))
        onsets = window.segments[window.segments[:, 2] == S1, 0]
        found.append(np.diff(onsets) / 40)
    drawn = np.array(found)
    early = drawn < 0.81
    assert early.mean() == pytest.approx(0.25, abs=0.05)  # .3 are drawn, but one after another only pauses
    assert drawn[early].min() > 0.48
    assert not ((drawn > 0.81) & (drawn < 0.99)).any()
    after = drawn[:, 1:][early[:, :-1] & ~early[:, 1:]]
    assert after.max() > 1.5
    plain = drawn[:, 1:][~early[:, :-1] & ~early[:, 1:]]
    np.testing.assert_allclose(plain, 1)


@pytest.mark.parametrize("respace", [irregular, early_beats])
def test_a_window_without_a_whole_diastole_stays_as_it_is(
    respace: Callable[[BeatWindow, np.random.Generator], BeatWindow],
) -> None:
    features = np.arange(80.0).reshape(20, 4)
    for segments in (np.zeros((0, 3)), np.array([[2.0, 7.0, S1], [7.0, 17.0, SYSTOLE], [17.0, 30.0, S2]])):
        window = respace(BeatWindow(features, segments), np.random.default_rng(0))
        assert np.array_equal(window.features, features)
        assert np.array_equal(window.segments, segments)


def test_sounds_are_as_loud_as_they_were_wherever_they_are_played() -> None:
    segments = cycles(5, 40, 380)
    features = np.full((400, 4), -8.0)
    for begin, end, state in segments:
        if state in (S1, S2):
            features[int(begin) : int(end)] = 0
    for seed in range(40):
        window = irregular(BeatWindow(features, segments), np.random.default_rng(seed))
        assert window.features.min() == -8.0
        for begin, _, _ in window.segments[window.segments[:, 2] == S1]:
            assert (window.features[int(begin)] == 0).all()


# --- the loss


def batch_of(phase: list[list[int]]) -> tuple[torch.Tensor, BeatBatch]:
    shape = np.shape(phase)
    rng = np.random.default_rng(0)
    answers = torch.from_numpy(rng.normal(0, 1, (*shape, 5)).astype(np.float32))
    onsets = rng.random((*shape, 2)).astype(np.float32)
    return answers, BeatBatch(np.zeros((*shape, 8), dtype=np.float32), onsets, np.array(phase))


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_the_loss_by_hand(weight: float) -> None:
    answers, batch = batch_of([[0, 1, 2], [1, -1, 2]])
    x, wanted = answers.numpy().astype(float), batch.onsets
    total, n = 0.0, 0
    for row, frame in np.argwhere(batch.phase >= 0):
        logits = x[row, frame, 2:]
        total -= logits[batch.phase[row, frame]] - np.log(np.exp(logits).sum())
        p = 1 / (1 + np.exp(-x[row, frame, :2]))
        y = wanted[row, frame]
        total += weight * float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())
        n += 1
    assert float(beat_loss(answers, batch, weight)) == pytest.approx(total / n, rel=1e-5)


def test_what_is_unknown_gets_no_gradient() -> None:
    answers, batch = batch_of([[0, -1, 2], [-1, -1, 1]])
    answers.requires_grad_()
    beat_loss(answers, batch, 2.0).backward()  # type: ignore[no-untyped-call]
    assert answers.grad is not None
    unknown = torch.from_numpy(batch.phase < 0)
    assert not answers.grad[unknown].any()
    assert (answers.grad[~unknown] != 0).all()


# --- learning


def never() -> bool:
    return False


def learn(path: Path, seed: int = 3, config: Config = TINY) -> BeatNet:
    table = small_table()
    return beat_fit(config, table, range(len(table)), noises(), seed).run(path, lambda *_: None, never)


def equal(one: BeatNet, other: BeatNet) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[BeatNet, Path]:
    path = tmp_path_factory.mktemp("whole") / "beats.safetensors"
    return learn(path), path


def test_a_seed_gives_its_weights(whole_run: tuple[BeatNet, Path], tmp_path: Path) -> None:
    assert equal(whole_run[0], learn(tmp_path / "again.safetensors"))
    assert not equal(whole_run[0], learn(tmp_path / "other.safetensors", seed=4))
    held = checkpoint.load(whole_run[1])
    assert held.notes["step"] == TINY.beat_fit.steps
    assert held.notes["history"] == []


@pytest.mark.parametrize("stops", [(1,), (7, 8), (20,)])
def test_stopped_anywhere_and_resumed_gives_the_uninterrupted_weights(
    whole_run: tuple[BeatNet, Path], tmp_path: Path, stops: tuple[int, ...]
) -> None:
    path, table = tmp_path / "beats.safetensors", small_table()
    for at in stops:
        torch.manual_seed(999)  # chance left over from elsewhere must not matter
        fit = beat_fit(TINY, table, range(12), noises(), 3)
        with pytest.raises(Interrupted, match=f"stopped at step {at} of 20; continue with --resume"):
            fit.run(path, lambda *_: None, stop_at(at, lambda fit=fit: fit.step))  # type: ignore[misc]
    assert equal(learn(path), whole_run[0])


def stop_at(step: int, reached: Callable[[], int]) -> Callable[[], bool]:
    return lambda: reached() == step


def test_resume_with_anything_else_is_refused(whole_run: tuple[BeatNet, Path]) -> None:
    table = small_table()
    louder = dataclasses.replace(table, values=table.values + 1)
    for config, held, indices, seed, says in (
        (changed(TINY, "beat_fit", onset_weight=1.0), table, range(12), 3, "other settings"),
        (changed(TINY, "rhythm", threshold=0.5), table, range(12), 3, "other settings"),
        (changed(TINY, "beat_augment", stretch=1.5), table, range(12), 3, "other settings"),
        (TINY, table, range(12), 4, "other settings"),
        (TINY, table, range(11), 3, "other recordings"),
        (TINY, louder, range(12), 3, "other recordings"),
    ):
        with pytest.raises(SettingError, match=says) as refusal:
            beat_fit(config, held, indices, noises(), seed).run(whole_run[1], lambda *_: None, never)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("part", "values"),
    [("fit", {"steps": 7}), ("window", {"hop_frames": 9}), ("net", {"hidden": 7}), ("answer", {"folds": 3})],
)
def test_what_this_network_does_not_depend_on_may_change(
    whole_run: tuple[BeatNet, Path], part: str, values: dict[str, Any]
) -> None:
    """So the protocol `timing` and those that classify can share it."""
    fit = beat_fit(changed(TINY, part, **values), small_table(), range(12), noises(), 3)
    assert equal(fit.run(whole_run[1], lambda *_: pytest.fail("it learns again"), never), whole_run[0])


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, BeatNet]:
    """A small network that had time enough for these easy hearts."""
    config = from_dict(
        {
            "front_end": {"bands": 8},
            "net": {"features": 8},
            "intervals": {"bands": [2, 4, 8]},
            "beat_net": {"features": 8, "channels": 12, "hidden": 16, "dropout": 0.0},
            "beat_fit": {"steps": 120, "batch": 12, "window_frames": 120, "learning_rate": 0.02, "ema": 0.9},
            "beat_augment": {**STILL, "alone_share": 0.1, "irregular_share": 0.3},
        }
    )
    table = small_table(16, 300)
    fit = beat_fit(config, table, range(10), noises(), 0)
    return config, fit.run(tmp_path_factory.mktemp("learned") / "beats.safetensors", lambda *_: None, never)


def test_it_learns_to_find_beats_it_never_heard(learned: tuple[Config, BeatNet]) -> None:
    config, net = learned
    table = small_table(16, 300)
    truth = [table.recordings[i] for i in range(10, 16)]
    found = [beats(config, net, table.features(i)) for i in range(10, 16)]
    scores = onset_scores(found, truth)
    for sound in ("S1", "S2"):
        assert scores[sound]["60 ms"]["f1"]["value"] > 0.9
        assert scores[sound]["100 ms"]["median_error_s"]["value"] < 0.04
    assert rate_scores(found, truth)["within_5_bpm"]["value"] == 1
    untrained = [beats(config, BeatNet(config.beat_net), table.features(i)) for i in range(10, 16)]
    assert onset_scores(untrained, truth)["S1"]["60 ms"]["f1"]["value"] < 0.6


def test_it_learns_that_noise_holds_no_beats(learned: tuple[Config, BeatNet]) -> None:
    config, net = learned
    noise = np.random.default_rng(9).normal(-8, 0.3, (500, 8)).astype(np.float32)
    assert len(beats(config, net, noise)) <= 2


@pytest.mark.parametrize("frames", [0, 1, 11, 14])
def test_a_recording_of_few_frames_has_beats_within_it_alone(learned: tuple[Config, BeatNet], frames: int) -> None:
    config, net = learned
    features = np.full((frames, 8), -8.0, dtype=np.float32)
    assert all(0 <= beat.t_s < seconds(frames) for beat in beats(config, net, features))


# --- what the stream is compared with


def test_envelope_peaks_take_the_shorter_interval_for_systole() -> None:
    table = small_table(8, 300)
    truth = list(table.recordings)
    found = [beat_baselines.envelope_peaks(TINY.front_end, table.features(i)) for i in range(8)]
    scores = onset_scores(found, truth)
    assert scores["S1"]["60 ms"]["recall"]["value"] > 0.95
    assert scores["S2"]["60 ms"]["recall"]["value"] > 0.95
    assert all(b.confidence == 1 for some in found for b in some)
    assert beat_baselines.envelope_peaks(TINY.front_end, np.full((200, 8), -8.0)) == []


def scores_of(segments: Array, frames: int, sure: float = 3.0) -> Array:
    """(frames, 5) as a perfect network gives them."""
    found = np.full((frames, 5), -4.0)
    for begin, end, state in segments:
        if state in (S1, S2):
            found[int(begin), 0 if state == S1 else 1] = sure
        found[int(begin) : int(end), 3 if state <= SYSTOLE else 4] = 2
    return found


def test_the_decoder_gives_back_clear_onsets_and_drops_what_no_heart_does() -> None:
    segments = cycles(10, 40, 300)
    clear = scores_of(segments, 300)
    found = beat_baselines.decoded(TINY.front_end, clear)
    truth = timed(0, segments)
    for sound in ("S1", "S2"):
        np.testing.assert_allclose([b.t_s for b in found if b.sound == sound], truth.onsets(sound), atol=1e-6)
    extra = clear.copy()
    extra[10 + 40 + 8, 1] = -1  # an unlikely S2 160 ms after S1, and the true one 300 ms after
    assert beat_baselines.decoded(TINY.front_end, extra) == found
    assert beat_baselines.decoded(TINY.front_end, np.full((50, 5), -4.0)) == []
