"""Scores against scikit-learn and brute force, intervals against what a bootstrap over groups must do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from models.classes import CLASSES
from train.scores import (
    auroc,
    calibration_error,
    classification,
    ratio,
    resample_weights,
    risk_coverage,
    scored,
    statistic,
)

Array = np.ndarray
CLOSE = 5.1e-5  # four decimals are kept


def answers(n: int, classes: int, seed: int) -> tuple[Array, Array]:
    """A truth in which each class occurs, and answers right about 60 % of the time."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    return truth, np.where(rng.random(n) < 0.6, truth, rng.integers(0, classes, n))


def alone(n: int) -> list[str]:
    return [str(i) for i in range(n)]


@pytest.mark.parametrize(("n", "classes"), [(5, 5), (40, 5), (300, 5), (60, 2), (6, 2)])
@pytest.mark.parametrize("seed", range(4))
def test_points_equal_scikit_learn(n: int, classes: int, seed: int) -> None:
    truth, predicted = answers(n, classes, seed)
    result = classification(truth, predicted[None], alone(n))
    occurring = np.unique(truth)
    assert result["accuracy"]["value"] == pytest.approx(metrics.accuracy_score(truth, predicted), abs=CLOSE)
    balanced = metrics.balanced_accuracy_score(truth, predicted)
    assert result["balanced_accuracy"]["value"] == pytest.approx(balanced, abs=CLOSE)
    f1 = metrics.f1_score(truth, predicted, labels=occurring, average="macro", zero_division=0)
    assert result["macro_f1"]["value"] == pytest.approx(f1, abs=CLOSE)
    precision, recall, _, support = metrics.precision_recall_fscore_support(
        truth, predicted, labels=range(5), zero_division=0
    )
    for k, name in enumerate(CLASSES):
        row = result["per_class"][name]
        assert row["n"] == support[k]
        if support[k]:
            assert row["precision"]["value"] == pytest.approx(precision[k], abs=CLOSE)
            assert row["recall"]["value"] == pytest.approx(recall[k], abs=CLOSE)
        else:
            assert row["precision"]["value"] is row["recall"]["value"] is None
    assert np.array_equal(result["confusion"], metrics.confusion_matrix(truth, predicted, labels=range(5)))


def test_a_class_that_is_answered_and_never_true_counts_in_no_mean() -> None:
    truth, predicted = np.array([0, 0, 1, 1, 1]), np.array([0, 2, 1, 1, 0])
    result = classification(truth, predicted[None], alone(5))
    f1 = metrics.f1_score(truth, predicted, labels=[0, 1], average="macro")
    assert result["macro_f1"]["value"] == pytest.approx(f1, abs=CLOSE)
    assert result["balanced_accuracy"]["value"] == pytest.approx((1 / 2 + 2 / 3) / 2, abs=CLOSE)
    assert result["per_class"]["extra_heart_sound"]["precision"]["value"] is None


def test_runs_are_averaged() -> None:
    truth, first = answers(80, 5, 0)
    _, second = answers(80, 5, 9)
    both = classification(truth, np.stack([first, second]), alone(80))
    each = [classification(truth, p[None], alone(80)) for p in (first, second)]
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert both[name]["value"] == pytest.approx(np.mean([e[name]["value"] for e in each]), abs=1e-4)
    np.testing.assert_allclose(both["confusion"], np.mean([e["confusion"] for e in each], axis=0))
    assert (both["n"], both["groups"], both["runs"]) == (80, 80, 2)


def test_every_interval_contains_its_value() -> None:
    truth, predicted = answers(200, 5, 3)
    result = classification(truth, predicted[None], [str(i // 4) for i in range(200)])
    rows = [result[name] for name in ("accuracy", "balanced_accuracy", "macro_f1")]
    rows += [row[key] for row in result["per_class"].values() for key in ("precision", "recall")]
    for row in rows:
        assert row["low"] < row["value"] < row["high"]


def test_an_interval_of_the_mean_is_as_wide_as_theory_says() -> None:
    n, right = 400, 300
    truth = np.zeros(n, dtype=int)
    result = classification(truth, (np.arange(n) >= right).astype(int)[None], alone(n))["accuracy"]
    half = 1.96 * np.sqrt(0.75 * 0.25 / n)
    assert result["value"] == 0.75
    assert result["low"] == pytest.approx(0.75 - half, abs=0.006)
    assert result["high"] == pytest.approx(0.75 + half, abs=0.006)


def test_recordings_that_share_a_patient_widen_the_interval() -> None:
    """Errors that come a patient at a time: 240 recordings of 12 patients know less than 240 of 240."""
    truth = np.arange(240) % 2
    predicted = np.where(np.arange(240) // 20 % 3 == 0, 1 - truth, truth)

    def width(groups: list[str]) -> float:
        row = classification(truth, predicted[None], groups)["accuracy"]
        return float(row["high"] - row["low"])

    clustered = width([str(i // 20) for i in range(240)])
    assert clustered > 3 * width(alone(240))


def test_one_group_alone_has_no_spread() -> None:
    truth, predicted = answers(30, 5, 1)
    row = classification(truth, predicted[None], ["all"] * 30)["accuracy"]
    assert row["low"] == row["value"] == row["high"]


def test_each_resample_draws_as_many_groups_as_there_are() -> None:
    member, weights = resample_weights(["b", "a", "b", "c"])
    assert member.tolist() == [1, 0, 1, 2]
    assert (weights.sum(axis=1) == 3).all()
    assert weights.min() == 0
    assert np.array_equal(weights, resample_weights(["b", "a", "b", "c"])[1])


def test_auroc_equals_scikit_learn_and_its_interval_contains_it() -> None:
    rng = np.random.default_rng(8)
    positive = rng.random(150) < 0.4
    values = rng.normal(positive, 1.0, (2, 150))
    row = auroc(positive, values, [str(i // 3) for i in range(150)])
    expected = np.mean([metrics.roc_auc_score(positive, v) for v in values])
    assert row["value"] == pytest.approx(expected, abs=CLOSE)
    value, low, high = (row[name] for name in ("value", "low", "high"))
    assert value is not None
    assert low is not None
    assert high is not None
    assert low < value < high


def test_auroc_of_perfect_and_of_reversed_order() -> None:
    positive = np.arange(40) >= 20
    counts = {"n": 40, "positive": 20}
    assert auroc(positive, np.arange(40.0)[None], alone(40)) == {"value": 1, "low": 1, "high": 1} | counts
    assert auroc(positive, -np.arange(40.0)[None], alone(40)) == {"value": 0, "low": 0, "high": 0} | counts


@pytest.mark.parametrize("positive", [[True, True], [False, False], []])
def test_auroc_is_undefined_without_both_classes(positive: list[bool]) -> None:
    row = auroc(np.array(positive, dtype=bool), np.zeros((1, len(positive))), alone(len(positive)))
    counts = {"n": len(positive), "positive": sum(positive)}
    assert row == {"value": None, "low": None, "high": None} | counts


def sure(confidence: Array) -> Array:
    """Probabilities (n, 5) whose top class is 0 with these confidences."""
    rest = np.repeat((1 - confidence)[:, None] / 4, 4, axis=1)
    return np.concatenate([confidence[:, None], rest], axis=1)


def test_calibration_error_of_constructed_cases() -> None:
    always_right, always_wrong = np.zeros(100, dtype=int), np.ones(100, dtype=int)
    assert calibration_error(always_right, sure(np.ones(100))) == pytest.approx(0)
    assert calibration_error(always_wrong, sure(np.ones(100))) == pytest.approx(1)
    assert calibration_error(always_right, sure(np.full(100, 0.7))) == pytest.approx(0.3)
    # Half the answers at 0.6 of which 6 in 10 are right, half at 0.9 of which 5 in 10 are: 0, and 0.4.
    confidence = np.repeat([0.6, 0.9], 50)
    truth = np.concatenate([np.tile([0] * 6 + [1] * 4, 5), np.tile([0] * 5 + [1] * 5, 5)])
    assert calibration_error(truth, sure(confidence)) == pytest.approx(0.5 * 0 + 0.5 * 0.4)


def test_calibration_error_with_fewer_recordings_than_bins() -> None:
    assert calibration_error(np.array([0, 1]), sure(np.array([0.8, 0.6]))) == pytest.approx((0.2 + 0.6) / 2)


# --- ratios and other statistics


def by_hand(groups: list[str], value: Callable[[list[int]], float], resamples: int) -> Array:
    """A statistic on resamples drawn one group after the other."""
    names = sorted(set(groups))
    _, counts = resample_weights(groups)
    rows = {name: [i for i, group in enumerate(groups) if group == name] for name in names}
    found = []
    for drawn in counts[:resamples]:
        found.append(value([i for name, n in zip(names, drawn, strict=True) for _ in range(n) for i in rows[name]]))
    return np.array(found)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 40), groups=st.integers(1, 12))
def test_a_ratio_is_that_of_sums_over_resampled_groups(seed: int, n: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    counted, of = rng.random(n), rng.integers(1, 5, n)
    member = [f"g{k}" for k in rng.integers(0, groups, n)]
    spread = by_hand(member, lambda rows: float(counted[rows].sum() / of[rows].sum()), 2000)
    assert ratio(counted, of, member) == scored(float(counted.sum() / of.sum()), spread)


def test_a_ratio_of_shares_is_the_accuracy_with_its_interval() -> None:
    truth, predicted = answers(90, 5, 4)
    groups = [str(i // 3) for i in range(90)]
    expected = classification(truth, predicted[None], groups)["accuracy"]
    assert ratio((truth == predicted).astype(float), np.ones(90), groups) == expected


@pytest.mark.parametrize(("counted", "of"), [([], []), ([0.0, 0.0], [0.0, 0.0])])
def test_a_ratio_to_nothing_is_undefined(counted: list[float], of: list[float]) -> None:
    assert ratio(np.array(counted), np.array(of), alone(len(of))) == {"value": None, "low": None, "high": None}


def test_resamples_without_anything_below_are_left_out_of_the_interval() -> None:
    row = ratio(np.array([1.0, 0.0]), np.array([1.0, 0.0]), ["a", "b"])
    assert row == {"value": 1.0, "low": 1.0, "high": 1.0}


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 30), groups=st.integers(1, 9))
def test_a_statistic_is_resampled_by_groups(seed: int, n: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    values, member = rng.normal(size=n), [f"g{k}" for k in rng.integers(0, groups, n)]
    spread = by_hand(member, lambda rows: float(np.median(values[rows])), 500)
    assert statistic(lambda rows: float(np.median(values[rows])), member) == scored(float(np.median(values)), spread)


@pytest.mark.parametrize("seed", range(5))
def test_risk_and_coverage_by_brute_force(seed: int) -> None:
    """Among the k surest answers, counted anew for each k; of equally sure ones the first counts first."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(5), 40).round(1 + seed % 3)
    truth = rng.integers(0, 5, 40)
    surest = sorted(range(40), key=lambda i: -p[i].max())
    wanted = [np.mean([p[i].argmax() != truth[i] for i in surest[:k]]) for k in range(1, 41)]
    found = risk_coverage(truth, p)
    np.testing.assert_allclose(found, wanted)
    assert found[-1] == pytest.approx(1 - metrics.accuracy_score(truth, p.argmax(axis=1)))


def test_errors_on_the_least_sure_answers_cost_least() -> None:
    p = sure(np.array([0.9, 0.8, 0.7, 0.6]))
    assert risk_coverage(np.array([0, 0, 0, 1]), p).tolist() == [0, 0, 0, 0.25]
    assert risk_coverage(np.array([1, 0, 0, 0]), p).tolist() == [1, 0.5, pytest.approx(1 / 3), 0.25]
