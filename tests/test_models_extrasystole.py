"""The kernel machine, against scikit-learn's."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import tiny_bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from models import bundle
from models.extrasystole import Machine
from models.intervals import IntervalSpec

SPEC = IntervalSpec(bands=(8,), swings=(0.9, 1.3))
SIZE = SPEC.size
MACHINE = Machine(
    spec=SPEC,
    centre=np.full(SIZE, 0.5),
    scale=np.full(SIZE, 2.0),
    vectors=np.stack([np.zeros(SIZE), np.ones(SIZE), -np.ones(SIZE)]),
    weights=np.array([1.0, -2.0, 0.5]),
    offset=0.25,
    gamma=0.1,
)


@given(
    seed=st.integers(0, 2**31),
    count=st.integers(10, 80),
    gamma=st.floats(1e-3, 1.0),
    cost=st.floats(0.1, 10),
    class_weight=st.sampled_from([None, "balanced"]),
)
@settings(max_examples=30)
def test_the_score_is_that_of_scikit_learn(
    seed: int, count: int, gamma: float, cost: float, class_weight: str | None
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(rng.normal(0, 3, SIZE), rng.uniform(0.01, 5, SIZE), (count, SIZE))
    y = np.arange(count) % 3 == 0
    scaler, svc = StandardScaler(), SVC(kernel="rbf", gamma=gamma, C=cost, class_weight=class_weight)
    fitted = make_pipeline(scaler, svc).fit(x, y)
    weights, offset = svc.dual_coef_[0], float(svc.intercept_[0])
    machine = Machine(SPEC, scaler.mean_, scaler.scale_, svc.support_vectors_, weights, offset, gamma)
    unseen = np.concatenate([x[:5], rng.normal(0, 5, (5, SIZE))])
    scores = [machine.scores(row) for row in unseen]
    assert np.array_equal(machine.scores(unseen), scores)
    np.testing.assert_allclose(scores, fitted.decision_function(unseen), rtol=1e-9, atol=1e-9)


def test_far_from_all_it_knows_only_the_offset_is_left() -> None:
    assert MACHINE.scores(np.full(SIZE, 1e6)) == MACHINE.offset
    assert MACHINE.scores(np.zeros((4, 2, SIZE))).shape == (4, 2)


def test_at_a_vector_its_weight_counts_in_full() -> None:
    alone = replace(MACHINE, vectors=MACHINE.vectors[1:2], weights=MACHINE.weights[1:2])
    assert alone.scores(np.full(SIZE, 2.5)) == pytest.approx(-2.0 + 0.25)  # 2.5 is 1 when centred and scaled


def test_parameters_are_counted() -> None:
    assert MACHINE.parameters == SIZE + SIZE + 3 * SIZE + 3 + 1


def with_one(part: np.ndarray, value: float) -> np.ndarray:
    changed = part.copy()
    changed.flat[-1] = value
    return changed


@pytest.mark.parametrize(
    "change",
    [
        {"spec": IntervalSpec()},
        {"centre": np.zeros(SIZE - 1)},
        {"centre": np.zeros((1, SIZE))},
        {"scale": np.ones(SIZE + 1)},
        {"scale": np.array(1.0)},
        {"vectors": np.zeros((3, SIZE - 1))},
        {"vectors": np.zeros((2, SIZE))},
        {"vectors": np.zeros(3 * SIZE)},
        {"weights": np.zeros(2)},
        {"weights": np.zeros((3, 1))},
        {"weights": np.array(1.0), "vectors": np.zeros((1, SIZE))},
        {"weights": np.zeros(0), "vectors": np.zeros((0, SIZE))},
        {"weights": np.zeros(10_001), "vectors": np.zeros((10_001, SIZE))},
    ],
)
def test_parts_that_do_not_fit_together_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="do not fit together"):
        replace(MACHINE, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("part", ["centre", "scale", "vectors", "weights", "offset", "gamma"])
def test_numbers_that_are_not_finite_are_refused(part: str, value: float) -> None:
    good = getattr(MACHINE, part)
    bad = with_one(good, value) if isinstance(good, np.ndarray) else value
    with pytest.raises(ValueError, match="can't be used"):
        replace(MACHINE, **{part: bad})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"gamma": 0.0},
        {"gamma": -0.1},
        {"scale": with_one(np.ones(SIZE), 0.0)},
        {"scale": with_one(np.ones(SIZE), -1.0)},
    ],
)
def test_scales_and_gamma_must_be_above_0(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="can't be used"):
        replace(MACHINE, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("which", ["small", "tiny", "shipped"])
@given(count=st.integers(1, 70), seed=st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_scores_together_are_each_as_alone_to_the_bit(which: str, count: int, seed: int) -> None:
    machine = machines()[which]
    rng = np.random.default_rng(seed)
    told = machine.centre + machine.scale * rng.normal(0, 1, (count, machine.spec.size))
    told *= rng.choice([0.0, 1.0, 1e6], (count, 1), p=[0.1, 0.8, 0.1])
    together = machine.scores(told)
    assert np.array_equal(together, [machine.scores(row) for row in told])
    order = rng.permutation(count)
    assert np.array_equal(machine.scores(told[order]), together[order])
    assert np.array_equal(machine.scores(np.stack([told, told])), np.stack([together, together]))


@functools.cache
def machines() -> dict[str, Machine]:
    shipped = bundle.load().extrasystole
    assert shipped is not None
    return {"small": MACHINE, "tiny": tiny_bundle.machine(tiny_bundle.tiny_config()), "shipped": shipped}


def test_scores_are_the_sum_over_the_vectors() -> None:
    for machine in machines().values():
        told = machine.centre + machine.scale * np.random.default_rng(0).normal(0, 1.5, (40, machine.spec.size))
        away = machine.vectors - ((told - machine.centre) / machine.scale)[:, None]
        wanted = np.exp(-machine.gamma * (away**2).sum(axis=2)) @ machine.weights + machine.offset
        np.testing.assert_allclose(machine.scores(told), wanted, rtol=0, atol=1e-11)
