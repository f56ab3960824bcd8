"""`laennec evaluate` from folders to figures: each protocol, models that protocols share, who is learned from."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_data
import torch
from sklearn.ensemble import ExtraTreesClassifier

import laennec
from models.classes import CLASSES
from models.join import JoinSpec
from models.windows import decision_ends
from train import (
    baselines,
    beats,
    calibrate,
    console,
    evaluate,
    evidence,
    extrasystole,
    heart,
    nested,
    protocol_report,
    protocols,
    scores,
)
from train.beats import BeatTask
from train.config import Config, load, recipes
from train.evaluate import Answers, Data, Workshop
from train.headlines import headline
from train.heart import HeartTask
from train.inner import Work
from train.protocols import ALL_BEATS, NO_BEATS, PROTOCOLS, SEEDS
from train.table import Features, Table

Array = np.ndarray
KINDS = ("pascal", "circor", "noise")
SCORE = {"value", "low", "high"}


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Neither intervals nor favour nor baselines are tested here, and they take longest."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "_RESAMPLES", 20)
        patch.setattr(calibrate, "_TRIED", (0.0, 1.0))
        patch.setattr(baselines, "ExtraTreesClassifier", lambda _, **rest: ExtraTreesClassifier(10, **rest))
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All three data sets and their annotations; patients with a murmur, without, and unknown."""
    folder = tmp_path_factory.mktemp("made")
    tiny_data.pascal_timing(tiny_data.pascal(folder / "pascal"))
    tiny_data.circor(folder / "circor", 10, seconds=2, annotated=True, unknown=5)
    tiny_data.noise(folder / "noise", 7)
    tiny_data.config(folder, 3)
    return folder


def words(made: Path, name: str, *kinds: str) -> list[str]:
    data = [word for kind in kinds or KINDS for word in ("--data", f"{kind}={made / kind}")]
    return ["evaluate", "--protocol", name, *data, "--config", str(made / "tiny.toml")]


Main = Callable[..., tuple[int, str, str]]


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Main:
    """The command in this process: its exit code, what it said, and what it complained of."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["laennec", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            laennec.main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return call


@pytest.fixture(scope="module")
def work(made: Path) -> Path:
    """The folder that all protocols share."""
    return made / "work"


@pytest.fixture(scope="module")
def results(made: Path, work: Path) -> dict[str, tuple[dict[str, Any], int]]:
    """Each protocol's result, and how many checkpoints lay in the folder after it."""
    found = {}
    for name in PROTOCOLS:
        out = made / f"{name}.json"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["laennec", *words(made, name), "--work", str(work), "--json", str(out)])
            with pytest.raises(SystemExit) as end:
                laennec.main()
        assert not end.value.code
        found[name] = (json.loads(out.read_text()), len(checkpoints(work)))
    return found


Results = dict[str, tuple[dict[str, Any], int]]


def checkpoints(work: Path) -> set[str]:
    return {p.relative_to(work).as_posix() for p in work.rglob("*.safetensors")}


# --- every protocol, from its folders to its figures


def every_score(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict) and value.keys() >= SCORE:
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from every_score(inner)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_result_says_what_it_is_and_holds_scores(results: Results, name: str) -> None:
    result = results[name][0]
    assert (result["protocol"], result["leaky"]) == (name, PROTOCOLS[name].leaky)
    assert result["says"] == PROTOCOLS[name].says
    assert result["data"] == sorted(KINDS)
    assert result["config"]["fit"]["steps"] == 3
    assert ("recipes" in result) == (name != "cross-device")
    assert set(result.get("recipes", ())) <= {"default", "even"}
    found = list(every_score(result))
    assert len(found) >= 4
    for score in found:
        known = [score[key] for key in ("value", "low", "high") if score[key] is not None]
        assert all(x >= -1 for x in known)
    shown = headline(result)
    assert len(shown) >= 3 or name == "leakage"
    assert all(score.keys() >= SCORE for score in shown.values())


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_second_time_nothing_is_trained_and_every_figure_is_the_same(
    made: Path, work: Path, results: Results, main: Main, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for task in (HeartTask, BeatTask):
        monkeypatch.setattr(task, "loss", lambda *_: pytest.fail("it learns again"))
    monkeypatch.setattr(evidence, "early_beats", only_without_net(evidence.early_beats))
    before = checkpoints(work)
    code, said, err = main(*words(made, name), "--work", str(work), "--json", str(tmp_path / "again.json"))
    assert code == 0, err
    again = json.loads((tmp_path / "again.json").read_text())
    assert again == results[name][0]
    assert said.strip() == protocol_report.text(again).strip()
    assert checkpoints(work) == before


def only_without_net(known: Callable[..., Array]) -> Callable[..., Array]:
    def early(config: Config, net: Any, table: Table, at: Any) -> Array:
        assert net is None, "early beats are counted again"
        return known(config, net, table, at)

    return early


def test_protocols_share_their_models(results: Results, work: Path) -> None:
    joint = {f"seed{s}-fold{k}" for s in range(3, 3 + SEEDS) for k in range(5)}
    whole = {f"{name}-inner{k}.safetensors" for name in ("default", "even") for k in (0, 1)} | {"model.safetensors"}
    found = checkpoints(work)
    assert {f"{case}/{name}" for case in joint for name in whole} <= found
    assert {name for name in found if name.startswith("beats-")} == {
        f"beats-{name}.safetensors" for name in (*(f"fold{k}" for k in range(5)), "all")
    }
    counts = [count for _, count in results.values()]
    names = list(results)
    assert counts[names.index("pascal-grouped")] == len(joint) * 5 + 5 * 2  # and early beats of each beat network
    assert counts[names.index("circor-patients")] == counts[names.index("pascal-grouped")]
    assert counts[names.index("leakage")] == counts[names.index("cross-device")]
    cross = {case for case in found if "-to-" in case}
    assert len(cross) == 4
    assert all(case.endswith("/model.safetensors") for case in cross)


def test_pascal_is_tested_whole(results: Results) -> None:
    result = results["pascal-grouped"][0]
    assert (result["n"], result["runs"]) == (54, SEEDS)
    assert set(result["parts"]) == {"pascal_a", "pascal_b"}
    assert set(result["baselines"]) == {"majority", "nuisance only"}
    assert set(result["rare_favoured"]["per_class"]) == set(CLASSES)
    assert len(result["answers"]) == 54
    assert all(np.shape(row["probabilities"]) == (SEEDS, 5) for row in result["answers"])
    assert result["heard"] == []  # all are short
    assert set(result["flips_per_minute"]) == {"smoothed", "raw"}


def test_circor_gives_an_answer_a_patient(results: Results) -> None:
    result = results["circor-patients"][0]
    assert (result["n"], result["patients"]) == (15, {"absent": 5, "unknown": 5, "present": 5})
    assert np.sum(result["confusion_weighted"]) == pytest.approx(15)
    assert set(result["parts"]["sites"]) == set(tiny_data.SITES)
    assert set(result["parts"]["ages"]) == {"Child"}
    assert result["open_answer"]["n"] == 15  # sites with a murmur, and all of those who have none
    assert len(result["answers"]) == 15


def test_devices_and_leaks_have_their_figures(results: Results) -> None:
    unheard = results["new-device"][0]["sources"]
    assert set(unheard) == {"pascal_a", "pascal_b", "circor"}
    assert unheard["circor"]["clear_normals"]["n"] == unheard["circor"]["all_normals"]["n"] == 10
    assert "murmur present vs absent, by patient" in unheard["circor"]["auroc"]
    pairs = results["cross-device"][0]["auroc"]
    assert list(pairs) == ["pascal_a-to-pascal_b", "pascal_b-to-pascal_a", "circor-to-pascal_b", "pascal-to-circor"]
    leaks = results["leakage"][0]
    assert leaks["device_auroc"]["n"] == 34  # normal and murmur
    assert set(leaks["changed"]) == {"as it is", "length of another", "level of another"}


def test_the_seed_split_says_that_it_leaks_and_tests_what_is_published(results: Results) -> None:
    result = results["seed-split"][0]
    assert result["n"] == 12  # a fifth of 56, rounded up
    assert result["leaky"] == "leaky: patients are shared"
    assert result["leaky"] in protocol_report.text(result)


# --- other data, less data


def test_models_of_other_recordings_are_not_taken_for_these(made: Path, tmp_path: Path, main: Main) -> None:
    """They may have learned what is tested here."""
    shared = ["--work", str(tmp_path / "w")]
    assert main(*words(made, "seed-split", "pascal"), *shared)[0] == 0
    code, _, err = main(*words(made, "seed-split", "pascal", "noise"), *shared)
    assert code == 2
    assert "learned from other recordings" in err


def test_evaluating_without_work_leaves_nothing_behind(
    made: Path, tmp_path: Path, main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code, out, err = main(*words(made, "seed-split", "pascal"))
    assert code == 0, err
    assert "leaky: patients are shared" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "kinds"),
    [("seed-split", ["pascal"]), ("circor-patients", ["circor"]), ("new-device", ["pascal", "circor"])],
)
def test_a_protocol_needs_no_more_than_it_tests(
    made: Path, tmp_path: Path, main: Main, name: str, kinds: list[str]
) -> None:
    """Nor annotated beats: then none is early."""
    for kind in kinds:
        (tmp_path / kind).symlink_to(made / kind)
    if "circor" in kinds:
        (tmp_path / "circor").unlink()
        tiny_data.circor(tmp_path / "circor", 10, unknown=2)
    (tmp_path / "tiny.toml").symlink_to(made / "tiny.toml")
    code, _, err = main(*words(tmp_path, name, *kinds), "--work", str(tmp_path / "w"))
    assert code == 0, err
    assert not [name for name in checkpoints(tmp_path / "w") if name.startswith(("beats", "evidence"))]


def test_patients_without_a_murmur_alone_are_refused_in_a_line(made: Path, tmp_path: Path, main: Main) -> None:
    tiny_data.circor(tmp_path / "circor", 12)
    table = tmp_path / "circor" / "recordings.csv"
    rows = [row for row in table.read_text().splitlines() if "murmur" not in row]
    table.write_text("\n".join(rows) + "\n")
    (tmp_path / "noise").symlink_to(made / "noise")
    (tmp_path / "tiny.toml").symlink_to(made / "tiny.toml")
    code, _, err = main(*words(tmp_path, "circor-patients", "circor", "noise"))
    assert code == 2
    assert err.splitlines()[-1].startswith("laennec: circor-patients needs patients with a murmur")


# --- who is learned from


@pytest.fixture(scope="module")
def config(made: Path) -> Config:
    return load(made / "tiny.toml")


@pytest.fixture(scope="module")
def data(made: Path, config: Config) -> Data:
    entries = [f"{kind}={made / kind}" for kind in KINDS]
    recordings, timed = console.recordings_of(entries, every_site=True), console.timed_of(entries)
    return Data(console.table_of(config, recordings, timed), console.features_of(config, timed))


@pytest.fixture(scope="module")
def asked(
    config: Config, data: Data, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Answers], dict[str, list[Any]]]:
    """The first seed's models, and what each of their networks learned from."""
    seen: dict[str, list[Any]] = {"hearts": [], "beats": [], "ticks": []}
    heart_fit, beat_fit = heart.fit, beats.fit

    def spy_heart(config: Config, table: Table, indices: list[int], seed: int, *rest: Any) -> Any:
        seen["hearts"].append([int(i) for i in indices])
        return heart_fit(config, table, indices, seed, *rest)

    def spy_beats(config: Config, timed: Any, indices: list[int], noises: list[Array], seed: int) -> Any:
        seen["beats"].append((list(indices), [n.tobytes() for n in noises]))
        return beat_fit(config, timed, indices, noises, seed)

    cases = protocols.cases("circor-patients", data.table.recordings, data.timed.recordings, config.seed)[:5]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heart, "fit", spy_heart)
        patch.setattr(beats, "fit", spy_beats)
        shop = Workshop(tmp_path_factory.mktemp("shop"), 1, lambda: seen["ticks"].append(1))
        answers = evaluate.run(config, data, cases, shop)
    assert len(seen["ticks"]) == evaluate.works(cases) == 10
    return answers, seen


Asked = tuple[list[Answers], dict[str, list[Any]]]


def test_no_network_of_a_fold_learned_from_what_the_fold_holds_out(data: Data, config: Config, asked: Asked) -> None:
    """Neither those that classify nor those that find beats: no person, no patient of PASCAL, no noise."""
    answers, seen = asked
    recordings, timed = data.table.recordings, data.timed.recordings
    folds = protocols.joint_folds(recordings, timed, config.seed)
    assert len(seen["beats"]) == 5
    assert len(seen["hearts"]) == 25  # each of two recipes in two inner folds, and one on everything
    for k, (held, (persons, noises)) in enumerate(zip(folds, seen["beats"], strict=True)):
        groups = {recordings[i].group for i in held}
        for learned in seen["hearts"][5 * k : 5 * k + 5]:
            assert not {recordings[i].group for i in learned} & groups
        assert not {timed[i].group for i in persons} & groups
        assert {timed[i].source for i in persons} == {"circor"}
        quiet = {data.table.features(int(i)).tobytes() for i in held if recordings[i].source == "noise"}
        assert quiet
        assert not set(noises) & quiet
        assert answers[k].case.tested.tolist() == [i for i in held if recordings[i].source == "circor"]


def test_answers_are_of_the_tested_recordings_in_their_order(data: Data, config: Config, asked: Asked) -> None:
    for a in asked[0]:
        n = len(a.case.tested)
        assert a.logits.shape == (n, 5)
        assert len(a.rolling) == len(a.device) == n
        for i, told in zip(a.case.tested, a.rolling, strict=True):
            moments = len(decision_ends(config.window, data.table.frames(int(i))))
            assert (told.logits.shape, told.early.shape) == ((moments, 5), (moments,))
        assert a.recipe in recipes(config)
        assert 0 <= a.threshold <= 0.9
        assert a.favour.shape == (5,)
        assert a.patients is not None
        own = {f"{r.patient} {r.patient_label}" for r in (data.table.recordings[i] for i in a.case.tested)}
        assert set(a.patients.names) == own


def test_favour_is_told_from_sources_that_can_speak_of_every_class(
    data: Data, config: Config, asked: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Array] = []

    def favour(_: Array, truth: Array) -> Array:
        seen.append(truth)
        return np.zeros(5)

    monkeypatch.setattr(calibrate, "favour", favour)
    case = asked[0][0].case
    at = evidence.moments(config, data.table)
    nothing = evaluate.BeatEvidence(np.zeros(len(at.ends), dtype=np.int64), JoinSpec().early)
    evaluate._ask(config, data.table, at, nothing, case, tmp_path)
    own = [i for i in case.learned if data.table.recordings[i].source.startswith("pascal")]
    assert sorted(seen[0].tolist()) == sorted(data.table.labels[own].tolist())


# --- early beats that were counted before


def reordered(data: Data) -> tuple[Data, Array]:
    """The same recordings the other way round."""
    table, order = data.table, np.arange(len(data.table))[::-1]
    parts = [table.features(int(i)) for i in order]
    recordings = tuple(table.recordings[i] for i in order)
    offsets = np.cumsum([0, *(len(p) for p in parts)])
    return Data(Table.of(Features(recordings, np.concatenate(parts), offsets)), data.timed), order


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A place that fills with each counting of early beats."""
    counted: list[int] = []
    known = evidence.early_beats

    def early(config: Config, net: Any, table: Table, at: Any) -> Array:
        counted.append(1)
        # Tiny networks find no early beat: these tell of which recording and moment each count is.
        return np.asarray(known(config, net, table, at) + at.ends + 1000 * len(table))

    monkeypatch.setattr(evidence, "early_beats", early)
    return counted


def test_early_beats_are_counted_once_for_a_table_and_anew_for_another(
    config: Config, data: Data, counting: list[int], tmp_path: Path
) -> None:
    at = evidence.moments(config, data.table)
    first = evaluate._beats(config, data, at, ALL_BEATS, tmp_path)
    again = evaluate._beats(config, data, at, ALL_BEATS, tmp_path)
    assert len(counting) == 1
    assert np.array_equal(first.early, again.early)
    assert first.odds == again.odds
    other, _ = reordered(data)
    there = evidence.moments(config, other.table)
    turned = evaluate._beats(config, other, there, ALL_BEATS, tmp_path)
    assert len(counting) == 2
    assert turned.early.tolist() != first.early.tolist()
    assert turned.early.tolist() == (there.ends + 1000 * len(other.table)).tolist()
    assert turned.odds == first.odds


def test_early_beats_are_told_by_the_share_of_hearts_that_is_asked_for_though_their_weight_was_kept(
    config: Config, data: Data, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    weighed = iter([1.2512])  # tiny networks find no early beat, and weigh none
    monkeypatch.setattr(extrasystole, "weigh_premature", lambda *_: next(weighed))
    at = evidence.moments(config, data.table)
    first = evaluate._beats(config, data, at, ALL_BEATS, tmp_path)
    rarer = dataclasses.replace(config, answer=dataclasses.replace(config.answer, extrasystoles=0.01))
    again = evaluate._beats(rarer, data, at, ALL_BEATS, tmp_path)
    assert first.odds == pytest.approx(np.log(0.1 / 0.9) + 1.2512)
    assert again.odds == pytest.approx(np.log(0.01 / 0.99) + 1.2512)
    assert type(first.odds) is type(again.odds) is float


def test_without_a_network_no_beat_is_early(config: Config, data: Data, tmp_path: Path) -> None:
    at = evidence.moments(config, data.table)
    plain = evaluate._beats(config, data, at, NO_BEATS, tmp_path)
    assert not plain.early.any()
    assert plain.odds == JoinSpec().early
    nobody = Data(data.table, Features((), np.zeros((0, 8), dtype=np.float32), np.zeros(1, dtype=np.int64)))
    for name in (ALL_BEATS, "fold0"):
        found = evaluate._beats(config, nobody, at, name, tmp_path)
        assert not found.early.any()
        assert found.odds == JoinSpec().early
    assert list(tmp_path.iterdir()) == []


def test_what_changes_length_and_level_is_answered_by_the_same_models(
    config: Config, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = protocols.cases("leakage", data.table.recordings, data.timed.recordings, config.seed)[0]
    shop = Workshop(tmp_path, 1, lambda: None)
    (answers,) = evaluate.run(config, data, [case], shop)
    monkeypatch.setattr(HeartTask, "loss", lambda *_: pytest.fail("it learns again"))
    (told,) = evaluate.changed(config, data, [case], shop)
    assert set(told) == {"as it is", "length of another", "level of another"}
    assert all(found.shape == (len(case.tested),) for found in told.values())
    sources = evaluate._without_beats(data.table, evidence.moments(config, data.table))
    work = Work(sources, case.learned, case.also, case.seed, tmp_path / case.name)
    learned = nested.learn(config, work)
    wanted = nested.answer(config, learned, sources, case.tested)[0].argmax(axis=1)
    assert np.array_equal(told["as it is"], wanted)
    assert answers.recipe == learned.recipe
    assert len(answers.device) == len(case.tested)
    assert np.ptp(answers.device) > 0
