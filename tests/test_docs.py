"""Figures in the documents are those of the committed results, and nothing else."""

from __future__ import annotations

import json
import re
import runpy

import pytest
from conftest import ROOT

from models import bundle
from train import signal_report
from train.config import Config, from_dict

FIGURES = runpy.run_path(str(ROOT / "docs" / "figures.py"))


def test_evaluation_document_is_current() -> None:
    assert (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8") == FIGURES["evaluation"]()


def test_readme_table_is_current() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "<!-- figures -->" in text
    assert text == FIGURES["readme"](text)


@pytest.mark.parametrize("name", FIGURES["ORDER"])
def test_results_hold_every_score_with_its_interval(name: str) -> None:
    result = json.loads((ROOT / "docs" / "results" / f"{name}.json").read_text())
    scores = [result[key] for key in ("accuracy", "balanced_accuracy", "macro_f1")]
    scores += [row[key] for row in result["per_class"].values() if row["n"] for key in ("precision", "recall")]
    assert result["protocol"] == name
    assert all(s["low"] <= s["value"] <= s["high"] for s in scores)


def intervals(value: object) -> list[dict[str, float]]:
    """Every score with an interval, at any depth."""
    if isinstance(value, dict):
        if set(value) == {"value", "low", "high"}:
            return [value] if value["value"] is not None else []
        return [score for inner in value.values() for score in intervals(inner)]
    return []


@pytest.mark.parametrize("name", FIGURES["SIGNAL"])
def test_results_of_the_signal_hold_scores_with_intervals_under_the_shipped_settings(name: str) -> None:
    result = json.loads((ROOT / "docs" / "results" / f"{name}.json").read_text())
    found = intervals(result)
    assert result["protocol"] == name
    assert len(found) > 10
    assert all(s["low"] <= s["value"] <= s["high"] for s in found)
    assert from_dict(result["config"]) == Config()
    (kept,) = [f for f in bundle.load().meta["figures"] if f["protocol"] == name]
    assert kept["headline"] == signal_report.headline(result)


def test_links_in_documents_lead_somewhere() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name} points to {target}"


def test_results_and_the_shipped_model_share_their_settings() -> None:
    shipped = bundle.load()
    for name in FIGURES["ORDER"]:
        result = json.loads((ROOT / "docs" / "results" / f"{name}.json").read_text())
        config = from_dict(result["config"])
        assert config == Config()
        assert (config.front_end, config.window) == (shipped.front_end.spec, shipped.window)
        (kept,) = [f for f in shipped.meta["figures"] if f["protocol"] == name]
        assert all(kept[key] == result[key] for key in kept)
