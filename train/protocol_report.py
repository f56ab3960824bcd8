"""What a person reads of a classification protocol's result, in Markdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from train import device_report, patient_report
from train.answer_report import answered, mistaken
from train.report import grid, interval, table

#: Title and text; the first section, which introduces the protocol, has no title.
Section = tuple[str, str]


def text(result: dict[str, Any]) -> str:
    """A result of `train.results.of`, for the terminal."""
    return "\n\n".join(f"### {title}\n\n{body}" if title else body for title, body in sections(result)) + "\n"


def sections(result: dict[str, Any]) -> list[Section]:
    """The same part by part, so that pictures can be put between."""
    leak = f" ({result['leaky']})" if result["leaky"] else ""
    said = f"## {result['protocol']}{leak}\n\n{result['says']}.{_chosen(result.get('recipes', {}))}"
    return [("", said), *_SECTIONS[result["protocol"]](result)]


def _chosen(recipes: dict[str, int]) -> str:
    if not recipes:
        return ""
    counts = ", ".join(f"{name} for {count}" for name, count in recipes.items())
    return f" Of the recipes (`recipes` in `train/config.py`) inner folds chose, by number of models: {counts}."


def _recordings(result: dict[str, Any]) -> list[Section]:
    """One answer per recording of PASCAL."""
    areas = "\n".join(f"- AUROC, {name}: {interval(score)}" for name, score in result["auroc"].items())
    return [
        *answered(result),
        ("One class against normal, within one set", areas),
        ("Seconds heard", _over_time(result)),
        ("The device", mistaken(result["set_a_normals"])),
        *((f"{device_report.SOURCES[source]} alone", table(part)) for source, part in result["parts"].items()),
        ("Baselines, same folds", _baselines(result["baselines"])),
    ]


def _over_time(result: dict[str, Any]) -> str:
    parts = []
    if cohorts := result["heard"]:
        seconds = list(dict.fromkeys(s for cohort in reversed(cohorts) for s in cohort["accuracy"]))
        rows = [
            ["all of it" if s == "all" else f"{s} s", *(_known(cohort["accuracy"].get(s)) for cohort in cohorts)]
            for s in seconds
        ]
        rows.append(["all less 4 s", *(interval(cohort["whole_minus_4_s"]) for cohort in cohorts)])
        head = [f"recordings of {cohort['at_least_s']:g} s or more ({cohort['n']})" for cohort in cohorts]
        parts += ["Accuracy of the answer that stands in the stream:", grid(["heard", *head], rows)]
    flips = result["flips_per_minute"]
    parts.append(
        f"The answer changes {interval(flips['smoothed'])} times a minute; without smoothing {interval(flips['raw'])}."
    )
    return "\n\n".join(parts)


def _known(score: dict[str, float | None] | None) -> str:
    return interval(score) if score else ""


def _baselines(baselines: dict[str, Any]) -> str:
    keys = ("accuracy", "balanced_accuracy", "macro_f1")
    rows = [[name, *(interval(b[key]) for key in keys)] for name, b in baselines.items()]
    return grid(["", "accuracy", "balanced accuracy", "macro-F1"], rows)


_SECTIONS: dict[str, Callable[[dict[str, Any]], list[Section]]] = {
    "pascal-grouped": _recordings,
    "seed-split": _recordings,
    "circor-patients": patient_report.sections,
    "new-device": device_report.new_device,
    "cross-device": device_report.cross_device,
    "leakage": device_report.leakage,
}
