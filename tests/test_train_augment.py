"""Augmentation: each change does what its setting says, to any length, with no chance but the generator's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.augment import augment, mask, mix, smooth_curve, stretch
from train.config import AugmentSpec

BANDS = 12


def window(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(-8, 2, (frames, BANDS))


def mean_energy(x: np.ndarray) -> float:
    return float(np.exp(x).mean())


@settings(max_examples=80, deadline=None)
@given(frames=st.integers(1, 90), noise_frames=st.integers(1, 200), seed=st.integers(0, 9999))
def test_any_window_stays_finite_and_within_the_stretch(frames: int, noise_frames: int, seed: int) -> None:
    spec = AugmentSpec(noise_share=1.0, floor_share=1.0, stretch=1.5)
    out = augment(spec, window(frames), lambda: window(noise_frames, 1), np.random.default_rng(seed))
    assert out.shape[1] == BANDS
    assert np.isfinite(out).all()
    assert round(frames / 1.5) <= len(out) <= max(2, round(frames * 1.5))


def test_the_generator_is_the_only_chance() -> None:
    spec = AugmentSpec(noise_share=1.0)
    first, again, other = (
        augment(spec, window(60), lambda: window(30, 1), np.random.default_rng(seed)) for seed in (4, 4, 5)
    )
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.allclose(first, other)


def test_the_window_given_is_left_as_it_was() -> None:
    given_window = window(60)
    augment(AugmentSpec(), given_window, lambda: None, np.random.default_rng(0))
    assert np.array_equal(given_window, window(60))


def test_all_strengths_at_zero_change_nothing() -> None:
    spec = AugmentSpec(stretch=1, filter_sd=0, floor_share=0, noise_share=0, band_mask=0, time_mask_frames=0)
    out = augment(spec, window(60), lambda: window(9), np.random.default_rng(1))
    np.testing.assert_allclose(out, window(60), rtol=0, atol=1e-12)


def test_no_noise_in_the_data_means_none_is_mixed() -> None:
    quiet = AugmentSpec(floor_share=0, noise_share=0.0)
    asked = AugmentSpec(floor_share=0, noise_share=1.0)
    without, with_none = (augment(s, window(40), lambda: None, np.random.default_rng(2)) for s in (quiet, asked))
    assert np.array_equal(without, with_none)


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 3.0, 25.0])
@pytest.mark.parametrize("noise_frames", [7, 40, 500])
def test_a_mixture_has_the_asked_signal_to_noise_ratio(snr_db: float, noise_frames: int) -> None:
    signal = window(40)
    mixed = mix(signal, window(noise_frames, 3) + 11, snr_db, np.random.default_rng(6))
    added = np.exp(mixed) - np.exp(signal)
    assert (added > -1e-15).all()
    assert 10 * np.log10(mean_energy(signal) / added.mean()) == pytest.approx(snr_db, abs=0.01)


def test_a_mixture_starts_the_noise_anywhere_and_repeats_it() -> None:
    noise = np.repeat(np.arange(5.0)[:, None], BANDS, axis=1)
    starts = set()
    for seed in range(60):
        mixed = mix(np.full((12, BANDS), -50.0), noise, -200.0, np.random.default_rng(seed))
        steps = np.rint(mixed[:, 0] - mixed[:, 0].min()).astype(int)
        assert np.array_equal(steps, (steps[0] + np.arange(12)) % 5)
        starts.add(int(steps[0]))
    assert starts == set(range(5))


@pytest.mark.parametrize("frames", [2, 3, 8, 57, 198])
@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.25, 2.0])
def test_a_stretch_keeps_both_ends_and_straight_lines(frames: int, factor: float) -> None:
    line = np.linspace(-3, 5, frames)[:, None] * np.ones(BANDS)
    out = stretch(line, factor)
    assert len(out) == max(2, round(frames * factor))
    np.testing.assert_allclose(out, np.linspace(-3, 5, len(out))[:, None] * np.ones(BANDS), atol=1e-12)


def test_one_frame_cannot_be_stretched() -> None:
    assert np.array_equal(stretch(window(1), 1.9), window(1))


def test_a_response_is_smooth_and_as_strong_as_asked() -> None:
    rng = np.random.default_rng(7)
    curves = np.array([smooth_curve(31, 2.0, rng) for _ in range(3000)])
    np.testing.assert_allclose(curves[:, [0, 10, 20, 30]].std(axis=0), 2.0, atol=0.15)
    assert (np.abs(np.diff(curves, 2, axis=1)) > 1e-9).sum(axis=1).max() <= 4  # bends only at the two inner points
    assert not smooth_curve(31, 0.0, rng).any()


def blanked(x: np.ndarray, spec: AugmentSpec, seed: int) -> tuple[list[int], list[int]]:
    """Bands and frames that a mask set to the bands' means."""
    changed = np.isclose(mask(x, spec, np.random.default_rng(seed)), x.mean(axis=0))
    return np.flatnonzero(changed.all(axis=0)).tolist(), np.flatnonzero(changed.all(axis=1)).tolist()


def test_masks_blank_neighbours_up_to_their_width_and_reach_both_edges() -> None:
    x, spec = window(40), AugmentSpec(band_mask=3, time_mask_frames=6)
    bands, frames, widths, lengths = set(), set(), set(), set()
    for seed in range(400):
        in_bands, in_frames = blanked(x, spec, seed)
        assert in_bands == list(range(in_bands[0], in_bands[0] + len(in_bands))) if in_bands else True
        assert in_frames == list(range(in_frames[0], in_frames[0] + len(in_frames))) if in_frames else True
        bands |= set(in_bands)
        frames |= set(in_frames)
        widths.add(len(in_bands))
        lengths.add(len(in_frames))
    assert (widths, lengths) == ({0, 1, 2, 3}, {0, 1, 2, 3, 4, 5, 6})
    assert (bands, frames) == (set(range(BANDS)), set(range(40)))


def test_a_mask_takes_a_quarter_of_a_short_window_at_most() -> None:
    spec = AugmentSpec(band_mask=0, time_mask_frames=100)
    assert max(len(blanked(window(16), spec, seed)[1]) for seed in range(60)) == 4


def test_a_mask_wider_than_the_window_blanks_all_of_it() -> None:
    spec = AugmentSpec(band_mask=1000, time_mask_frames=0)
    assert any(len(blanked(window(16), spec, seed)[0]) == BANDS for seed in range(5))


def test_a_noise_floor_lifts_what_is_quiet_and_leaves_what_is_loud() -> None:
    spec = AugmentSpec(
        stretch=1, filter_sd=0, floor_share=1, noise_share=0, band_mask=0, time_mask_frames=0, short_share=0
    )
    x = np.repeat([-20.0, 0.0], 30)[:, None] * np.ones(BANDS)
    lifts = np.array([augment(spec, x, lambda: None, np.random.default_rng(s)) - x for s in range(40)])
    assert (lifts > 0).all()
    assert lifts[:, :30].mean() > 0.3
    assert np.median(lifts[:, 30:]) < 1e-3
