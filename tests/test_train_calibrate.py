"""What is fitted on answers: the joint answer's weights against known ones, the threshold, favour for rare classes."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from models.classes import CLASSES
from models.join import JoinSpec, probabilities, weigh
from train.calibrate import Heard, favour, fit_join, threshold

Array = np.ndarray
EXTRASYSTOLE = CLASSES.index("extrasystole")
EARLY = 2.5
KNOWN = JoinSpec(1.6, (0.4, -0.3, 0.2, -0.5, 0.1), 0.7, 0.9, EARLY)
EVERY = (True,) * 5
CIRCOR = tuple(name != "extrasystole" for name in CLASSES)


def heard(n: int, seed: int = 0) -> Heard:
    """Answers as networks and machines might give them."""
    rng = np.random.default_rng(seed)
    return Heard(rng.normal(0, 3, (n, 5)), rng.normal(0, 1, n))


def drawn(p: Array, seed: int = 0) -> Array:
    """Truths (n,) drawn from probabilities (n, 5)."""
    at = np.random.default_rng(seed).random((len(p), 1))
    found: Array = (at > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return found


def truths(spec: JoinSpec, some: Heard, seed: int = 0) -> Array:
    return drawn(probabilities(weigh(spec, some.logits, some.scores)), seed)


def fitted(some: Heard, truth: Array, speaks_of: tuple[bool, ...] = EVERY, weights: Array | None = None) -> JoinSpec:
    n = len(truth)
    return fit_join(some, truth, np.tile(speaks_of, (n, 1)), np.ones(n) if weights is None else weights, EARLY)


def centred(spec: JoinSpec) -> Array:
    """Biases up to what all classes share, which no probability depends on."""
    return np.asarray(np.array(spec.bias) - np.mean(spec.bias))


# --- the joint answer


def test_known_weights_are_found_again() -> None:
    some = heard(30_000)
    found = fitted(some, truths(KNOWN, some))
    assert found.temperature == pytest.approx(KNOWN.temperature, rel=0.03)
    np.testing.assert_allclose(centred(found), centred(KNOWN), atol=0.06)
    assert found.timbre == pytest.approx(KNOWN.timbre, abs=0.05)
    assert found.spacing == pytest.approx(KNOWN.spacing, abs=0.06)
    assert found.early == EARLY  # measured elsewhere, and left as it is


def test_no_other_weights_are_likelier() -> None:
    some = heard(300)
    truth = truths(KNOWN, some)
    found = fitted(some, truth)

    def loss(spec: JoinSpec) -> float:
        p = probabilities(weigh(spec, some.logits, some.scores))
        away = [np.log(spec.temperature), *spec.bias, spec.timbre - 1, spec.spacing - 0.5]
        return float(-np.log(p[np.arange(300), truth]).sum() + np.square(away).sum())  # a pull of 2, halved

    for name in ("temperature", "timbre", "spacing"):
        for change in (0.95, 1.05):
            assert loss(JoinSpec(**asdict(found) | {name: getattr(found, name) * change})) > loss(found)
    for k in range(5):
        for change in (-0.05, 0.05):
            assert loss(JoinSpec(**asdict(found) | {"bias": tuple(found.bias + change * np.eye(5)[k])})) > loss(found)


def test_little_data_moves_the_weights_little() -> None:
    some = heard(3)
    truth = truths(KNOWN, some)
    found, more = fitted(some, truth), fitted(heard(3000), truths(KNOWN, heard(3000)))
    assert abs(np.log(found.temperature)) < abs(np.log(more.temperature))
    assert np.abs(found.bias).max() < 1
    nothing = fitted(some, truth, weights=np.full(3, 1e-6))
    np.testing.assert_allclose(nothing.bias, 0, atol=1e-3)
    assert (nothing.temperature, nothing.timbre, nothing.spacing) == pytest.approx((1, 1, 0.5), abs=1e-3)


def test_a_source_that_can_not_speak_of_a_class_does_not_move_it() -> None:
    """Its recordings say the same whatever the networks and the machine think of that class."""
    some = heard(400)
    truth = truths(KNOWN, some)
    kept = truth != EXTRASYSTOLE
    some, truth = some.of(kept), truth[kept]
    shouting = some.logits.copy()
    shouting[:, EXTRASYSTOLE] += np.random.default_rng(1).normal(0, 5, len(truth))
    other = Heard(shouting, some.scores + 3)
    silent, also = fitted(some, truth, CIRCOR), fitted(other, truth, CIRCOR)
    assert (silent.bias[EXTRASYSTOLE], silent.timbre, silent.spacing) == pytest.approx((0, 1, 0.5), abs=1e-4)
    np.testing.assert_allclose(also.bias, silent.bias, atol=1e-4)
    assert also.temperature == pytest.approx(silent.temperature, rel=1e-4)
    # Where it could speak of it, that it never does would count against the class.
    assert fitted(some, truth).bias[EXTRASYSTOLE] < -0.3


def test_one_source_speaks_where_another_can_not() -> None:
    """What the recordings that can speak of it say of extrasystole is not diluted by those that can't."""
    own, others = heard(4000), heard(4000, seed=1)
    of_own, of_others = truths(KNOWN, own), truths(KNOWN, others, seed=1)
    kept = of_others != EXTRASYSTOLE
    both = Heard(*(np.concatenate([a, b[kept]]) for a, b in zip(own, others, strict=True)))
    speaks_of = np.array([EVERY] * 4000 + [CIRCOR] * int(kept.sum()))
    found = fit_join(both, np.concatenate([of_own, of_others[kept]]), speaks_of, np.ones(len(speaks_of)), EARLY)
    np.testing.assert_allclose(centred(found), centred(KNOWN), atol=0.15)
    assert found.spacing == pytest.approx(KNOWN.spacing, abs=0.15)


def test_a_weight_is_as_many_recordings() -> None:
    some = heard(200)
    truth = truths(KNOWN, some)
    weights = np.random.default_rng(0).integers(0, 4, 200)
    rows = np.repeat(np.arange(200), weights)
    one, other = fitted(some, truth, weights=weights.astype(float)), fitted(some.of(rows), truth[rows])
    np.testing.assert_allclose(one.bias, other.bias, atol=2e-3)
    assert (one.temperature, one.timbre, one.spacing) == pytest.approx(
        (other.temperature, other.timbre, other.spacing), abs=2e-3
    )


# --- abstaining


def calibrated(n: int, seed: int) -> tuple[Array, Array]:
    """Probabilities, and truths drawn from them."""
    p = probabilities(np.random.default_rng(seed).normal(0, 3, (n, 5)))
    return p, drawn(p, seed)


@pytest.mark.parametrize("risk", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("seed", range(5))
def test_threshold_reaches_its_risk_on_its_own_data_and_no_lower_one_does(risk: float, seed: int) -> None:
    p, truth = calibrated(400, seed)
    confidence, wrong = p.max(axis=1), p.argmax(axis=1) != truth
    chosen = threshold(p, truth, np.ones(400), risk)
    assert 0 <= chosen <= 0.9
    if chosen < 0.9:
        assert wrong[confidence >= chosen].mean() <= risk
    lower = [c for c in confidence if c < chosen]
    assert all(wrong[confidence >= c].mean() > risk for c in lower)


def test_a_weight_is_as_many_answers() -> None:
    p, truth = calibrated(300, 0)
    weights = np.random.default_rng(0).integers(1, 5, 300)
    rows = np.repeat(np.arange(300), weights)
    for risk in (0.05, 0.1, 0.2):
        alike = threshold(p[rows], truth[rows], np.ones(len(rows)), risk)
        assert threshold(p, truth, weights.astype(float), risk) == alike
        assert threshold(p, truth, weights / 7, risk) == alike  # only their shares count
    assert threshold(p, truth, weights.astype(float), 0.1) != threshold(p, truth, np.ones(300), 0.1)


def sure(confidence: Array) -> Array:
    """Probabilities (n, 5) whose top class is 0 with these confidences."""
    rest = np.repeat((1 - confidence)[:, None] / 4, 4, axis=1)
    return np.concatenate([confidence[:, None], rest], axis=1)


def test_threshold_counts_all_answers_of_equal_confidence() -> None:
    """Two of four equal ones are right: however they are ordered, answering them errs at 1/2."""
    p = sure(np.array([0.8, 0.5, 0.5, 0.5, 0.5]))
    for truth in ([0, 0, 0, 1, 1], [0, 1, 1, 0, 0]):
        assert threshold(p, np.array(truth), np.ones(5), 0.1) == 0.8
    assert threshold(p, np.array([0, 0, 0, 1, 1]), np.ones(5), 0.4) == 0.0


def test_threshold_where_all_or_none_may_be_answered() -> None:
    p = sure(np.array([0.95, 0.8, 0.7]))
    assert threshold(p, np.zeros(3, dtype=int), np.ones(3), 0.1) == 0.0
    assert threshold(p, np.ones(3, dtype=int), np.ones(3), 0.1) == 0.9


# --- favour for rare classes


def merit(p: Array, truth: Array, added: Array) -> float:
    told = (np.log(p + 1e-12) + added).argmax(axis=1)
    return float(accuracy_score(truth, told) + f1_score(truth, told, average="macro", zero_division=0.0))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_favour_is_at_least_as_good_as_none_and_no_single_class_s_betters_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet([6, 2, 1, 0.7, 2], 80)
    truth = drawn(p, seed)
    found = favour(p, truth)
    assert found[0] == 0  # only differences count
    assert merit(p, truth, found) >= merit(p, truth, np.zeros(5))
    last = len(found) - 1
    assert all(merit(p, truth, np.append(found[:last], value)) <= merit(p, truth, found) for value in (-1, 0, 1.5, 3))


def test_a_rare_class_that_is_never_the_likeliest_is_favoured_as_far_as_it_pays() -> None:
    """40 normals at .7 and 10 extrasystoles at .45, which normal beats by .05: ln(.5 / .45) is enough to tell them."""
    p = np.array([[0.7, 0.0, 0.0, 0.3, 0.0]] * 40 + [[0.5, 0.05, 0.0, 0.45, 0.0]] * 10)
    truth = np.array([0] * 40 + [EXTRASYSTOLE] * 10)
    found = favour(p, truth)
    assert np.log(0.5 / 0.45) < found[EXTRASYSTOLE] < np.log(0.7 / 0.3)
    assert ((np.log(p + 1e-12) + found).argmax(axis=1) == truth).all()
    assert not np.delete(found, EXTRASYSTOLE).any()  # of equally good values none at all is the first


def test_nothing_is_favoured_where_all_is_right_already() -> None:
    assert not favour(np.eye(5) * 0.6 + 0.08, np.arange(5)).any()
