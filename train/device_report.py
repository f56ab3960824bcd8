"""What a person reads of the protocols about devices: `new-device`, `cross-device`, `leakage`."""

from __future__ import annotations

from typing import Any

from train.answer_report import mistaken
from train.report import grid, interval

Section = tuple[str, str]
#: Sources as people read them.
SOURCES = {"pascal_a": "set A of PASCAL", "pascal_b": "set B of PASCAL", "pascal": "PASCAL", "circor": "CirCor"}
#: Which normals are asked about: key of the result, and how people read it.
NORMALS = {"clear_normals": "clear normals", "all_normals": "all normals"}


def new_device(result: dict[str, Any]) -> list[Section]:
    """Per source that was left out what its normals are called."""
    return [(f"{SOURCES[source]} left out", _left_out(told)) for source, told in result["sources"].items()]


def cross_device(result: dict[str, Any]) -> list[Section]:
    """From one source to another."""
    rows = [
        [*(SOURCES[source] for source in name.split("-to-")), interval(score)]
        for name, score in result["auroc"].items()
    ]
    return [("Murmur against normal", grid(["learned from", "tested on", "AUROC"], rows))]


def leakage(result: dict[str, Any]) -> list[Section]:
    """What the networks know of the device, and what changes with length and level."""
    keys = ("accuracy", "difference", "answers_changed")
    rows = [
        [name, *(interval(row[key]) if key in row else "" for key in keys)] for name, row in result["changed"].items()
    ]
    known = f"Set A told from set B by what the networks know of a recording, AUROC: {interval(result['device_auroc'])}"
    return [
        ("The device", f"{known} (0.5: not at all).\n\n{mistaken(result['set_a_normals'])}"),
        ("Length and level", grid(["recordings", "accuracy", "difference", "answers changed"], rows)),
    ]


def _left_out(told: dict[str, Any]) -> str:
    shares = [name for name in told["clear_normals"] if name != "n"]
    head = ["share called", *(f"{shown} ({told[key]['n']})" for key, shown in NORMALS.items())]
    rows = [[name, *(interval(told[key][name]) for key in NORMALS)] for name in shares]
    areas = "\n".join(f"- AUROC, {name}: {interval(score)}" for name, score in told["auroc"].items())
    return f"{grid(head, rows)}\n\n{areas}"
