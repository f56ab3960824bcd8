"""Answers per patient: from sites to patients, the rule that tells the unknown ones, scores counted by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.classes import CLASSES
from models.join import probabilities
from models.measures import measure
from train import patient_scores, patients, scores
from train.config import Config
from train.datasets import Recording
from train.patients import ANSWERS, Told
from train.scores import ratio, statistic
from train.table import Features, Table

Array = np.ndarray
CONFIG = Config()
MURMUR, NORMAL = CLASSES.index("murmur"), CLASSES.index("normal")
OF_LABEL = {"normal": 0, "unknown": 1, "murmur": 2}


@pytest.fixture(scope="module", autouse=True)
def few_resamples() -> Iterator[None]:
    """No interval is tested here, and they take longest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "_RESAMPLES", 50)
        yield


def made(count: int = 60) -> tuple[Table, Array]:
    """CirCor of so many patients with one to three sites, and answers; PASCAL and noise between them.

    Of the unknown ones the sound is poor, and the networks can't tell. Patient 0 was heard in two campaigns.
    """
    rng, recordings, parts, logits = np.random.default_rng(0), [], [], []
    beat = np.sin(2 * np.pi * np.arange(150) / 40)[:, None]
    for k in range(count):
        label = ("normal", "normal", "murmur", "unknown")[k % 4]
        person = "0" if k == 2 else str(k)
        for site in range(1 + k % 3):
            heard = "murmur" if label == "murmur" and site == 0 else "normal"
            recordings.append(_recording(f"{k}_{site}", heard, "circor", person, label))
            good = 0.2 if label == "unknown" else 1.0
            parts.append(4 * good * beat + rng.normal(-8, 0.5 + 2 * (1 - good), (150, 32)))
            logits.append(rng.normal(0, 1, 5) + 2.5 * np.eye(5)[MURMUR if heard == "murmur" else NORMAL] * good)
        if k % 5 == 0:
            recordings.append(_recording(f"p{k}", "murmur", "pascal_b", "", ""))
            parts.append(rng.normal(-8, 1, (60, 32)))
            logits.append(rng.normal(0, 1, 5))
    offsets = np.cumsum([0, *(len(p) for p in parts)])
    table = Table.of(Features(tuple(recordings), np.concatenate(parts).astype(np.float32), offsets))
    return table, np.array(logits)


def _recording(name: str, label: str, source: str, patient: str, patient_label: str) -> Recording:
    group = f"{source}/{patient or name}"
    return Recording(Path(name), name, label, source, group, (True,) * 5, patient=patient, patient_label=patient_label)


@pytest.fixture(scope="module")
def table() -> Table:
    return made()[0]


@pytest.fixture(scope="module")
def logits() -> Array:
    return made()[1]


def sides(table: Table) -> tuple[Array, Array]:
    """Two thirds of the groups and the rest, each with recordings that are no patient's."""
    groups = sorted({r.group for r in table.recordings})
    held = {group for n, group in enumerate(groups) if n % 3 == 0}
    tested = np.array([r.group in held for r in table.recordings])
    return np.flatnonzero(~tested), np.flatnonzero(tested)


@pytest.fixture(scope="module")
def told(table: Table, logits: Array) -> Told:
    asked, tested = sides(table)
    found = patients.fit_and_tell(CONFIG, table, asked, logits[asked], tested, logits[tested])
    assert found is not None
    return found


def rows_of(table: Table, indices: Array) -> dict[str, Array]:
    """Places of each patient's sites, by person and label."""
    names = np.array([f"{table.recordings[i].patient} {table.recordings[i].patient_label}" for i in indices])
    return {n: np.flatnonzero(names == n) for n in sorted(set(names)) if n != " "}


def seen(table: Table, logits: Array, indices: Array) -> Array:
    """What the rule is to see, reckoned site by site."""
    found = []
    for rows in rows_of(table, indices).values():
        odds = [float(logits[indices[p], MURMUR] - logits[indices[p], NORMAL]) for p in rows]
        chance = np.mean([probabilities(logits[indices[p]])[MURMUR] for p in rows])
        heard = [table.features(int(indices[p])).astype(np.float64) for p in rows]
        measures = np.mean([measure(CONFIG.front_end, x) for x in heard], axis=0)
        found.append([max(odds), np.mean(odds), np.log(chance + 1e-9), *measures, len(rows)])
    return np.array(found)


def test_each_tested_patient_is_told_once_from_all_sites(table: Table, logits: Array, told: Told) -> None:
    _, tested = sides(table)
    rows = rows_of(table, tested)
    assert told.names == list(rows)
    for name, group, truth, murmur in zip(told.names, told.groups, told.truth, told.murmur, strict=True):
        own = [table.recordings[tested[p]] for p in rows[name]]
        assert {r.group for r in own} == {group}
        assert (
            truth
            == OF_LABEL[name.partition(" ")[2]]
            == ANSWERS.index({"normal": "absent", "murmur": "present"}.get(own[0].patient_label, "unknown"))
        )
        assert murmur == pytest.approx(np.mean([probabilities(logits[tested[p]])[MURMUR] for p in rows[name]]))
    assert set(told.truth.tolist()) == {0, 1, 2}


def test_a_child_seen_in_two_campaigns_is_two_patients_of_one_group(table: Table, logits: Array) -> None:
    everything = np.arange(len(table))
    found = patients.fit_and_tell(CONFIG, table, everything, logits, everything, logits)
    assert found is not None
    twice = [k for k, group in enumerate(found.groups) if group == "circor/0"]
    assert [found.names[k] for k in twice] == ["0 murmur", "0 normal"]
    assert [ANSWERS[k] for k in found.truth[twice]] == ["present", "absent"]


def test_the_rule_is_a_regression_on_what_inner_folds_answered(table: Table, logits: Array, told: Told) -> None:
    asked, tested = sides(table)
    truth = np.array([OF_LABEL[name.partition(" ")[2]] for name in rows_of(table, asked)])
    rule = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(seen(table, logits, asked), truth)
    np.testing.assert_allclose(told.probabilities, rule.predict_proba(seen(table, logits, tested)), atol=1e-9)
    np.testing.assert_allclose(told.probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(told.shares, np.tile(np.bincount(truth) / len(truth), (len(told.truth), 1)))


def test_the_rule_tells_the_unknown_by_their_sound(told: Told) -> None:
    unknown = told.truth == 1
    assert roc_auc_score(unknown, told.probabilities[:, 1]) > 0.9
    known = ~unknown
    assert roc_auc_score(told.truth[known] == 2, told.probabilities[known, 2]) > 0.8


def test_nobody_is_told_where_no_patient_is_tested_or_only_one_answer_is_known(table: Table, logits: Array) -> None:
    asked, tested = sides(table)
    pascal = np.array([i for i in tested if not table.recordings[i].patient])
    absent = np.array([i for i in asked if table.recordings[i].patient_label == "normal"])
    for a, t in ((asked, pascal), (asked, tested[:0]), (absent, tested), (asked[:0], tested)):
        assert patients.fit_and_tell(CONFIG, table, a, logits[a], t, logits[t]) is None


def test_an_answer_that_was_never_learned_is_never_told(table: Table, logits: Array) -> None:
    asked, tested = sides(table)
    known = np.array([i for i in asked if table.recordings[i].patient_label != "unknown"])
    found = patients.fit_and_tell(CONFIG, table, known, logits[known], tested, logits[tested])
    assert found is not None
    assert not found.probabilities[:, 1].any()
    assert not found.shares[:, 1].any()
    result = patient_scores.score([found])
    assert not np.array(result["confusion_balanced"])[:, 1].any()


# --- scores


def sure(
    truth: list[int], told: list[int], confidence: float = 0.9, shares: tuple[float, ...] = (0.7, 0.1, 0.2)
) -> Told:
    """Patients of whom an answer is told with some confidence."""
    chances = np.full((len(told), 3), (1 - confidence) / 2)
    chances[np.arange(len(told)), told] = confidence
    names = [f"{k:02} x" for k in range(len(told))]
    tiled = np.tile(shares, (len(told), 1))
    return Told(names, [f"g{k}" for k in range(len(told))], np.array(truth), chances, chances[:, 2], tiled)


def test_weighted_accuracy_counts_5_3_and_1() -> None:
    """Five absent of whom four are right, two unknown of whom one is, three present of whom two are."""
    truth = [0, 0, 0, 0, 0, 1, 1, 2, 2, 2]
    told = [0, 0, 0, 0, 2, 1, 0, 2, 2, 0]
    result = patient_scores.score([sure(truth, told)])
    assert result["weighted_accuracy"]["value"] == pytest.approx((4 * 1 + 1 * 3 + 2 * 5) / (5 + 6 + 15), abs=1e-4)
    assert result["balanced_accuracy"]["value"] == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3, abs=1e-4)
    wanted = [[4, 0, 1], [1, 1, 0], [1, 0, 2]]
    assert result["confusion_weighted"] == result["confusion_balanced"] == wanted
    assert (result["n"], result["patients"]) == (10, {"absent": 5, "unknown": 2, "present": 3})


def test_answers_are_those_of_least_expected_loss() -> None:
    """Weighted, present at .2 is worth 1 and absent at .8 is worth .8; at .14 and .86 it is the other way round.

    Balanced, present at .14 of a share of .1 beats absent at .86 of .7.
    """
    chances = np.array([[0.8, 0.0, 0.2], [0.86, 0.0, 0.14], [0.7, 0.3, 0.0], [0.5, 0.1, 0.4]])
    one = sure([2, 0, 1, 0], [0] * 4)._replace(probabilities=chances, shares=np.tile([0.7, 0.2, 0.1], (4, 1)))
    result = patient_scores.score([one])
    assert result["confusion_weighted"] == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    even = (chances / [0.7, 0.2, 0.1]).argmax(axis=1)
    assert even.tolist() == [2, 2, 1, 2]
    assert result["confusion_balanced"] == [[0, 0, 2], [0, 1, 0], [0, 0, 1]]


def test_balanced_accuracy_is_scikit_learns_and_its_interval_is_over_groups() -> None:
    rng = np.random.default_rng(0)
    truth, told = rng.integers(0, 3, 80), rng.integers(0, 3, 80)
    one = sure(truth.tolist(), told.tolist())._replace(groups=[f"g{k // 2}" for k in range(80)])
    result = patient_scores.score([one])
    assert result["balanced_accuracy"]["value"] == pytest.approx(balanced_accuracy_score(truth, told), abs=1e-4)

    def recall(rows: Array) -> float:
        return float(np.mean([(told[rows] == truth[rows])[truth[rows] == k].mean() for k in set(truth[rows])]))

    assert result["balanced_accuracy"] == statistic(recall, one.groups)
    costs = np.array([1.0, 3.0, 5.0])[truth]
    assert result["weighted_accuracy"] == ratio(costs * (truth == told), costs, one.groups)


def test_unknown_patients_are_left_out_of_the_areas() -> None:
    truth = [0, 0, 1, 1, 2, 2]
    one = sure(truth, [0, 2, 2, 2, 2, 0])
    result = patient_scores.score([one])
    known = [0, 1, 4, 5]
    present = np.array(truth)[known] == 2
    odds = np.log(one.probabilities[:, 2] / one.probabilities[:, 0])[known]
    for name, values in (("rule", odds), ("mean probability of murmur", one.murmur[known])):
        assert result["auroc"][name]["value"] == pytest.approx(roc_auc_score(present, values))


def test_runs_are_averaged() -> None:
    truth = [0, 0, 1, 2]
    both = patient_scores.score([sure(truth, [0, 0, 1, 2]), sure(truth, [0, 2, 1, 0])])
    assert both["weighted_accuracy"]["value"] == pytest.approx((1 + 0.5 + 3 + 2.5) / 10)
    assert both["balanced_accuracy"]["value"] == pytest.approx((0.75 + 1 + 0.5) / 3, abs=1e-4)
    assert both["confusion_weighted"] == [[1.5, 0, 0.5], [0, 1, 0], [0.5, 0, 0.5]]


def test_folds_are_put_together_in_the_order_of_names() -> None:
    whole = sure([0, 1, 2, 0, 1, 2], [0, 0, 2, 1, 1, 2])
    odd, even = (Told(*(part[k::2] for part in whole)) for k in (1, 0))  # type: ignore[arg-type]
    both = patient_scores.together([odd, even])
    assert both.names == whole.names
    assert both.groups == whole.groups
    for one, other in zip(both[2:], whole[2:], strict=True):
        assert np.array_equal(one, other)
