"""What a training run leaves for people: numbers as they are written, plots, the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import image
from matplotlib.figure import Figure

from models.classes import CLASSES
from train import report, scores

HISTORY = [{"step": 50.0, "loss": 1.5}, {"step": 100.0, "loss": 1.0, "held_out_loss": 1.2}]
SPLITS = {"learned from": {"names": ["a", "b"], "groups": 1, "hash": "0f" * 8, "counts": {"folder normal": 2}}}


@pytest.fixture
def metrics() -> dict[str, Any]:
    """As `train.run` writes them: 3 of 4 right, the artifact called normal."""
    truth, answers = np.array([0, 0, 1, 4]), np.array([[0, 0, 1, 0]])
    return {
        "says": "one answer per recording",
        "decide": {"threshold": 0.625, "smoothing": 0.35, "margin": 0.05, "poor_quality": 0.1},
        "calibration_error": 0.0512,
        "answered_share": 0.5,
        "answered_accuracy": 1.0,
        **scores.classification(truth, answers, ["a", "b", "c", "d"]),
    }


def written(run: Path, metrics: dict[str, Any]) -> str:
    report.write(run, metrics, HISTORY, SPLITS)
    return (run / "report.md").read_text(encoding="utf-8")


def test_scores_as_people_read_them() -> None:
    assert report.interval({"value": 0.5, "low": 0.25, "high": 0.75}) == "0.500 [0.250, 0.750]"
    assert report.interval({"value": 0.5, "low": None, "high": None}) == "0.500"
    assert report.interval({"value": None, "low": None, "high": None}) == "-"


def test_tables_are_markdown() -> None:
    assert report.grid(["a", "b"], [["1", ""], ["2", "x"]]) == "| a | b |\n| --- | --- |\n| 1 |  |\n| 2 | x |"
    assert report.confusion_grid([[1.04, 2.25], [0, 0]], "ab") == (
        "| labelled \\ answered | a | b |\n| --- | --- | --- |\n| a | 1 | 2.2 |"
    )


def test_a_run_reports_its_scores_and_what_it_learned_from(tmp_path: Path, metrics: dict[str, Any]) -> None:
    text = written(tmp_path, metrics)
    assert "- learned from: 2 recordings of 1 groups, hash `0f0f0f0f0f0f0f0f`: folder normal 2\n" in text
    assert f"| {report.interval(metrics['accuracy'])} | " in text
    assert "| artifact | 0.000 [0.000, 0.000] | 0.000 [0.000, 0.000] | 1 |" in text
    assert "extrasystole" not in text  # there was none
    assert "- abstains below probability 0.625\n" in text
    assert "- answers 50% of them, 100% of those as labelled\n- calibration error 0.051\n" in text
    for name in ("learning.png", "confusion.png"):
        assert f"]({name})" in text
        assert image.imread(tmp_path / name).shape[0] > 500


def test_a_run_that_abstains_always_says_so(tmp_path: Path, metrics: dict[str, Any]) -> None:
    text = written(tmp_path, metrics | {"answered_share": 0.0, "answered_accuracy": None})
    assert "- answers 0% of them, - of those as labelled\n" in text


def test_learning_curves_show_what_they_are_given() -> None:
    lines = report.learning_curve(HISTORY).axes[0].lines
    assert [np.asarray(line.get_ydata()).tolist() for line in lines] == [[1.5, 1.0], [1.2]]
    assert len(report.learning_curve([]).axes[0].lines) == 1


def test_confusion_shows_shares_of_the_labelled_and_counts() -> None:
    confusion = np.diag([3.0, 1, 1, 0, 2])
    confusion[0, 1] = 1 / 3
    axes = report.confusion_matrix(confusion.tolist(), "7").axes[0]
    told = np.array([text.get_text() for text in axes.texts]).reshape(5, 5)
    assert told[0].tolist() == ["90 %\n3", "10 %\n0.3", "0", "0", "0"]
    assert told[3].tolist() == ["0"] * 5  # a class that does not occur
    assert axes.get_yticklabels()[0].get_text() == "normal (3.3)"
    assert len(axes.get_xticklabels()) == len(CLASSES)


def test_other_answers_than_the_five_have_a_panel_too() -> None:
    axes = Figure().add_subplot()
    report.confusion_panel(axes, [[1, 1], [0, 2]], ("absent", "present"))
    assert [text.get_text() for text in axes.texts] == ["50 %\n1", "50 %\n1", "0", "100 %\n2"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("answered", "labelled")
