"""What a person reads of a run or a protocol: plots, a Markdown report, lines in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # files only; no window system is needed

import numpy as np
from matplotlib.figure import Figure

from models.classes import CLASSES

_SHORT = ("normal", "murmur", "extra sound", "extrasystole", "artifact")


def write(run: Path, metrics: dict[str, Any], history: Sequence[dict[str, float]], splits: dict[str, Any]) -> None:
    """Write learning.png, confusion.png and report.md into a run's folder."""
    learning_curve(history).savefig(run / "learning.png", dpi=150)
    confusion_matrix(metrics["confusion"], f"{metrics['n']} held-out recordings").savefig(
        run / "confusion.png", dpi=150
    )
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
    """Counts, shaded by the share of each true class."""
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(6.2, 5.2), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*counts.shape):
        colour = "white" if shares[row, column] > 0.55 else "black"
        axes.text(column, row, f"{counts[row, column]:.4g}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(CLASSES)), _SHORT, rotation=30, ha="right")
    axes.set_yticks(range(len(CLASSES)), _SHORT)
    axes.set(xlabel="answered", ylabel="labelled", title=title)
    return figure


def interval(score: dict[str, float | None]) -> str:
    """A score as people read it: value and 95 % interval."""
    if score["value"] is None:
        return "-"
    if score["low"] is None:
        return f"{score['value']:.3f}"
    return f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"


def table(result: dict[str, Any]) -> str:
    """Markdown table of a `scores.classification` result."""
    lines = [
        f"| accuracy | balanced accuracy | macro-F1 | n |\n|---|---|---|---|\n| {interval(result['accuracy'])} | "
        f"{interval(result['balanced_accuracy'])} | {interval(result['macro_f1'])} | {result['n']} |",
        "",
        "| class | precision | recall | n |",
        "|---|---|---|---|",
    ]
    for name, row in result["per_class"].items():
        if row["n"]:
            lines.append(f"| {name} | {interval(row['precision'])} | {interval(row['recall'])} | {row['n']} |")
    return "\n".join(lines)


def protocol_text(result: dict[str, Any]) -> str:
    """A protocol's result for the terminal and the docs, in Markdown."""
    parts = [f"## {result['protocol']}" + (f" ({result['leaky']})" if result["leaky"] else ""), result["says"] + "."]
    parts.append(table(result))
    areas = [f"- AUROC, {name}: {interval(score)}" for name, score in result.get("auroc", {}).items()]
    if result.get("calibration_error") is not None:
        areas.append(f"- calibration error (equal mass, cross-fitted temperature): {result['calibration_error']:.3f}")
    parts += ["\n".join(areas)] if areas else []
    parts.append(_confusion_text(result["confusion"]))
    parts += [f"### {source} alone\n\n{table(part)}" for source, part in result.get("parts", {}).items()]
    rows = [
        f"| {name} | {interval(b['accuracy'])} | {interval(b['balanced_accuracy'])} | {interval(b['macro_f1'])} |"
        for name, b in result["baselines"].items()
    ]
    head = "### Baselines, same folds\n\n| | accuracy | balanced accuracy | macro-F1 |\n|---|---|---|---|\n"
    return "\n\n".join([*parts, head + "\n".join(rows)]) + "\n"


def _confusion_text(confusion: Sequence[Sequence[float]]) -> str:
    head = "| labelled \\ answered | " + " | ".join(_SHORT) + " |\n|---|" + "---|" * len(_SHORT)
    rows = [
        f"| {name} | " + " | ".join(f"{x:.4g}" for x in row) + " |" for name, row in zip(_SHORT, confusion, strict=True)
    ]
    return "\n".join([head, *rows])


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

- temperature {metrics["decide"]["temperature"]:.3f}, abstains below probability {metrics["decide"]["threshold"]:.3f}
- answers {metrics["answered_share"]:.0%} of them, {"-" if answered is None else f"{answered:.0%}"} of those as labelled
- calibration error {metrics["calibration_error"]:.3f}

![learning curve](learning.png)

![confusion matrix](confusion.png)
"""
