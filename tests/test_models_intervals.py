"""Peaks and their intervals, against scipy, numpy, a slow reference and trains of sounds made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.signal import find_peaks

from models.intervals import STATISTICS, IntervalSpec, describe, describe_all, envelopes, peaks

HOP_S = 0.02
SPEC = IntervalSpec()
curves = st.lists(st.integers(-6, 6), min_size=1, max_size=60).map(lambda x: np.array(x, dtype=np.float64))
ascending = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(sorted)
seeds = st.integers(0, 2**31)


def random_logs(seed: int, frames: int = 500, bands: int = 32) -> np.ndarray:
    """Log energies that wander and jump."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.normal(0, 1, (frames, bands)) + rng.normal(0, 2, (frames, 1)) - 12)


def bumps(at: list[int], frames: int, width_frames: float = 3.0) -> np.ndarray:
    """(frames, 32) smooth sounds at some frames."""
    away = (np.arange(frames)[:, None] - np.array(at)) / width_frames
    return np.repeat(np.exp(-(away**2)).sum(axis=1)[:, None], 32, axis=1)


def spikes(at: list[int], frames: int) -> np.ndarray:
    """(frames, 32) sounds of one frame in digital silence."""
    logs = np.full((frames, 32), -23.0)
    logs[at] = -5.0
    return logs


def told(spec: IntervalSpec, logs: np.ndarray) -> np.ndarray:
    """Statistics (bands, swings, statistics)."""
    return describe(spec, HOP_S, logs).reshape(len(spec.bands), len(spec.swings), len(STATISTICS))


def by_numpy(gaps_s: np.ndarray) -> list[float]:
    median = float(np.median(gaps_s))
    low, high = gaps_s.min(), gaps_s.max()
    tenth = np.quantile(gaps_s, 0.1)
    return [low / median, tenth / median, high / median, gaps_s.std() / gaps_s.mean(), low, median]


def rises_by(swing: float, x: np.ndarray, higher: np.ndarray) -> bool:
    """Whether a curve (n,), read away from its first point, falls by the swing before it is higher."""
    reach = int(higher.argmax()) if higher.any() else len(x)
    return bool((x[0] - x[:reach] >= swing).any())


def slow_peaks(x: np.ndarray, swing: float) -> list[int]:
    """Each point by itself: does the curve fall from it by the swing on both sides, before it is higher?

    Of equals without such a fall between, the first counts.
    """
    found = []
    for at in range(len(x)):
        before, after = x[: at + 1][::-1], x[at:]
        as_high = before >= x[at]
        as_high[0] = False
        if rises_by(swing, before, as_high) and rises_by(swing, after, after > x[at]):
            found.append(at)
    return found


def found_by(curve: np.ndarray, least: float, swings: Sequence[float]) -> list[list[int]]:
    """Peaks (frames) of one curve per swing, all found at once."""
    found = peaks(curve[None], least)
    assert not found.row.any()
    assert (found.swing >= least).all()
    return [found.frame[found.swing >= swing].tolist() for swing in swings]


@given(curve=curves, swings=ascending)
@example(curve=np.array([0.0, 3, 3, 0, 0, 3, 0]), swings=[1, 3])  # flat tops and bottoms
@example(curve=np.array([3.0, 0, 3]), swings=[1])  # no top at either end
def test_peaks_are_those_of_the_definition(curve: np.ndarray, swings: list[int]) -> None:
    wanted = [slow_peaks(curve, swing) for swing in swings]
    assert found_by(curve, swings[0], swings) == wanted
    assert found_by(curve, 0.5, swings) == wanted


@given(curve=curves, swings=ascending)
def test_all_swings_together_give_what_each_gives_alone(curve: np.ndarray, swings: list[int]) -> None:
    assert found_by(curve, swings[0], swings) == [found_by(curve, swing, [swing])[0] for swing in swings]


@given(curve=curves, least=st.integers(1, 5))
def test_a_peak_s_swing_is_the_most_by_which_it_still_counts(curve: np.ndarray, least: int) -> None:
    found = peaks(curve[None], least)
    for frame, swing in zip(found.frame, found.swing, strict=True):
        assert frame in slow_peaks(curve, swing)
        assert frame not in slow_peaks(curve, swing + 0.5)


@given(
    rows=st.integers(1, 60).flatmap(
        lambda n: st.lists(st.lists(st.integers(-6, 6), min_size=n, max_size=n), min_size=1, max_size=8)
    ),
    least=st.sampled_from([0.5, 1, 2, 7]),
)
def test_rows_together_hold_the_peaks_of_each_alone(rows: list[list[int]], least: float) -> None:
    curves = np.array(rows, dtype=np.float64)
    together = peaks(curves, least)
    assert (np.diff(together.row * curves.shape[1] + together.frame) > 0).all()  # in the order of their frames
    for k, curve in enumerate(curves):
        alone, mine = peaks(curve[None], least), together.row == k
        assert together.frame[mine].tolist() == alone.frame.tolist() == slow_peaks(curve, least)
        assert together.swing[mine].tolist() == alone.swing.tolist()


@given(seed=seeds, frames=st.integers(2, 400), drift=st.floats(0, 3))
def test_swings_are_the_prominences_of_scipy(seed: int, frames: int, drift: float) -> None:
    curve = (
        np.cumsum(np.random.default_rng(seed).normal(0, drift, frames))
        + bumps(list(range(0, frames, 40)), frames)[:, 0]
    )
    at, told = find_peaks(curve, prominence=0.9)
    found = peaks(curve[None], 0.9)
    assert found.frame.tolist() == at.tolist()
    assert found.swing.tolist() == told["prominences"].tolist()


def mixed(seed: int, moments: int, frames: int, spec: IntervalSpec = SPEC) -> np.ndarray:
    """Envelopes (moments, frames, bands) of many kinds: wandering, silent, huge, tiny, with sounds."""
    rng = np.random.default_rng(seed)
    heard = np.empty((moments, frames, len(spec.bands)))
    for k, kind in enumerate(rng.integers(0, 5, moments)):
        walk = np.cumsum(rng.normal(0, 1, heard.shape[1:]), axis=0)
        heard[k] = (walk, np.full_like(walk, -23.0), 1e6 * walk, 1e-13 * walk, np.round(walk))[kind]
    return heard


@settings(max_examples=60, deadline=None)
@given(seed=seeds, moments=st.integers(1, 70), frames=st.integers(1, 520))
def test_moments_described_together_are_each_as_alone_to_the_bit(seed: int, moments: int, frames: int) -> None:
    heard = mixed(seed, moments, frames)
    given = heard.copy()
    together = describe_all(SPEC, HOP_S, heard)
    assert together.shape == (moments, SPEC.size)
    assert np.array_equal(heard, given)  # what is given is not written in
    for k in range(moments):
        assert np.array_equal(together[k], describe_all(SPEC, HOP_S, heard[k : k + 1])[0])
    order = np.random.default_rng(seed).permutation(moments)
    assert np.array_equal(describe_all(SPEC, HOP_S, heard[order]), together[order])


@given(seed=seeds, frames=st.integers(1, 520))
def test_described_by_its_envelopes_is_described_by_its_logs(seed: int, frames: int) -> None:
    logs = random_logs(seed, frames)
    levels = envelopes(SPEC, logs)
    np.testing.assert_allclose(levels, np.array([logs[:, :n].mean(axis=1) for n in SPEC.bands]).T, rtol=1e-12)
    assert np.array_equal(describe_all(SPEC, HOP_S, levels[None, -500:])[0], describe(SPEC, HOP_S, logs))
    cuts = np.random.default_rng(seed).integers(0, frames + 1, 3)
    cuts.sort()
    assert np.array_equal(np.concatenate([envelopes(SPEC, part) for part in np.split(logs, cuts)]), levels)


@given(seed=seeds, frames=st.integers(2, 600), smooth_frames=st.integers(1, 20))
def test_peaks_are_those_of_scipy(seed: int, frames: int, smooth_frames: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 1, frames + smooth_frames - 1)
    curve = np.convolve(noise, np.ones(smooth_frames) / smooth_frames**0.5, "valid")
    expected = [find_peaks(curve, prominence=swing)[0].tolist() for swing in SPEC.swings]
    assert found_by(curve, SPEC.swings[0], SPEC.swings) == expected


@pytest.mark.parametrize("width_frames", [1.0, 3.0])
def test_a_known_train_of_sounds_has_its_intervals(width_frames: float) -> None:
    at = [20, 60, 75, 120, 160, 200]  # 40, 15, 45, 40, 40 frames apart
    expected = [15 / 40, (15 + 0.4 * 25) / 40, 45 / 40, float(np.std([40, 15, 45, 40, 40])) / 36, 0.3, 0.8]
    found = told(SPEC, bumps(at, 230, width_frames))
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-12)


@given(gaps=st.lists(st.integers(2, 60), min_size=3, max_size=40))
def test_statistics_are_those_of_numpy(gaps: list[int]) -> None:
    at = list(accumulate(gaps, initial=1))
    spec = IntervalSpec(memory_frames=10_000)
    found = told(spec, spikes(at, at[-1] + 2))
    expected = by_numpy(np.array(gaps) * HOP_S)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-12, atol=1e-12)


def test_what_is_less_prominent_counts_only_for_small_swings() -> None:
    logs = bumps([30, 90, 150, 210, 270], 300) + 0.5 * bumps([60, 120, 180, 240], 300)
    found = told(IntervalSpec(swings=(1.0, 2.5)), logs)  # a standard deviation is .3
    np.testing.assert_allclose(found[:, :, -1], [[0.6, 1.2]] * 3)


def test_each_envelope_is_the_mean_of_its_lowest_bands_on_its_own_scale() -> None:
    every_s = (0.4, 0.8, 1.2)
    trains = [bumps(list(range(30, 300, round(s / HOP_S))), 300)[:, 0] for s in every_s]
    sums = np.array(trains) * [[1.0], [30.0], [900.0]]  # of one band, two, three
    logs = np.diff(sums, axis=0, prepend=0.0).T
    for bands in ((1, 2, 3), (1, 2, 40)):
        found = told(IntervalSpec(bands=bands, swings=(1.0,)), logs)
        np.testing.assert_allclose(found[:, 0, -1], every_s)


@given(seed=seeds, gain=st.floats(1e-3, 1e3), level=st.floats(-50, 50))
def test_neither_level_nor_scale_matters(seed: int, gain: float, level: float) -> None:
    logs = random_logs(seed, frames=200)
    np.testing.assert_allclose(describe(SPEC, HOP_S, gain * logs + level), describe(SPEC, HOP_S, logs))


def test_fewer_than_three_intervals_say_nothing() -> None:
    assert not told(SPEC, bumps([30, 90, 150], 200)).any()
    assert told(SPEC, bumps([30, 90, 150, 180], 200)).all()


@given(seed=seeds, memory_frames=st.integers(1, 120), older=st.integers(1, 120))
def test_only_the_newest_frames_count(seed: int, memory_frames: int, older: int) -> None:
    spec = IntervalSpec(memory_frames=memory_frames)
    logs = random_logs(seed, frames=memory_frames + older)
    assert (describe(spec, HOP_S, logs) == describe(spec, HOP_S, logs[older:])).all()


def test_the_oldest_frame_of_the_memory_counts() -> None:
    logs = spikes([1, 31, 61, 91], 100)
    assert (told(IntervalSpec(memory_frames=100), logs)[..., -1] == 0.6).all()
    assert not told(IntervalSpec(memory_frames=99), logs).any()  # what comes first has no rise: two intervals


@pytest.mark.parametrize("frames", [1, 2, 500])
@pytest.mark.parametrize("height", [0.0, -23.0, 0.1, 1e6])
def test_nothing_is_said_of_a_constant(frames: int, height: float) -> None:
    found = describe(SPEC, HOP_S, np.full((frames, 32), height))
    assert found.shape == (SPEC.size,)
    assert not found.any()


@given(seed=seeds, frames=st.integers(1, 200), floored=st.floats(0, 1), spread=st.sampled_from([1e-12, 1.0, 300.0]))
def test_statistics_are_finite_and_in_order(seed: int, frames: int, floored: float, spread: float) -> None:
    rng = np.random.default_rng(seed)
    logs = rng.normal(-12, spread, (frames, 32))
    logs[rng.random(frames) < floored] = -23.0
    found = told(SPEC, logs)
    assert np.isfinite(found).all()
    shortest, tenth, longest, variation, shortest_s, median_s = np.moveaxis(found, -1, 0)
    known = median_s > 0
    assert (found[~known] == 0).all()
    assert ((shortest > 0) & (shortest <= tenth) & (tenth <= 1) & (longest >= 1))[known].all()
    assert ((variation >= 0) & (shortest_s >= 2 * HOP_S) & (median_s <= frames * HOP_S))[known].all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"memory_frames": 0}, "memory_frames"),
        ({"memory_frames": 10_001}, "memory_frames"),
        ({"bands": ()}, "bands"),
        ({"bands": (8, 0)}, "bands"),
        ({"swings": ()}, "swings"),
        ({"swings": (0.0, 1.0)}, "swings"),
        ({"swings": (1.0, 0.9)}, "swings"),
        ({"swings": (float("nan"),)}, "swings"),
        ({"swings": (1.0, float("inf"))}, "swings"),
    ],
)
def test_what_can_not_be_used_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        IntervalSpec(**values)  # type: ignore[arg-type]
