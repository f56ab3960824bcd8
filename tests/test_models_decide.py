from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from models import decide
from models.classes import CLASSES
from models.decide import DecideSpec, Decision, Window
from models.join import NEVER, Joined
from models.quality import Quality
from models.regularity import UNKNOWN, Premature, Regularity

PLAIN = DecideSpec(threshold=0.0, smoothing=1.0, margin=0.0, poor_quality=0.1)
LOGITS = st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=5).map(np.array)
GOOD = Quality(0.9, "")
STEADY = Regularity(71.0, 0.9, 0.02, 0.97, (Premature(2.0, 0.5),))
EXTRASYSTOLE, ARTIFACT = CLASSES.index("extrasystole"), CLASSES.index("artifact")
#: Log odds of early beats, where they come and where they don't.
EARLY = st.one_of(st.just(NEVER), st.floats(-5, 5))
MOMENTS = st.lists(st.tuples(LOGITS, EARLY), min_size=1, max_size=6)


def logits_of(*probabilities: float) -> np.ndarray:
    return np.asarray(np.log(np.array(probabilities)))


def joined(logits: np.ndarray, early: float = NEVER) -> Joined:
    """Of one moment."""
    return Joined(logits, np.array(early))


def with_early(logits: np.ndarray, early: float) -> np.ndarray:
    """Probabilities where beats came early: other hearts' chances times these odds are added to extrasystole's."""
    p = softmax(logits)
    p[EXTRASYSTOLE] += np.delete(p, [EXTRASYSTOLE, ARTIFACT]).sum() * np.exp(early)
    return np.asarray(p / p.sum())


def heard(spec: DecideSpec, *rows: np.ndarray) -> list[int | None]:
    state, answers = decide.init_state(), []
    for row in rows:
        _, answer, state = decide.step(spec, joined(row), state)
        answers.append(answer)
    return answers


def test_below_the_threshold_it_abstains() -> None:
    spec = DecideSpec(threshold=0.5, smoothing=1.0, margin=0.0)
    assert heard(spec, logits_of(0.51, 0.19, 0.1, 0.1, 0.1)) == [0]
    assert heard(spec, logits_of(0.49, 0.21, 0.1, 0.1, 0.1)) == [None]


def test_a_label_stands_until_another_leads_by_more_than_the_margin() -> None:
    spec = DecideSpec(threshold=0.0, smoothing=1.0, margin=0.1)
    normal = logits_of(0.40, 0.36, 0.08, 0.08, 0.08)
    close = logits_of(0.36, 0.40, 0.08, 0.08, 0.08)
    clear = logits_of(0.30, 0.46, 0.08, 0.08, 0.08)
    assert heard(spec, normal, close, clear, close, normal) == [0, 0, 1, 1, 1]
    assert heard(spec, close) == [1]


def test_without_margin_the_likeliest_is_the_answer() -> None:
    rows = [logits_of(0.4, 0.36, 0.08, 0.08, 0.08), logits_of(0.36, 0.4, 0.08, 0.08, 0.08)]
    assert heard(PLAIN, *rows) == [0, 1]


@given(rows=st.lists(LOGITS, min_size=1, max_size=6), smoothing=st.floats(0.05, 1))
def test_smoothing_is_an_exponential_mean_of_the_logits(rows: list[np.ndarray], smoothing: float) -> None:
    spec, state, mean = DecideSpec(smoothing=smoothing), decide.init_state(), rows[0]
    for k, row in enumerate(rows):
        mean = row if k == 0 else (1 - smoothing) * mean + smoothing * row
        p, _, state = decide.step(spec, joined(row), state)
        np.testing.assert_allclose(p, softmax(mean), atol=1e-9)


@given(moments=MOMENTS, smoothing=st.floats(0.05, 1))
def test_smoothing_does_not_touch_early_beats(moments: list[tuple[np.ndarray, float]], smoothing: float) -> None:
    """They count wholly at each moment that knows of them and not at all at the others."""
    spec, state, mean = DecideSpec(smoothing=smoothing), decide.init_state(), moments[0][0]
    for k, (logits, early) in enumerate(moments):
        mean = logits if k == 0 else (1 - smoothing) * mean + smoothing * logits
        p, _, state = decide.step(spec, joined(logits, early), state)
        np.testing.assert_allclose(p, with_early(mean, early), atol=1e-9)
        np.testing.assert_allclose(np.array(state.mean), mean, rtol=1e-9, atol=1e-9)


def test_early_beats_count_at_once_as_long_as_they_are_remembered_and_then_no_more() -> None:
    spec, state, found, answers = DecideSpec(threshold=0.5, smoothing=0.1), decide.init_state(), [], []
    for early in (NEVER, NEVER, 3.0, 3.0, 3.0, NEVER):
        p, answer, state = decide.step(spec, joined(SURE, early), state)
        found.append(p)
        answers.append(answer)
    assert answers == [0, 0, EXTRASYSTOLE, EXTRASYSTOLE, EXTRASYSTOLE, 0]
    assert found[2][EXTRASYSTOLE] > 0.95
    np.testing.assert_allclose(found[3:5], [found[2]] * 2, rtol=1e-12)
    np.testing.assert_allclose([found[1], found[5]], [found[0]] * 2, rtol=1e-12)


def test_same_input_and_state_give_the_same_output_and_a_reset_matters() -> None:
    spec = DecideSpec(smoothing=0.3)
    one, other = np.array([3.0, 0, 0, 0, 0]), np.array([0, 3.0, 0, 0, 0])
    _, _, state = decide.step(spec, joined(one, 1.0), decide.init_state())
    kept = np.array(state.mean)
    first, _, _ = decide.step(spec, joined(other, 1.0), state)
    again, _, _ = decide.step(spec, joined(other, 1.0), state)
    fresh, _, _ = decide.step(spec, joined(other, 1.0), decide.init_state())
    assert np.array_equal(one, [3, 0, 0, 0, 0])
    assert np.array_equal(other, [0, 3, 0, 0, 0])
    assert np.array_equal(first, again)
    assert np.array_equal(kept, np.array(state.mean))
    assert not np.allclose(first, fresh)


def spoken(logits: np.ndarray, early: float = NEVER) -> Decision:
    """One that speaks for its recording."""
    return Decision(4.0, 4.0, None, "ok", None, logits=tuple(float(x) for x in logits), early=early)


@given(moments=MOMENTS)
def test_a_whole_recording_is_told_by_the_mean_of_its_windows_logits_and_the_most_of_their_early_beats(
    moments: list[tuple[np.ndarray, float]],
) -> None:
    found = decide.whole([spoken(*moment) for moment in moments])
    mean, most = np.mean([logits for logits, _ in moments], axis=0), max(early for _, early in moments)
    np.testing.assert_allclose(found, with_early(mean, most), atol=1e-12)
    if most == NEVER:
        np.testing.assert_allclose(found, softmax(mean), atol=1e-12)
    assert found.sum() == pytest.approx(1)


def test_a_mean_of_logits_is_no_mean_of_probabilities() -> None:
    rows = np.array([[1.0, 0, 0, 0, 0], [0, 3.0, 0, 0, 0]])
    found = decide.whole([spoken(row) for row in rows])
    np.testing.assert_allclose(found, softmax([0.5, 1.5, 0, 0, 0]))
    assert not np.allclose(found, softmax(rows, axis=1).mean(axis=0))


@pytest.mark.parametrize("at", [0, 5, 9])
def test_one_moment_with_early_beats_tells_of_the_whole_recording(at: int) -> None:
    """However many know of none: neither the odds nor the logits told with them are averaged."""
    once = [spoken(SURE, 2.0 if k == at else NEVER) for k in range(10)]
    found = decide.whole(once)
    assert np.array_equal(found, decide.whole([spoken(SURE, 2.0)] * 10))
    np.testing.assert_allclose(found, with_early(SURE, 2.0))
    assert found.argmax() == EXTRASYSTOLE
    assert decide.whole([spoken(SURE)] * 10).argmax() == 0


@given(moments=MOMENTS, smoothing=st.floats(0.05, 1))
def test_a_decision_holds_what_was_heard_of_its_window_alone(
    moments: list[tuple[np.ndarray, float]], smoothing: float
) -> None:
    """Neither smoothed nor with early beats in the logits, so that the whole recording can be told of it."""
    state, window = decide.init_state(), Window(3.2, 2.0, "ok", STEADY)
    for logits, early in moments:
        spec = DecideSpec(smoothing=smoothing)
        wanted = decide.step(spec, joined(logits, early), state)[0]
        made, state = decide.decision(spec, window, joined(logits, early), GOOD, state)
        assert (made.logits, made.early) == (tuple(logits), early)
        assert type(made.early) is float
        assert made.probabilities == tuple(wanted)


SURE, TORN = np.array([5.0, 0, 0, 0, 0]), np.zeros(5)


@pytest.mark.parametrize(
    ("before", "logits", "quality", "status"),
    [
        ("ok", SURE, 0.9, "ok"),
        ("ok", SURE, 0.1, "ok"),
        ("ok", SURE, 0.0999, "poor_signal"),
        ("ok", TORN, 0.9, "uncertain"),
        ("ok", TORN, 0.0, "poor_signal"),
        ("listening", SURE, 0.9, "listening"),
        ("listening", TORN, 0.0, "listening"),
        ("gap", SURE, 0.0, "gap"),
        ("gap", TORN, 0.9, "gap"),
    ],
)
def test_status_the_window_comes_before_the_signal_and_that_before_doubt(
    before: str, logits: np.ndarray, quality: float, status: str
) -> None:
    spec = DecideSpec(threshold=0.5, poor_quality=0.1)
    window = Window(3.2, 2.0, before, STEADY)
    made, state = decide.decision(spec, window, joined(logits), Quality(quality, "why"), decide.init_state())
    assert made.status == status
    assert made.status in decide.STATUSES
    assert made.label == ("normal" if status == "ok" else None)
    assert made.probabilities is not None
    assert sum(made.probabilities) == pytest.approx(1)
    assert (made.t_s, made.window_s) == (3.2, 2.0)
    assert (made.quality, made.quality_reason) == (quality, "why")
    assert np.array_equal(np.array(state.mean), logits)


@pytest.mark.parametrize("standing", CLASSES)
@pytest.mark.parametrize("before", ["ok", "listening", "gap"])
@pytest.mark.parametrize("quality", [0.9, 0.05])
def test_the_rhythm_is_told_where_a_heart_is_heard_and_only_there(standing: str, before: str, quality: float) -> None:
    logits = 9 * np.eye(5)[CLASSES.index(standing)]
    window, judged = Window(3.2, 2.0, before, STEADY), Quality(quality, "why")
    made, _ = decide.decision(DecideSpec(), window, joined(logits), judged, decide.init_state())
    told = standing != "artifact" and before != "gap" and quality > 0.1
    assert (made.heart_rate_bpm, made.regularity) == ((71.0, STEADY) if told else (None, UNKNOWN))


@pytest.mark.parametrize("regularity", [None, UNKNOWN])
def test_no_rate_is_told_that_is_not_known(regularity: Regularity | None) -> None:
    window = Window(3.2, 2.0, "ok", regularity)
    made, _ = decide.decision(DecideSpec(), window, joined(SURE), GOOD, decide.init_state())
    assert (made.label, made.heart_rate_bpm, made.regularity) == ("normal", None, regularity)


def test_an_uncertain_answer_keeps_its_heart_rate() -> None:
    window = Window(3.2, 2.0, "ok", STEADY)
    made, _ = decide.decision(DecideSpec(threshold=0.5), window, joined(TORN), GOOD, decide.init_state())
    assert (made.status, made.heart_rate_bpm) == ("uncertain", 71.0)


def test_a_decision_carries_its_state_on() -> None:
    spec = DecideSpec(threshold=0.0, margin=0.2, smoothing=1.0)
    window = Window(1.0, 1.0, "ok", None)
    first, second = joined(logits_of(0.1, 0.6, 0.1, 0.1, 0.1)), joined(logits_of(0.4, 0.3, 0.1, 0.1, 0.1))
    murmur, state = decide.decision(spec, window, first, GOOD, decide.init_state())
    still, _ = decide.decision(spec, window, second, GOOD, state)
    assert (murmur.label, still.label) == ("murmur", "murmur")


@pytest.mark.parametrize("k", range(5))
def test_labels_follow_the_order_of_the_classes(k: int) -> None:
    logits = np.eye(5)[k] * 9
    made, _ = decide.decision(DecideSpec(), Window(4.0, 4.0, "ok", None), joined(logits), GOOD, decide.init_state())
    assert made.label == CLASSES[k]


@pytest.mark.parametrize(
    "change",
    [
        {"smoothing": 0.0},
        {"smoothing": 1.1},
        {"threshold": -0.1},
        {"margin": 1.1},
        {"poor_quality": float("nan")},
    ],
)
def test_impossible_specs_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        DecideSpec(**change)
