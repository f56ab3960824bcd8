"""The model card, written from the bundle's own metadata."""

from __future__ import annotations

from typing import Any

from models.classes import WORDS
from train.report import interval, table

_CAUTIONS = {
    "pascal_a": "- `extra_heart_sound` comes from one phone app alone (PASCAL set A): the network may know the app as "
    "much as the sound. The same holds for artifacts of heart recordings; everyday noise stands beside them.",
    "pascal_b": "- `extrasystole` comes from one stethoscope alone (PASCAL set B).",
    "circor": "- Most murmurs and normals come from children and young adults, heard with one stethoscope (CirCor).",
    "any": "- Probabilities are calibrated on this mixture of recordings, not on the people you listen to, and for "
    "whole recordings rather than for the last seconds.",
}


def card(meta: dict[str, Any]) -> str:
    """CARD.md as Markdown text (headings after Mitchell et al. 2019, "Model cards for model reporting")."""
    return f"""# {meta["id"]}

{meta["intended_use"].capitalize()}.

Sounds it tells apart: {", ".join(WORDS[c] for c in meta["classes"])}.

- network: two pooling convolutions, one unidirectional LSTM, attention pooling; {meta["parameters"]:,} parameters
- S1 and S2: {_rhythm(meta)}
- extrasystoles: {_extrasystole(meta)}
- hears: {_hears(meta)}
- licence: {meta["licence"]}
- commit: `{meta["commit"]}`

## Learned from

{_training(meta["training"])}

Calibration and threshold were fitted on the answers of networks of the same recipe that learned from two thirds of
them, each on what it had not learned from.{_recipe(meta["inner_folds"])}

## How it does on recordings of people it did not learn from

{_figures(meta["figures"])}

In the inner folds of its own run (the calibration was fitted on these answers, so they are a little optimistic):

{table(meta["inner_folds"])}

## What to know before you trust it

{_cautions(meta["training"])}
"""


def _recipe(inner: dict[str, Any]) -> str:
    """Which recipe it learned by: the figures are of models that may have taken another."""
    if "recipe" not in inner:
        return ""
    return (
        f" They chose the recipe `{inner['recipe']}` (`recipes` in `train/config.py`); the models behind the figures "
        "below chose for themselves, and docs/evaluation.md says which."
    )


def _cautions(sides: dict[str, Any]) -> str:
    """What follows from the sources that were learned from."""
    sources = {what.partition(" ")[0] for side in sides.values() for what in side["counts"]}
    return "\n".join(text for source, text in _CAUTIONS.items() if source in sources or source == "any")


def _hears(meta: dict[str, Any]) -> str:
    spec, window = meta["front_end"], meta["window"]
    hop_s = spec["hop_samples"] / spec["rate_hz"]
    return (
        f"{spec['low_hz']:g}-{spec['high_hz']:g} Hz at {spec['rate_hz']} Hz, {spec['bands']} mel bands, "
        f"windows of {window['window_frames'] * hop_s:.1f} s every {window['hop_frames'] * hop_s:.1f} s"
    )


def _rhythm(meta: dict[str, Any]) -> str:
    if not meta["rhythm"]:
        return "not found by this model, which was trained without annotated beats"
    return (
        f"one convolution and one GRU, {meta['rhythm_parameters']:,} parameters, learned from CirCor's annotations and "
        f"from noise; a beat is told {meta['rhythm_delay_s']:.2f} s late at most"
    )


def _extrasystole(meta: dict[str, Any]) -> str:
    if not meta["extrasystole"]:
        return "by the network alone"
    return (
        f"by the network, by a kernel machine on the spacing of all sounds ({meta['extrasystole_parameters']:,} "
        "values), and by counting early beats"
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
    lines = []
    for f in figures:
        lines.append(f"`{f['protocol']}`" + (f" ({f['leaky']})" if f["leaky"] else "") + ":\n")
        lines += [f"- {name}: {interval(score)}" for name, score in f["headline"].items()] + [""]
    return "\n".join([*lines, "Values with 95 % intervals; `docs/evaluation.md` has the commands and protocols."])
