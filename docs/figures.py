"""Write docs/evaluation.md and the README's figures from docs/results/*.json: `make figures`.

The pictures in it are drawn by `make plots`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from evaluation_texts import BEATS, INTRODUCTION, NOTES, PICTURES, QUALITY, SIGNAL_INTRODUCTION

from models.classes import CLASSES
from train import protocol_report, signal_report
from train.answer_report import WAYS
from train.headlines import headline
from train.patients import ANSWERS
from train.report import grid, interval

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
RESULTS = DOCS / "results"
PROTOCOLS = ("pascal-grouped", "circor-patients", "new-device", "cross-device", "leakage", "seed-split")
SIGNAL = ("timing", "quality")
_MARKED = re.compile(r"(<!-- figures -->\n).*?(<!-- end of figures -->)", re.DOTALL)

#: Of which protocols the worst mistakes are listed: how many, of what, what is answered, and the key of the truth.
WORST = {
    "pascal-grouped": (15, "recording", CLASSES, "label"),
    "circor-patients": (10, "patient", ANSWERS, "answer"),
}
#: Which headlines the README shows: a protocol, and how their names begin.
SHOWN = (
    ("circor-patients", ""),
    ("pascal-grouped", "AUROC, murmur vs normal, set B"),
    ("pascal-grouped", "AUROC, extrasystole"),
    ("new-device", "clear normals"),
    ("timing", ""),
    ("quality", ""),
)


def evaluation(results: Path = RESULTS) -> str:
    """The text of docs/evaluation.md.

    Args:
        results: folder of the result files.
    """
    timing, quality = (_result(results, name) for name in SIGNAL)
    answers = [_protocol(_result(results, name)) for name in PROTOCOLS]
    signal = [SIGNAL_INTRODUCTION, signal_report.timing(timing), BEATS, signal_report.quality(quality), QUALITY]
    return "\n".join([INTRODUCTION, *answers, *signal])


def readme(text: str, results: Path = RESULTS) -> str:
    """The README with its figures made anew; arguments as `evaluation` takes them."""
    rows = [
        *_rows(_result(results, "pascal-grouped"), WAYS),
        *_rows(_result(results, "seed-split"), WAYS[:1]),
    ]
    table = grid(["protocol", "answer", "accuracy", "balanced accuracy", "macro-F1", "n"], rows)
    lines = [
        f"- {name}: {interval(score)} (`{protocol}`)"
        for protocol, begins in SHOWN
        for name, score in headline(_result(results, protocol)).items()
        if name.startswith(begins)
    ]
    block = "\n".join([table, "", *lines]) + "\n"
    return _MARKED.sub(lambda m: m[1] + block + m[2], text)


def worst(result: dict[str, Any]) -> str:
    """The answers most surely called something else than labelled, as a Markdown table."""
    most, what, names, key = WORST[result["protocol"]]
    wrong = []
    for told in result["answers"]:
        mean = np.array(told["probabilities"]).reshape(-1, len(names)).mean(axis=0)
        if names[mean.argmax()] != told[key]:
            wrong.append((float(mean.max()), told["name"], told[key], names[mean.argmax()]))
    rows = [
        [f"`{_short(name)}`", truth, called, f"{p:.2f}"]
        for p, name, truth, called in sorted(wrong, reverse=True)[:most]
    ]
    count = (
        f"{len(wrong)} of {len(result['answers'])} are called something else than labelled by the likeliest answer, "
    )
    return f"{count}taken from the mean over seeds. The surest of them:\n\n" + grid(
        [what, "labelled", "called", "probability"], rows
    )


def _short(name: str) -> str:
    """A file without its source, or a person without the label."""
    return name.partition("/")[2] or name.partition(" ")[0]


def _protocol(result: dict[str, Any]) -> str:
    """Its report with pictures, notes and the worst mistakes."""
    name, parts = result["protocol"], []
    for title, body in protocol_report.sections(result):
        parts += [f"### {title}", body] if title else [body]
        if (name, title) in PICTURES:
            file, seen = PICTURES[name, title]
            parts.append(f"![{seen}](plots/{file}.png)")
        parts += [NOTES[name, title]] if (name, title) in NOTES else []
    if name in WORST:
        parts += ["### Worst mistakes", worst(result)]
    return "\n\n".join(parts) + "\n"


def _rows(result: dict[str, Any], ways: Sequence[str]) -> list[list[str]]:
    """The README's rows of a protocol, one per way to answer."""
    name = f"`{result['protocol']}`" + (f", {result['leaky']}" if result["leaky"] else "")
    scores = dict(zip(ways, (result, result["rare_favoured"]), strict=False))
    keys = ("accuracy", "balanced_accuracy", "macro_f1")
    return [[name, way, *(interval(s[key]) for key in keys), str(result["n"])] for way, s in scores.items()]


def _result(results: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((results / f"{name}.json").read_text()))


if __name__ == "__main__":
    (DOCS / "evaluation.md").write_text(evaluation(), encoding="utf-8")
    README.write_text(readme(README.read_text(encoding="utf-8")), encoding="utf-8")
