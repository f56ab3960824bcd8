"""What the rhythm tells of extrasystoles: who is learned from, the kernel machine, what early beats weigh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_bundle
import torch
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from models import intervals
from models.nets import BeatNet
from train import extrasystole
from train.beat_windows import BeatWindow, early_beats
from train.config import AnswerSpec, Config, MachineSpec
from train.datasets import Recording
from train.filterbank import front_end
from train.table import Features
from train.timings import DIASTOLE, S1, S2, SYSTOLE, Timed, in_frames

Array = np.ndarray
CONFIG = Config()
SIZE = CONFIG.intervals.size


# --- who is learned from


def recording(i: int, label: str, source: str) -> Recording:
    return Recording(Path(f"{i}.wav"), f"{i}.wav", label, source, f"{source}/{i}", (True,) * 5)


def test_machines_learn_from_sources_that_have_extrasystoles() -> None:
    """Else a machine would tell the device: every extrasystole of PASCAL is from set B."""
    labels = ["normal", "extrasystole", "murmur", "normal", "normal", "artifact", "extrasystole"]
    sources = ["pascal_b", "pascal_b", "pascal_b", "pascal_a", "circor", "noise", "folder"]
    recordings = [recording(i, *pair) for i, pair in enumerate(zip(labels, sources, strict=True))]
    assert extrasystole.tells(recordings, np.arange(7)).tolist() == [0, 1, 6]
    assert extrasystole.tells(recordings, np.array([0, 3, 4, 6])).tolist() == [6]
    nobody = extrasystole.tells(recordings, np.array([0, 2, 3, 5]))
    assert len(nobody) == 0
    assert nobody.dtype == np.int64


# --- the machine


def told(count: int, seed: int = 0, apart: float = 1.5) -> tuple[Array, Array]:
    """Made intervals (count, SIZE), a quarter of them of extrasystoles; values of very different scales."""
    rng = np.random.default_rng(seed)
    positive = np.arange(count) % 4 == 0
    x = rng.normal(0, 1, (count, SIZE))
    x[:, :6] += apart * positive[:, None]
    return x * np.linspace(0.1, 30, SIZE) + 3, positive


def test_the_machine_is_scikit_learns() -> None:
    x, positive = told(80)
    config = replace(CONFIG, machine=MachineSpec(cost=2.0, reach=0.8))
    machine = extrasystole.fit(config, x, positive)
    assert machine is not None
    assert machine.spec == CONFIG.intervals
    wanted = make_pipeline(StandardScaler(), SVC(C=2.0, gamma=0.8 / SIZE, class_weight="balanced")).fit(x, positive)
    unseen, _ = told(30, seed=1)
    np.testing.assert_allclose(machine.scores(unseen), wanted.decision_function(unseen), rtol=1e-9, atol=1e-9)


def test_it_tells_extrasystoles_that_it_never_saw_and_neither_kind_is_favoured() -> None:
    machine = extrasystole.fit(CONFIG, *told(160))
    assert machine is not None
    x, positive = told(200, seed=1)
    scores = machine.scores(x)
    assert roc_auc_score(positive, scores) > 0.9
    # A quarter are extrasystoles; with the same weight for both kinds the boundary lies between, not beyond them.
    assert (scores[positive] > 0).mean() > 0.6
    assert (scores[~positive] < 0).mean() > 0.75


def test_where_there_is_nothing_to_tell_nothing_is_told() -> None:
    machine = extrasystole.fit(CONFIG, *told(160, apart=0.0))
    assert machine is not None
    x, positive = told(200, seed=1, apart=0.0)
    assert 0.35 < roc_auc_score(positive, machine.scores(x)) < 0.65


@pytest.mark.parametrize(("normal", "early"), [(0, 0), (5, 1), (1, 5), (0, 9)])
def test_too_few_of_either_kind_make_no_machine(normal: int, early: int) -> None:
    positive = np.arange(normal + early) < early
    assert extrasystole.fit(CONFIG, np.zeros((len(positive), SIZE)), positive) is None


def test_values_that_never_differ_do_no_harm() -> None:
    x, positive = told(40)
    x[:, 10:] = 0.0
    machine = extrasystole.fit(CONFIG, x, positive)
    assert machine is not None
    assert np.isfinite(machine.scores(x)).all()


def test_a_recording_is_described_by_what_was_heard_of_it_by_then() -> None:
    heard = np.random.default_rng(0).normal(-8, 3, (620, 32)).astype(np.float32)
    found = extrasystole.describe(CONFIG, heard, [48, 300, 620])
    assert found.shape == (3, SIZE)
    for row, end in zip(found, (48, 300, 620), strict=True):
        wanted = intervals.describe(CONFIG.intervals, 0.02, heard[max(0, end - 500) : end].astype(np.float64))
        assert np.array_equal(row, wanted)
    assert extrasystole.describe(CONFIG, heard, []).shape == (0, SIZE)


def test_cepstra_are_described_by_the_energies_they_stand_for() -> None:
    """As the bundle does, which looks at envelopes of energies whatever the network hears."""
    sound = tiny_bundle.thumps(8, tiny_bundle.skipping(8))
    plain = extrasystole.describe(CONFIG, front_end(CONFIG.front_end).extract(sound), [398])
    front = replace(CONFIG.front_end, cepstra=32)  # all of them: nothing is lost
    config = replace(
        CONFIG,
        front_end=front,
        augment=replace(CONFIG.augment, noise_share=0.0, floor_share=0.0),
        beat_augment=replace(CONFIG.beat_augment, noise_share=0.0, floor_share=0.0),
    )
    np.testing.assert_allclose(extrasystole.describe(config, front_end(front).extract(sound), [398]), plain, atol=1e-6)


# --- early beats


def cycles(onsets_s: Array, end_s: float) -> Array:
    """(n, 3) segments of the beats of `tiny_bundle.thumps`."""
    rows = []
    for onset, following in zip(onsets_s, [*onsets_s[1:], end_s], strict=True):
        places = [onset, onset + 0.08, onset + 0.3, onset + 0.38, following]
        rows += [(a, b, s) for a, b, s in zip(places, places[1:], (S1, SYSTOLE, S2, DIASTOLE), strict=False)]
    return np.array(rows)


def timed(onsets_s: Sequence[Array], seconds: float) -> Features[Timed]:
    """Annotated hearts that beat at these times."""
    front, parts, found = front_end(CONFIG.front_end), [], []
    for k, own in enumerate(onsets_s):
        parts.append(front.extract(tiny_bundle.thumps(seconds, own, seed=k + 1)).astype(np.float32))
        found.append(Timed(Path(f"{k}.wav"), f"{k}.wav", "circor", f"circor/{k}", cycles(own, seconds)))
    return Features(tuple(found), np.concatenate(parts), np.cumsum([0, *(len(p) for p in parts)]))


@pytest.fixture(scope="module")
def hearts() -> Features[Timed]:
    """Twelve steady hearts of 12 s at rates of their own."""
    torch.set_num_threads(1)
    return timed([np.arange(0.2, 12, 0.7 + 0.02 * k) for k in range(12)], 12.0)


@pytest.fixture(scope="module")
def config() -> Config:
    return tiny_bundle.hearing_config()


def most(config: Config, net: BeatNet, hearts: Features[Timed], seed: int = 0) -> tuple[Array, Array]:
    """The most early beats at any moment of each heart as it is, and made uneven as `weigh_premature` draws."""
    rng, found = np.random.default_rng(seed), np.zeros((len(hearts), 2), dtype=int)
    for i in rng.permutation(np.arange(len(hearts))):
        heard = hearts.features(i)
        window = BeatWindow(heard, in_frames(config.front_end, hearts.recordings[i].segments))
        for kind, features in enumerate((heard, early_beats(window, rng).features)):
            ends = [*range(48, len(features), 25), len(features)]
            found[i, kind] = extrasystole.premature(config, net, features, ends).max()
    return found[:, 0], found[:, 1]


def test_what_early_beats_weigh_is_how_much_likelier_two_of_them_are_in_uneven_hearts(
    hearts: Features[Timed], config: Config
) -> None:
    net = tiny_bundle.hearing_net(config)
    found = extrasystole.weigh_premature(config, net, hearts, range(12), seed=0)
    assert type(found) is float
    assert found > 0  # steady hearts have none, so they are far likelier among the others
    assert found == extrasystole.weigh_premature(config, net, hearts, range(12), seed=0)
    # By hand: no steady heart has an early beat, and of the others so many have two.
    steady, uneven = most(config, net, hearts)
    assert not steady.any()
    assert set(uneven.tolist()) >= {0, 1, 2}
    assert found == pytest.approx(np.log((1 + (uneven >= 2).sum()) / 1), abs=1e-4)


def test_early_beats_count_though_they_are_forgotten_by_the_end(config: Config) -> None:
    """As for an answer of a whole recording; these hearts have theirs in the first of 20 seconds, as they are."""
    onsets_s = np.arange(0.2, 20, 0.8)
    skipping = onsets_s - 0.32 * np.isin(np.arange(len(onsets_s)), [5, 9])
    once = onsets_s - 0.32 * np.isin(np.arange(len(onsets_s)), [5])
    hearts, net = timed([onsets_s, once, skipping, skipping, skipping], 20.0), tiny_bundle.hearing_net(config)
    steady, uneven = most(config, net, hearts)
    assert steady.tolist() == [0, 1, 2, 2, 2]
    for i in (2, 3, 4):
        assert extrasystole.premature(config, net, hearts.features(i), [len(hearts.features(i))]) == [0]
    found = extrasystole.weigh_premature(config, net, hearts, range(5), seed=0)
    assert found == pytest.approx(np.log((1 + (uneven >= 2).sum()) / (1 + 3)), abs=1e-4)


def test_a_network_that_finds_no_beats_weighs_nothing(hearts: Features[Timed], config: Config) -> None:
    net = tiny_bundle.hearing_net(config)
    with torch.no_grad():
        net.last.bias[:2] = -30
    assert extrasystole.weigh_premature(config, net, hearts, range(12), seed=0) == 0


def test_only_the_given_recordings_are_weighed(hearts: Features[Timed], config: Config) -> None:
    """Another heart's early beats must not count: these have none but the ones that are made."""
    net = tiny_bundle.hearing_net(config)
    values = hearts.values.copy()
    skipping = front_end(CONFIG.front_end).extract(tiny_bundle.thumps(12, tiny_bundle.skipping(12, every=3)))
    values[hearts.rows(11)] = skipping
    spoilt = replace(hearts, values=values)
    others = extrasystole.weigh_premature(config, net, hearts, range(11), seed=0)
    assert extrasystole.weigh_premature(config, net, spoilt, range(11), seed=0) == others
    assert extrasystole.weigh_premature(config, net, spoilt, range(12), seed=0) < others
    assert extrasystole.weigh_premature(config, net, hearts, range(11), seed=1) != others


@pytest.mark.parametrize("prior", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("ratio", [-0.4, 0.0, 1.25, 3.0])
def test_odds_are_the_prior_s_times_what_early_beats_weigh(prior: float, ratio: float) -> None:
    config = replace(CONFIG, answer=AnswerSpec(extrasystoles=prior))
    odds = extrasystole.early_odds(config, ratio)
    assert type(odds) is float
    share = np.exp(ratio) * prior
    assert 1 / (1 + np.exp(-odds)) == pytest.approx(share / (share + 1 - prior), rel=1e-9)
