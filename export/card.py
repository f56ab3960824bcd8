"""The model card, written from the bundle's own metadata."""

from __future__ import annotations

from typing import Any

from models.classes import WORDS
from train.report import interval, table


def card(meta: dict[str, Any]) -> str:
    """CARD.md as Markdown text (headings after Mitchell et al. 2019, "Model cards for model reporting")."""
    return f"""# {meta["id"]}

{meta["intended_use"].capitalize()}.

Sounds it tells apart: {", ".join(WORDS[c] for c in meta["classes"])}.

- network: two pooling convolutions, one unidirectional LSTM, attention pooling; {meta["parameters"]:,} parameters
- hears: {_hears(meta)}
- licence: {meta["licence"]}
- commit: `{meta["commit"]}`

## Learned from

{_training(meta["training"])}

The shipped network learned from both sides. Its calibration was fitted on the answers of a network of the same recipe
that learned from the first side only.

## How it does on recordings of people it did not learn from

{_figures(meta["figures"])}

On the held-out side of its own run (the calibration was fitted on it, so these are optimistic):

{table(meta["held_out"])}

## What to know before you trust it

- `extra_heart_sound` and `artifact` come almost wholly from one phone app, `extrasystole` wholly from one stethoscope:
  the network may know the device as much as the sound.
- An extrasystole is a matter of rhythm, and this network hears timbre: it rarely finds one.
- Children and young adults make up most of the murmur recordings; one stethoscope model made most of them.
- Probabilities are calibrated on this mixture of data sets, not on the people you listen to.
"""


def _hears(meta: dict[str, Any]) -> str:
    spec, window = meta["front_end"], meta["window"]
    hop_s = spec["hop_samples"] / spec["rate_hz"]
    return (
        f"{spec['low_hz']:g}-{spec['high_hz']:g} Hz at {spec['rate_hz']} Hz, {spec['bands']} mel bands, "
        f"windows of {window['window_frames'] * hop_s:.1f} s every {window['hop_frames'] * hop_s:.1f} s"
    )


def _training(sides: dict[str, Any]) -> str:
    lines = []
    for name, side in sides.items():
        counts = ", ".join(f"{what} {n}" for what, n in side["counts"].items())
        lines.append(f"- {name}: {side['groups']} groups, hash `{side['hash']}`: {counts}")
    return "\n".join(lines)


def _figures(figures: list[dict[str, Any]]) -> str:
    if not figures:
        return "Not evaluated yet: run `laennec evaluate` and export again with `--results`."
    lines = ["| protocol | accuracy | balanced accuracy | macro-F1 | n |", "|---|---|---|---|---|"]
    for f in figures:
        name = f"`{f['protocol']}`" + (f" ({f['leaky']})" if f["leaky"] else "")
        cells = " | ".join(interval(f[key]) for key in ("accuracy", "balanced_accuracy", "macro_f1"))
        lines.append(f"| {name} | {cells} | {f['n']} |")
    lines.append("")
    lines += [
        f"- AUROC, {name} (`{f['protocol']}`): {interval(score)}" for f in figures for name, score in f["auroc"].items()
    ]
    return "\n".join([*lines, "", "Values with 95 % intervals; `docs/evaluation.md` has the commands and protocols."])
