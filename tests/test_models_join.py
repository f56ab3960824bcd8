"""The joint answer: what each weight does, and that it is linear in all that it is told but for early beats."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from models.classes import CLASSES
from models.join import ENOUGH, MEASURED_MOMENTS, NEVER, Joined, JoinSpec, join, over_all, probabilities, weigh

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
    early=weights,
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
    joined = join(JoinSpec(), logits, scores, early)
    np.testing.assert_allclose(probabilities(joined.logits), softmax(logits, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(probabilities(joined.told), softmax(logits, axis=-1), atol=1e-12)


@given(spec=specs, seed=st.integers(0, 2**31), recordings=st.integers(1, 4), windows=st.integers(1, 6))
def test_means_over_windows_are_weighed_as_the_windows_are(
    spec: JoinSpec, seed: int, recordings: int, windows: int
) -> None:
    logits, scores, _ = moments(seed, recordings, windows)
    joined = weigh(spec, logits, scores)
    assert joined.shape == (recordings, windows, 5)
    of_means = weigh(spec, logits.mean(axis=1), scores.mean(axis=1))
    np.testing.assert_allclose(of_means, joined.mean(axis=1), rtol=1e-9, atol=1e-9)


@given(spec=specs, seed=st.integers(0, 2**31), count=st.integers(1, 5))
def test_many_at_once_are_joined_as_each_alone(spec: JoinSpec, seed: int, count: int) -> None:
    logits, scores, early = moments(seed, count)
    together = join(spec, logits, scores, early)
    assert (together.logits.shape, together.early.shape, together.told.shape) == ((count, 5), (count,), (count, 5))
    alone = [join(spec, logits[i], scores[i], early[i]) for i in range(count)]
    np.testing.assert_allclose(together.logits, [one.logits for one in alone], rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(together.early, [one.early for one in alone])
    np.testing.assert_allclose(together.told, [one.told for one in alone], rtol=1e-12, atol=1e-12)


@given(spec=specs, seed=st.integers(0, 2**31), count=st.integers(1, 5))
def test_what_is_weighed_knows_nothing_of_early_beats(spec: JoinSpec, seed: int, count: int) -> None:
    logits, scores, early = moments(seed, count)
    assert np.array_equal(join(spec, logits, scores, early).logits, weigh(spec, logits, scores))


def test_the_network_is_cooled_and_each_class_has_its_bias() -> None:
    bias = (0.1, 0.2, 0.3, 0.4, 0.5)
    found = weigh(JoinSpec(temperature=2.0, bias=bias), LOGITS, SILENT)
    np.testing.assert_allclose(found, LOGITS / 2 + bias)


def test_timbre_weighs_the_networks_own_word_on_extrasystoles() -> None:
    found = weigh(JoinSpec(temperature=2.0, timbre=0.25), LOGITS, SILENT)
    assert found[EXTRASYSTOLE] == pytest.approx(LOGITS[EXTRASYSTOLE] / 2 * 0.25)
    np.testing.assert_allclose(others(found), others(LOGITS) / 2)


def test_spacing_speaks_for_extrasystoles_alone() -> None:
    found = weigh(JoinSpec(temperature=2.0, spacing=1.5), LOGITS, np.array(0.8))
    assert found[EXTRASYSTOLE] == pytest.approx(LOGITS[EXTRASYSTOLE] / 2 + 1.5 * 0.8)
    np.testing.assert_allclose(others(found), others(LOGITS) / 2)


# --- early beats

SPEC = JoinSpec(early=2.0)


def heard(logits: np.ndarray, count: int) -> Joined:
    """What the network says left as it is, and so many early beats."""
    return join(SPEC, logits, SILENT, np.array(count))


@pytest.mark.parametrize(("count", "odds"), [(0, NEVER), (1, NEVER), (2, 2.0), (3, 2.0), (20, 2.0)])
def test_of_a_heart_that_is_spaced_as_a_normal_one_early_beats_say_what_they_weigh(count: int, odds: float) -> None:
    """Two and more share a weight, one has none. How the other hearts and what is none compare stays as it was."""
    logits = LOGITS.copy()
    logits[EXTRASYSTOLE] = -80
    joined = heard(logits, count)
    assert joined.early == odds
    p = probabilities(joined.told)
    hearts = 1 - p[ARTIFACT]
    assert p[EXTRASYSTOLE] / hearts == pytest.approx(expit(odds), rel=1e-9, abs=0)
    np.testing.assert_allclose(others(p) / p[0], np.exp(others(LOGITS) - LOGITS[0]))


@given(spec=specs, seed=st.integers(0, 2**31))
def test_one_early_beat_changes_nothing_and_two_do(spec: JoinSpec, seed: int) -> None:
    """One alone is often misheard."""
    logits, score, _ = moments(seed)
    none, one, two, many = (join(spec, logits, score, np.array(n)) for n in (0, 1, 2, 9))
    assert none.early == one.early == NEVER
    assert two.early == many.early == spec.early
    assert np.array_equal(one.told, none.told)
    assert np.array_equal(two.told, many.told)
    p = softmax(none.logits)
    p[EXTRASYSTOLE] += np.delete(p, [EXTRASYSTOLE, ARTIFACT]).sum() * np.exp(spec.early)
    np.testing.assert_allclose(probabilities(two.told), p / p.sum(), rtol=1e-9, atol=1e-12)
    assert ENOUGH == 2


@pytest.mark.parametrize("count", [2, 5])
def test_both_ways_to_be_an_extrasystole_add_up(count: int) -> None:
    odds = np.exp(LOGITS)
    hearts = odds.sum() - odds[EXTRASYSTOLE] - odds[ARTIFACT]
    odds[EXTRASYSTOLE] += hearts * np.exp(2.0)
    np.testing.assert_allclose(probabilities(heard(LOGITS, count).told), odds / odds.sum())


@given(seed=st.integers(0, 2**31), early=weights)
def test_early_beats_never_speak_against_extrasystoles(seed: int, early: float) -> None:
    logits, scores, counts = moments(seed, 10)
    joined = join(JoinSpec(early=early), logits, scores, counts)
    assert (joined.told[:, EXTRASYSTOLE] >= joined.logits[:, EXTRASYSTOLE]).all()
    assert np.array_equal(others(joined.told), others(joined.logits))


def test_where_no_heart_is_heard_early_beats_count_nothing() -> None:
    p = probabilities(heard(np.array([0.0, 0, 0, 0, 30]), 5).told)
    assert p[ARTIFACT] > 1 - 1e-10


def test_what_was_given_is_left_as_it_was() -> None:
    logits = LOGITS.copy()
    spec = JoinSpec(spacing=1.0, bias=(1.0,) * 5, early=2.0)
    joined = join(spec, logits, np.array(1.0), np.array(2))
    before = joined.logits.copy()
    assert (joined.told != before).any()
    assert (logits == LOGITS).all()
    assert (joined.logits == before).all()
    several = Joined(np.tile(LOGITS, (2, 1)), np.array([NEVER, 2.0]))
    assert (several.whole().told != LOGITS).any()
    assert (several.logits == LOGITS).all()
    assert several.early.tolist() == [NEVER, 2.0]


# --- a whole recording


@given(spec=specs, seed=st.integers(0, 2**31), count=st.integers(1, 12))
def test_a_whole_recording_is_the_mean_of_its_logits_and_the_most_of_its_early_beats(
    spec: JoinSpec, seed: int, count: int
) -> None:
    logits, scores, early = moments(seed, count)
    told = join(spec, logits, scores, early).whole()
    wanted = join(spec, logits.mean(axis=0), scores.mean(axis=0), early.max())
    assert (told.logits.shape, told.early.shape) == ((5,), ())
    np.testing.assert_allclose(told.logits, wanted.logits, rtol=1e-9, atol=1e-9)
    assert told.early == (spec.early if (early >= 2).any() else NEVER)
    np.testing.assert_allclose(told.told, wanted.told, rtol=1e-9, atol=1e-9)


@given(spec=specs, seed=st.integers(0, 2**31))
def test_the_whole_of_one_moment_is_that_moment(spec: JoinSpec, seed: int) -> None:
    joined = join(spec, *moments(seed, 1))
    assert np.array_equal(joined.whole().told, joined.told[0])


@pytest.mark.parametrize("at", [0, 4, 9])
def test_early_beats_at_any_one_moment_tell_of_the_whole_as_much_as_at_all_of_them(at: int) -> None:
    logits, _, _ = moments(3, 10)
    once = np.full(10, NEVER)
    once[at] = 2.0
    told = Joined(logits, once).whole().told
    assert np.array_equal(told, Joined(logits, np.full(10, 2.0)).whole().told)
    assert told[EXTRASYSTOLE] > Joined(logits, np.full(10, NEVER)).whole().told[EXTRASYSTOLE] + 0.1


# --- numbers


def test_logits_of_the_graph_are_joined_in_double_precision() -> None:
    spec, logits = JoinSpec(temperature=3.0, timbre=0.3), (LOGITS / 3).astype(np.float32)[None]
    found = weigh(spec, logits, SILENT)
    assert found.dtype == np.float64
    assert (found == weigh(spec, logits.astype(np.float64), SILENT)).all()
    assert join(spec, logits, SILENT, np.array([2])).told.dtype == np.float64


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
        ({"early": float("nan")}, "timbre, spacing and early"),
        ({"early": float("inf")}, "timbre, spacing and early"),
        ({"early": float("-inf")}, "timbre, spacing and early"),
        ({"timbre": float("nan")}, "timbre, spacing and early"),
        ({"spacing": float("-inf")}, "timbre, spacing and early"),
    ],
)
def test_what_can_not_be_used_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        JoinSpec(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("moments_", [1, 5, MEASURED_MOMENTS])
def test_early_beats_at_any_moment_of_a_recording_as_long_as_those_measured_tell_of_all(moments_: int) -> None:
    early = np.full(moments_, NEVER)
    early[moments_ // 2] = 1.5
    assert over_all(early) == pytest.approx(1.5)


@pytest.mark.parametrize("times", [2, 10, 100])
def test_in_a_longer_recording_a_false_one_is_likelier_and_tells_less(times: int) -> None:
    early = np.full(times * MEASURED_MOMENTS, NEVER)
    early[3] = 1.5
    assert over_all(early) == pytest.approx(1.5 - np.log(times))
    assert over_all(np.zeros(0)) == NEVER
