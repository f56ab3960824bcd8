"""One whole model: nothing is fitted or chosen on answers about what was learned from.

And a stopped run goes on as it was.
"""

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

from models.classes import CLASSES
from models.join import NEVER, Joined, probabilities, weigh
from models.nets import HeartNet
from train import calibrate, evidence, extrasystole, heart, inner, nested
from train.calibrate import Heard
from train.config import Config, from_dict, recipes
from train.datasets import Recording
from train.inner import Sources, Work
from train.loop import Interrupted
from train.nested import Learned
from train.predict import recording_logits
from train.table import Table

Array = np.ndarray
Sides = tuple[Array, Array]  # learned from; unclear
CONFIG = from_dict(tomllib.loads(tiny_data.TINY_TOML.format(steps=4)) | {"answer": {"folds": 3}})
RECIPES = ("default", "even")
CIRCOR = tuple(name != "extrasystole" for name in CLASSES)


def made() -> list[Recording]:
    """30 recordings of PASCAL, two a group; 24 of CirCor, three sites a person, some unclear; 6 noises."""
    found = [_recording(i, CLASSES[i // 2 % 5], f"pascal_{'ab'[i % 4 // 2]}", i // 2) for i in range(30)]
    for person in range(8):
        label = ("normal", "murmur", "unknown")[min(2, person % 4)]
        for site in range(3):
            heard = "murmur" if label == "murmur" and site == 0 else "normal"
            r = _recording(30 + 3 * person + site, heard, "circor", person, CIRCOR)
            found.append(dataclasses.replace(r, patient=str(person), patient_label=label))
    return found + [_recording(54 + i, "artifact", "noise", i) for i in range(6)]


def _recording(i: int, label: str, source: str, group: int, speaks_of: tuple[bool, ...] = (True,) * 5) -> Recording:
    return Recording(Path(f"{i}.wav"), f"{i:03}.wav", label, source, f"{source}/{group}", speaks_of)


@pytest.fixture(scope="module")
def sources() -> Sources:
    recordings = made()
    table = tiny_data.table(recordings, [40 + 9 * (i % 7) for i in range(len(recordings))])
    at = evidence.moments(CONFIG, table)
    early = np.random.default_rng(0).integers(0, 3, len(at.ends))
    return Sources(table, at, early, 1.5)


@pytest.fixture(scope="module")
def indices() -> Sides:
    """What is learned from and what is unclear; 12 recordings of PASCAL, two persons and a noise are for testing."""
    recordings = made()
    held = {*(r.group for r in recordings[:12]), "circor/0", "circor/3", "noise/0"}
    kept = np.array([i for i, r in enumerate(recordings) if r.group not in held])
    unclear = [recordings[i].patient_label in {"murmur", "unknown"} and recordings[i].label == "normal" for i in kept]
    return kept[~np.array(unclear)], kept[np.array(unclear)]


class Seen:
    """What each network and each machine learned from, and what each network was asked."""

    def __init__(self) -> None:
        self.configs: list[Config] = []
        self.learned: list[list[int]] = []
        self.watched: list[list[int]] = []
        self.asked: list[list[int]] = []
        self.machines: list[list[int]] = []


Watched = tuple[Seen, Learned, Path]


@pytest.fixture(scope="module")
def watched(sources: Sources, indices: Sides, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """A whole run with spies on what learns and what is asked."""
    seen, folder = Seen(), tmp_path_factory.mktemp("nested")
    fit, logits, tells = heart.fit, recording_logits, extrasystole.tells

    def spy_fit(config: Config, table: Table, some: list[int], seed: int, held: list[int] = []) -> Any:  # noqa: B006
        seen.configs.append(config)
        seen.learned.append([int(i) for i in some])
        seen.watched.append([int(i) for i in held])
        return fit(config, table, some, seed, held)

    def spy_logits(net: HeartNet, spec: Any, table: Table, some: list[int]) -> Array:
        seen.asked.append([int(i) for i in some])
        return logits(net, spec, table, some)

    def spy_tells(recordings: Any, some: Array) -> Array:
        seen.machines.append([int(i) for i in some])
        return tells(recordings, some)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heart, "fit", spy_fit)
        patch.setattr(inner, "recording_logits", spy_logits)
        patch.setattr(extrasystole, "tells", spy_tells)
        learned = nested.learn(CONFIG, Work(sources, *indices, 3, folder))
    return seen, learned, folder


def groups(sources: Sources, some: list[int]) -> set[str]:
    return {sources.table.recordings[i].group for i in some}


def test_no_inner_answer_is_of_a_network_or_machine_that_learned_from_its_group(
    sources: Sources, indices: Sides, watched: Watched
) -> None:
    seen = watched[0]
    assert len(seen.learned) == 7  # of two recipes three inner folds each, and all of it
    assert len(seen.machines) == 4  # the same for both recipes
    assert len(seen.asked) == 6
    for k, (learned, asked) in enumerate(zip(seen.learned, seen.asked, strict=False)):
        assert not groups(sources, learned) & groups(sources, asked)
        assert seen.machines[k % 3] == learned
        assert seen.learned[k % 3] == learned
    everything = sorted(np.concatenate(indices).tolist())
    for first in (0, 3):
        assert seen.watched[first]
        assert set(seen.watched[first]) <= set(seen.asked[first]) & set(indices[0].tolist())
        assert sorted(i for asked in seen.asked[first : first + 3] for i in asked) == everything
    assert [bool(some) for some in seen.watched] == [True, False, False] * 2 + [False]


def test_what_is_unclear_is_never_learned_from_and_always_answered(indices: Sides, watched: Watched) -> None:
    seen, learned, _ = watched
    usable, also = (set(some.tolist()) for some in indices)
    assert also
    for some in (*seen.learned, *seen.machines):
        assert set(some) <= usable
    assert seen.learned[-1] == seen.machines[-1] == sorted(usable)
    assert learned.asked.tolist() == sorted(usable | also)
    assert learned.answers.shape == (len(learned.asked), 5)


@pytest.fixture(scope="module")
def heard(sources: Sources, watched: Watched) -> dict[str, Heard]:
    """What each recipe's networks on disk and the machines say of their folds' recordings, in the order of `asked`."""
    _, _, folder = watched
    inners = {f"{name}-inner{k}.safetensors" for name in RECIPES for k in range(3)}
    assert {p.name for p in folder.iterdir()} == inners | {"model.safetensors"}
    return {name: of_recipe(sources, watched, name) for name in RECIPES}


def of_recipe(sources: Sources, watched: Watched, name: str) -> Heard:
    seen, learned, folder = watched
    n = len(learned.asked)
    found = Heard(np.zeros((n, 5)), np.zeros(n))
    for k, (some, asked) in enumerate(zip(seen.learned[:3], seen.asked[:3], strict=True)):
        fit = heart.fit(recipes(CONFIG)[name], sources.table, some, 3)
        path = folder / f"{name}-inner{k}.safetensors"
        net = fit.run(path, lambda *_: pytest.fail("it learns again"), lambda: False)
        rows = np.searchsorted(learned.asked, asked)
        found.logits[rows] = recording_logits(net, CONFIG.window, sources.table, asked)
        own = extrasystole.tells(sources.table.recordings, np.array(some))
        positive = sources.table.labels[own] == CLASSES.index("extrasystole")
        machine = extrasystole.fit(CONFIG, sources.moments.last(own.tolist()), positive)
        found.scores[rows] = evidence.mean_scores(machine, sources.moments, asked)
    assert np.ptp(found.scores) > 0
    return found


def test_the_answer_is_fitted_on_inner_answers_of_what_is_clean_at_natural_weights(
    sources: Sources, indices: Sides, watched: Watched, heard: dict[str, Heard]
) -> None:
    learned, own = watched[1], clean(sources, indices, watched[1], heard[watched[1].recipe])
    weights = inner.natural([sources.table.recordings[i] for i in learned.asked[np.isin(learned.asked, indices[0])]])
    assert learned.join == calibrate.fit_join(*own, weights, sources.early_odds)
    assert learned.join != calibrate.fit_join(*own, np.ones(len(weights)), sources.early_odds)
    assert learned.join.early == sources.early_odds == 1.5


def clean(sources: Sources, indices: Sides, learned: Learned, told: Heard) -> tuple[Heard, Array, Array]:
    """Answers on what was learned from, its truth and what its sources speak of."""
    rows = np.isin(learned.asked, indices[0])
    own = learned.asked[rows]
    speaks_of = np.array([sources.table.recordings[i].speaks_of for i in own])
    return told.of(rows), sources.table.labels[own], speaks_of


def test_the_recipe_with_the_least_cross_entropy_in_inner_folds_is_taken(
    sources: Sources, indices: Sides, watched: Watched, heard: dict[str, Heard]
) -> None:
    """Of what is clean, at natural weights, among the classes that a source can speak of, early beats aside."""
    seen, learned, _ = watched
    losses = {}
    for name in RECIPES:
        own, truth, speaks_of = clean(sources, indices, learned, heard[name])
        recordings = [sources.table.recordings[i] for i in learned.asked[np.isin(learned.asked, indices[0])]]
        weights = inner.natural(recordings)
        spec = calibrate.fit_join(own, truth, speaks_of, weights, sources.early_odds)
        odds = np.exp(weigh(spec, own.logits, own.scores)) * speaks_of
        p = odds[np.arange(len(truth)), truth] / odds.sum(axis=1)
        losses[name] = float(-(weights * np.log(p)).sum() / weights.sum())
    # Nothing is left to learn: the networks are read back.
    alone = inner.choose(recipes(CONFIG)["default"], Work(sources, *indices, 3, watched[2]))
    assert alone.recipe == "default"
    assert alone.loss == pytest.approx(losses["default"])
    assert losses["default"] != losses["even"]
    assert learned.recipe == min(RECIPES, key=lambda name: losses[name])
    wanted = [recipes(CONFIG)[name] for name in ("default",) * 3 + ("even",) * 3 + (learned.recipe,)]
    assert seen.configs == wanted
    assert [config.sampling.shares for config in wanted[::3]] == [
        CONFIG.sampling.shares,
        CONFIG.sampling.tried["even"],
        recipes(CONFIG)[learned.recipe].sampling.shares,
    ]


def test_which_recipe_is_named_first_does_not_matter(
    sources: Sources, indices: Sides, watched: Watched, tmp_path: Path
) -> None:
    sampling = CONFIG.sampling
    turned = dataclasses.replace(sampling, shares=sampling.tried["even"], tried={"even": sampling.shares})
    config = dataclasses.replace(CONFIG, sampling=turned)
    best = inner.choose(config, Work(sources, *indices, 3, tmp_path))
    assert {best.recipe, watched[1].recipe} == set(RECIPES)
    assert best.config == recipes(CONFIG)[watched[1].recipe]


def test_inner_answers_join_what_the_networks_the_machines_and_the_early_beats_said(
    sources: Sources, watched: Watched, heard: dict[str, Heard]
) -> None:
    """Early beats that are enough at any of the windows that speak count, however many of these know of none."""
    learned, at = watched[1], sources.moments
    own, told = heard[learned.recipe], []
    for row, i in enumerate(learned.asked):
        counts = sources.early[at.rows(i)][at.speaks[at.rows(i)]]
        early = 1.5 if max(counts) >= 2 else NEVER
        joined = Joined(weigh(learned.join, own.logits[row], own.scores[row]), np.array(early))
        np.testing.assert_allclose(learned.answers[row], joined.told, atol=1e-9)
        told.append((early, min(counts) < 2))
    assert set(told) == {(NEVER, True), (1.5, True), (1.5, False)}


def test_the_threshold_is_of_inner_answers_of_what_is_clean_at_natural_weights_too(
    sources: Sources, indices: Sides, watched: Watched
) -> None:
    learned, table = watched[1], sources.table
    counted = np.array([i in set(indices[0]) and table.recordings[i].source != "noise" for i in learned.asked])
    weights = inner.natural([table.recordings[i] for i in learned.asked[counted]])
    told, truth = probabilities(learned.answers[counted]), table.labels[learned.asked[counted]]
    assert learned.threshold == calibrate.threshold(told, truth, weights, CONFIG.answer.risk)


def test_the_network_and_machine_that_answer_learned_from_everything(
    sources: Sources, indices: Sides, watched: Watched
) -> None:
    learned, folder = watched[1], watched[2]
    fit = heart.fit(recipes(CONFIG)[learned.recipe], sources.table, indices[0].tolist(), 3)
    net = fit.run(folder / "model.safetensors", lambda *_: pytest.fail("it learns again"), lambda: False)
    for one, other in zip(net.state_dict().values(), learned.net.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    own = extrasystole.tells(sources.table.recordings, indices[0])
    assert learned.machine is not None
    assert {sources.table.recordings[i].source for i in own} == {"pascal_a", "pascal_b"}
    assert len(learned.machine.vectors) <= len(own)


# --- stopped and resumed


def same(one: Learned, other: Learned) -> bool:
    nets = zip(one.net.state_dict().values(), other.net.state_dict().values(), strict=True)
    machines = zip(*(dataclasses.astuple(m)[1:] for m in (one.machine, other.machine) if m), strict=True)
    return (
        all(torch.equal(a, b) for a, b in nets)
        and all(np.array_equal(a, b) for a, b in machines)
        and (one.recipe, one.join, one.threshold) == (other.recipe, other.join, other.threshold)
        and np.array_equal(one.answers, other.answers)
    )


@pytest.mark.parametrize(
    ("phase", "at"),
    [
        ("by default, inner fold 1 of 3", 2),
        ("by default, inner fold 3 of 3", 4),
        ("by even, inner fold 2 of 3", 3),
        ("on everything", 1),
    ],
)
def test_stopped_anywhere_and_resumed_it_is_the_same_model(
    sources: Sources,
    indices: Sides,
    watched: Watched,
    tmp_path: Path,
    phase: str,
    at: int,
) -> None:
    now: list[tuple[str, int]] = []
    step: Callable[[str, int, float], None] = lambda name, number, _: now.append((name, number))  # noqa: E731
    with pytest.raises(Interrupted, match=f"stopped at step {at} of 4"):
        nested.learn(CONFIG, Work(sources, *indices, 3, tmp_path, step, lambda: now[-1] == (phase, at)))
    before = len(now)
    resumed = nested.learn(CONFIG, Work(sources, *indices, 3, tmp_path, step))
    assert same(resumed, watched[1])
    phases = [*(f"by {name}, inner fold {k} of 3" for name in RECIPES for k in (1, 2, 3)), "on everything"]
    assert now == [(name, number) for name in phases for number in (1, 2, 3, 4)]
    assert 0 < before < len(now)


def test_a_finished_model_is_not_learned_again(sources: Sources, indices: Sides, watched: Watched) -> None:
    steps: list[int] = []
    again = nested.learn(CONFIG, Work(sources, *indices, 3, watched[2], lambda _, n, __: steps.append(n)))
    assert not steps
    assert same(again, watched[1])


def test_another_seed_is_another_model(sources: Sources, indices: Sides, watched: Any, tmp_path: Path) -> None:
    assert not same(nested.learn(CONFIG, Work(sources, *indices, 4, tmp_path)), watched[1])


def test_without_extrasystoles_there_is_no_machine(sources: Sources, indices: Sides, tmp_path: Path) -> None:
    silent = CLASSES.index("extrasystole")
    some = indices[0][sources.table.labels[indices[0]] != silent]
    learned = nested.learn(CONFIG, Work(sources, some, indices[1][:0], 3, tmp_path))
    assert learned.machine is None
    assert learned.join.spacing == pytest.approx(0.5)  # nothing speaks for or against it
    assert nested.answer(CONFIG, learned, sources, np.arange(4))[0].shape == (4, 5)


# --- what a recording counts


def test_sites_of_a_patient_count_as_one_recording_and_noise_as_none() -> None:
    recordings = made()
    weights = inner.natural(recordings)
    assert weights[:30].tolist() == [1] * 30
    assert weights[30:54].tolist() == [1 / 3] * 24
    assert not weights[54:].any()
    alone = inner.natural(recordings[28:32])  # two of PASCAL, two sites of a patient
    assert alone.tolist() == [1, 1, 0.5, 0.5]
    assert inner.natural(recordings[54:]).tolist() == [1] * 6  # where there is nothing else
