"""The joint answer: what each weight does, and that it is linear in all that it is told but for early beats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from models.classes import CLASSES
from models.join import COUNTS, NEVER, JoinSpec, join, probabilities, with_early_beats

EXTRASYSTOLE, ARTIFACT = CLASSES.index("extrasystole"), CLASSES.index("artifact")
LOGITS = np.array([0.5, -1.0, 2.0, 1.5, -0.25])
SILENT = np.zeros(())
weights = st.floats(-5, 5)
specs = st.builds(
    JoinSpec,
    temperature=st.floats(0.1, 10),
    bias=st.tuples(*[weights] * len(CLASSES)),
    timbre=weights,
    spacing=weights,
    early=st.tuples(*[weights] * (COUNTS - 1)),
)


def moments(seed: int, *shape: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, scores and counts of early beats of as many moments as the shape has places."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 4, (*shape, 5)), rng.normal(0, 2, shape), rng.integers(0, 5, shape)


def others(joined: np.ndarray) -> np.ndarray:
    return np.delete(joined, EXTRASYSTOLE, axis=-1)


@given(seed=st.integers(0, 2**31), count=st.integers(1, 20))
def test_the_default_leaves_the_networks_probabilities(seed: int, count: int) -> None:
    logits, scores, early = moments(seed, count)
    joined = join(JoinSpec(), logits, scores)
    np.testing.assert_allclose(probabilities(joined), softmax(logits, axis=-1), rtol=1e-12)
    told = probabilities(with_early_beats(JoinSpec(), joined, early))
    np.testing.assert_allclose(told, softmax(logits, axis=-1), atol=1e-12)


@given(spec=specs, seed=st.integers(0, 2**31), recordings=st.integers(1, 4), windows=st.integers(1, 6))
def test_means_over_windows_are_joined_as_the_windows_are(
    spec: JoinSpec, seed: int, recordings: int, windows: int
) -> None:
    logits, scores, _ = moments(seed, recordings, windows)
    joined = join(spec, logits, scores)
    assert joined.shape == (recordings, windows, 5)
    of_means = join(spec, logits.mean(axis=1), scores.mean(axis=1))
    np.testing.assert_allclose(of_means, joined.mean(axis=1), rtol=1e-9, atol=1e-9)


@given(spec=specs, seed=st.integers(0, 2**31), count=st.integers(1, 5))
def test_many_at_once_are_joined_as_each_alone(spec: JoinSpec, seed: int, count: int) -> None:
    logits, scores, early = moments(seed, count)
    alone = [join(spec, logits[i], scores[i]) for i in range(count)]
    np.testing.assert_allclose(join(spec, logits, scores), alone, rtol=1e-12, atol=1e-12)
    told = [with_early_beats(spec, one, early[i]) for i, one in enumerate(alone)]
    np.testing.assert_allclose(with_early_beats(spec, np.array(alone), early), told, rtol=1e-12, atol=1e-12)


def test_the_network_is_cooled_and_each_class_has_its_bias() -> None:
    bias = (0.1, 0.2, 0.3, 0.4, 0.5)
    found = join(JoinSpec(temperature=2.0, bias=bias), LOGITS, SILENT)
    np.testing.assert_allclose(found, LOGITS / 2 + bias)


def test_timbre_weighs_the_networks_own_word_on_extrasystoles() -> None:
    found = join(JoinSpec(temperature=2.0, timbre=0.25), LOGITS, SILENT)
    assert found[EXTRASYSTOLE] == pytest.approx(LOGITS[EXTRASYSTOLE] / 2 * 0.25)
    np.testing.assert_allclose(others(found), others(LOGITS) / 2)


def test_spacing_speaks_for_extrasystoles_alone() -> None:
    found = join(JoinSpec(temperature=2.0, spacing=1.5), LOGITS, np.array(0.8))
    assert found[EXTRASYSTOLE] == pytest.approx(LOGITS[EXTRASYSTOLE] / 2 + 1.5 * 0.8)
    np.testing.assert_allclose(others(found), others(LOGITS) / 2)


# --- early beats

SPEC = JoinSpec(early=(-0.75, 2.0))


@pytest.mark.parametrize(("count", "odds"), [(0, NEVER), (1, -0.75), (2, 2.0), (3, 2.0), (20, 2.0)])
def test_of_a_heart_that_is_spaced_as_a_normal_one_early_beats_say_what_they_weigh(count: int, odds: float) -> None:
    """Two and more share a weight. How the other hearts and what is none compare stays as it was."""
    joined = LOGITS.copy()
    joined[EXTRASYSTOLE] = -50
    p = probabilities(with_early_beats(SPEC, joined, np.array(count)))
    hearts = 1 - p[ARTIFACT]
    assert p[EXTRASYSTOLE] / hearts == pytest.approx(expit(odds))
    np.testing.assert_allclose(others(p) / p[0], np.exp(others(LOGITS) - LOGITS[0]))


@pytest.mark.parametrize("count", [1, 2])
def test_both_ways_to_be_an_extrasystole_add_up(count: int) -> None:
    odds = np.exp(LOGITS)
    hearts = odds.sum() - odds[EXTRASYSTOLE] - odds[ARTIFACT]
    odds[EXTRASYSTOLE] += hearts * np.exp(SPEC.early[count - 1])
    found = probabilities(with_early_beats(SPEC, LOGITS, np.array(count)))
    np.testing.assert_allclose(found, odds / odds.sum())


@given(seed=st.integers(0, 2**31), early=st.tuples(weights, weights))
def test_early_beats_never_speak_against_extrasystoles(seed: int, early: tuple[float, float]) -> None:
    joined, _, counts = moments(seed, 10)
    told = with_early_beats(JoinSpec(early=early), joined, counts)
    assert (told[:, EXTRASYSTOLE] >= joined[:, EXTRASYSTOLE]).all()
    assert np.array_equal(others(told), others(joined))


def test_where_no_heart_is_heard_early_beats_count_nothing() -> None:
    joined = np.array([0.0, 0, 0, 0, 30])
    p = probabilities(with_early_beats(SPEC, joined, np.array(5)))
    assert p[ARTIFACT] > 1 - 1e-10


def test_what_was_given_is_left_as_it_was() -> None:
    logits = LOGITS.copy()
    with_early_beats(SPEC, join(JoinSpec(spacing=1.0, bias=(1.0,) * 5), logits, np.array(1.0)), np.array(2))
    with_early_beats(SPEC, logits, np.array(2))
    assert (logits == LOGITS).all()


def test_logits_of_the_graph_are_joined_in_double_precision() -> None:
    spec, logits = JoinSpec(temperature=3.0, timbre=0.3), (LOGITS / 3).astype(np.float32)[None]
    found = join(spec, logits, SILENT)
    assert found.dtype == np.float64
    assert (found == join(spec, logits.astype(np.float64), SILENT)).all()


@given(st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 5), min_size=1, max_size=5).map(np.array))
def test_probabilities_are_shares_however_large_the_logits(logits: np.ndarray) -> None:
    found = probabilities(logits)
    np.testing.assert_allclose(found, softmax(logits, axis=-1), atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=-1), 1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": float("inf")}, "temperature"),
        ({"bias": (0.0,) * 4}, "bias"),
        ({"bias": (0.0,) * 4 + (float("nan"),)}, "bias"),
        ({"early": (0.0,) * 3}, "early"),
        ({"early": ()}, "early"),
        ({"early": (0.0, float("inf"))}, "early"),
        ({"timbre": float("nan")}, "timbre and spacing"),
        ({"spacing": float("-inf")}, "timbre and spacing"),
    ],
)
def test_what_can_not_be_used_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        JoinSpec(**values)  # type: ignore[arg-type]
