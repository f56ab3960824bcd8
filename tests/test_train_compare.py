"""Two models on the same recordings: paired differences of their scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from program import succeed
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from models.classes import CLASSES
from models.errors import InputFileError, SettingError
from train import compare, scores
from train.patients import ANSWERS

Array = np.ndarray
N, SEEDS = 120, 2


def answers(names: tuple[str, ...], key: str, skill: float, seed: int = 0) -> list[dict[str, Any]]:
    """Answers of a model with some skill; recordings, groups and truth are the same for all models."""
    drawn, own = np.random.default_rng(9), np.random.default_rng(seed)
    truth = drawn.integers(0, len(names), N)
    rows = []
    for i, k in enumerate(truth):
        logits = own.normal(0, 1, (SEEDS, len(names))) + skill * np.eye(len(names))[k]
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        rows.append({"name": f"{i}", "group": f"g{i // 3}", key: names[k], "probabilities": p.tolist()})
    return rows


def written(path: Path, protocol: str, rows: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps({"protocol": protocol, "answers": rows}))
    return path


def of_pascal(path: Path, skill: float, seed: int = 0) -> Path:
    return written(path, "pascal-grouped", answers(CLASSES, "label", skill, seed))


def of_circor(path: Path, skill: float) -> Path:
    return written(path, "circor-patients", answers(ANSWERS, "answer", skill))


def runs_of(path: Path, names: tuple[str, ...], key: str) -> tuple[Array, Array]:
    rows = json.loads(path.read_text())["answers"]
    truth = np.array([names.index(row[key]) for row in rows])
    return truth, np.array([row["probabilities"] for row in rows]).transpose(1, 0, 2)


def test_differences_are_those_of_scikit_learns_scores(tmp_path: Path) -> None:
    one, two = of_pascal(tmp_path / "1.json", 0.5), of_pascal(tmp_path / "2.json", 2.0, seed=1)
    found = compare.compare(one, two)
    assert (found["protocol"], found["n"]) == ("pascal-grouped", N)
    values: dict[str, list[float]] = {"accuracy": [], "balanced_accuracy": [], "macro_f1": []}
    for path in (one, two):
        truth, runs = runs_of(path, CLASSES, "label")
        told = [run.argmax(axis=1) for run in runs]
        values["accuracy"].append(float(np.mean([(t == truth).mean() for t in told])))
        values["balanced_accuracy"].append(float(np.mean([balanced_accuracy_score(truth, t) for t in told])))
        values["macro_f1"].append(float(np.mean([f1_score(truth, t, average="macro") for t in told])))
    for name, (before, after) in values.items():
        score = found["differences"][name]
        assert score["value"] == pytest.approx(after - before, abs=1e-4)
        assert score["low"] < score["value"] < score["high"]
        assert score["low"] > 0  # so much better that no resample says otherwise


def test_of_patients_it_is_the_area_and_the_weighted_accuracy(tmp_path: Path) -> None:
    one, two = of_circor(tmp_path / "1.json", 0.5), of_circor(tmp_path / "2.json", 1.5)
    found = compare.compare(one, two)["differences"]
    areas, weighted = [], []
    for path in (one, two):
        truth, runs = runs_of(path, ANSWERS, "answer")
        known = truth != 1
        areas.append(np.mean([roc_auc_score(truth[known] == 2, np.log(p[known, 2] / p[known, 0])) for p in runs]))
        counts = np.array([1, 3, 5])[truth]
        right = [(p * [1, 3, 5]).argmax(axis=1) == truth for p in runs]
        weighted.append(np.mean([(counts * r).sum() / counts.sum() for r in right]))
    assert found["auroc"]["value"] == pytest.approx(areas[1] - areas[0], abs=1e-4)
    assert found["weighted_accuracy"]["value"] == pytest.approx(weighted[1] - weighted[0], abs=1e-4)


def test_the_interval_is_paired(tmp_path: Path) -> None:
    """A model against itself differs by nothing, however few are asked; two of equal skill may differ either way."""
    one = of_pascal(tmp_path / "1.json", 1.0)
    for score in compare.compare(one, one)["differences"].values():
        assert (score["value"], score["low"], score["high"]) == (0, 0, 0)
    score = compare.compare(one, of_pascal(tmp_path / "2.json", 1.0, seed=5))["differences"]["accuracy"]
    assert score["low"] < 0 < score["high"]


def width(score: dict[str, float]) -> float:
    return score["high"] - score["low"]


def test_what_is_hard_for_both_falls_out_of_the_interval(tmp_path: Path) -> None:
    """Two models that differ in few recordings: the interval of the difference is far below that of either score."""
    rows = answers(CLASSES, "label", 1.0)
    one = written(tmp_path / "1.json", "pascal-grouped", rows)
    for row in rows[:5]:
        row["probabilities"] = np.eye(5)[[CLASSES.index(row["label"])] * SEEDS].tolist()
    gain = compare.compare(one, written(tmp_path / "2.json", "pascal-grouped", rows))["differences"]["accuracy"]
    truth, runs = runs_of(one, CLASSES, "label")
    alone = scores.classification(truth, runs.argmax(axis=2), [row["group"] for row in rows])["accuracy"]
    assert 0 < gain["value"] < 5 / N + 1e-9
    assert width(gain) < 0.5 * width(alone)


def test_groups_are_resampled_whole(tmp_path: Path) -> None:
    """Where a group is all the better or all the worse, fewer groups make a wider interval."""
    widths = {}
    for size in (1, 20):
        rows = [row | {"group": f"g{i // size}"} for i, row in enumerate(answers(CLASSES, "label", 0.5))]
        one = written(tmp_path / f"{size}.json", "pascal-grouped", rows)
        for i, row in enumerate(rows):
            if i // 20 % 2:  # every other twenty are right
                row["probabilities"] = np.eye(5)[[CLASSES.index(row["label"])] * SEEDS].tolist()
        found = compare.compare(one, written(tmp_path / "better.json", "pascal-grouped", rows))
        widths[size] = width(found["differences"]["accuracy"])
    assert widths[20] > 1.5 * widths[1]


def test_patients_are_paired_too_and_seeds_may_differ_in_number(tmp_path: Path) -> None:
    one = of_circor(tmp_path / "1.json", 1.0)
    rows = json.loads(one.read_text())["answers"]
    twice = [row | {"probabilities": row["probabilities"] * 2} for row in rows]
    for score in compare.compare(one, written(tmp_path / "2.json", "circor-patients", twice))["differences"].values():
        assert [score[key] for key in ("value", "low", "high")] == pytest.approx([0, 0, 0], abs=1e-9)


def test_reversed_it_is_the_opposite(tmp_path: Path) -> None:
    one, two = of_pascal(tmp_path / "1.json", 0.5), of_pascal(tmp_path / "2.json", 2.0)
    there, back = (compare.compare(*pair)["differences"]["accuracy"] for pair in ((one, two), (two, one)))
    assert there["value"] == pytest.approx(-back["value"])
    assert there["low"] == pytest.approx(-back["high"], abs=1e-3)


def test_what_can_not_be_compared_is_refused(tmp_path: Path) -> None:
    one, patients = of_pascal(tmp_path / "1.json", 1.0), of_circor(tmp_path / "2.json", 1.0)
    fewer = written(tmp_path / "3.json", "pascal-grouped", answers(CLASSES, "label", 1.0)[:-1])
    regrouped = [row | {"group": "all"} for row in answers(CLASSES, "label", 1.0)]
    for other in (patients, fewer, written(tmp_path / "5.json", "pascal-grouped", regrouped)):
        with pytest.raises(SettingError, match="not of the same protocol and recordings"):
            compare.compare(one, other)
    with pytest.raises(SettingError, match="timing can't be compared"):
        compare.compare(one, written(tmp_path / "4.json", "timing", []))


ROW = {"name": "a", "group": "g", "label": "normal", "probabilities": [[0.2] * 5]}


@pytest.mark.parametrize(
    "held",
    [
        "",
        "[]",
        "{}",
        {"protocol": "pascal-grouped"},
        {"protocol": "pascal-grouped", "answers": 3},
        {"protocol": "pascal-grouped", "answers": []},
        {"protocol": "pascal-grouped", "answers": [{k: v for k, v in ROW.items() if k != "group"}]},
        {"protocol": "pascal-grouped", "answers": [ROW | {"label": "hiccup"}]},
        {"protocol": "pascal-grouped", "answers": [ROW | {"probabilities": [[0.5] * 2]}]},
        {"protocol": "pascal-grouped", "answers": [ROW | {"probabilities": [[0.1] * 7]}]},
        {"protocol": "pascal-grouped", "answers": [ROW | {"probabilities": [[float("nan")] * 5]}]},
        {"protocol": "circor-patients", "answers": [ROW]},
        "[" * 100_000,
    ],
)
def test_what_is_no_result_is_refused(tmp_path: Path, held: Any) -> None:
    path = tmp_path / "x.json"
    path.write_text(held if isinstance(held, str) else json.dumps(held))
    with pytest.raises(InputFileError, match=r"x\.json: is no result of"):
        compare.compare(path, path)
    with pytest.raises(InputFileError, match=r"missing\.json: can't be read: No such file"):
        compare.compare(tmp_path / "missing.json", path)


def test_a_hostile_protocol_is_one_line(tmp_path: Path) -> None:
    path = written(tmp_path / "x.json", "a\n\x1b[2J", [])
    with pytest.raises(SettingError) as refusal:
        compare.compare(path, path)
    assert str(refusal.value).isprintable()


def test_the_command_prints_and_writes_it(tmp_path: Path) -> None:
    one, two = of_pascal(tmp_path / "1.json", 0.5), of_pascal(tmp_path / "2.json", 2.0)
    said = succeed("compare", one, two, "--json", tmp_path / "out.json")
    assert f"pascal-grouped, {N} asked of both" in said
    held = json.loads((tmp_path / "out.json").read_text())
    for name, score in held["differences"].items():
        assert f"| {name.replace('_', ' ')} | {score['value']:.3f} [" in said
