"""What a person reads of scores and of a training run: Markdown, plots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # files only; no window system is needed

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

#: The classes where room is scarce, in their order.
SHORT = ("normal", "murmur", "extra sound", "extrasystole", "artifact")


def write(run: Path, metrics: dict[str, Any], history: Sequence[dict[str, float]], splits: dict[str, Any]) -> None:
    """Write learning.png, confusion.png and report.md into a run's folder."""
    learning_curve(history).savefig(run / "learning.png", dpi=150)
    confusion_matrix(metrics["confusion"], f"{metrics['n']} recordings").savefig(run / "confusion.png", dpi=150)
    (run / "report.md").write_text(_report(metrics, splits), encoding="utf-8")


def learning_curve(history: Sequence[dict[str, float]]) -> Figure:
    """Loss over steps; the held-out loss chooses nothing."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(
        [p["step"] for p in history],
        [p["loss"] for p in history],
        color="#8aa6c1",
        label="training batches (augmented)",
    )
    held = [(p["step"], p["held_out_loss"]) for p in history if "held_out_loss" in p]
    if held:
        axes.plot(*zip(*held, strict=True), color="#c4622d", marker="o", label="held-out recordings")
    axes.set(xlabel="step", ylabel="cross-entropy, nats", title="Learning curve", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def confusion_matrix(confusion: Sequence[Sequence[float]], title: str) -> Figure:
    """Counts over the five classes, shaded by the share of each true class."""
    figure = Figure(figsize=(6.2, 5.2), layout="constrained")
    axes = figure.add_subplot()
    confusion_panel(axes, confusion, SHORT)
    axes.set_title(title)
    return figure


def confusion_panel(axes: Axes, confusion: Sequence[Sequence[float]], names: Sequence[str]) -> None:
    """Shares of each true class and, below, counts; shaded by the share.

    Args:
        axes: where to draw.
        confusion: (k, k), rows: truth; a count is a mean over seeds, so it need not be whole.
        names: k.
    """
    counts = np.asarray(confusion)
    of_truth = counts.sum(axis=1)
    shares = counts / np.maximum(of_truth, 1)[:, None]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*counts.shape):
        share, count = float(shares[row, column]), float(counts[row, column])
        colour = "#9aa5ad" if not count else "white" if share > 0.55 else "black"
        said = f"{100 * share:.0f} %\n{_count(count)}" if count else "0"
        axes.text(column, row, said, ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(
        range(len(names)), [f"{name} ({_count(n)})" for name, n in zip(names, of_truth.tolist(), strict=True)]
    )
    axes.set(xlabel="answered", ylabel="labelled")


def interval(score: dict[str, float | None]) -> str:
    """A score as people read it: value and 95 % interval."""
    if score["value"] is None:
        return "-"
    if score["low"] is None:
        return f"{score['value']:.3f}"
    return f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def confusion_grid(confusion: Sequence[Sequence[float]], names: Sequence[str]) -> str:
    """Markdown table of counts, of what occurs; arguments as `confusion_panel` takes them."""
    rows = [[name, *(_count(x) for x in row)] for name, row in zip(names, confusion, strict=True) if sum(row)]
    return grid(["labelled \\ answered", *names], rows)


def table(result: dict[str, Any]) -> str:
    """Markdown tables of a `scores.classification` result."""
    overall = [interval(result[key]) for key in ("accuracy", "balanced_accuracy", "macro_f1")]
    classes = [
        [name, interval(row["precision"]), interval(row["recall"]), str(row["n"])]
        for name, row in result["per_class"].items()
        if row["n"]
    ]
    return "\n\n".join(
        [
            grid(["accuracy", "balanced accuracy", "macro-F1", "n"], [[*overall, str(result["n"])]]),
            grid(["class", "precision", "recall", "n"], classes),
        ]
    )


def _count(n: float) -> str:
    """A mean of counts over three seeds, to a tenth."""
    return f"{round(n, 1):g}"


def _report(metrics: dict[str, Any], splits: dict[str, Any]) -> str:
    sides = "\n".join(
        f"- {name}: {len(side['names'])} recordings of {side['groups']} groups, hash `{side['hash']}`: "
        + ", ".join(f"{what} {n}" for what, n in side["counts"].items())
        for name, side in splits.items()
    )
    answered = metrics["answered_accuracy"]
    return f"""# Training run

{metrics["says"]}.

{sides}

{table(metrics)}

- abstains below probability {metrics["decide"]["threshold"]:.3f}
- answers {metrics["answered_share"]:.0%} of them, {"-" if answered is None else f"{answered:.0%}"} of those as labelled
- calibration error {metrics["calibration_error"]:.3f}

![learning curve, first inner fold](learning.png)

![confusion matrix](confusion.png)
"""
