"""How much the spacing of the sounds is like that of extrasystole recordings: a kernel machine over `intervals`.

A support vector machine with a Gaussian kernel (Cortes & Vapnik 1995), fitted by scikit-learn in training and evaluated
here with numpy, so that listening needs neither scikit-learn nor a graph of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.intervals import IntervalSpec

Array = np.ndarray
_MOST_VECTORS = 10_000


@dataclass(frozen=True, eq=False)
class Machine:
    """A fitted kernel machine. Part of the bundle.

    Attributes:
        spec: what it is told of the intervals.
        centre: (spec.size,) taken off each value.
        scale: (spec.size,) each is divided by, above 0.
        vectors: (n, spec.size) support vectors, centred and scaled.
        weights: (n,) of each.
        offset: added to the sum.
        gamma: the kernel is exp(-gamma * squared distance), above 0.
    """

    spec: IntervalSpec
    centre: Array
    scale: Array
    vectors: Array
    weights: Array
    offset: float
    gamma: float

    def __post_init__(self) -> None:
        size, count = self.spec.size, self.weights.size
        shapes = (self.centre.shape, self.scale.shape, self.vectors.shape, self.weights.shape)
        if shapes != ((size,), (size,), (count, size), (count,)) or not 0 < count <= _MOST_VECTORS:
            raise ValueError("the parts of the extrasystole machine do not fit together")
        parts = (self.centre, self.scale, self.vectors, self.weights, self.offset, self.gamma)
        if not all(np.isfinite(part).all() for part in parts) or not (self.scale > 0).all() or not self.gamma > 0:
            raise ValueError("the extrasystole machine holds numbers that can't be used")

    @property
    def parameters(self) -> int:
        """Fitted values."""
        return self.centre.size + self.scale.size + self.vectors.size + self.weights.size + 1

    def scores(self, intervals: Array) -> Array:
        """The distance from the boundary (...,), above 0 on the extrasystoles' side.

        Args:
            intervals: (..., spec.size) of `intervals.describe`.
        """
        heard = (intervals - self.centre) / self.scale
        # A product a moment, of one shape: its score must not depend on how many are asked for together.
        across = np.matmul(heard[..., None, :], self._vectors_t)[..., 0, :]
        away = np.maximum(self._lengths + (heard * heard).sum(axis=-1)[..., None] - 2 * across, 0.0)
        kernel = np.exp(-self.gamma * away)
        return np.asarray(np.matmul(kernel[..., None, :], self.weights)[..., 0] + self.offset)

    @cached_property
    def _vectors_t(self) -> Array:
        return np.ascontiguousarray(self.vectors.T)

    @cached_property
    def _lengths(self) -> Array:
        return np.asarray((self.vectors * self.vectors).sum(axis=1))
