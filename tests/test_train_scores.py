"""Scores against scikit-learn, intervals against what a bootstrap over groups must do, calibration on known cases."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from models.classes import CLASSES
from models.decide import DecideSpec, calibrate
from train.calibrate import fit, temperature, threshold
from train.config import AnswerSpec
from train.scores import auroc, calibration_error, classification, resample_weights

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
    assert auroc(positive, np.arange(40.0)[None], alone(40)) == {"value": 1, "low": 1, "high": 1}
    assert auroc(positive, -np.arange(40.0)[None], alone(40)) == {"value": 0, "low": 0, "high": 0}


@pytest.mark.parametrize("positive", [[True, True], [False, False], []])
def test_auroc_is_undefined_without_both_classes(positive: list[bool]) -> None:
    row = auroc(np.array(positive, dtype=bool), np.zeros((1, len(positive))), alone(len(positive)))
    assert row == {"value": None, "low": None, "high": None}


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


def drawn(n: int, true_temperature: float, seed: int = 0) -> tuple[Array, Array]:
    """Logits, and truths drawn from their softmax at a temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (n, 5))
    p = calibrate(DecideSpec(temperature=true_temperature), logits)
    return logits, (rng.random((n, 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)


@pytest.mark.parametrize("true_temperature", [0.4, 1.0, 2.5])
def test_temperature_recovers_the_known_one(true_temperature: float) -> None:
    assert temperature(*drawn(20_000, true_temperature)) == pytest.approx(true_temperature, rel=0.05)


def test_temperature_stays_within_its_limits() -> None:
    logits = np.eye(5)
    assert temperature(logits, np.arange(5)) == pytest.approx(0.1, rel=0.01)
    assert temperature(logits * 50, (np.arange(5) + 1) % 5) == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize("risk", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("seed", range(5))
def test_threshold_reaches_its_risk_on_its_own_data_and_no_lower_one_does(risk: float, seed: int) -> None:
    logits, truth = drawn(400, 1.0, seed)
    p = calibrate(DecideSpec(), logits)
    confidence, wrong = p.max(axis=1), p.argmax(axis=1) != truth
    chosen = threshold(p, truth, risk)
    assert 0 <= chosen <= 0.9
    if chosen < 0.9:
        assert wrong[confidence >= chosen].mean() <= risk
    lower = [c for c in confidence if c < chosen]
    assert all(wrong[confidence >= c].mean() > risk for c in lower)


def test_threshold_counts_all_answers_of_equal_confidence() -> None:
    """Two of four equal ones are right: however they are ordered, answering them errs at 1/2."""
    p = sure(np.array([0.8, 0.5, 0.5, 0.5, 0.5]))
    for truth in ([0, 0, 0, 1, 1], [0, 1, 1, 0, 0]):
        assert threshold(p, np.array(truth), 0.1) == 0.8
    assert threshold(p, np.array([0, 0, 0, 1, 1]), 0.4) == 0.0


def test_threshold_where_all_or_none_may_be_answered() -> None:
    p = sure(np.array([0.95, 0.8, 0.7]))
    assert threshold(p, np.zeros(3, dtype=int), 0.1) == 0.0
    assert threshold(p, np.ones(3, dtype=int), 0.1) == 0.9


def test_fit_gives_the_spec_that_deciding_takes() -> None:
    logits, truth = drawn(3000, 2.0)
    spec = fit(AnswerSpec(risk=0.2, smoothing=0.5, margin=0.07), logits, truth)
    assert spec.temperature == pytest.approx(2.0, rel=0.1)
    p = calibrate(spec, logits)
    answered = p.max(axis=1) >= spec.threshold
    assert (p.argmax(axis=1) != truth)[answered].mean() <= 0.2
    assert 0.3 < answered.mean() < 1
    assert (spec.smoothing, spec.margin) == (0.5, 0.07)
