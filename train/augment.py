"""Random changes to training windows of log energies: what differs between devices, rooms and hands."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from train.config import AugmentSpec

Array = np.ndarray
_NEPERS_PER_DB = np.log(10) / 10


def augment(spec: AugmentSpec, window: Array, noise: Callable[[], Array | None], rng: np.random.Generator) -> Array:
    """One random version of a window.

    Args:
        spec: how strong each change is.
        window: (frames, bands) log energies.
        noise: gives the log energies (any frames, bands) of a random everyday noise, or None where there is none.
        rng: the source of all chance.

    Returns:
        (frames', bands); the frames differ from the window's by the stretch.
    """
    x = stretch(window, np.exp(rng.uniform(-1, 1) * np.log(spec.stretch)))
    x = x + smooth_curve(x.shape[1], spec.filter_sd, rng)
    if rng.random() < spec.noise_share and (other := noise()) is not None:
        x = mix(x, other, rng.uniform(*spec.noise_snr_db), rng)
    if rng.random() < spec.floor_share:
        x = add_floor(x, spec.filter_sd, rng)
    return mask(x, spec, rng)


def stretch(x: Array, factor: float) -> Array:
    """Slower for a factor above 1, faster below; linear interpolation between frames."""
    if len(x) < 2:
        return x
    at = np.linspace(0, len(x) - 1, max(2, round(len(x) * factor)))
    low = np.minimum(at.astype(int), len(x) - 2)
    share = (at - low)[:, None]
    return np.asarray(x[low] * (1 - share) + x[low + 1] * share)


def smooth_curve(bands: int, sd: float, rng: np.random.Generator) -> Array:
    """A random smooth frequency response (bands,), four random points joined by straight lines."""
    return np.interp(np.linspace(0, 3, bands), np.arange(4), rng.normal(0, sd, 4))


def mix(x: Array, noise: Array, snr_db: float, rng: np.random.Generator) -> Array:
    """Add the energies of a noise, started at a random frame and repeated, at a signal-to-noise ratio."""
    start = rng.integers(len(noise))
    picked = noise[(start + np.arange(len(x))) % len(noise)]
    lift = _log_mean_energy(x) - _log_mean_energy(picked) - snr_db * _NEPERS_PER_DB
    return np.asarray(np.logaddexp(x, picked + lift))


def add_floor(x: Array, filter_sd: float, rng: np.random.Generator) -> Array:
    """Add a stationary noise floor at a random level, below half of the values at most."""
    level = np.quantile(x, rng.uniform(0.02, 0.5))
    return np.asarray(np.logaddexp(x, level + smooth_curve(x.shape[1], filter_sd, rng) + rng.normal(0, 0.3, x.shape)))


def mask(x: Array, spec: AugmentSpec, rng: np.random.Generator) -> Array:
    """Blank a few neighbouring bands and frames with each band's mean (SpecAugment, Park et al. 2019)."""
    x = x.copy()
    means = x.mean(axis=0)
    width = int(rng.integers(spec.band_mask + 1))
    band = int(rng.integers(max(0, x.shape[1] - width) + 1))
    x[:, band : band + width] = means[band : band + width]
    length = int(rng.integers(min(spec.time_mask_frames, len(x) // 4) + 1))
    frame = int(rng.integers(len(x) - length + 1))
    x[frame : frame + length] = means
    return x


def _log_mean_energy(x: Array) -> float:
    top = float(x.max())
    return top + float(np.log(np.exp(x - top).mean()))
