"""Training: what is drawn, what is learned from it, and that a stopped run goes on as if nothing had happened."""

from __future__ import annotations

import dataclasses
import json
import pickle
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from models.classes import CLASSES
from models.errors import InputFileError, SettingError
from models.nets import HEART_STATES, POOLING, HeartNet, NetSpec, _normalise, parameters
from train import checkpoint
from train.beats import BeatTask
from train.config import Config, from_dict
from train.datasets import Recording
from train.heart import HeartTask, masked_cross_entropy, state_cross_entropy
from train.heart import fit as heart_fit
from train.loop import Fit, Interrupted
from train.predict import embeddings, recording_logits, recording_loss, window_logits
from train.sampling import Batch, Sampler, mixup
from train.table import Features, Table
from train.timings import NO_STATE

ALL = (True,) * 5
NO_EXTRASYSTOLE = tuple(name != "extrasystole" for name in CLASSES)
TINY = from_dict(tomllib.loads(tiny_data.TINY_TOML.format(steps=20)))
STEPS = TINY.fit.steps


def made(index: int, label: str, source: str = "pascal_b", speaks_of: tuple[bool, ...] = ALL) -> Recording:
    return Recording(Path(f"{index}.wav"), f"{index:04}.wav", label, source, f"{source}/{index}", speaks_of)


def small_table() -> Table:
    recordings = [made(i, CLASSES[i % 5], "pascal_a" if i % 2 else "pascal_b") for i in range(20)]
    recordings += [made(20 + i, CLASSES[i % 2], "circor", NO_EXTRASYSTOLE) for i in range(8)]
    recordings += [made(28 + i, "artifact", "noise") for i in range(4)]
    return tiny_data.table(recordings, [20 + 7 * (i % 12) for i in range(len(recordings))])


def changed(config: Config, part: str, **values: Any) -> Config:
    return dataclasses.replace(config, **{part: dataclasses.replace(getattr(config, part), **values)})


def never() -> bool:
    return False


def weights(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    return net.state_dict()


def equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one).values(), weights(other).values(), strict=True))


def learn(path: Path, seed: int = 3, config: Config = TINY, watched: tuple[int, ...] = ()) -> HeartNet:
    table = small_table()
    return heart_fit(config, table, range(len(table)), seed, watched).run(path, lambda *_: None, never)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[HeartNet, Path]:
    path = tmp_path_factory.mktemp("whole") / "net.safetensors"
    return learn(path), path


# --- the network


@pytest.fixture(scope="module")
def net() -> HeartNet:
    torch.set_num_threads(1)  # as in training; on busy cores more only wait for each other
    torch.manual_seed(0)
    fresh, channels = HeartNet(NetSpec()), NetSpec().channels
    with torch.no_grad():  # normalisation away from its initial values, as after training
        for norm in (fresh.first_norm, fresh.second_norm):
            norm.load_state_dict(
                norm.state_dict() | {"running_mean": torch.randn(channels), "running_var": torch.rand(channels) + 0.5}
            )
            norm.bias.normal_()
    return fresh.eval()


@settings(max_examples=60, deadline=None)
@given(
    frames=st.lists(st.integers(POOLING, 61), min_size=1, max_size=4), extra=st.integers(0, 9), fill=st.floats(-9, 9)
)
def test_padded_frames_never_change_logits(net: HeartNet, frames: list[int], extra: int, fill: float) -> None:
    windows = [np.random.default_rng(n).normal(-8, 3, (n, 32)).astype(np.float32) for n in frames]
    padded = torch.full((len(frames), max(frames) + extra, 32), fill)
    for row, window in enumerate(windows):
        padded[row, : len(window)] = torch.from_numpy(window)
    with torch.no_grad():
        together = net(padded, torch.tensor(frames)).numpy()
    alone = np.concatenate([window_logits(net, [window]) for window in windows])
    np.testing.assert_allclose(together, alone, atol=2e-5)


def test_how_loud_it_is_and_what_device_it_is_are_not_heard(net: HeartNet) -> None:
    window = np.random.default_rng(0).normal(-8, 3, (50, 32)).astype(np.float32)
    np.testing.assert_allclose(window_logits(net, [window]), window_logits(net, [window + 4]), atol=1e-4)
    x, mask, response = torch.from_numpy(window)[None], torch.ones(1, 50, 1), torch.linspace(-3, 5, 32)
    torch.testing.assert_close(_normalise(x, mask), _normalise(x + response, mask), atol=1e-5, rtol=0)


def test_the_network_is_small() -> None:
    assert 10_000 < parameters(HeartNet(NetSpec())) < 100_000


def test_the_lstm_hears_the_past_alone(net: HeartNet) -> None:
    """Unidirectional, one layer: what it says of a frame does not change with what comes after."""
    assert not net.lstm.bidirectional
    assert net.lstm.num_layers == 1
    x = torch.randn(1, 12, net.spec.channels, generator=torch.Generator().manual_seed(0))
    later = x.clone()
    later[:, 7:] += 3
    with torch.no_grad():
        before, after = net.lstm(x)[0], net.lstm(later)[0]
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_what_is_heard_is_pooled_and_classified(net: HeartNet) -> None:
    features = torch.from_numpy(np.random.default_rng(0).normal(-8, 3, (2, 50, 32)).astype(np.float32))
    frames = torch.tensor([50, 31])
    with torch.no_grad():
        heard, known = net.hear(features, frames)
        assert heard.shape == (2, 50 // POOLING, net.spec.hidden)
        pooled = net.pooled(heard, known)
        torch.testing.assert_close(net.last(pooled), net(features, frames))
        # Of the steps within a window one weighted mean; steps beyond it count nothing.
        beyond = heard.clone()
        beyond[1, 31 // POOLING :] = 99
        torch.testing.assert_close(net.pooled(beyond, known), pooled)
        shares = net.attention(heard[1, : 31 // POOLING]).softmax(dim=0)
        torch.testing.assert_close(pooled[1], (shares * heard[1, : 31 // POOLING]).sum(dim=0))


# --- masks


def batch_of(targets: list[int], speaks_of: list[tuple[bool, ...]]) -> Batch:
    n = len(targets)
    return Batch(
        np.random.default_rng(0).normal(0, 1, (n, 24, 8)).astype(np.float32),
        np.full(n, 24, dtype=np.int64),
        np.eye(5, dtype=np.float32)[targets],
        np.array(speaks_of),
        np.full((n, 24), NO_STATE, dtype=np.int64),
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_class_that_the_source_cannot_speak_of_gets_no_gradient(smoothing: float) -> None:
    logits = torch.randn(2, 5, generator=torch.Generator().manual_seed(1), requires_grad=True)
    masked_cross_entropy(logits, batch_of([0, 0], [NO_EXTRASYSTOLE, ALL]), smoothing).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    silent = CLASSES.index("extrasystole")
    assert logits.grad[0, silent] == 0
    assert (logits.grad[0, [0, 1, 2, 4]] != 0).all()
    assert (logits.grad[1] != 0).all()


def test_the_last_layer_does_not_learn_of_a_class_that_no_window_speaks_of() -> None:
    net = HeartNet(NetSpec(features=8, channels=6, hidden=6))
    batch = batch_of([0, 1, 4], [NO_EXTRASYSTOLE] * 3)
    logits = net(torch.from_numpy(batch.features), torch.from_numpy(batch.frames))
    masked_cross_entropy(logits, batch, 0.1).backward()  # type: ignore[no-untyped-call]
    assert net.last.weight.grad is not None
    assert not net.last.weight.grad[3].any()
    assert net.last.weight.grad[[0, 1, 2, 4]].any(dim=1).all()


def test_where_everything_is_known_the_loss_is_pytorch_s() -> None:
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(2))
    targets = [0, 1, 2, 3, 4, 4]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(targets), label_smoothing=0.1)
    torch.testing.assert_close(masked_cross_entropy(logits, batch_of(targets, [ALL] * 6), 0.1), expected)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(5, 24)), min_size=1, max_size=12),
    seed=st.integers(0, 999),
)
def test_mixup_keeps_targets_inside_what_both_speak_of(rows: list[tuple[int, bool, int]], seed: int) -> None:
    known = [ALL if label == 3 or full else NO_EXTRASYSTOLE for label, full, _ in rows]
    batch = batch_of([label for label, _, _ in rows], known)._replace(frames=np.array([n for *_, n in rows]))
    mixed = mixup(batch, 0.4, np.random.default_rng(seed))
    np.testing.assert_allclose(mixed.targets.sum(axis=1), 1, atol=1e-6)
    assert not mixed.targets[~mixed.speaks_of].any()
    assert not (mixed.speaks_of & ~batch.speaks_of).any()
    assert (mixed.frames <= batch.frames).all()
    assert (mixed.targets.argmax(axis=1) == batch.targets.argmax(axis=1)).mean() >= 0.5 or len(rows) < 4
    assert mixed.features.dtype == np.float32
    assert mixed.targets.dtype == np.float32


def test_mixup_blends_features_as_it_blends_targets() -> None:
    batch = batch_of([0, 1, 2, 4], [ALL] * 4)._replace(
        features=np.eye(5, dtype=np.float32)[[0, 1, 2, 4]][:, None, :].repeat(24, axis=1)
    )
    mixed = mixup(batch, 0.5, np.random.default_rng(0))
    np.testing.assert_allclose(mixed.features[:, 0], mixed.targets, atol=1e-6)
    assert ((mixed.targets > 0).sum(axis=1) == 2).any()


def test_what_the_heart_does_is_that_of_the_louder_part_of_a_blend() -> None:
    batch = batch_of([0, 1] * 20, [ALL] * 40)
    marks = np.repeat(np.arange(40)[:, None], 24, axis=1)
    batch = batch._replace(states=marks, features=np.eye(40, 8, dtype=np.float32)[:, None, :].repeat(24, axis=1))
    mixed = mixup(batch, 0.5, np.random.default_rng(0))
    assert np.array_equal(mixed.states, marks)
    own = [mixed.features[row, 0, row] for row in range(8)]
    assert min(own) >= 0.5
    assert min(own) < 0.9  # others are heard in it


def test_no_mixup_is_no_change() -> None:
    batch = batch_of([0, 1], [ALL] * 2)
    assert mixup(batch, 0.0, np.random.default_rng(0)) is batch


# --- what the heart does meanwhile


def stated(states: list[list[int]], frames: list[int]) -> Batch:
    batch = batch_of([0] * len(frames), [ALL] * len(frames))
    return batch._replace(states=np.array(states), frames=np.array(frames))


def test_the_loss_of_states_by_hand() -> None:
    """Each step stands for four frames and is asked for the second of them, within the window, where it is known."""
    marked = [[9, 2, 9, 9, 9, NO_STATE, 9, 9, 9, 1, 9, 9, 9, 4, 9, 9, 9, 0, 9, 9, 9, 3, 9, 9]]
    batch = stated(marked * 2, [24, 13])
    answers = torch.randn(2, 6, HEART_STATES, generator=torch.Generator().manual_seed(0))
    logs = answers.log_softmax(dim=2)
    steps = [(0, 0, 2), (0, 2, 1), (0, 3, 4), (0, 4, 0), (0, 5, 3), (1, 0, 2), (1, 2, 1)]  # 13 frames are three steps
    wanted = -torch.stack([logs[row, step, state] for row, step, state in steps]).mean()
    torch.testing.assert_close(state_cross_entropy(answers, batch), wanted)


def test_states_that_are_not_known_get_no_gradient_and_cost_nothing() -> None:
    batch = stated([[NO_STATE] * 24, [NO_STATE] * 5 + [1] * 19], [24, 24])
    answers = torch.randn(2, 6, HEART_STATES, generator=torch.Generator().manual_seed(0), requires_grad=True)
    state_cross_entropy(answers, batch).backward()  # type: ignore[no-untyped-call]
    assert answers.grad is not None
    assert not answers.grad[0].any()
    assert not answers.grad[1, :1].any()
    assert answers.grad[1, 2:].any(dim=1).all()
    assert float(state_cross_entropy(answers, stated([[NO_STATE] * 24] * 2, [24, 24])).detach()) == 0


def test_states_are_learned_by_their_weight() -> None:
    """Without weight the layer that tells them learns nothing; with it, it does, and the LSTM below it otherwise."""
    table = dataclasses.replace(small_table(), states=np.tile([0, 1, 2, 3, 4], 9999)[: len(small_table().values)])
    table = dataclasses.replace(table, states=table.states.astype(np.int8))
    grads = {}
    for weight in (0.0, 0.5):
        torch.manual_seed(0)
        task = HeartTask(changed(TINY, "fit", state_weight=weight), table, range(len(table)))
        net = task.fresh()
        task.loss(net, np.random.default_rng(0)).backward()  # type: ignore[no-untyped-call]
        found = {name: p.grad for name, p in net.named_parameters()}
        grads[weight] = [found[name] for name in ("states.weight", "lstm.weight_hh_l0")]
    (none, without), (some, otherwise) = grads[0.0], grads[0.5]
    assert none is not None
    assert some is not None
    assert without is not None
    assert otherwise is not None
    assert not none.any()
    assert some.any()
    assert not torch.equal(without, otherwise)


# --- sampling


def marked(recordings: list[Recording], frames: list[int]) -> Table:
    """Every frame of a recording holds its index, so that a window tells where it was cut."""
    values = np.concatenate([np.full((n, 8), i, dtype=np.float32) for i, n in enumerate(frames)])
    return Table.of(Features(tuple(recordings), values, np.cumsum([0, *frames])))


def drawn(config: Config, table: Table, batches: int, indices: Any = None) -> Counter[int]:
    """How often each recording was drawn, with nothing that changes a window."""
    still: dict[str, float] = {"filter_sd": 0, "floor_share": 0, "noise_share": 0, "stretch": 1}
    config = changed(changed(config, "augment", **still), "fit", mixup=0.0, batch=50)
    sampler, rng = Sampler(config, table, range(len(table)) if indices is None else indices), np.random.default_rng(0)
    found: Counter[int] = Counter()
    for _ in range(batches):
        batch = sampler.batch(rng)
        found.update(np.rint(batch.features[:, 0, 0]).astype(int).tolist())
    return found


def test_sources_are_drawn_by_their_shares_whatever_their_size() -> None:
    recordings = [made(i, "normal", "pascal_b") for i in range(5)]
    recordings += [made(5 + i, "normal", "circor", NO_EXTRASYSTOLE) for i in range(60)]
    recordings += [made(65 + i, "normal", "elsewhere") for i in range(10)]
    config = changed(TINY, "sampling", shares={"pascal_b": 0.5, "circor": 0.2, "noise": 7.0}, other=0.3)
    found = drawn(config, marked(recordings, [30] * 75), 80)
    sources: Counter[str] = Counter()
    for index, n in found.items():
        sources[recordings[index].source] += n
    shares = [sources[s] / 4000 for s in ("pascal_b", "circor", "elsewhere")]
    np.testing.assert_allclose(shares, [0.5, 0.2, 0.3], atol=0.03)


@pytest.mark.parametrize(("power", "share"), [(0.0, 0.5), (0.5, 1 / 4), (1.0, 1 / 10)])
def test_classes_are_drawn_by_their_count_to_the_power(power: float, share: float) -> None:
    recordings = [made(i, "murmur" if i < 4 else "normal") for i in range(40)]
    found = drawn(changed(TINY, "sampling", class_power=power, class_factors={}), marked(recordings, [30] * 40), 80)
    assert sum(found[i] for i in range(4)) / 4000 == pytest.approx(share, abs=0.03)


def test_only_the_given_and_no_too_short_recording_is_drawn() -> None:
    least = TINY.window.least_frames
    table = marked([made(i, "normal") for i in range(5)], [least - 1, least, 0, 200, 30])
    assert set(drawn(TINY, table, 10)) == {1, 3, 4}
    assert set(drawn(TINY, table, 10, indices=[0, 1, 3])) == {1, 3}


def test_a_class_is_drawn_by_its_factor() -> None:
    recordings = [made(i, CLASSES[i % 2]) for i in range(40)]
    factors = {"murmur": 0.25, "extrasystole": 9.0}  # a class that is not there changes nothing
    found = drawn(changed(TINY, "sampling", class_factors=factors), marked(recordings, [30] * 40), 80)
    murmurs = sum(count for place, count in found.items() if place % 2) / sum(found.values())
    assert murmurs == pytest.approx(0.2, abs=0.03)
    none = drawn(changed(TINY, "sampling", class_factors={"murmur": 0.0}), marked(recordings, [30] * 40), 20)
    assert not any(place % 2 for place in none)


@pytest.mark.parametrize("shares", [{"pascal_b": 1.0}, {"pascal_b": 0.0}])
def test_nothing_to_draw_is_refused_in_a_line(shares: dict[str, float]) -> None:
    frames = 30 if shares["pascal_b"] == 0 else TINY.window.least_frames - 1
    with pytest.raises(SettingError, match="nothing to learn from"):
        Sampler(changed(TINY, "sampling", shares=shares), marked([made(0, "normal")], [frames]), [0])


def test_windows_are_cut_from_one_recording_at_every_place_and_padded_with_zeros() -> None:
    table = small_table()
    places = np.arange(len(table.values))
    values = np.arange(len(table.values) * 8, dtype=np.float32).reshape(-1, 8)
    ramp = Table(table.recordings, values, table.offsets, (places % 5).astype(np.int8))
    still = {"filter_sd": 0, "floor_share": 0, "noise_share": 0, "stretch": 1, "band_mask": 0, "time_mask_frames": 0}
    sampler = Sampler(changed(changed(TINY, "augment", **still), "fit", mixup=0.0, batch=300), ramp, range(len(ramp)))
    batch = sampler.batch(np.random.default_rng(0))
    window = TINY.window
    starts = set()
    for x, n, target, states in zip(batch.features, batch.frames, batch.targets, batch.states, strict=True):
        first = int(x[0, 0]) // 8
        source = int(np.searchsorted(ramp.offsets, first, side="right")) - 1
        assert np.array_equal(x[:n], ramp.values[first : first + n])
        assert first + n <= ramp.offsets[source + 1]
        assert not x[n:].any()
        assert np.array_equal(states[:n], ramp.states[first : first + n])
        assert (states[n:] == NO_STATE).all()
        assert target[CLASSES.index(ramp.recordings[source].label)] == 1
        starts.add(first - int(ramp.offsets[source]))
    assert len(starts) > 15
    assert batch.frames.max() == window.window_frames
    assert min(batch.frames) >= window.first_frames


def test_states_are_stretched_with_the_window() -> None:
    """Frames hold their number and states which thirty of them they are in, so each tells the other."""
    values = np.repeat(np.arange(90.0)[:, None], 8, axis=1).astype(np.float32)
    states = (np.arange(90) // 30).astype(np.int8)
    table = Table((made(0, "normal"),), values, np.array([0, 90]), states)
    still = {"filter_sd": 0, "floor_share": 0, "noise_share": 0, "stretch": 1.6, "band_mask": 0, "time_mask_frames": 0}
    sampler = Sampler(changed(changed(TINY, "augment", **still), "fit", mixup=0.0, batch=200), table, [0])
    batch = sampler.batch(np.random.default_rng(0))
    known = np.arange(batch.features.shape[1]) < batch.frames[:, None]
    told, truth = batch.states[known], batch.features[..., 0][known] / 30
    away = np.abs(truth - np.round(truth)) > 1 / 30  # next to a border the nearest frame may be either side's
    assert np.array_equal(told[away], np.floor(truth[away]))
    steps = np.diff(batch.features[:, :10, 0]).mean(axis=1)
    assert steps.min() < 0.75
    assert steps.max() > 1.3


def test_every_window_of_the_real_augmentation_is_long_enough_for_the_network() -> None:
    table = tiny_data.table([made(i, CLASSES[i % 5]) for i in range(10)], [TINY.window.least_frames] * 10)
    config = changed(TINY, "augment", stretch=2.0)
    sampler, rng = Sampler(config, table, range(10)), np.random.default_rng(0)
    assert min(int(sampler.batch(rng).frames.min()) for _ in range(40)) >= POOLING


# --- learning


def test_the_same_seed_gives_the_same_weights(whole_run: tuple[HeartNet, Path], tmp_path: Path) -> None:
    assert equal(whole_run[0], learn(tmp_path / "again.safetensors"))


def test_another_seed_gives_other_weights(whole_run: tuple[HeartNet, Path], tmp_path: Path) -> None:
    assert not equal(whole_run[0], learn(tmp_path / "other.safetensors", seed=4))


def test_watching_changes_nothing(tmp_path: Path) -> None:
    """The held-out loss is looked at every 250 steps; the weights after that are as if nobody had looked."""
    config = from_dict(tomllib.loads(tiny_data.TINY_TOML.format(steps=255)))
    blind = learn(tmp_path / "blind.safetensors", config=config)
    table = small_table()
    fit = heart_fit(config, table, range(len(table)), 3, watched=[0, 1, 2])
    assert equal(fit.run(tmp_path / "seen.safetensors", lambda *_: None, never), blind)
    assert [p["step"] for p in fit.history] == [50, 100, 150, 200, 250]
    assert "held_out_loss" in fit.history[-1]
    assert np.isfinite(fit.history[-1]["held_out_loss"])


def test_it_learns(tmp_path: Path) -> None:
    config = changed(changed(TINY, "fit", steps=150, batch=16, learning_rate=1e-2, ema=0.9), "net", dropout=0.0)
    table = small_table()
    everything = list(range(len(table)))
    untrained = heart_fit(config, table, everything, 0).net
    net = heart_fit(config, table, everything, 0).run(tmp_path / "net.safetensors", lambda *_: None, never)
    losses = [recording_loss(n, config.window, table, everything) for n in (untrained, net)]
    assert losses[1] < 0.8 * losses[0]


@pytest.mark.parametrize("stops", [(1,), (7,), (13,), (2, 3, 19), (20,)])
def test_stopped_anywhere_and_resumed_gives_the_uninterrupted_weights(
    whole_run: tuple[HeartNet, Path], tmp_path: Path, stops: tuple[int, ...]
) -> None:
    path, table = tmp_path / "net.safetensors", small_table()
    for at in stops:
        torch.manual_seed(999)  # chance left over from elsewhere must not matter
        fit = heart_fit(TINY, table, range(len(table)), 3)
        with pytest.raises(Interrupted, match=f"stopped at step {at} of {STEPS}; continue with --resume"):
            fit.run(path, lambda *_: None, _at(fit, at))
    net = heart_fit(TINY, table, range(len(table)), 3).run(path, lambda *_: None, never)
    assert equal(net, whole_run[0])
    assert held_tensors(path) == held_tensors(whole_run[1])


def _at(fit: Fit[HeartNet], step: int) -> Callable[[], bool]:
    return lambda: fit.step == step


def held_tensors(path: Path) -> dict[str, list[float]]:
    return {name: t.double().flatten().tolist() for name, t in checkpoint.load(path).tensors.items()}


def test_killed_between_checkpoints_it_goes_on_from_the_last(whole_run: tuple[HeartNet, Path], tmp_path: Path) -> None:
    path, table, seen = tmp_path / "net.safetensors", small_table(), []

    def die_at_twelve(step: int, _: float) -> None:
        seen.append(step)
        if step == 12:
            raise MemoryError

    with pytest.raises(MemoryError):
        heart_fit(TINY, table, range(len(table)), 3).run(path, die_at_twelve, never)
    steps: list[int] = []
    net = heart_fit(TINY, table, range(len(table)), 3).run(path, lambda n, _: steps.append(n), never)
    assert (seen[-1], steps[0], steps[-1]) == (12, TINY.fit.checkpoint_steps + 1, STEPS)
    assert equal(net, whole_run[0])


def test_a_finished_run_is_not_learned_again(whole_run: tuple[HeartNet, Path]) -> None:
    table, steps = small_table(), []
    net = heart_fit(TINY, table, range(len(table)), 3).run(whole_run[1], lambda n, _: steps.append(n), never)
    assert not steps
    assert equal(net, whole_run[0])


def test_a_fingerprint_is_of_names_and_features_whatever_their_order() -> None:
    table = small_table()
    own = table.fingerprint([0, 1, 5])
    assert own == table.fingerprint([5, 0, 1]) == small_table().fingerprint([1, 5, 0])
    first, outside = table.values.copy(), table.values.copy()
    first[table.offsets[1], 0] = np.nextafter(first[table.offsets[1], 0], np.float32(99))
    outside[table.offsets[2]] += 1
    renamed = dataclasses.replace(table.recordings[5], name="other.wav")
    others = [
        table.fingerprint([0, 1]),
        dataclasses.replace(table, values=first).fingerprint([0, 1, 5]),
        dataclasses.replace(table, recordings=(*table.recordings[:5], renamed, *table.recordings[6:])).fingerprint(
            [0, 1, 5]
        ),
    ]
    assert len({own, *others}) == 4
    assert dataclasses.replace(table, values=outside).fingerprint([0, 1, 5]) == own


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (lambda t: heart_fit(changed(TINY, "fit", steps=21), t, range(len(t)), 3), "other settings"),
        (lambda t: heart_fit(changed(TINY, "augment", filter_sd=0.5), t, range(len(t)), 3), "other settings"),
        (lambda t: heart_fit(changed(TINY, "net", hidden=7), t, range(len(t)), 3), "other settings"),
        (lambda t: heart_fit(changed(TINY, "window", hop_frames=11), t, range(len(t)), 3), "other settings"),
        (lambda t: heart_fit(changed(TINY, "sampling", class_power=0.4), t, range(len(t)), 3), "other settings"),
        (lambda t: heart_fit(changed(TINY, "front_end", low_hz=26.0), t, range(len(t)), 3), "other settings"),
        (lambda t: heart_fit(TINY, t, range(len(t)), 4), "other settings"),
        (lambda t: heart_fit(TINY, t, range(1, len(t)), 3), "other recordings"),
        (lambda t: heart_fit(TINY, dataclasses.replace(t, values=t.values + 1), range(len(t)), 3), "other recordings"),
    ],
)
def test_resume_with_anything_else_is_refused(
    whole_run: tuple[HeartNet, Path], other: Callable[[Table], Fit[HeartNet]], says: str
) -> None:
    with pytest.raises(SettingError, match=says) as refusal:
        other(small_table()).run(whole_run[1], lambda *_: None, never)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("answer", {"risk": 0.2}),
        ("machine", {"cost": 2.0}),
        ("intervals", {"memory_frames": 300}),
        ("beat_fit", {"steps": 7}),
        ("beat_net", {"hidden": 7}),
        ("beat_augment", {"stretch": 1.1}),
        ("rhythm", {"threshold": 0.5}),
    ],
)
def test_what_this_network_does_not_depend_on_may_change(
    whole_run: tuple[HeartNet, Path], part: str, values: dict[str, Any]
) -> None:
    table = small_table()
    fit = heart_fit(changed(TINY, part, **values), table, range(len(table)), 3)
    steps: list[int] = []
    assert equal(fit.run(whole_run[1], lambda n, _: steps.append(n), never), whole_run[0])
    assert not steps


def test_every_part_of_the_configuration_is_named_right_by_who_depends_on_it() -> None:
    """All parts but those used after learning alone; a misspelt one would be missed only when a run is resumed."""
    parts = {field.name for field in dataclasses.fields(Config)} - {"seed"}
    assert set(HeartTask.settings) | set(BeatTask.settings) == parts - {"answer", "intervals", "machine"}


# --- checkpoints


def test_a_checkpoint_holds_tensors_and_json_and_no_pickle(whole_run: tuple[HeartNet, Path]) -> None:
    data = whole_run[1].read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    notes = json.loads(header.pop("__metadata__")["laennec"])
    assert {"config", "seed", "learned", "step", "history", "groups", "schedule", "random"} == set(notes)
    assert {name.split(".")[0] for name in header} == {"net", "average", "optimizer", "random"}
    assert 8 + length + max(t["data_offsets"][1] for t in header.values()) == len(data)
    for unpickled in (data, data[8:], data[8 + length :]):
        with pytest.raises((pickle.UnpicklingError, ValueError, EOFError, KeyError, IndexError)):
            pickle.loads(unpickled)
    with safe_open(whole_run[1], framework="np") as file:  # readable without torch
        assert file.get_tensor("net.last.weight").shape == (5, 6)


def test_the_averaged_weights_are_the_ones_that_predict(whole_run: tuple[HeartNet, Path]) -> None:
    net = HeartNet(TINY.net)
    net.load_state_dict(checkpoint.averaged(checkpoint.load(whole_run[1])))
    assert equal(net, whole_run[0])
    raw = HeartNet(TINY.net)
    raw.load_state_dict(checkpoint.part(checkpoint.load(whole_run[1]), "net"))
    assert not equal(raw, whole_run[0])


def test_a_save_that_fails_leaves_the_checkpoint_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.safetensors"
    checkpoint.save(path, checkpoint.Checkpoint({"a.b": torch.ones(3)}, {"step": 1}))
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk is gone")))
    with pytest.raises(OSError, match="disk is gone"):
        checkpoint.save(path, checkpoint.Checkpoint({"a.b": torch.zeros(3)}, {"step": 2}))
    assert checkpoint.load(path).notes == {"step": 1}
    assert torch.equal(checkpoint.part(checkpoint.load(path), "a")["b"], torch.ones(3))


def halve(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    "spoil", [halve, lambda _: b"", lambda d: b"\xff" * len(d), lambda _: pickle.dumps({"net": 1}), lambda d: d[:-1]]
)
def test_a_damaged_checkpoint_is_refused_in_a_line(
    whole_run: tuple[HeartNet, Path], tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(spoil(whole_run[1].read_bytes()))
    for read in (lambda: checkpoint.load(path), lambda: learn(path)):
        with pytest.raises(InputFileError, match=r"net\.safetensors") as refusal:
            read()
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("note", [None, "{", "[1, 2]", "3", "null"])
def test_a_foreign_safetensors_file_is_refused_in_a_line(tmp_path: Path, note: str | None) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"net.x": torch.ones(2)}, path, metadata=None if note is None else {"laennec": note})
    with pytest.raises(InputFileError, match="is not a Laennec checkpoint") as refusal:
        checkpoint.load(path)
    assert "\n" not in str(refusal.value)


def without(notes: dict[str, Any], tensors: dict[str, torch.Tensor], missing: str) -> checkpoint.Checkpoint:
    return checkpoint.Checkpoint(
        {n: t for n, t in tensors.items() if not n.startswith(missing)},
        {n: v for n, v in notes.items() if n != missing},
    )


@pytest.mark.parametrize("missing", ["config", "seed", "random", "schedule", "groups", "net", "average"])
def test_a_checkpoint_with_a_part_missing_is_refused_in_a_line(
    whole_run: tuple[HeartNet, Path], tmp_path: Path, missing: str
) -> None:
    path, held = tmp_path / "net.safetensors", checkpoint.load(whole_run[1])
    checkpoint.save(path, without(held.notes, held.tensors, missing))
    with pytest.raises(InputFileError, match="not a checkpoint of this version") as refusal:
        learn(path)
    assert "\n" not in str(refusal.value)


def test_a_missing_checkpoint_is_refused_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="no checkpoint there") as refusal:
        checkpoint.load(tmp_path / "none.safetensors")
    assert "\n" not in str(refusal.value)


def test_a_folder_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="is not a Laennec checkpoint"):
        checkpoint.load(tmp_path)


# --- predicting


def test_a_recording_is_the_mean_of_its_windows(whole_run: tuple[HeartNet, Path]) -> None:
    net, window = whole_run[0], TINY.window
    table = tiny_data.table([made(i, "normal") for i in range(4)], [30, 95, 5, 60])
    found = recording_logits(net, window, table, [0, 1, 2, 3])
    long = table.features(1)
    ends = [60, 70, 80, 90, 95]
    by_hand = window_logits(net, [long[end - 60 : end] for end in ends]).mean(axis=0)
    np.testing.assert_allclose(found[1], by_hand, atol=1e-5)
    np.testing.assert_allclose(found[0], window_logits(net, [table.features(0)])[0], atol=1e-5)
    np.testing.assert_allclose(found[3], window_logits(net, [table.features(3)])[0], atol=1e-5)
    assert not found[2].any()  # too short: no class is likelier than another
    assert np.array_equal(recording_logits(net, window, table, [3, 1])[1].round(4), found[1].round(4))


def test_what_a_network_knows_of_a_recording_is_of_its_last_window(whole_run: tuple[HeartNet, Path]) -> None:
    net, window = whole_run[0], TINY.window
    table = tiny_data.table([made(i, "normal") for i in range(4)], [30, 95, 5, 60])
    found = embeddings(net, window, table, [3, 1, 2, 0])
    assert found.shape == (4, net.spec.hidden)
    assert not found[2].any()  # too short
    last = [table.features(3), table.features(1)[-60:], table.features(0)]
    logits = torch.from_numpy(found[[0, 1, 3]].astype(np.float32)) @ net.last.weight.T + net.last.bias
    np.testing.assert_allclose(logits.detach().numpy(), window_logits(net, last), atol=1e-5)
