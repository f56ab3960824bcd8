"""The plots of results show the numbers of the results, whole and without warnings."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sample_results
from conftest import ROOT
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.metrics import average_precision_score, roc_auc_score

from models.classes import CLASSES

sys.path.insert(0, str(ROOT / "docs"))  # where `make plots` runs them

import circor_plots
import evaluation_plots
import pascal_plots
import plot_parts

Array = np.ndarray
UNDEFINED = {"value": None, "low": None, "high": None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("results")
    sample_results.write(made)
    return made


@pytest.fixture(scope="module")
def drawn(folder: Path) -> dict[str, Figure]:
    return evaluation_plots.draw(folder)


def read(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((folder / f"{name}.json").read_text()))


def bars_of(axes: Axes) -> list[ErrorbarContainer]:
    return [c for c in axes.containers if isinstance(c, ErrorbarContainer)]


def xy(line: Line2D) -> Array:
    """(2, n) of a line, or of the dots that error bars stand at."""
    return np.asarray(line.get_xydata(), dtype=float).T


def legend_of(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def ends(bars: ErrorbarContainer, axis: int) -> list[list[float]]:
    """Where the error bars begin and end."""
    return [sorted(segment[:, axis].tolist()) for segment in bars.lines[2][0].get_segments()]


def test_every_plot_is_drawn_at_the_width_of_a_page(drawn: dict[str, Figure]) -> None:
    assert len(drawn) == 7
    for name, figure in drawn.items():
        figure.savefig(io.BytesIO(), dpi=150)  # a warning, of a layout that does not fit or a missing glyph, fails
        assert 6 <= figure.get_figwidth() <= 10, name
        for axes in figure.axes:
            assert axes.get_xlabel(), name


def test_confusion_is_drawn_both_ways(drawn: dict[str, Figure], folder: Path) -> None:
    result = read(folder, "pascal-grouped")
    both = drawn["pascal-confusion"].axes
    assert [axes.get_title("left") for axes in both] == ["likeliest class", "rare classes favoured"]
    for axes, part in zip(both, (result, result["rare_favoured"]), strict=True):
        counts = [text.get_text().split("\n")[-1] for text in axes.texts]
        assert counts == [f"{round(x, 1):g}" for row in part["confusion"] for x in row]


def test_curves_have_a_line_per_class_and_its_areas(drawn: dict[str, Figure], folder: Path) -> None:
    listed = read(folder, "pascal-grouped")["answers"]
    chances = np.concatenate(np.array([a["probabilities"] for a in listed]).transpose(1, 0, 2))
    truth = np.tile([CLASSES.index(a["label"]) for a in listed], len(chances) // len(listed))
    ranking, finding = drawn["pascal-curves"].axes
    assert (len(ranking.lines), len(finding.lines)) == (6, 5)  # the diagonal
    (legend,) = drawn["pascal-curves"].legends
    for k, said in enumerate(text.get_text() for text in legend.get_texts()):
        own = truth == k
        assert f"area {roc_auc_score(own, chances[:, k]):.2f}," in said
        assert f"precision {average_precision_score(own, chances[:, k]):.2f} (by chance {own.mean():.2f})" in said
        assert xy(ranking.lines[k])[:, -1].tolist() == [1.0, 1.0]
    assert len({(line.get_color(), line.get_linestyle()) for line in finding.lines}) == 5
    assert (
        len({line.get_linestyle() for line in finding.lines[1:]}) == 4
    )  # colour alone tells no class apart from these


def test_reliability_has_ten_dots_that_hold_all_answers(drawn: dict[str, Figure], folder: Path) -> None:
    listed = read(folder, "pascal-grouped")["answers"]
    chances = np.concatenate([a["probabilities"] for a in listed])
    truth = np.repeat([CLASSES.index(a["label"]) for a in listed], len(chances) // len(listed))
    axes = drawn["pascal-sureness"].axes[0]
    (bars,) = bars_of(axes)
    means, shares = xy(bars.lines[0])
    sizes = np.array([len(part) for part in np.array_split(np.arange(len(chances)), 10)])
    right = (chances.argmax(axis=1) == truth).mean()
    assert (shares * sizes).sum() / sizes.sum() == pytest.approx(right, abs=1e-3)
    assert (means * sizes).sum() / sizes.sum() == pytest.approx(chances.max(axis=1).mean())
    assert (np.diff(means) > 0).all()
    assert all(low <= share <= high for (low, high), share in zip(ends(bars, 1), shares, strict=True))


def test_risk_falls_from_all_answers_to_the_surest(drawn: dict[str, Figure], folder: Path) -> None:
    result = read(folder, "pascal-grouped")
    axes = drawn["pascal-sureness"].axes[1]
    coverage, risk = xy(axes.lines[0])
    assert coverage[[0, -1]] == pytest.approx(np.array([100 / 86, 100]), abs=0.01)
    assert risk[-1] == pytest.approx(100 * (1 - result["accuracy"]["value"]), abs=0.1)
    (point,) = bars_of(axes)
    told = result["abstaining"]
    shown = told["answered_share"]["value"], 1 - told["answered_accuracy"]["value"]
    assert xy(point.lines[0])[:, 0] == pytest.approx(100 * np.array(shown))


def test_seconds_heard_have_a_line_per_cohort(drawn: dict[str, Figure], folder: Path) -> None:
    (axes,) = drawn["pascal-seconds"].axes
    lines, cohorts = bars_of(axes), read(folder, "pascal-grouped")["heard"]
    for cohort, own in zip(cohorts, (lines[:2], lines[2:]), strict=True):
        shown = np.concatenate([xy(bars.lines[0])[1] for bars in own])
        assert shown.tolist() == [score["value"] for score in cohort["accuracy"].values()]
        for drawn_ends, score in zip(ends(own[0], 1), cohort["accuracy"].values(), strict=False):
            assert drawn_ends == pytest.approx([score["low"], score["high"]])
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1", "2", "3", "4", "5", "8", "12", "all of it"]
    assert legend_of(axes) == ["86 recordings of 8 s or more", "86 recordings of 12 s or more"]


def test_patients_have_a_curve_two_points_and_a_row_per_part(drawn: dict[str, Figure], folder: Path) -> None:
    result = read(folder, "circor-patients")
    whole, parts = drawn["circor-ranking"].axes
    known = [a for a in result["answers"] if a["answer"] != "unknown"]
    chances = np.concatenate(np.array([a["probabilities"] for a in known]).transpose(1, 0, 2)) + 1e-12
    present = np.tile([a["answer"] == "present" for a in known], len(chances) // len(known))
    area = roc_auc_score(present, np.log(chances[:, 2]) - np.log(chances[:, 0]))
    assert legend_of(whole)[0] == f"ROC, area {area:.3f}"
    absent, _, present = result["confusion_weighted"]
    assert xy(whole.lines[2])[:, 0] == pytest.approx(np.array([absent[2] / sum(absent), present[2] / sum(present)]))
    assert len(whole.lines) == 4
    # No murmur was listed at site TV, so it has no area.
    names = ["all, by patient", "site AV", "site MV", "site PV", "Infant", "Child", "Adolescent"]
    assert [label.get_text() for label in parts.get_yticklabels()] == names
    (bars,) = bars_of(parts)
    assert xy(bars.lines[0])[0, -2] == result["parts"]["ages"]["Child"]["value"]
    assert parts.get_ylim()[0] > parts.get_ylim()[1]  # all of them on top


def test_answers_to_normals_fill_each_bar(drawn: dict[str, Figure], folder: Path) -> None:
    (axes,) = drawn["new-device"].axes
    widths = np.array([[bar.get_width() for bar in answer] for answer in axes.containers])
    assert widths.shape == (6, 6)  # answers; two kinds of normals of three sources
    assert np.allclose(widths.sum(axis=0), 100, atol=0.05)  # of rounded shares
    sources = read(folder, "new-device")["sources"]
    assert widths[0, 0] == pytest.approx(100 * sources["circor"]["clear_normals"]["normal"]["value"])
    assert widths[1, 5] == pytest.approx(100 * sources["pascal_b"]["all_normals"]["uncertain"]["value"])
    assert [label.get_text() for label in axes.get_yticklabels()][2] == "set A of PASCAL, clear normals (8)"
    assert len({bar[0].get_hatch() for bar in axes.containers[2:]}) == 4


def test_what_is_undefined_is_left_out(folder: Path) -> None:
    patients = read(folder, "circor-patients")
    patients["parts"]["sites"]["Phc"] = UNDEFINED
    rows = [label.get_text() for label in circor_plots.ranking(patients).axes[1].get_yticklabels()]
    assert "site Phc" not in rows
    recordings = read(folder, "pascal-grouped")
    recordings["abstaining"]["answered_accuracy"] = UNDEFINED
    assert not bars_of(pascal_plots.sureness(recordings).axes[1])
    (axes,) = pascal_plots.seconds(recordings | {"heard": []}).axes
    assert not bars_of(axes)


def test_answers_of_several_seeds_are_drawn_together() -> None:
    listed = [
        {"name": "a", "group": "g", "label": "y", "probabilities": [[0.1, 0.9], [0.2, 0.8]]},
        {"name": "b", "group": "h", "label": "x", "probabilities": [[0.7, 0.3], [0.6, 0.4]]},
    ]
    truth, chances, groups = plot_parts.answers({"answers": listed}, "xy", "label")
    assert truth.tolist() == [1, 1, 0, 0]
    assert chances[:, 0].tolist() == [0.1, 0.2, 0.7, 0.6]
    assert groups == ["g", "g", "h", "h"]
