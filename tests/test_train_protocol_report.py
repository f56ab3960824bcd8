"""Each protocol's result as people read it: the figures in it are the result's, and undefined ones are told as such."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import sample_results

from models.classes import CLASSES
from train import protocol_report
from train.headlines import headline
from train.protocols import PROTOCOLS

Rows = dict[str, list[str]]
UNDEFINED: dict[str, Any] = {"value": None, "low": None, "high": None, "n": 2, "positive": 0}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Each protocol's result as JSON text, so that no test changes another's."""
    folder = tmp_path_factory.mktemp("results")
    sample_results.write(folder)
    return {name: (folder / f"{name}.json").read_text() for name in PROTOCOLS}


@pytest.fixture
def pascal(results: dict[str, str]) -> dict[str, Any]:
    return dict(json.loads(results["pascal-grouped"]))


@pytest.fixture
def circor(results: dict[str, str]) -> dict[str, Any]:
    return dict(json.loads(results["circor-patients"]))


def section(result: dict[str, Any], title: str) -> str:
    return dict(protocol_report.sections(result))[title]


def tables(text: str) -> list[list[list[str]]]:
    """Every Markdown table in it, as rows of cells, the head first."""
    found = re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE)
    rows = [[line[2:-2].split(" | ") for line in part.splitlines()] for part in found]
    return [[part[0], *part[2:]] for part in rows]


def rows(text: str, number: int = 0) -> Rows:
    return {row[0]: row[1:] for row in tables(text)[number][1:]}


def said(score: dict[str, float | None]) -> str:
    value, low, high = score["value"], score["low"], score["high"]
    if value is None:
        return "-"
    return f"{value:.3f}" if low is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_says_what_it_is_in_whole_tables(results: dict[str, str], name: str) -> None:
    result = json.loads(results[name])
    text = protocol_report.text(result)
    assert text.startswith(f"## {name}" + (" (leaky: patients are shared)\n" if name == "seed-split" else "\n"))
    assert f"\n\n{result['says']}.\n" in text
    assert "None" not in text
    assert "nan" not in text
    for line_of in re.findall(r"(?:^\|.*\|\n?)+", text, re.MULTILINE):
        assert len({line.count("|") for line in line_of.splitlines()}) == 1, line_of
    for title, body in protocol_report.sections(result)[1:]:
        assert f"\n### {title}\n\n{body}\n" in text


@pytest.mark.parametrize("name", PROTOCOLS)
def test_what_others_show_of_a_result_stands_in_its_text(results: dict[str, str], name: str) -> None:
    result = json.loads(results[name])
    shown = headline(result)
    assert shown
    assert all(said(score) in protocol_report.text(result) for score in shown.values())


def test_the_likeliest_class_stands_beside_rare_classes_favoured(pascal: dict[str, Any]) -> None:
    text, rare = section(pascal, "Answers"), pascal["rare_favoured"]
    assert tables(text)[0][0] == ["86 recordings, 29 groups", "likeliest class", "rare classes favoured"]
    overall = {"accuracy": "accuracy", "balanced accuracy": "balanced_accuracy", "macro-F1": "macro_f1"}
    assert rows(text) == {name: [said(pascal[key]), said(rare[key])] for name, key in overall.items()}
    for name, cells in rows(text, 1).items():
        both = pascal["per_class"][name], rare["per_class"][name]
        assert cells == [str(both[0]["n"]), *(said(row[key]) for row in both for key in ("precision", "recall"))]
    assert list(rows(text, 1)) == list(CLASSES)


def test_classes_that_do_not_occur_are_left_out(circor: dict[str, Any]) -> None:
    assert list(rows(section(circor, "Recordings, all classes open: answers"), 1)) == ["normal", "murmur"]
    text = section(circor, "Recordings, all classes open: confusion, likeliest class")
    assert list(rows(text)) == ["normal", "murmur"]
    assert len(tables(text)[0][0]) == 6  # any class may be answered


def test_confusion_is_counted_to_a_tenth(pascal: dict[str, Any]) -> None:
    pascal["confusion"] = [[313.33, 25, 9.67, 0, 0], *([0, 1, 0, 0, 0] for _ in range(4))]
    assert rows(section(pascal, "Confusion, likeliest class"))["normal"] == ["313.3", "25", "9.7", "0", "0"]


def test_calibration_and_abstaining_are_told(pascal: dict[str, Any]) -> None:
    text, told = section(pascal, "How sure it is"), pascal["abstaining"]
    for score in (pascal["calibration_error"], told["answered_share"], told["answered_accuracy"], told["aurc"]):
        assert said(score) in text
    told["answered_accuracy"] = UNDEFINED  # nothing was sure enough
    assert "of those as labelled: -\n" in section(pascal, "How sure it is")


def test_areas_devices_and_baselines_are_told(pascal: dict[str, Any]) -> None:
    areas = section(pascal, "One class against normal, within one set")
    assert areas.splitlines() == [f"- AUROC, {name}: {said(score)}" for name, score in pascal["auroc"].items()]
    for way, share in pascal["set_a_normals"].items():
        assert f"{said(share)} ({way})" in section(pascal, "The device")
    alone = section(pascal, "set B of PASCAL alone")
    assert tables(alone)[0][1][0] == said(pascal["parts"]["pascal_b"]["accuracy"])
    assert set(rows(alone, 1)) == {"normal", "murmur", "extrasystole"}
    told = rows(section(pascal, "Baselines, same folds"))
    keys = ("accuracy", "balanced_accuracy", "macro_f1")
    assert told == {name: [said(b[key]) for key in keys] for name, b in pascal["baselines"].items()}


def test_accuracy_by_seconds_heard_has_a_column_per_cohort(pascal: dict[str, Any]) -> None:
    # 8 s and 12 s: what is not asked of the shorter ones stays empty.
    text = section(pascal, "Seconds heard")
    short, long = pascal["heard"]
    assert tables(text)[0][0] == ["heard", "recordings of 8 s or more (86)", "recordings of 12 s or more (86)"]
    told = rows(text)
    assert list(told) == ["1 s", "2 s", "3 s", "4 s", "5 s", "8 s", "12 s", "all of it", "all less 4 s"]
    assert told["4 s"] == [said(short["accuracy"]["4"]), said(long["accuracy"]["4"])]
    assert told["12 s"] == ["", said(long["accuracy"]["12"])]
    assert told["all less 4 s"] == [said(short["whole_minus_4_s"]), said(long["whole_minus_4_s"])]
    flips = pascal["flips_per_minute"]
    assert f"changes {said(flips['smoothed'])} times a minute; without smoothing {said(flips['raw'])}." in text


def test_recordings_that_are_all_short_have_no_seconds_heard(pascal: dict[str, Any]) -> None:
    pascal["heard"] = []
    assert section(pascal, "Seconds heard").startswith("The answer changes ")


def test_patients_are_told_both_ways(circor: dict[str, Any]) -> None:
    text = section(circor, "Patients")
    assert tables(text)[0][0][0] == "30 patients: absent 18, unknown 6, present 6"
    assert rows(text) == {
        "AUROC, present vs absent, by mean probability of murmur": [
            said(circor["auroc"]["mean probability of murmur"])
        ],
        "AUROC, present vs absent, by rule": [said(circor["auroc"]["rule"])],
        "weighted accuracy": [said(circor["weighted_accuracy"])],
        "balanced accuracy": [said(circor["balanced_accuracy"])],
        "baseline: nuisance only, AUROC": [said(circor["baselines"]["nuisance only, AUROC"])],
    }
    told = section(circor, "Patients' answers")
    for number, way in enumerate(("weighted", "balanced")):
        assert f"highest {way} accuracy" in told
        counts = [[float(x) for x in row] for row in rows(told, number).values()]
        assert counts == [[pytest.approx(x, abs=0.051) for x in row] for row in circor[f"confusion_{way}"]]


def test_sites_and_ages_are_told_youngest_first_and_undefined_as_a_dash(circor: dict[str, Any]) -> None:
    circor["parts"]["sites"]["Phc"] = UNDEFINED
    told = rows(section(circor, "Recordings by site and by age"))
    assert list(told) == ["site AV", "site MV", "site PV", "site TV", "site Phc", "Infant", "Child", "Adolescent"]
    assert told["site Phc"] == ["2", "0", "-"]
    child = circor["parts"]["ages"]["Child"]
    assert told["Child"] == [str(child["n"]), str(child["positive"]), said(child)]
    circor["parts"]["ages"] = {"an age of its own": UNDEFINED, "Neonate": UNDEFINED}
    assert list(rows(section(circor, "Recordings by site and by age")))[-2:] == ["Neonate", "an age of its own"]


def test_a_new_device_is_told_source_by_source(results: dict[str, str]) -> None:
    result = json.loads(results["new-device"])
    text = section(result, "set B of PASCAL left out")
    told = result["sources"]["pascal_b"]
    assert tables(text)[0][0] == ["share called", "clear normals (16)", "all normals (24)"]
    for name in ("normal", "uncertain", "murmur", "normal or uncertain", "normal, never abstaining"):
        assert rows(text)[name] == [said(told["clear_normals"][name]), said(told["all_normals"][name])]
    assert "murmur present vs absent, by patient" not in text
    assert f"by patient: {said(result['sources']['circor']['auroc']['murmur present vs absent, by patient'])}" in (
        section(result, "CirCor left out")
    )


def test_crossed_devices_are_told_from_and_to(results: dict[str, str]) -> None:
    result = json.loads(results["cross-device"])
    told = tables(section(result, "Murmur against normal"))[0]
    assert told[0] == ["learned from", "tested on", "AUROC"]
    assert told[1] == ["set A of PASCAL", "set B of PASCAL", said(result["auroc"]["pascal_a-to-pascal_b"])]
    assert told[-1] == ["PASCAL", "CirCor", said(result["auroc"]["pascal-to-circor"])]


def test_leaks_are_told(results: dict[str, str]) -> None:
    result = json.loads(results["leakage"])
    assert said(result["device_auroc"]) in section(result, "The device")
    told = rows(section(result, "Length and level"))
    assert told["as it is"] == [said(result["changed"]["as it is"]["accuracy"]), "", ""]
    length = result["changed"]["length of another"]
    keys = ("accuracy", "difference", "answers_changed")
    assert told["length of another"] == [said(length[key]) for key in keys]
