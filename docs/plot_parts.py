"""What the plots of results share: looks, figures, error bars, the answers that a result lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from train.scores import Score

Array = np.ndarray
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#6b7780",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e7ea",
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
}
BLUE, ORANGE, GREY = "#0b6e8a", "#c4622d", "#9aa5ad"
#: Of each class; dashes or hatches tell them apart too.
COLOURS = ("#6b7780", BLUE, ORANGE, "#8a5a9e", "#b59a1e")


def panels(width: float, height: float, count: int) -> tuple[Figure, list[Axes]]:
    """A figure of so many inches with panels side by side."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def squares(*axes: Axes) -> None:
    """Both axes from 0 to 1 at the same scale."""
    for panel in axes:
        panel.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), box_aspect=1)


def answers(result: dict[str, Any], names: Sequence[str], key: str) -> tuple[Array, Array, list[str]]:
    """The answers that a result lists; of several seeds one after the other, where it lists them apart.

    Args:
        result: of a protocol.
        names: k, what is answered.
        key: of the truth in each answer.

    Returns:
        Truth (n,), probabilities (n, k) and groups (n).
    """
    listed = result["answers"]
    chances = np.array([a["probabilities"] for a in listed]).reshape(len(listed), -1, len(names))
    places = np.repeat(np.arange(len(listed)), chances.shape[1])
    truth = np.array([names.index(a[key]) for a in listed])[places]
    return truth, chances.reshape(-1, len(names)), [listed[i].get("group", listed[i]["name"]) for i in places]


def values(found: Sequence[Score]) -> Array:
    """(n,) values; NaN where undefined."""
    return np.array([score["value"] for score in found], dtype=float)


def spread(found: Sequence[Score]) -> Array:
    """(2, n) from each value down to its interval's end, and up; never below 0, where a value lies beside it."""
    ends = np.array([[score["low"], score["high"]] for score in found], dtype=float).reshape(-1, 2).T
    return np.maximum([[-1.0], [1.0]] * (ends - values(found)), 0)
