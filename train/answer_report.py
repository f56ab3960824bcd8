"""What a person reads of a set of five-way answers: the likeliest class beside rare classes favoured, and how sure."""

from __future__ import annotations

from typing import Any

from train.report import SHORT, confusion_grid, grid, interval

Section = tuple[str, str]
WAYS = ("likeliest class", "rare classes favoured")
_OVERALL = {"accuracy": "accuracy", "balanced accuracy": "balanced_accuracy", "macro-F1": "macro_f1"}


def answered(result: dict[str, Any]) -> list[Section]:
    """Sections of what `train.gathered.answered` gives."""
    return [
        ("Answers", _overall(result) + "\n\n" + _classes(result)),
        ("Confusion, likeliest class", confusion_grid(result["confusion"], SHORT)),
        ("How sure it is", _sureness(result)),
    ]


def mistaken(shares: dict[str, Any]) -> str:
    """A line on set A's normals: artifact and extra heart sound are the classes that only set A has."""
    said = ", ".join(f"{interval(shares[way])} ({way})" for way in WAYS)
    return f"Share of set A's normals called artifact or extra heart sound, the classes that only set A has: {said}."


def _overall(result: dict[str, Any]) -> str:
    rows = [[name, interval(result[key]), interval(result["rare_favoured"][key])] for name, key in _OVERALL.items()]
    return grid([f"{result['n']} recordings, {result['groups']} groups", *WAYS], rows)


def _classes(result: dict[str, Any]) -> str:
    head = [
        "class",
        "n",
        *(f"{score}, {way}" for way in ("likeliest", "favoured") for score in ("precision", "recall")),
    ]
    rows = []
    for name, row in result["per_class"].items():
        if row["n"]:
            both = (row, result["rare_favoured"]["per_class"][name])
            rows.append([name, str(row["n"]), *(interval(x[score]) for x in both for score in ("precision", "recall"))])
    return grid(head, rows)


def _sureness(result: dict[str, Any]) -> str:
    abstaining = result["abstaining"]
    return "\n".join(
        [
            f"- calibration error of the likeliest class's probability: {interval(result['calibration_error'])}",
            f"- sure enough to answer, share of the recordings: {interval(abstaining['answered_share'])}; "
            f"of those as labelled: {interval(abstaining['answered_accuracy'])}",
            f"- area under the risk-coverage curve: {interval(abstaining['aurc'])}",
        ]
    )
