"""Scores of found onsets: by hand, against a slow reference, and their intervals over groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.rhythm import Beat
from train.onsets import Matched, match, onset_scores, rate_scores, times
from train.timings import DIASTOLE, S1, S2, SYSTOLE, Timed

Array = np.ndarray
ALL = np.array([[0.0, 100.0]])


def matched(found: list[float], annotated: list[float], tolerance_s: float = 0.06, spans: Array = ALL) -> Matched:
    return match(np.array(found), np.array(annotated), spans, tolerance_s)


@pytest.mark.parametrize(
    ("found", "annotated", "hits", "counted"),
    [
        ([], [], 0, 0),
        ([1.0], [], 0, 1),
        ([], [1.0], 0, 0),
        ([1.0], [1.0], 1, 1),
        ([1.05], [1.0], 1, 1),
        ([1.07], [1.0], 0, 1),
        ([0.95, 1.05], [1.0], 1, 2),  # one to one
        ([1.0], [0.95, 1.05], 1, 1),
        ([0.97, 1.05], [1.0, 1.1], 2, 2),
        ([0.0, 0.01, 1.02], [0.0, 1.0], 2, 3),  # a second one near the first does not cost the third
        ([1.03, 1.09], [1.0, 1.04], 1, 2),  # 1.03 is nearer to 1.04, which leaves 1.09 none
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], 3, 3),
    ],
)
def test_pairs_by_hand(found: list[float], annotated: list[float], hits: int, counted: int) -> None:
    result = matched(found, annotated)
    assert (len(result.errors_s), result.found, result.annotated) == (hits, counted, len(annotated))


def test_errors_are_found_minus_annotated() -> None:
    np.testing.assert_allclose(sorted(matched([1.02, 1.97], [1.0, 2.0]).errors_s), [-0.03, 0.02])


def test_the_tolerance_itself_is_near_enough() -> None:
    assert len(matched([1.0625], [1.0], 0.0625).errors_s) == 1
    assert len(matched([1.0626], [1.0], 0.0625).errors_s) == 0


def test_where_nothing_is_annotated_nothing_is_wrong() -> None:
    spans = np.array([[1.0, 2.0], [3.0, 4.0]])
    result = matched([0.5, 1.5, 2.5, 3.0, 4.0, 9.0], [1.2], 0.06, spans)
    assert (len(result.errors_s), result.found) == (0, 2)  # 1.5 and 3.0
    # Just before a span begins the first onset may be found, and is right then.
    assert matched([0.96], [1.0], 0.06, spans).found == 1
    assert matched([1.5], [], 0.06, np.zeros((0, 2))).found == 0


def slow_match(found: Array, annotated: Array, spans: Array, tolerance_s: float) -> Matched:
    """The nearest pair again and again, looked for from the beginning each time."""
    left, missed, errors = list(range(len(found))), list(range(len(annotated))), []
    while True:
        best: tuple[float, int, int] | None = None
        for i in left:
            for k in missed:
                away = abs(found[i] - annotated[k])
                if away <= tolerance_s and (best is None or away < best[0]):
                    best = (away, i, k)
        if best is None:
            break
        left.remove(best[1])
        missed.remove(best[2])
        errors.append(found[best[1]] - annotated[best[2]])
    wrong = [i for i in left if any(begin <= found[i] < end for begin, end in spans)]
    return Matched(np.array(errors), len(errors) + len(wrong), len(annotated))


places = st.lists(st.integers(0, 400).map(lambda n: n / 128), max_size=14, unique=True).map(sorted)


@settings(max_examples=400, deadline=None)
@given(
    found=places,
    annotated=places,
    edges=st.lists(st.floats(0, 4), min_size=4, max_size=4),
    tolerance_s=st.sampled_from([0.0, 0.06, 0.1, 1.0]),
)
def test_pairs_are_those_of_a_slow_reference(
    found: list[float], annotated: list[float], edges: list[float], tolerance_s: float
) -> None:
    spans = np.array(sorted(edges)).reshape(2, 2)
    fast = matched(found, annotated, tolerance_s, spans)
    slow = slow_match(np.array(found), np.array(annotated), spans, tolerance_s)
    assert (fast.found, fast.annotated) == (slow.found, slow.annotated)
    np.testing.assert_allclose(fast.errors_s, slow.errors_s)  # in the same order: nearest first


def test_times_of_a_sound() -> None:
    beats = [Beat(1.0, "S1", 0.9), Beat(1.3, "S2", 0.5), Beat(1.8, "S1", 0.4)]
    assert times(beats, "S1").tolist() == [1.0, 1.8]
    assert times(beats, "S2").tolist() == [1.3]
    assert times([], "S1").shape == (0,)


# --- scores of recordings


def heart(first_s: float = 0.5, cycle_s: float = 0.8, cycles: int = 10, group: str = "a") -> Timed:
    """A steady annotated heart."""
    rows = []
    for k in range(cycles):
        begin = first_s + k * cycle_s
        rows += [
            [begin, begin + 0.1, S1],
            [begin + 0.1, begin + 0.3, SYSTOLE],
            [begin + 0.3, begin + 0.4, S2],
            [begin + 0.4, begin + cycle_s, DIASTOLE],
        ]
    return Timed(Path("x.wav"), group, "circor", group, np.array(rows))


def heard(timed: Timed, later_s: float = 0.0) -> list[Beat]:
    """Every annotated beat, found so much later."""
    both = [(t + later_s, sound) for sound in ("S1", "S2") for t in timed.onsets(sound)]
    return [Beat(float(t), sound, 0.9) for t, sound in sorted(both)]


def value(scores: dict[str, dict[str, dict[str, float]]], sound: str, tolerance: str, name: str = "f1") -> float:
    result: float = scores[sound][tolerance][name]["value"]  # type: ignore[index]
    return result


def test_a_perfect_answer_scores_one_with_no_error() -> None:
    truth = [heart(group=str(k)) for k in range(4)]
    found = onset_scores([heard(t) for t in truth], truth)
    assert (found["n"], found["groups"]) == (4, 4)
    for sound in ("S1", "S2"):
        for tolerance in ("60 ms", "100 ms"):
            for name in ("f1", "precision", "recall"):
                assert found[sound][tolerance][name] == {"value": 1.0, "low": 1.0, "high": 1.0}
        assert found[sound]["100 ms"]["median_error_s"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_late_beats_count_at_the_wider_tolerance_alone_and_their_error_is_told() -> None:
    truth = [heart(), heart(group="b")]
    found = onset_scores([heard(t, 0.08) for t in truth], truth)
    for sound in ("S1", "S2"):
        assert value(found, sound, "60 ms") == 0
        assert value(found, sound, "100 ms") == 1
        assert found[sound]["100 ms"]["median_error_s"]["value"] == pytest.approx(0.08)


def test_sounds_taken_for_each_other_are_wrong() -> None:
    truth = [heart()]
    swapped = [[b._replace(sound={"S1": "S2", "S2": "S1"}[b.sound]) for b in heard(truth[0])]]
    found = onset_scores(swapped, truth)
    assert value(found, "S1", "100 ms") == value(found, "S2", "100 ms") == 0


def test_precision_and_recall_by_hand() -> None:
    """10 S1, of which 8 are found, and 4 that are none: P 8/12, R 8/10, F1 16/22."""
    truth = [heart()]
    s1 = [b for b in heard(truth[0]) if b.sound == "S1"][:8]
    wrong = [Beat(0.5 + 0.8 * k + 0.55, "S1", 0.9) for k in range(4)]
    outside = [Beat(20.0, "S1", 0.9)]
    found = onset_scores([[*s1, *wrong, *outside]], truth)
    assert value(found, "S1", "60 ms", "precision") == pytest.approx(8 / 12, abs=1e-4)
    assert value(found, "S1", "60 ms", "recall") == pytest.approx(0.8)
    assert value(found, "S1", "60 ms") == pytest.approx(16 / 22, abs=1e-4)
    assert value(found, "S2", "60 ms", "recall") == 0
    assert found["S2"]["60 ms"]["precision"]["value"] is None  # nothing found is neither right nor wrong
    assert found["S2"]["100 ms"]["median_error_s"] == {"value": None, "low": None, "high": None}


def test_counts_are_summed_over_recordings_before_they_are_divided() -> None:
    """A long recording weighs more: 20 of 20 and 0 of 5 are .8, not .5."""
    truth = [heart(cycles=20, group="a"), heart(cycles=5, group="b")]
    found = onset_scores([heard(truth[0]), []], truth)
    assert value(found, "S1", "60 ms", "recall") == pytest.approx(0.8)


def test_intervals_are_over_groups_and_not_over_recordings() -> None:
    good, bad = heart(group="a"), heart(group="b")
    same = onset_scores([heard(good)] * 5 + [[]] * 5, [heart(group="one")] * 10)
    recall = same["S1"]["60 ms"]["recall"]
    assert recall["low"] == recall["value"] == recall["high"] == pytest.approx(0.5)
    two = onset_scores([heard(good)] * 5 + [[]] * 5, [good] * 5 + [bad] * 5)["S1"]["60 ms"]["recall"]
    assert (two["low"], two["value"], two["high"]) == (0.0, 0.5, 1.0)
    many = [heart(group=str(k)) for k in range(100)]
    wide = onset_scores([heard(t) if k % 2 else [] for k, t in enumerate(many)], many)["S1"]["60 ms"]["recall"]
    assert wide["high"] - wide["low"] == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 100), rel=0.15)


def test_the_interval_of_the_median_error_covers_it() -> None:
    rng = np.random.default_rng(0)
    truth = [heart(group=str(k)) for k in range(30)]
    beats = [[b._replace(t_s=b.t_s + rng.normal(0, 0.02)) for b in heard(t)] for t in truth]
    found = onset_scores([sorted(b) for b in beats], truth)["S1"]["100 ms"]["median_error_s"]
    assert found["value"] == pytest.approx(0.0135, abs=0.002)  # 0.6745 standard deviations
    assert found["low"] < found["value"] < found["high"] < found["low"] + 0.005


# --- heart rates


def test_rates_within_5_bpm_are_right() -> None:
    truth = [heart(group=str(k)) for k in range(4)]  # 75 bpm
    answers = [heart(cycle_s=60 / bpm) for bpm in (75, 79, 81)]
    found = rate_scores([*(heard(a) for a in answers), []], truth)
    assert found["n"] == 4
    assert found["abstained"]["value"] == pytest.approx(0.25)
    assert found["within_5_bpm"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert 0 <= found["within_5_bpm"]["low"] <= found["within_5_bpm"]["high"] <= 1


def joined(*parts: Timed) -> Timed:
    return Timed(Path("x.wav"), "joined", "circor", "joined", np.concatenate([part.segments for part in parts]))


def test_only_the_longest_span_is_asked() -> None:
    truth = joined(heart(0.5, 0.4, 10), heart(6.0, 0.8, 10))
    found = rate_scores([heard(truth)], [truth])
    assert found["n"] == found["within_5_bpm"]["value"] == 1
    in_the_other = [beat for beat in heard(truth) if beat.t_s < 5]
    assert rate_scores([in_the_other], [truth])["abstained"]["value"] == 1


def test_only_the_newest_ten_seconds_of_it_are_asked() -> None:
    truth = joined(heart(0.5, 0.4, 30), heart(12.5, 0.8, 12))
    assert len(truth.spans) == 1
    assert rate_scores([heard(truth)], [truth])["within_5_bpm"]["value"] == 1
    assert rate_scores([heard(heart(10.0, 0.4, 30))], [truth])["within_5_bpm"]["value"] == 0


@pytest.mark.parametrize("cycles", [1, 2, 3])
def test_a_recording_annotated_too_briefly_has_no_rate_to_agree_with(cycles: int) -> None:
    long, brief = heart(), heart(cycles=cycles)
    assert rate_scores([heard(long), heard(brief)], [long, brief])["n"] == 1
    unknown = {"value": None, "low": None, "high": None}
    names = ("within_5_bpm", "abstained", "early_found", "early_annotated")
    assert rate_scores([heard(brief)], [brief]) == {"n": 0} | dict.fromkeys(names, unknown)


def test_nobody_answered_leaves_no_share_that_is_right() -> None:
    found = rate_scores([[], []], [heart(), heart(group="b")])
    assert found["within_5_bpm"]["value"] is None
    assert found["abstained"]["value"] == 1


def test_recordings_with_an_early_beat_are_counted_as_found_and_as_annotated() -> None:
    even = heart(cycles=10)
    beats = heard(even)
    s1 = [b for b in beats if b.sound == "S1"][5]
    early = [b._replace(t_s=b.t_s - 0.3) if b == s1 else b for b in beats]
    found = rate_scores([beats, sorted(early)], [even, even])
    assert found["early_found"]["value"] == 0.5
    assert found["early_annotated"]["value"] == 0.0
