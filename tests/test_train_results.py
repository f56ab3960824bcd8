"""Figures from answers that are made by hand: perfect ones, wrong ones, uncertain ones, of every kind of recording."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_data
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import accuracy_score, roc_auc_score

from models.classes import CLASSES
from models.join import NEVER, Joined, probabilities
from train import baselines, gathered, results, scores
from train.config import Config
from train.datasets import Recording, read, read_circor
from train.evaluate import Answers, Data
from train.gathered import Gathered
from train.headlines import headline
from train.patients import Told
from train.protocols import Case, cases
from train.table import Features, Table
from train.timings import Timed

Array = np.ndarray
CONFIG = Config()
NORMAL, MURMUR, EXTRA, EXTRASYSTOLE, ARTIFACT = range(5)
NONE = np.zeros(0, dtype=np.int64)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "_RESAMPLES", 40)
        patch.setattr(baselines, "ExtraTreesClassifier", lambda _, **rest: ExtraTreesClassifier(20, **rest))
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Everything but sound: each recording has the frames of 5 s."""
    folder = tmp_path_factory.mktemp("made")
    recordings = [
        *read("pascal", tiny_data.pascal(folder / "pascal")),
        *read_circor(tiny_data.circor(folder / "circor", 10, unknown=5), every=True),
        *read("noise", tiny_data.noise(folder / "noise", 7)),
    ]
    frames = 248 * np.arange(len(recordings) + 1)
    table = Table.of(Features(tuple(recordings), np.zeros((frames[-1], 8), dtype=np.float32), frames))
    return Data(table, Features((), np.zeros((0, 8), dtype=np.float32), np.zeros(1, dtype=np.int64)))


def sure(told: Array, confidence: float = 0.9) -> Array:
    """Calibrated logits (n, 5) of answers told with some confidence."""
    p = np.full((len(told), 5), (1 - confidence) / 4)
    p[np.arange(len(told)), told] = confidence
    return np.asarray(np.log(p))


def answer(case: Case, logits: Array, **more: Any) -> Answers:
    # Decided at 48, 73 ... 248 frames.
    rolling = [Joined(np.tile(x, (9, 1)), NEVER + np.tile(x[4], 9)) for x in logits]
    usual: dict[str, Any] = {"threshold": 0.5, "favour": np.zeros(5), "patients": None, "device": np.zeros(len(logits))}
    return Answers(case, "default", logits, rolling, **(usual | more))


def perfect(data: Data, name: str, **more: Any) -> list[Answers]:
    """Right answers of all cases of a protocol."""
    found = cases(name, data.table.recordings, data.timed.recordings, 0)
    return [answer(case, sure(data.table.labels[case.tested]), **more) for case in found]


# --- cases put together


def test_cases_of_a_seed_are_put_together_in_the_order_of_the_table() -> None:
    one, two = np.array([7, 2]), np.array([5])
    logits = {i: np.arange(5.0) * i for i in (2, 5, 7)}
    runs = [
        answer(Case("b", 1, NONE, NONE, two, ""), np.array([logits[5]]), threshold=0.3, favour=np.ones(5)),
        answer(Case("a", 1, NONE, NONE, one, ""), np.array([logits[7], logits[2]]), threshold=0.6),
        answer(Case("c", 0, NONE, NONE, np.array([2, 5, 7]), ""), np.zeros((3, 5))),
    ]
    found = gathered.gather(runs)
    assert found.tested.tolist() == [2, 5, 7]
    for row, i in enumerate(found.tested):
        np.testing.assert_allclose(found.probabilities[1, row], probabilities(logits[int(i)]))
        assert np.array_equal(found.rolling[1][row].logits, np.tile(logits[int(i)], (9, 1)))
        assert np.array_equal(found.rolling[1][row].early, np.full(9, NEVER + 4 * i))
    assert found.threshold.tolist() == [[0.5] * 3, [0.6, 0.3, 0.6]]
    assert found.favour[1].tolist() == [[0] * 5, [1] * 5, [0] * 5]
    np.testing.assert_allclose(found.probabilities[0], 0.2)
    part = found.of(np.array([True, False, True]))
    assert part.tested.tolist() == [2, 7]
    assert np.array_equal(part.probabilities, found.probabilities[:, [0, 2]])
    for run, kept in zip(found.rolling, part.rolling, strict=True):
        assert all(one is other for one, other in zip([run[0], run[2]], kept, strict=True))


NOTHING = Joined(np.zeros((0, 5)), np.zeros(0))


def made(p: list[list[float]], favour: list[float] | None = None, threshold: float = 0.5) -> Gathered:
    """One run's probabilities."""
    n = len(p)
    given = np.tile(favour or [0.0] * 5, (1, n, 1))
    return Gathered(np.arange(n), np.array([p]), given, np.full((1, n), threshold), [[NOTHING] * n])


def test_rare_classes_are_favoured_by_what_is_added_to_their_logarithms() -> None:
    found = made([[0.5, 0.1, 0.1, 0.2, 0.1], [0.7, 0.1, 0.0, 0.1, 0.1]], favour=[0, 0, 0, 1.0, 0])
    assert found.answers.tolist() == [[0, 0]]
    assert found.favoured.tolist() == [[EXTRASYSTOLE, 0]]  # .2 e is more than .5, and .1 e is less than .7


def test_what_is_answered_by_hand() -> None:
    """Four of five answered, three of them right."""
    p = [[0.9, 0.1, 0, 0, 0], [0.8, 0.2, 0, 0, 0], [0.3, 0.7, 0, 0, 0], [0.6, 0.4, 0, 0, 0], [0.4, 0.3, 0.3, 0, 0]]
    truth = np.array([0, 0, 1, 1, 2])
    found = gathered.answered(truth, made(p), list("abcde"))
    assert found["accuracy"]["value"] == 0.6
    assert found["abstaining"]["answered_share"]["value"] == 0.8
    assert found["abstaining"]["answered_accuracy"]["value"] == 0.75
    risks, shares = [0, 0, 0, 0.25, 0.4], [0.2, 0.4, 0.6, 0.8, 1.0]
    np.testing.assert_allclose(found["abstaining"]["risk_coverage"], np.column_stack([shares, risks]))
    assert found["abstaining"]["aurc"]["value"] == pytest.approx(np.mean(risks))
    wanted = scores.calibration_error(truth, np.array(p))
    assert found["calibration_error"] == {"value": pytest.approx(wanted, abs=1e-4), "low": None, "high": None}


def test_an_open_answer_is_each_class_or_none() -> None:
    p = [[0.9, 0.1, 0, 0, 0], [0.4, 0.3, 0.3, 0, 0], [0, 0, 0, 0, 1.0], [0.1, 0.9, 0, 0, 0], [0.2, 0.2, 0.2, 0.2, 0.2]]
    rows = np.array([True, True, True, True, False])
    found = gathered.open_answers(made(p), rows, list("abcde"))
    values = {name: score["value"] for name, score in found.items() if name != "n"}
    shares = dict.fromkeys(CLASSES, 0) | {"normal": 0.25, "artifact": 0.25, "murmur": 0.25, "uncertain": 0.25}
    assert values == shares | {"normal or uncertain": 0.5, "normal, never abstaining": 0.5}
    assert found["n"] == 4


# --- PASCAL


def test_right_answers_score_one_beside_what_they_must_beat(data: Data) -> None:
    answers = perfect(data, "pascal-grouped")
    result = results.recordings("pascal-grouped", CONFIG, data, answers)
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert result[name]["value"] == result["rare_favoured"][name]["value"] == 1
    assert np.array_equal(np.diag(result["confusion"]), [20, 14, 6, 6, 8])
    assert all(score["value"] == 1 for score in result["auroc"].values())
    assert len(result["auroc"]) == 4
    assert result["calibration_error"]["value"] == pytest.approx(0.1)
    assert result["abstaining"]["answered_share"]["value"] == 1
    assert result["baselines"]["majority"]["balanced_accuracy"]["value"] == pytest.approx(0.2)
    # Rate and duration tell artifacts (set A alone) from set B here, so this bar is above the majority's.
    assert result["baselines"]["nuisance only"]["balanced_accuracy"]["value"] > 0.2
    assert result["flips_per_minute"]["raw"]["value"] == 0
    assert result["set_a_normals"]["likeliest class"] == {"value": 0, "low": 0, "high": 0, "n": 8}
    assert {name: part["n"] for name, part in result["parts"].items()} == {"pascal_a": 28, "pascal_b": 26}
    shown = headline(result)
    assert {score["value"] for name, score in shown.items() if name != "calibration error"} == {1}


def test_the_majority_is_that_of_the_learned_side_of_each_fold(data: Data) -> None:
    recordings, labels = data.table.recordings, data.table.labels
    pascal = np.array([i for i, r in enumerate(recordings) if r.source.startswith("pascal")])
    murmurs, normals = pascal[labels[pascal] == MURMUR], pascal[labels[pascal] == NORMAL]
    one = Case("a", 0, np.concatenate([murmurs[:6], normals[:2]]), NONE, normals[5:8], "")
    two = Case("b", 0, np.concatenate([normals[:6], murmurs[:2]]), NONE, murmurs[8:], "")
    answers = [answer(case, sure(labels[case.tested])) for case in (one, two)]
    result = results.recordings("pascal-grouped", CONFIG, data, answers)
    assert result["baselines"]["majority"]["accuracy"]["value"] == 0  # each fold's majority is the other's
    everything = Case("c", 0, np.arange(len(recordings)), NONE, normals[5:8], "")
    result = results.recordings("seed-split", CONFIG, data, [answer(everything, sure(labels[normals[5:8]]))])
    assert result["baselines"]["majority"]["accuracy"]["value"] == 1  # of PASCAL's, not of the noise's


def test_answers_called_after_the_device_are_told(data: Data) -> None:
    """Half of set A's normals are called artifact or extra heart sound; of set B's none counts."""
    (case,) = cases("seed-split", data.table.recordings, [], 0)
    every = np.array([i for i, r in enumerate(data.table.recordings) if r.source.startswith("pascal")])
    case = case._replace(tested=every)
    told = data.table.labels[every].copy()
    normals = [k for k, i in enumerate(every) if told[k] == NORMAL and data.table.recordings[i].source == "pascal_a"]
    told[normals[:2]], told[normals[2:4]] = ARTIFACT, EXTRA
    told[[k for k, i in enumerate(every) if data.table.recordings[i].source == "pascal_b"]] = ARTIFACT
    result = results.recordings("seed-split", CONFIG, data, [answer(case, sure(told))])
    assert result["set_a_normals"]["likeliest class"]["value"] == 0.5
    accuracy = accuracy_score(data.table.labels[every], told)
    assert result["accuracy"]["value"] == pytest.approx(accuracy, abs=1e-4)


# --- CirCor


def told(data: Data, case: Case, right: bool = True) -> Told:
    own = [data.table.recordings[i] for i in case.tested]
    patients = sorted({(r.patient, r.patient_label, r.group) for r in own})
    truth = np.array([("normal", "unknown", "murmur").index(label) for _, label, _ in patients])
    chances = np.eye(3)[truth if right else (truth + 1) % 3]
    names = [f"{patient} {label}" for patient, label, _ in patients]
    return Told(
        names, [g for *_, g in patients], truth, chances, chances[:, 2], np.tile([0.4, 0.3, 0.3], (len(truth), 1))
    )


def test_patients_are_told_and_scored_from_all_folds(data: Data) -> None:
    found = cases("circor-patients", data.table.recordings, [], 0)
    answers = [answer(c, sure(data.table.labels[c.tested]), patients=told(data, c)) for c in found]
    result = results.circor_patients(data, answers)
    assert (result["n"], result["patients"]) == (15, {"absent": 5, "unknown": 5, "present": 5})
    assert result["weighted_accuracy"]["value"] == result["balanced_accuracy"]["value"] == 1
    assert result["auroc"]["rule"]["value"] == 1
    assert set(result["parts"]["sites"]) == {"AV", "MV"}
    # At the first site murmurs are heard, at the second none: then there is nothing to tell apart.
    assert result["parts"]["sites"]["AV"]["value"] == 1
    assert result["parts"]["sites"]["MV"]["value"] is None
    assert [row["answer"] for row in result["answers"]].count("unknown") == 5
    assert {score["value"] for score in headline(result).values()} == {1}
    # Sites with a murmur, and sites of patients who have none; the rest are of no clear label.
    assert (result["open_answer"]["n"], result["open_answer"]["accuracy"]["value"]) == (15, 1)
    wrong = [answer(c, sure(data.table.labels[c.tested]), patients=told(data, c, right=False)) for c in found]
    assert results.circor_patients(data, wrong)["weighted_accuracy"]["value"] == 0


def test_present_and_absent_are_told_by_the_mean_over_sites(data: Data) -> None:
    """The surer site decides: murmurs heard faintly at one, nothing at the other; unknown patients don't count."""
    recordings = [r for r in data.table.recordings if r.source == "circor"]
    chance = {"murmur": 0.6, "normal": 0.1, "unknown": 0.9}
    p = np.zeros((len(recordings), 5))
    p[:, MURMUR] = [chance[r.patient_label] * (r.label == "murmur" or r.patient_label != "murmur") for r in recordings]
    p[:, NORMAL] = 1 - p[:, MURMUR]
    found = gathered.murmur_auroc_by_patient(recordings, made(p.tolist()))
    assert (found["value"], found["n"], found["positive"]) == (1, 10, 5)


# --- devices


def test_a_new_device_is_scored_by_itself(data: Data) -> None:
    answers = perfect(data, "new-device")
    result = results.new_device(data, answers)
    assert set(result["sources"]) == {"pascal_a", "pascal_b", "circor"}
    for source, found in result["sources"].items():
        assert found["auroc"]["murmur vs normal"]["value"] == 1
        assert found["clear_normals"]["normal"]["value"] == found["all_normals"]["normal"]["value"] == 1
        (case,) = (a.case for a in answers if a.case.name.endswith(source))
        normals = [r for r in (data.table.recordings[i] for i in case.tested) if r.label == "normal"]
        plain = [r for r in normals if r.patient_label in {"", "normal"}]
        assert found["all_normals"]["n"] == len(plain)
    assert result["sources"]["circor"]["auroc"]["murmur present vs absent, by patient"]["value"] == 1
    assert len(headline(result)) == 6


def test_clear_normals_are_neither_noisy_nor_of_somebody_whose_heart_is_not_normal(tmp_path: Path) -> None:
    rows = [
        ("normal", "", "", False),
        ("normal", "", "", True),
        ("normal", "normal", "Normal", False),
        ("normal", "normal", "Abnormal", False),
        ("normal", "murmur", "Abnormal", False),
        ("normal", "unknown", "Normal", False),
        ("murmur", "murmur", "Normal", False),
    ]
    recordings = tuple(
        Recording(Path("x"), f"{k}", label, "circor", f"{k}", (True,) * 5, noisy, "AV", f"{k}", who, "", outcome)
        for k, (label, who, outcome, noisy) in enumerate(rows)
    )
    table = Table.of(Features(recordings, np.zeros((7, 8), dtype=np.float32), np.arange(8)))
    case = Case("seed0-without-circor", 0, NONE, NONE, np.arange(7), "")
    nobody: Features[Timed] = Features((), np.zeros((0, 8), dtype=np.float32), np.zeros(1, dtype=np.int64))
    result = results.new_device(Data(table, nobody), [answer(case, sure(np.zeros(7, dtype=int)))])
    found = result["sources"]["circor"]
    assert found["clear_normals"]["n"] == 2
    assert found["all_normals"]["n"] == 4
    assert found["auroc"]["murmur vs normal"]["n"] == 5


def test_crossed_devices_are_scored_by_pair_over_all_seeds(data: Data) -> None:
    found = [case for seed in (0, 1) for case in cases("cross-device", data.table.recordings, [], seed)]
    rng = np.random.default_rng(0)
    logits = [rng.normal(0, 1, (len(case.tested), 5)) for case in found]
    result = results.cross_device(data, found, logits)
    assert len(result["auroc"]) == len(found) // len({case.seed for case in found}) == 4
    for pair, score in result["auroc"].items():
        areas = []
        for case, x in zip(found, logits, strict=True):
            if case.name.endswith(pair):
                own = [data.table.recordings[i] for i in case.tested]
                clear = [k for k, r in enumerate(own) if r.label == "murmur" or r.patient_label in {"", "normal"}]
                truth = [own[k].label == "murmur" for k in clear]
                areas.append(roc_auc_score(truth, (x[:, MURMUR] - x[:, NORMAL])[clear]))
        assert score["value"] == pytest.approx(np.mean(areas), abs=1e-4)
    assert len(headline(result)) == 4


def test_leaks_put_the_folds_of_each_seed_together(data: Data) -> None:
    found = cases("leakage", data.table.recordings, [], 0)
    recordings, labels = data.table.recordings, data.table.labels
    answers, changed = [], []
    for case in found:
        device = np.array([recordings[i].source == "pascal_a" for i in case.tested]) * 2.0
        answers.append(answer(case, sure(labels[case.tested]), device=device))
        right = labels[case.tested]
        changed.append({"as it is": right, "length of another": right, "level of another": (right + 1) % 5})
    result = results.leaks(data, answers, changed)
    assert result["device_auroc"]["value"] == 1
    values = {name: row["accuracy"]["value"] for name, row in result["changed"].items()}
    assert values == {"as it is": 1, "length of another": 1, "level of another": 0}
    assert result["changed"]["level of another"]["answers_changed"]["value"] == 1
    assert len(headline(result)) == 2
