"""Plots of the protocol `circor-patients`; `evaluation_plots` draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from plot_parts import BLUE, GREY, ORANGE, answers, panels, spread, squares, values
from sklearn.metrics import auc, roc_curve

from train.patient_report import by_age
from train.patients import ANSWERS
from train.report import confusion_panel

_WAYS = {"weighted": "s", "balanced": "D"}


def confusion(result: dict[str, Any]) -> Figure:
    """Answers for the highest weighted accuracy beside those for balanced accuracy."""
    figure, sides = panels(8, 3.9, 2)
    for axes, way in zip(sides, _WAYS, strict=True):
        axes.grid(visible=False)
        confusion_panel(axes, result[f"confusion_{way}"], ANSWERS)
        axes.set_title(f"for the highest {way} accuracy")
    sides[1].set_ylabel("")
    return figure


def ranking(result: dict[str, Any]) -> Figure:
    """ROC of the patients, and areas by site and age."""
    figure, (whole, parts) = panels(9, 4.2, 2)
    _roc(whole, result)
    _forest(parts, result)
    return figure


def _roc(axes: Axes, result: dict[str, Any]) -> None:
    truth, chances, _ = answers(result, ANSWERS, "answer")
    known = truth != ANSWERS.index("unknown")
    absent, _, present = np.log(chances[known] + 1e-12).T
    missed, found, _ = roc_curve(truth[known] == ANSWERS.index("present"), present - absent)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    axes.plot(missed, found, color=BLUE, linewidth=1.6, label=f"ROC, area {auc(missed, found):.3f}")
    for way, marker in _WAYS.items():
        counts = np.array(result[f"confusion_{way}"])
        called = counts[:, -1] / np.maximum(counts.sum(axis=1), 1)
        axes.plot(called[0], called[-1], marker, color=ORANGE, label=f"answers for {way} accuracy")
    axes.set(title="murmur present or absent, by patient", xlabel="share of the absent called present")
    axes.set(ylabel="share of the present found")
    axes.legend(loc="lower right")
    squares(axes)


def _forest(axes: Axes, result: dict[str, Any]) -> None:
    parts = result["parts"]
    rows = {"all, by patient": result["auroc"]["rule"]}
    rows |= {f"site {site}": score for site, score in parts["sites"].items()} | by_age(parts["ages"])
    known = {name: score for name, score in rows.items() if score["value"] is not None}
    found = list(known.values())
    axes.errorbar(values(found), list(known), xerr=spread(found), color=BLUE, marker="o", capsize=2, linestyle="")
    axes.invert_yaxis()
    axes.axvline(0.5, color=GREY, linewidth=0.8)
    axes.set(title="murmur against normal, recordings by site and age", xlabel="AUROC", xlim=(None, 1.01))
