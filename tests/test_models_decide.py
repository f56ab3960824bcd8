from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from models import decide
from models.classes import CLASSES
from models.decide import DecideSpec, Window
from models.quality import Quality
from models.regularity import UNKNOWN, Premature, Regularity

PLAIN = DecideSpec(threshold=0.0, smoothing=1.0, margin=0.0, poor_quality=0.1)
LOGITS = st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=5).map(np.array)
GOOD = Quality(0.9, "")
STEADY = Regularity(71.0, 0.9, 0.02, 0.97, (Premature(2.0, 0.5),))


def logits_of(*probabilities: float) -> np.ndarray:
    return np.asarray(np.log(np.array(probabilities)))


def heard(spec: DecideSpec, *rows: np.ndarray) -> list[int | None]:
    state, answers = decide.init_state(), []
    for row in rows:
        _, answer, state = decide.step(spec, row, state)
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
        p, _, state = decide.step(spec, row, state)
        np.testing.assert_allclose(p, softmax(mean), atol=1e-9)


def test_same_input_and_state_give_the_same_output_and_a_reset_matters() -> None:
    spec = DecideSpec(smoothing=0.3)
    one, other = np.array([3.0, 0, 0, 0, 0]), np.array([0, 3.0, 0, 0, 0])
    _, _, state = decide.step(spec, one, decide.init_state())
    kept = np.array(state.mean)
    first, _, _ = decide.step(spec, other, state)
    again, _, _ = decide.step(spec, other, state)
    fresh, _, _ = decide.step(spec, other, decide.init_state())
    assert np.array_equal(first, again)
    assert np.array_equal(kept, np.array(state.mean))
    assert not np.allclose(first, fresh)


@given(rows=st.lists(LOGITS, min_size=1, max_size=6))
def test_a_whole_recording_is_told_by_the_mean_of_its_windows_logits(rows: list[np.ndarray]) -> None:
    found = decide.whole(np.array(rows))
    np.testing.assert_allclose(found, softmax(np.mean(rows, axis=0)), atol=1e-12)
    assert found.sum() == pytest.approx(1)


def test_a_mean_of_logits_is_no_mean_of_probabilities() -> None:
    rows = np.array([[1.0, 0, 0, 0, 0], [0, 3.0, 0, 0, 0]])
    np.testing.assert_allclose(decide.whole(rows), softmax([0.5, 1.5, 0, 0, 0]))
    assert not np.allclose(decide.whole(rows), softmax(rows, axis=1).mean(axis=0))


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
    made, state = decide.decision(spec, window, logits, Quality(quality, "why"), decide.init_state())
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
    made, _ = decide.decision(DecideSpec(), window, logits, judged, decide.init_state())
    told = standing != "artifact" and before != "gap" and quality > 0.1
    assert (made.heart_rate_bpm, made.regularity) == ((71.0, STEADY) if told else (None, UNKNOWN))


@pytest.mark.parametrize("regularity", [None, UNKNOWN])
def test_no_rate_is_told_that_is_not_known(regularity: Regularity | None) -> None:
    window = Window(3.2, 2.0, "ok", regularity)
    made, _ = decide.decision(DecideSpec(), window, SURE, GOOD, decide.init_state())
    assert (made.label, made.heart_rate_bpm, made.regularity) == ("normal", None, regularity)


def test_an_uncertain_answer_keeps_its_heart_rate() -> None:
    window = Window(3.2, 2.0, "ok", STEADY)
    made, _ = decide.decision(DecideSpec(threshold=0.5), window, TORN, GOOD, decide.init_state())
    assert (made.status, made.heart_rate_bpm) == ("uncertain", 71.0)


def test_a_decision_carries_its_state_on() -> None:
    spec = DecideSpec(threshold=0.0, margin=0.2, smoothing=1.0)
    window = Window(1.0, 1.0, "ok", None)
    murmur, state = decide.decision(spec, window, logits_of(0.1, 0.6, 0.1, 0.1, 0.1), GOOD, decide.init_state())
    still, _ = decide.decision(spec, window, logits_of(0.4, 0.3, 0.1, 0.1, 0.1), GOOD, state)
    assert (murmur.label, still.label) == ("murmur", "murmur")


@pytest.mark.parametrize("k", range(5))
def test_labels_follow_the_order_of_the_classes(k: int) -> None:
    logits = np.eye(5)[k] * 9
    made, _ = decide.decision(DecideSpec(), Window(4.0, 4.0, "ok", None), logits, GOOD, decide.init_state())
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
