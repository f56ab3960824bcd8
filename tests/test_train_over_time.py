"""What a listener sees over time: the answer that stands, the same recordings at every second, flips by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import decide
from models.classes import CLASSES
from models.decide import DecideSpec, Window
from models.join import NEVER, Joined
from models.quality import Quality
from models.windows import decision_ends
from train import over_time
from train.config import AnswerSpec, Config
from train.scores import ratio

Array = np.ndarray
CONFIG = Config()
EXTRASYSTOLE = CLASSES.index("extrasystole")
PLAIN = dataclasses.replace(CONFIG, answer=AnswerSpec(smoothing=1.0, margin=0.0))
FRAMES = {1: 48, 2: 98, 3: 148, 4: 198, 5: 248, 8: 398, 12: 598}  # heard in so many seconds


def saying(*classes: int) -> Joined:
    """Of so many moments, each of one class."""
    return Joined(4.0 * np.eye(5)[list(classes)], np.full(len(classes), NEVER))


#: Of a recording that is too short for any.
NOTHING = Joined(np.zeros((0, 5)), np.zeros(0))


def with_early(told: Joined, heard: Array) -> Joined:
    """The same, where at these moments (k,) early beats are known of, which outdo any other heart sound."""
    return told._replace(early=np.where(heard, 3.0, NEVER))


@given(
    seed=st.integers(0, 2**31),
    count=st.integers(0, 30),
    smoothing=st.floats(0.05, 1),
    margin=st.floats(0, 0.5),
)
def test_what_stands_is_what_a_stream_that_never_abstains_shows(
    seed: int, count: int, smoothing: float, margin: float
) -> None:
    """Each moment's label, as `decide.decision` gives it to the screen."""
    rng = np.random.default_rng(seed)
    rolling = Joined(rng.normal(0, 2, (count, 5)), np.where(rng.random(count) < 0.3, rng.normal(0, 2, count), NEVER))
    config = dataclasses.replace(CONFIG, answer=AnswerSpec(smoothing=smoothing, margin=margin))
    spec, state, shown = DecideSpec(threshold=0.0, smoothing=smoothing, margin=margin), decide.init_state(), []
    for k in range(count):
        window, moment = Window(1.0, 1.0, "ok", None), Joined(rolling.logits[k], rolling.early[k])
        made, state = decide.decision(spec, window, moment, Quality(0.9, ""), state)
        shown.append(made.label)
    found = over_time.standing(config, rolling)
    assert [CLASSES[k] for k in found] == shown
    assert found.dtype == np.int64


# --- after some seconds


def made(*seconds: float) -> tuple[Array, list[Array]]:
    """Lengths in frames of recordings of so many seconds, and when each is decided."""
    frames = np.array([CONFIG.front_end.frames_in(round(2000 * s)) for s in seconds])
    return frames, [np.array(decision_ends(CONFIG.window, n)) for n in frames]


def saying_from(ends: Array, *changes: tuple[int, int]) -> Joined:
    """Says 0, and from so many frames on each class in turn."""
    classes = np.zeros(len(ends), dtype=int)
    for frames, k in changes:
        classes[ends >= frames] = k
    return saying(*classes)


def values(row: dict[str, dict[str, float]]) -> dict[str, float]:
    return {name: score["value"] for name, score in row.items()}


def test_accuracy_is_of_what_stood_after_so_many_seconds() -> None:
    frames, ends = made(13, 13)
    rolling = [saying_from(ends[0], (FRAMES[3], 1)), saying_from(ends[1], (FRAMES[5] - 1, 1), (FRAMES[12], 2))]
    (eight, twelve) = over_time.heard(PLAIN, np.array([1, 1]), frames, ends, [rolling], ["a", "b"])
    # The whole is what all full windows together say, so a change in the last second hardly counts.
    assert values(eight["accuracy"]) == {"1": 0, "2": 0, "3": 0.5, "4": 0.5, "5": 1, "8": 1, "all": 1}
    assert values(twelve["accuracy"]) == values(eight["accuracy"]) | {"12": 0.5}
    assert (eight["at_least_s"], twelve["at_least_s"]) == (8, 12)
    assert eight["whole_minus_4_s"]["value"] == 0.5


def test_a_row_is_of_the_same_recordings_for_all_its_seconds() -> None:
    """Those that last as long as the row asks, exactly or more; the others are in none of its columns."""
    frames, ends = made(13, 12.0, 11.9, 8.0, 7.9, 3)
    right = np.array([0, 1, 2, 3, 4, 0])
    rolling = [saying(*[k] * len(e)) for k, e in zip((0, 1, 0, 3, 0, 1), ends, strict=True)]
    groups = [str(k) for k in range(6)]
    eight, twelve = over_time.heard(PLAIN, right, frames, ends, [rolling], groups)
    assert (eight["n"], twelve["n"]) == (4, 2)
    assert set(values(eight["accuracy"]).values()) == {0.75}
    assert set(values(twelve["accuracy"]).values()) == {1.0}
    spread = np.array([1.0, 1, 0, 1])
    assert eight["accuracy"]["4"] == ratio(spread, np.ones(4), groups[:4])


def test_seeds_are_averaged_and_longer_hearing_is_compared_with_4_s() -> None:
    frames, ends = made(9, 9)
    late = [saying_from(e, (FRAMES[5] + 10, 2)) for e in ends]
    runs = [late, [saying(*[2] * len(e)) for e in ends]]
    (eight,) = over_time.heard(PLAIN, np.array([2, 2]), frames, ends, runs, ["a", "b"])
    assert values(eight["accuracy"])["4"] == 0.5
    assert values(eight["accuracy"])["all"] == 1
    assert eight["whole_minus_4_s"]["value"] == 0.5


def test_smoothing_and_hysteresis_count_as_on_the_screen() -> None:
    """One moment of another class does not change what stands."""
    frames, ends = made(9)
    rolling = [[saying_from(ends[0], (FRAMES[4], 1), (FRAMES[4] + 1, 0))]]
    truth = np.array([1])
    (plain,) = over_time.heard(PLAIN, truth, frames, ends, rolling, ["a"])
    (smooth,) = over_time.heard(CONFIG, truth, frames, ends, rolling, ["a"])
    assert values(plain["accuracy"])["4"] == 1
    assert values(smooth["accuracy"])["4"] == 0


def test_early_beats_stand_from_when_they_are_heard_and_for_the_whole() -> None:
    """Unsmoothed, in one recording until its end, in another until 5 s: the whole is told of either."""
    frames, ends = made(9, 9)
    early = [ends[0] >= FRAMES[4], (ends[1] >= FRAMES[4]) & (ends[1] < FRAMES[5])]
    rolling = [with_early(saying(*[0] * len(e)), x) for e, x in zip(ends, early, strict=True)]
    (eight,) = over_time.heard(CONFIG, np.array([EXTRASYSTOLE] * 2), frames, ends, [rolling], ["a", "b"])
    assert values(eight["accuracy"]) == {"1": 0, "2": 0, "3": 0, "4": 1, "5": 0.5, "8": 0.5, "all": 1}


def test_early_beats_known_of_only_before_the_first_full_window_tell_nothing_of_the_whole() -> None:
    frames, ends = made(9)
    rolling = [with_early(saying(*[0] * len(ends[0])), ends[0] < FRAMES[4])]
    (eight,) = over_time.heard(PLAIN, np.array([EXTRASYSTOLE]), frames, ends, [rolling], ["a"])
    assert values(eight["accuracy"]) == {"1": 1, "2": 1, "3": 1, "4": 0, "5": 0, "8": 0, "all": 0}


def test_recordings_that_are_all_short_make_no_row() -> None:
    frames, ends = made(7, 2)
    assert (
        over_time.heard(PLAIN, np.array([0, 0]), frames, ends, [[saying(*[0] * len(e)) for e in ends]], ["a", "b"])
        == []
    )


def test_before_the_first_answer_none_is_right() -> None:
    config = dataclasses.replace(PLAIN, window=dataclasses.replace(CONFIG.window, first_frames=120))
    frames = np.array([600])
    ends = [np.array(decision_ends(config.window, 600))]
    (eight, _) = over_time.heard(config, np.array([0]), frames, ends, [[saying(*[0] * len(ends[0]))]], ["a"])
    assert values(eight["accuracy"]) == {"1": 0, "2": 0, "3": 1, "4": 1, "5": 1, "8": 1, "all": 1}


# --- flips


def test_flips_by_hand() -> None:
    """Two and none in a minute together; smoothed, one moment of another class is none."""
    runs = [[saying(0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0), saying(2, 2)]]
    found = over_time.flips(CONFIG, np.array([40.0, 20.0]), runs, ["a", "b"])
    assert (found["raw"]["value"], found["smoothed"]["value"]) == (2, 2)
    blip = over_time.flips(CONFIG, np.array([30.0]), [[saying(0, 0, 0, 1, 0, 0)]], ["a"])
    assert (blip["raw"]["value"], blip["smoothed"]["value"]) == (4, 0)
    twice = over_time.flips(CONFIG, np.array([60.0]), [[saying(0, 1)], [saying(0, 0)]], ["a"])
    assert twice["raw"]["value"] == 0.5  # mean over the seeds
    assert found["raw"] == ratio(np.array([2.0, 0.0]), np.array([40, 20]) / 60, ["a", "b"])


def test_early_beats_that_come_and_go_are_flips_however_smoothed() -> None:
    told = with_early(saying(0, 0, 0, 0, 0, 0), np.array([0, 0, 1, 0, 0, 1], dtype=bool))
    found = over_time.flips(CONFIG, np.array([60.0]), [[told]], ["a"])
    assert (found["raw"]["value"], found["smoothed"]["value"]) == (3, 3)


def test_recordings_too_short_for_any_answer_flip_never() -> None:
    found = over_time.flips(CONFIG, np.array([0.0, 60.0]), [[NOTHING, saying(0, 1, 0)]], ["a", "b"])
    assert found["raw"]["value"] == 2
    nothing = over_time.flips(CONFIG, np.array([0.0]), [[NOTHING]], ["a"])
    assert nothing["raw"] == {"value": None, "low": None, "high": None}


@pytest.mark.parametrize("seconds", [1, 2, 3, 4, 5, 8, 12])
def test_seconds_are_full_windows_of_the_default_front_end(seconds: int) -> None:
    """So that what is compared at 4 s is the first full window."""
    assert over_time._frames(CONFIG.front_end, seconds) == FRAMES[seconds]
    assert FRAMES[4] == CONFIG.window.window_frames
    assert FRAMES[1] == CONFIG.window.first_frames
