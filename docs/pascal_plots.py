"""Plots of the protocol `pascal-grouped`; `evaluation_plots` draws them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from plot_parts import BLUE, COLOURS, GREY, ORANGE, Array, answers, panels, spread, squares, values
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

from models.classes import CLASSES
from train import scores
from train.answer_report import WAYS
from train.report import SHORT, confusion_panel

_DASHES = ("-", "-", "--", "-.", ":")
_BINS = 10


def confusion(result: dict[str, Any]) -> Figure:
    """The likeliest class beside rare classes favoured."""
    figure, sides = panels(9, 4.4, 2)
    for axes, way, part in zip(sides, WAYS, (result, result["rare_favoured"]), strict=True):
        axes.grid(visible=False)
        confusion_panel(axes, part["confusion"], SHORT)
        axes.set_title(way)
    sides[1].set_ylabel("")
    return figure


def curves(result: dict[str, Any]) -> Figure:
    """ROC and precision-recall, each class against the rest."""
    truth, chances, _ = answers(result, CLASSES, "label")
    figure, (ranking, finding) = panels(9, 5.8, 2)
    for k, name in enumerate(SHORT):
        own, odds = truth == k, chances[:, k]
        drawn: dict[str, Any] = {"color": COLOURS[k], "linestyle": _DASHES[k], "linewidth": 1.6}
        missed, found, _ = roc_curve(own, odds)
        precision, recall, _ = precision_recall_curve(own, odds)
        mean = f"average precision {average_precision_score(own, odds):.2f} (by chance {own.mean():.2f})"
        ranking.plot(missed, found, label=f"{name}: ROC area {auc(missed, found):.2f}, {mean}", **drawn)
        finding.plot(recall, precision, drawstyle="steps-post", **drawn)
    ranking.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    ranking.set(title="ROC", xlabel="share of the rest called so", ylabel="share of the class found")
    finding.set(title="precision and recall", xlabel="recall: share of the class found")
    finding.set(ylabel="precision: share of those called so")
    squares(ranking, finding)
    figure.legend(loc="outside lower center", title="each class against the rest")
    return figure


def sureness(result: dict[str, Any]) -> Figure:
    """Whether a probability is what it says, and what abstaining brings."""
    figure, (reliability, risk) = panels(9, 4.2, 2)
    _reliability(reliability, *answers(result, CLASSES, "label"))
    _risk(risk, result)
    return figure


def seconds(result: dict[str, Any]) -> Figure:
    """Accuracy by seconds heard, a line per cohort; the whole recordings stand at the right."""
    figure, (axes,) = panels(7, 3.6, 1)
    ticks = {name: float(name) for cohort in result["heard"] for name in cohort["accuracy"] if name != "all"}
    whole = max(ticks.values(), default=0.0) + 2
    looks = zip(result["heard"], ((BLUE, "o", -0.06), (ORANGE, "s", 0.06)), strict=False)
    for cohort, (colour, marker, aside) in looks:
        drawn: dict[str, Any] = {"color": colour, "marker": marker, "capsize": 2, "linewidth": 1.2}
        *parts, last = cohort["accuracy"].values()
        at = [ticks[name] + aside for name in cohort["accuracy"] if name in ticks]
        label = f"{cohort['n']} recordings of {cohort['at_least_s']:g} s or more"
        axes.errorbar(at, values(parts), yerr=spread(parts), label=label, **drawn)
        axes.errorbar([whole + 3 * aside], values([last]), yerr=spread([last]), **drawn)
    axes.set_xticks([*ticks.values(), whole], [*ticks, "all of it"])
    axes.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    axes.set(title="accuracy of the answer that stands in the stream", xlabel="heard, s", ylabel="accuracy")
    if result["heard"]:
        axes.legend(loc="lower right")
    return figure


def _reliability(axes: Axes, truth: Array, chances: Array, groups: Sequence[str]) -> None:
    """Bins as those of `scores.calibration_error`, with intervals by group."""
    confidence, right = chances.max(axis=1), chances.argmax(axis=1) == truth
    parts = np.array_split(np.argsort(confidence, kind="stable"), _BINS)
    found = [scores.ratio(right[p].astype(float), np.ones(len(p)), [groups[i] for i in p]) for p in parts]
    means = [confidence[p].mean() for p in parts]
    label = f"a dot: a tenth of {len(truth)} answers"
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    axes.errorbar(
        means, values(found), yerr=spread(found), color=BLUE, marker="o", capsize=2, linewidth=1.2, label=label
    )
    axes.set(title="reliability: is the probability right?", xlabel="probability told of the answer")
    axes.set(ylabel="share as labelled", xlim=(1 / len(CLASSES), 1.01), ylim=(0, 1.02))
    axes.legend(loc="lower right")


def _risk(axes: Axes, result: dict[str, Any]) -> None:
    told = result["abstaining"]
    coverage, risk = 100 * np.array(told["risk_coverage"]).T
    axes.plot(coverage, risk, color=BLUE, linewidth=1.6, label="all thresholds")
    if told["answered_accuracy"]["value"] is not None:
        share = [told["answered_share"]]
        wrong = [_complement(told["answered_accuracy"])]
        point = 100 * values(share), 100 * values(wrong)
        drawn: dict[str, Any] = {"color": ORANGE, "marker": "o", "capsize": 2, "linestyle": "", "zorder": 3}
        axes.errorbar(
            *point, xerr=100 * spread(share), yerr=100 * spread(wrong), label="threshold from inner folds", **drawn
        )
    axes.set(title="risk and coverage: fewer answers, fewer errors", xlim=(0, 101), ylim=(0, None))
    axes.set(xlabel="answered, % of the recordings, surest first", ylabel="errors, % of the answers")
    axes.legend(loc="upper left")


def _complement(share: scores.Score) -> scores.Score:
    ends = {"value": share["value"], "low": share["high"], "high": share["low"]}
    return {name: None if x is None else 1 - x for name, x in ends.items()}
