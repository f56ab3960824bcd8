"""Figures in the documents are those of the committed results, and nothing else."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sample_results
from conftest import ROOT

from export import onnx
from models import bundle
from models.classes import CLASSES
from train.config import Config, from_dict
from train.protocols import PROTOCOLS

sys.path.insert(0, str(ROOT / "docs"))  # where `make figures` and `make plots` run them

import evaluation_plots
import evaluation_texts
import figures
import pictures

RESULTS = ROOT / "docs" / "results"
EVERY = (*figures.PROTOCOLS, *figures.SIGNAL)


def result(name: str) -> dict[str, Any]:
    return dict(json.loads((RESULTS / f"{name}.json").read_text()))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    sample_results.write(folder)
    return folder


# --- what is committed


def test_evaluation_document_is_current() -> None:
    assert (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8") == figures.evaluation()


def test_readme_figures_are_current() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "<!-- figures -->" in text
    assert text == figures.readme(text)


def test_every_protocol_has_its_results() -> None:
    assert sorted(EVERY) == sorted({*PROTOCOLS, "timing", "quality"})
    assert sorted(path.stem for path in RESULTS.iterdir()) == sorted([*EVERY, "benchmarks"])  # of `make benchmarks`


def intervals(value: object) -> Iterator[dict[str, float]]:
    """Every score with an interval, at any depth."""
    if isinstance(value, dict) and {"value", "low", "high"} <= set(value):
        if value["value"] is not None:
            yield value
    elif isinstance(value, dict):
        # A resample has fewer different recordings, so its bins are noisier and its error of calibration higher.
        for name, inner in value.items():
            yield from intervals(inner) if name != "calibration_error" else ()
    elif isinstance(value, list):
        for inner in value:
            yield from intervals(inner)


@pytest.mark.parametrize("name", EVERY)
def test_results_hold_scores_within_their_intervals(name: str) -> None:
    held = result(name)
    found = list(intervals(held))
    assert held["protocol"] == name
    assert len(found) > 3
    assert all(s["low"] <= s["value"] <= s["high"] for s in found)


@pytest.mark.parametrize("name", EVERY)
def test_results_and_the_shipped_model_share_their_settings_and_figures(name: str) -> None:
    held, shipped = result(name), bundle.load()
    config = from_dict(held["config"])
    assert config == Config()
    assert (config.front_end, config.window) == (shipped.front_end.spec, shipped.window)
    (kept,) = [f for f in shipped.meta["figures"] if f["protocol"] == name]
    assert kept == onnx.figures(held, config)


def test_every_plot_is_drawn_and_shown() -> None:
    drawn = set(evaluation_plots.draw())
    assert {path.stem for path in (ROOT / "docs" / "plots").glob("*.png")} == drawn


def test_links_in_documents_lead_somewhere() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name} points to {target}"


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_the_screens_pictures_are_those_of_today(name: str) -> None:
    kept = (ROOT / "docs" / f"{name}.svg").read_text(encoding="utf-8")
    assert pictures.PICTURES[name]() == kept, "the screen looks different now: make pictures"
    assert f"(docs/{name}.svg)" in (ROOT / "README.md").read_text(encoding="utf-8")


# --- how it is made


def test_the_document_holds_every_protocol_and_every_plot_once(made: Path) -> None:
    text = figures.evaluation(made)
    headings = re.findall(r"^## (\S+)", text, re.MULTILINE)
    assert headings == list(EVERY)
    assert text.startswith(evaluation_texts.INTRODUCTION)
    assert sorted(re.findall(r"\]\(plots/(.*?)\.png\)", text)) == sorted(evaluation_plots.draw(made))
    for note in evaluation_texts.NOTES.values():
        assert text.count(note) == 1


def test_pictures_stand_in_the_section_that_they_show(made: Path) -> None:
    text = figures.evaluation(made)
    seconds = text.partition("### Seconds heard\n")[2].partition("\n### ")[0]
    assert "](plots/pascal-seconds.png)" in seconds
    told = text.partition("## circor-patients\n")[2].partition("\n## ")[0]
    assert "](plots/circor-ranking.png)" in told.partition("### Patients\n")[2].partition("\n### ")[0]


def over_seeds(answer: dict[str, Any]) -> list[float]:
    """Its probabilities, mean over the seeds."""
    return [float(np.mean(p)) for p in zip(*answer["probabilities"], strict=True)]


def test_the_surest_mistakes_come_first(made: Path) -> None:
    held = json.loads((made / "pascal-grouped.json").read_text())
    rows = [line[2:-2].split(" | ") for line in figures.worst(held).splitlines() if line.startswith("| `")]
    assert len(rows) == 15
    told = {f"`{a['name'].partition('/')[2]}`": a for a in held["answers"]}
    for name, labelled, called, p in rows:
        chances = over_seeds(told[name])
        assert labelled == told[name]["label"] != called == CLASSES[chances.index(max(chances))]
        assert float(p) == pytest.approx(max(chances), abs=0.0051)
    wrong = [a for a in held["answers"] if CLASSES[over_seeds(a).index(max(over_seeds(a)))] != a["label"]]
    assert figures.worst(held).startswith(f"{len(wrong)} of 86 are called")
    surest = sorted((max(over_seeds(a)) for a in wrong), reverse=True)
    assert [float(row[-1]) for row in rows] == [pytest.approx(p, abs=0.0051) for p in surest[:15]]


def test_patients_are_listed_by_person_alone(made: Path) -> None:
    held = json.loads((made / "circor-patients.json").read_text())
    held["answers"] = [
        {"name": "501 murmur", "answer": "present", "probabilities": [0.7, 0.1, 0.2]},
        {"name": "502 normal", "answer": "absent", "probabilities": [0.7, 0.1, 0.2]},
        {"name": "503 unknown", "answer": "unknown", "probabilities": [[0.2, 0.0, 0.8], [0.0, 0.0, 1.0]]},
    ]
    assert figures.worst(held).splitlines()[2:] == [
        "| patient | labelled | called | probability |",
        "| --- | --- | --- | --- |",
        "| `503` | unknown | present | 0.90 |",
        "| `501` | present | absent | 0.70 |",
    ]


def test_the_readme_shows_protocols_and_headlines(made: Path) -> None:
    before = "a\n<!-- figures -->\nbefore\n<!-- end of figures -->\nb\n"
    text = figures.readme(before, made)
    assert text.startswith("a\n<!-- figures -->\n| protocol | answer | accuracy |")
    assert text.endswith("<!-- end of figures -->\nb\n")
    assert "\nbefore\n" not in text
    assert [line.split(" | ")[:2] for line in text.splitlines() if line.startswith("| `")] == [
        ["| `pascal-grouped`", "likeliest class"],
        ["| `pascal-grouped`", "rare classes favoured"],
        ["| `seed-split`, leaky: patients are shared", "likeliest class"],
    ]
    shown = [line for line in text.splitlines() if line.startswith("- ")]
    for wanted in ("AUROC, extrasystole vs normal, set B", "weighted accuracy", "clear normals", "S1 found", "quality"):
        assert any(line.startswith(f"- {wanted}") for line in shown), wanted
    assert figures.readme(text, made) == text
