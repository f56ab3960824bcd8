"""What a person reads of the protocol `circor-patients`."""

from __future__ import annotations

from typing import Any

from train.answer_report import answered
from train.patients import ANSWERS
from train.report import confusion_grid, grid, interval

Section = tuple[str, str]
_AGES = ("Neonate", "Infant", "Child", "Adolescent", "Young Adult")


def sections(result: dict[str, Any]) -> list[Section]:
    """Patients' answers, where they fail, and the open answer of their recordings."""
    return [
        ("Patients", _patients(result)),
        ("Patients' answers", _answers(result)),
        ("Recordings by site and by age", _parts(result)),
        *((f"Recordings, all classes open: {title.lower()}", body) for title, body in answered(result["open_answer"])),
    ]


def by_age(ages: dict[str, Any]) -> dict[str, Any]:
    """The same, youngest first."""
    return {age: ages[age] for age in sorted(ages, key=lambda a: (*_AGES, a).index(a))}


def _patients(result: dict[str, Any]) -> str:
    counts = ", ".join(f"{name} {n}" for name, n in result["patients"].items())
    rows = [[f"AUROC, present vs absent, by {name}", interval(score)] for name, score in result["auroc"].items()]
    rows += [[name, interval(result[name.replace(" ", "_")])] for name in ("weighted accuracy", "balanced accuracy")]
    rows += [[f"baseline: {name}", interval(score)] for name, score in result["baselines"].items()]
    return grid([f"{result['n']} patients: {counts}", "score"], rows)


def _answers(result: dict[str, Any]) -> str:
    return "\n\n".join(
        f"Answers for the highest {way} accuracy:\n\n{confusion_grid(result[f'confusion_{way}'], ANSWERS)}"
        for way in ("weighted", "balanced")
    )


def _parts(result: dict[str, Any]) -> str:
    parts = result["parts"]
    named = {f"site {site}": score for site, score in parts["sites"].items()} | by_age(parts["ages"])
    rows = [[name, str(s["n"]), str(s["positive"]), interval(s)] for name, s in named.items()]
    return grid(["recordings", "n", "with a murmur", "AUROC, murmur vs normal"], rows)
