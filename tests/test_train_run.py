"""From folders of recordings to reports, by the command line; what each protocol lets be learned; what it must beat."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny_data
import torch
from matplotlib import image
from safetensors.numpy import load_file
from sklearn.metrics import accuracy_score

import laennec
from models.classes import CLASSES
from models.decide import DecideSpec
from models.errors import InputFileError
from models.frontend import FrontEndSpec
from models.nets import BeatNet
from models.quality import QualitySpec
from train import baselines, checkpoint, datasets, quality, report, run, table, timings
from train.beats import BeatTask
from train.config import from_dict, load
from train.datasets import Recording, read, read_circor
from train.evaluate import Answers, score
from train.filterbank import front_end
from train.loop import Interrupted
from train.pascal import CONFLICTS
from train.protocols import PROTOCOLS, Protocol, folds_of, is_tested, learnable
from train.splits import split_hash
from train.table import Table, build

GROUPED, LEAKY, PATIENTS = (PROTOCOLS[name] for name in ("pascal-grouped", "seed-split", "circor-patients"))
STEPS = 80
FILES = {
    *("config.json", "splits.json", "held-out.safetensors", "windows.safetensors", "predictions.csv", "metrics.json"),
    *("learning.png", "confusion.png", "report.md", "quality.json", "model.safetensors"),
}
NETWORKS = ("held-out", "model")

Main = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three made data sets and a configuration."""
    folder = tmp_path_factory.mktemp("made")
    tiny_data.pascal(folder / "pascal")
    tiny_data.circor(folder / "circor")
    tiny_data.noise(folder / "noise")
    tiny_data.config(folder, STEPS)
    return folder


def data(made: Path, *kinds: str) -> list[str]:
    return [word for kind in kinds for word in ("--data", f"{kind}={made / kind}")]


def train_words(made: Path, out: Path) -> list[str]:
    return ["train", *data(made, "pascal", "circor", "noise"), "--config", str(made / "tiny.toml"), "--out", str(out)]


def started(*words: str) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parent.parent
    return subprocess.Popen(
        [sys.executable, "-m", "laennec", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(root), "PYTHONIOENCODING": "utf-8", "COLUMNS": "120"},
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=110)
    assert "Traceback" not in err, err
    return process.returncode, out, err


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Main:
    """The command in this process: its exit code, what it said, and what it complained of."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["laennec", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            laennec.main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return call


def assert_one_line(err: str, *words: str) -> None:
    lines = [line for line in err.splitlines() if line.startswith("laennec: ")]
    assert len(lines) == 1, err
    assert lines[0] == err.splitlines()[-1]
    assert all(word in lines[0] for word in words), err


# --- a whole run


@pytest.fixture(scope="module")
def finished(made: Path) -> tuple[Path, str]:
    """A run from its beginning to its end, and what it printed."""
    code, out, err = ended(started(*train_words(made, made / "run")))
    assert code == 0, err
    return made / "run", out


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_every_file_it_names(finished: tuple[Path, str]) -> None:
    folder, out = finished
    assert {path.name for path in folder.iterdir()} == FILES
    assert all(name in (run.__doc__ or "") for name in FILES)
    assert (folder / "report.md").read_text(encoding="utf-8") in out
    assert f"laennec export {folder}" in out


def test_its_pictures_open_and_show_something(finished: tuple[Path, str]) -> None:
    for name in ("learning.png", "confusion.png"):
        pixels = image.imread(finished[0] / name)
        assert min(pixels.shape[:2]) > 400
        assert pixels.std() > 0.01


def test_predictions_have_a_row_per_held_out_recording(finished: tuple[Path, str]) -> None:
    rows, splits = rows_of(finished[0]), json.loads((finished[0] / "splits.json").read_text())
    assert [f"{r['source']}/{r['name']}" for r in rows] == splits["held out"]["names"]
    assert len({r["group"] for r in rows}) == splits["held out"]["groups"]
    for row in rows:
        p = [float(row[f"p_{name}"]) for name in CLASSES]
        assert sum(p) == pytest.approx(1, abs=5e-4)
        assert p[CLASSES.index(row["answer"])] == max(p)


def test_the_sides_share_no_group_and_together_hold_all_that_is_clean(made: Path, finished: tuple[Path, str]) -> None:
    everything = [*read("pascal", made / "pascal"), *read("circor", made / "circor"), *read("noise", made / "noise")]
    group = {f"{r.source}/{r.name}": r.group for r in everything}
    splits = json.loads((finished[0] / "splits.json").read_text())
    kept, held = splits["learned from"]["names"], splits["held out"]["names"]
    assert not {group[name] for name in kept} & {group[name] for name in held}
    clean = {name for name in group if name.removeprefix("pascal_b/") not in CONFLICTS}
    assert sorted([*kept, *held]) == sorted(clean)
    assert len(clean) == len(group) - 2
    assert [splits[side]["hash"] for side in ("learned from", "held out")] == [split_hash(kept), split_hash(held)]
    learned = {name: checkpoint.load(finished[0] / f"{name}.safetensors").notes["learned"] for name in NETWORKS}
    heard = build(front_end(load(made / "tiny.toml").front_end), everything)
    places = {name: i for i, name in enumerate(group)}
    assert learned["held-out"] == heard.fingerprint([places[name] for name in kept])
    assert learned["model"] == heard.fingerprint([places[name] for name in clean])
    assert sum(splits["held out"]["counts"].values()) == len(held)


def test_windows_are_of_held_out_recordings_and_of_several_lengths(made: Path, finished: tuple[Path, str]) -> None:
    """Each is the end of a held-out recording, as long as a window at most."""
    config = load(made / "tiny.toml")
    held = json.loads((finished[0] / "splits.json").read_text())["held out"]["names"]
    everything = [*read("pascal", made / "pascal"), *read("circor", made / "circor"), *read("noise", made / "noise")]
    recordings = [r for r in everything if f"{r.source}/{r.name}" in held]
    heard = build(front_end(config.front_end), recordings)
    ends = {heard.features(i)[-config.window.window_frames :].tobytes() for i in range(len(recordings))}
    found = list(load_file(finished[0] / "windows.safetensors").values())
    assert len(found) == len(held)
    assert {x.tobytes() for x in found} == ends
    lengths = {len(x) for x in found}
    assert len(lengths) > 1
    assert config.window.least_frames <= min(lengths) <= max(lengths) == config.window.window_frames


def test_metrics_agree_with_the_predictions(finished: tuple[Path, str]) -> None:
    rows, metrics = rows_of(finished[0]), json.loads((finished[0] / "metrics.json").read_text())
    expected = accuracy_score([r["label"] for r in rows], [r["answer"] for r in rows])
    assert metrics["accuracy"]["value"] == pytest.approx(expected, abs=1e-4)
    assert metrics["n"] == len(rows)
    answered = [r for r in rows if max(float(r[f"p_{c}"]) for c in CLASSES) >= metrics["decide"]["threshold"] - 1e-4]
    assert metrics["answered_share"] == pytest.approx(len(answered) / len(rows), abs=0.05)
    assert run.decide_spec(finished[0]) == DecideSpec(**metrics["decide"])


def test_the_configuration_is_written_whole(made: Path, finished: tuple[Path, str]) -> None:
    held = from_dict(json.loads((finished[0] / "config.json").read_text()))
    assert held == load(made / "tiny.toml")
    for name in NETWORKS:
        notes = checkpoint.load(finished[0] / f"{name}.safetensors").notes
        assert from_dict(notes["config"]) == held
        assert notes["step"] == STEPS


def test_control_c_ends_in_a_line_and_resume_comes_to_the_same_network(
    made: Path, finished: tuple[Path, str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = started(*train_words(made, out))
    until = time.monotonic() + 60
    while not (out / "held-out.safetensors").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert code == 1
    assert_one_line(err, "stopped at step", f"of {STEPS}; continue with --resume")
    code, _, err = ended(started(*train_words(made, out), "--resume"))
    assert code == 0, err
    assert {path.name for path in out.iterdir()} == FILES
    for name in ("held-out.safetensors", "model.safetensors"):
        one, other = (checkpoint.averaged(checkpoint.load(folder / name)) for folder in (finished[0], out))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert (out / "predictions.csv").read_text() == (finished[0] / "predictions.csv").read_text()


def test_resuming_a_finished_run_learns_nothing_more(made: Path, finished: tuple[Path, str], main: Main) -> None:
    before = {name: (finished[0] / name).read_bytes() for name in ("model.safetensors", "metrics.json", "report.md")}
    assert main(*train_words(made, finished[0]), "--resume")[0] == 0
    assert before == {name: (finished[0] / name).read_bytes() for name in before}


def test_the_quality_index_is_the_one_fitted_on_the_same_recordings(made: Path, finished: tuple[Path, str]) -> None:
    settings = load(made / "tiny.toml")
    everything = [*read("pascal", made / "pascal"), *read("circor", made / "circor"), *read("noise", made / "noise")]
    wanted = quality.fit(everything, front_end(settings.front_end), settings.seed)
    assert run.quality_spec(finished[0]) == wanted
    assert wanted != QualitySpec()


# --- S1 and S2


def hearing_words(folder: Path, out: Path) -> list[str]:
    words = ["train", *data(folder, "pascal", "circor", "noise"), "--config", str(folder / "tiny.toml")]
    return [*words, "--out", str(out)]


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data sets with annotated beats."""
    folder = tmp_path_factory.mktemp("hearing")
    tiny_data.pascal_timing(tiny_data.pascal(folder / "pascal"))
    tiny_data.circor(folder / "circor", patients=8, annotated=True)
    tiny_data.noise(folder / "noise")
    tiny_data.config(folder, 12)
    return folder


def test_where_beats_are_annotated_a_network_learns_them_from_circor_alone(
    hearing: Path, tmp_path: Path, main: Main
) -> None:
    out = tmp_path / "run"
    assert main(*hearing_words(hearing, out))[0] == 0
    assert {path.name for path in out.iterdir()} == FILES | {"beats.safetensors"}
    assert "beats.safetensors" in (run.__doc__ or "")
    held = checkpoint.load(out / "beats.safetensors")
    timed = timings.read("circor", hearing / "circor")
    heard = table.read(front_end(load(hearing / "tiny.toml").front_end), timed)
    settings = load(hearing / "tiny.toml")
    noises = table.read(front_end(settings.front_end), datasets.read("noise", hearing / "noise"))
    everything = BeatTask(settings, heard, range(len(timed)), [noises.features(i) for i in range(len(noises))])
    assert held.notes["learned"] == everything.learned
    assert held.notes["step"] == 12
    BeatNet(load(hearing / "tiny.toml").beat_net).load_state_dict(checkpoint.averaged(held))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert main(*hearing_words(hearing, out), "--resume")[0] == 0
    assert all((out / name).read_bytes() == before[name] for name in before if name.endswith(".safetensors"))


def test_annotations_of_another_device_alone_are_not_learned_from(tmp_path: Path, main: Main) -> None:
    tiny_data.pascal_timing(tiny_data.pascal(tmp_path / "pascal"))
    words = ["--config", str(tiny_data.config(tmp_path, 8)), "--out", str(tmp_path / "run")]
    assert main("train", *data(tmp_path, "pascal"), *words)[0] == 0
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES


def test_stopped_while_learning_beats_and_resumed_comes_to_the_same_networks(hearing: Path, tmp_path: Path) -> None:
    settings = load(hearing / "tiny.toml")
    recordings = [r for kind in ("pascal", "circor", "noise") for r in read(kind, hearing / kind)]
    found = run.Data(
        build(front_end(settings.front_end), recordings),
        table.read(front_end(settings.front_end), timings.read("circor", hearing / "circor")),
        QualitySpec(),
    )
    phases: list[str] = []

    def stop_in_beats() -> bool:
        return phases[-1] == "S1 and S2" and phases.count("S1 and S2") == 5

    for name in ("whole", "stopped"):
        run.prepare(tmp_path / name, settings, resume=False)
    run.train(tmp_path / "whole", settings, found, lambda *_: None, lambda: False)
    with pytest.raises(Interrupted, match="stopped at step 5 of 12"):
        run.train(tmp_path / "stopped", settings, found, lambda phase, *_: phases.append(phase), stop_in_beats)
    assert not (tmp_path / "stopped" / "model.safetensors").exists()
    run.train(tmp_path / "stopped", settings, found, lambda phase, *_: phases.append(phase), lambda: False)
    assert phases == ["with recordings held out"] * 12 + ["S1 and S2"] * 12 + ["on everything"] * 12
    for name in (*NETWORKS, "beats"):
        one, other = (
            checkpoint.averaged(checkpoint.load(tmp_path / w / f"{name}.safetensors")) for w in ("whole", "stopped")
        )
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_annotations_that_can_not_be_read_are_named(tmp_path: Path, main: Main) -> None:
    tiny_data.circor(tmp_path / "circor", patients=4, annotated=True)
    (tmp_path / "circor/segmentation/2_MV.tsv").write_text("0.1 0.2\n")
    code, _, err = main("train", *data(tmp_path, "circor"), "--out", str(tmp_path / "run"))
    assert code == 3
    assert_one_line(err, "2_MV.tsv", "is no segmentation")
    assert not (tmp_path / "run").exists()


def test_export_is_told_when_a_run_is_not_finished(tmp_path: Path, made: Path) -> None:
    with pytest.raises(InputFileError, match="no finished training run"):
        run.decide_spec(tmp_path)
    (tmp_path / "metrics.json").write_text('{"decide": {"temperature": -1}}')
    with pytest.raises(InputFileError, match="no finished training run"):
        run.decide_spec(tmp_path)
    for text in ("", "[1]", '{"bias": NaN}', '{"periodicities": 1}'):
        (tmp_path / "quality.json").write_text(text)
        with pytest.raises(InputFileError, match="holds no quality index"):
            run.quality_spec(tmp_path)
    run.check_finished(tmp_path, STEPS, STEPS)
    with pytest.raises(InputFileError, match=f"stopped at step {STEPS - 1} of {STEPS}"):
        run.check_finished(tmp_path, STEPS - 1, STEPS)


# --- what is refused


def test_a_folder_in_use_is_refused(made: Path, finished: tuple[Path, str], main: Main) -> None:
    before = sorted(finished[0].iterdir())
    code, _, err = main(*train_words(made, finished[0]))
    assert code == 2
    assert_one_line(err, "is not empty; continue it with --resume")
    assert sorted(finished[0].iterdir()) == before


def test_a_file_as_run_is_refused(made: Path, tmp_path: Path, main: Main) -> None:
    (tmp_path / "run").write_text("mine")
    for more in ([], ["--resume"]):
        code, _, err = main(*train_words(made, tmp_path / "run"), *more)
        assert code == 2
        assert_one_line(err, "is a file")


def test_resume_without_a_run_is_refused(made: Path, tmp_path: Path, main: Main) -> None:
    code, _, err = main(*train_words(made, tmp_path / "none"), "--resume")
    assert code == 2
    assert_one_line(err, "holds no run to resume")
    assert not (tmp_path / "none").exists()


def test_resume_with_another_configuration_is_refused(
    made: Path, finished: tuple[Path, str], tmp_path: Path, main: Main
) -> None:
    other = tiny_data.config(tmp_path, STEPS + 1)
    code, _, err = main(*train_words(made, finished[0]), "--resume", "--config", str(other))
    assert code == 2
    assert_one_line(err, "begun with another configuration")


def test_resume_with_other_recordings_is_refused(made: Path, tmp_path: Path, main: Main) -> None:
    words = ["--config", str(tiny_data.config(tmp_path, 8)), "--out", str(tmp_path / "run")]
    assert main("train", *data(made, "pascal", "noise"), *words)[0] == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    code, _, err = main("train", *data(made, "pascal", "noise", "circor"), *words, "--resume")
    assert code == 2
    assert_one_line(err, "learned from other recordings")
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_resume_with_recordings_of_the_same_names_that_sound_otherwise_is_refused(tmp_path: Path, main: Main) -> None:
    tiny_data.pascal(tmp_path / "pascal")
    words = ["--config", str(tiny_data.config(tmp_path, 8)), "--out", str(tmp_path / "run")]
    assert main("train", *data(tmp_path, "pascal"), *words)[0] == 0
    kept = json.loads((tmp_path / "run" / "splits.json").read_text())["learned from"]["names"]
    source, _, name = kept[0].partition("/")
    (path,) = (tmp_path / "pascal").rglob(Path(name).name)
    sound, rate_hz = soundfile.read(path)
    soundfile.write(path, sound[::-1], rate_hz)
    code, _, err = main("train", *data(tmp_path, "pascal"), *words, "--resume")
    assert (code, source in {"pascal_a", "pascal_b"}) == (2, True)
    assert_one_line(err, "learned from other recordings")


@pytest.mark.parametrize("text", ["{", "[]", '{"sede": 1}'])
def test_resume_of_a_damaged_configuration_is_refused(made: Path, tmp_path: Path, main: Main, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    code, _, err = main(*train_words(made, tmp_path), "--resume")
    assert code == 2
    assert_one_line(err, "config.json")


@pytest.mark.parametrize("entry", ["recordings", "=recordings", "pascal=", "kaggle=recordings"])
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_data_set_that_is_not_kind_and_folder_is_refused(
    made: Path, tmp_path: Path, main: Main, entry: str, command: str
) -> None:
    words = {"train": ["--out", str(tmp_path / "run")], "evaluate": ["--protocol", "pascal-grouped"]}[command]
    code, _, err = main(command, *words, *data(made, "pascal"), "--data", entry)
    assert code == 2
    assert_one_line(err)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["pascal", "circor", "noise", "folder"])
def test_a_missing_or_empty_folder_is_an_input_refused(tmp_path: Path, main: Main, kind: str) -> None:
    (tmp_path / "empty").mkdir()
    for name, says in (("gone", "no folder"), ("empty", f"no {kind} recordings")):
        code, _, err = main("train", "--data", f"{kind}={tmp_path / name}", "--out", str(tmp_path / "run"))
        assert code == 3
        assert_one_line(err, says)
        assert not (tmp_path / "run").exists()


def test_a_recording_that_cannot_be_read_is_named(tmp_path: Path, main: Main) -> None:
    tiny_data.pascal(tmp_path / "pascal")
    (tmp_path / "pascal/set_b/normal__999_1_A.wav").write_bytes(b"no audio")
    code, _, err = main(*train_words(tmp_path, tmp_path / "run")[:3], "--out", str(tmp_path / "run"))
    assert code == 3
    assert_one_line(err, "normal__999_1_A.wav")
    assert not (tmp_path / "run").exists()


def test_too_little_to_hold_any_out_is_refused(tmp_path: Path, main: Main) -> None:
    tiny_data.put(tmp_path / "folder/murmur/1.wav", 1, 1)
    code, _, err = main("train", *data(tmp_path, "folder"), "--out", str(tmp_path / "run"))
    assert code == 2
    assert_one_line(err, "too few recordings")


def test_a_bad_configuration_is_refused_before_anything_is_made(made: Path, tmp_path: Path, main: Main) -> None:
    (tmp_path / "bad.toml").write_text("[fit]\nsteps = 0")
    code, _, err = main(*train_words(made, tmp_path / "run"), "--config", str(tmp_path / "bad.toml"))
    assert code == 2
    assert_one_line(err, "bad.toml", "steps")
    assert not (tmp_path / "run").exists()


def test_evaluate_refuses_what_it_cannot_do(made: Path, tmp_path: Path, main: Main) -> None:
    for words, says in (
        (["--protocol", "pascal", *data(made, "pascal")], "no protocol 'pascal'; one of pascal-grouped, "),
        (["--protocol", "pascal-grouped", *data(made, "noise")], "give --data pascal=DIR"),
        (["--protocol", "circor-patients", *data(made, "pascal")], "give --data circor=DIR"),
        (["--protocol", "timing", *data(made, "pascal", "noise")], "give --data circor=DIR"),
        (["--protocol", "timing", *data(made, "circor", "noise")], "give --data pascal=DIR"),
        (["--protocol", "timing", *data(made, "circor", "pascal")], "give --data noise=DIR"),
        (["--protocol", "timing", *data(made, "pascal", "circor", "noise")], "timing needs 5 annotated persons"),
        (["--protocol", "quality", *data(made, "pascal")], "give --data noise=DIR"),
        (["--protocol", "seed-split", *data(made, "pascal"), "--json", str(tmp_path / "no/r.json")], "--json"),
        (["--protocol", "seed-split", *data(made, "pascal"), "--json", str(tmp_path)], "--json"),
    ):
        code, _, err = main("evaluate", *words)
        assert code == 2
        assert_one_line(err, says)


# --- evaluating


@pytest.fixture(scope="module")
def short(made: Path) -> list[str]:
    (made / "short").mkdir()
    return ["--config", str(tiny_data.config(made / "short", 5))]


def assert_figures(result: dict[str, Any]) -> None:
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert set(result[name]) == {"value", "low", "high"}
        assert 0 <= result[name]["low"] <= result[name]["value"] <= result[name]["high"] <= 1
    assert set(result["per_class"]) == set(CLASSES)
    for row in result["per_class"].values():
        assert set(row) == {"precision", "recall", "n"}
        assert set(row["precision"]) == set(row["recall"]) == {"value", "low", "high"}


def test_evaluate_by_groups_writes_all_figures_and_prints_the_baselines(
    made: Path, short: list[str], tmp_path: Path
) -> None:
    words = ["evaluate", "--protocol", "pascal-grouped", *data(made, "pascal", "noise"), *short]
    code, out, err = ended(started(*words, "--work", str(tmp_path / "w"), "--json", str(tmp_path / "r.json")))
    assert code == 0, err
    result = json.loads((tmp_path / "r.json").read_text())
    assert (result["protocol"], result["n"], result["runs"], result["leaky"]) == ("pascal-grouped", 54, 3, "")
    assert_figures(result)
    assert set(result["baselines"]) == {"majority", "nuisance only"}
    for part in (*result["baselines"].values(), *result["parts"].values()):
        assert_figures(part)
    assert set(result["parts"]) == {"pascal_a", "pascal_b"}
    assert result["data"] == ["noise", "pascal"]
    assert result["config"]["fit"]["steps"] == 5
    assert 0 <= result["calibration_error"] <= 1
    assert all(said in out for said in ("## pascal-grouped\n", "| majority | ", "| nuisance only | "))
    assert report.interval(result["accuracy"]) in out
    assert "leaky" not in out
    assert len(list((tmp_path / "w").glob("seed*-fold*.safetensors"))) == 15


def test_the_seed_split_says_that_it_leaks(made: Path, short: list[str], tmp_path: Path, main: Main) -> None:
    words = ["evaluate", "--protocol", "seed-split", *short, "--work", str(tmp_path / "w")]
    code, out, err = main(*words, *data(made, "pascal"), "--json", str(tmp_path / "r.json"))
    assert code == 0, err
    assert "leaky: patients are shared" in out
    assert "| majority | " in out
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["n"] == 12  # a fifth of 56, rounded up
    assert result["leaky"] == "leaky: patients are shared"
    # Fold networks that learned from other recordings are not taken for this data's: they may have learned its tests.
    code, _, err = main(*words, *data(made, "pascal", "noise"))
    assert code == 2
    assert_one_line(err, "learned from other recordings")


def test_evaluating_without_work_leaves_nothing_behind(
    made: Path, short: list[str], tmp_path: Path, main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code, out, err = main("evaluate", "--protocol", "seed-split", *short, *data(made, "pascal"))
    assert code == 0, err
    assert "| majority | " in out
    assert list(tmp_path.iterdir()) == []


def test_circor_gives_an_answer_a_patient(made: Path, short: list[str], tmp_path: Path, main: Main) -> None:
    words = ["--protocol", "circor-patients", *data(made, "circor", "noise"), *short, "--work", str(tmp_path / "w")]
    code, out, err = main("evaluate", *words, "--json", str(tmp_path / "r.json"))
    assert code == 0, err
    result = json.loads((tmp_path / "r.json").read_text())
    assert_figures(result)
    assert (result["n"], result["per_class"]["murmur"]["n"], result["per_class"]["normal"]["n"]) == (12, 6, 6)
    assert "AUROC, murmur present vs absent" in out
    assert set(result["baselines"]) == {"majority", "nuisance only"}
    for part in result["baselines"].values():
        assert_figures(part)
        assert part["n"] == 12
    assert result["baselines"]["majority"]["accuracy"]["value"] <= 0.5  # a fold's majority is that of the others
    assert all(said in out for said in ("| majority | ", "| nuisance only | "))


def sure_of(table: Table, tested: np.ndarray, labels: list[str]) -> np.ndarray:
    logits = np.full((1, len(tested), 5), -4.0)
    logits[0, np.arange(len(tested)), [CLASSES.index(name) for name in labels]] = 4
    return logits


def empty_table(recordings: list[Recording]) -> Table:
    return Table(tuple(recordings), np.zeros((0, 8), dtype=np.float32), np.zeros(len(recordings) + 1, dtype=np.int64))


def test_a_patient_is_scored_by_all_sites_together(made: Path) -> None:
    """Sites at which a murmur patient has none say normal, and the surer site decides for the patient."""
    table = empty_table(read_circor(made / "circor", every=True))
    tested = np.arange(len(table))
    logits = sure_of(table, tested, [r.label for r in table.recordings])
    logits[0, [r.label == "normal" and r.patient_label == "murmur" for r in table.recordings]] *= 0.2
    result = score(PATIENTS, table, Answers(tested, logits, [folds_of(PATIENTS, table.recordings, 0)]))
    assert result["accuracy"]["value"] == 1
    assert result["auroc"]["murmur present vs absent"]["value"] == 1
    assert result["n"] == result["groups"] == 12


def test_right_answers_score_one_and_are_put_beside_the_same_folds(made: Path) -> None:
    table = empty_table([*read("noise", made / "noise"), *read("pascal", made / "pascal")])
    tested = np.array([i for i, r in enumerate(table.recordings) if is_tested(GROUPED, r)])
    logits = sure_of(table, tested, [table.recordings[i].label for i in tested])
    result = score(GROUPED, table, Answers(tested, logits, [folds_of(GROUPED, table.recordings, 0)]))
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert result[name]["value"] == 1
    assert result["auroc"]["murmur vs normal, set B"]["value"] == 1
    assert np.array_equal(np.diag(result["confusion"]), [20, 14, 6, 6, 8])
    assert result["baselines"]["majority"]["balanced_accuracy"]["value"] == pytest.approx(0.2)
    # Rate and duration tell artifacts (set A alone) from set B here, so this bar is above the majority's.
    assert result["baselines"]["nuisance only"]["balanced_accuracy"]["value"] > 0.2


# --- protocols


def names(recordings: list[Recording], indices: np.ndarray) -> set[str]:
    return {recordings[i].name for i in indices}


def assert_honest(protocol: Protocol, recordings: list[Recording], seed: int) -> None:
    folds = folds_of(protocol, recordings, seed)
    assert len(folds) == 5
    wanted = [i for i, r in enumerate(recordings) if is_tested(protocol, r)]
    assert sorted(i for _, test in folds for i in test) == wanted
    for learned, test in folds:
        assert not {recordings[i].group for i in learned} & {recordings[i].group for i in test}
        assert not names(recordings, learned) & CONFLICTS
        assert not any(recordings[i].patient_label == "murmur" and recordings[i].label == "normal" for i in learned)
        assert len(set(learned)) == len(learned)
    others = {i for i, r in enumerate(recordings) if not r.source.startswith(protocol.tested)}
    assert all(set(learnable(recordings, np.array(sorted(others), dtype=int))) <= set(learned) for learned, _ in folds)


@pytest.mark.parametrize("protocol", [GROUPED, PATIENTS], ids=lambda p: p.name)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_network_learns_from_a_tested_group(made: Path, protocol: Protocol, seed: int) -> None:
    recordings = [*read("noise", made / "noise"), *read_circor(made / "circor", every=True)]
    assert_honest(protocol, [*recordings, *read("pascal", made / "pascal")], seed)


@pytest.mark.parametrize("protocol", [GROUPED, PATIENTS], ids=lambda p: p.name)
def test_no_network_learns_from_a_tested_group_of_the_real_sets(shared_data: Path, protocol: Protocol) -> None:
    recordings = read("pascal", shared_data / "pascal") + read_circor(shared_data / "circor", every=True)
    assert_honest(protocol, recordings + read("noise", shared_data / "esc10"), 0)
    if protocol is GROUPED:
        assert sum(is_tested(protocol, r) for r in recordings) == 585 - len(CONFLICTS)


def test_sites_without_the_murmur_are_tested_and_never_learned_from(made: Path) -> None:
    recordings = read_circor(made / "circor", every=True)
    elsewhere = {i for i, r in enumerate(recordings) if r.patient_label != r.label}
    assert len(elsewhere) == 6
    folds = folds_of(PATIENTS, recordings, 0)
    assert elsewhere <= {i for _, test in folds for i in test}
    assert not elsewhere & {i for learned, _ in folds for i in learned}


def test_the_seed_split_is_the_published_one_and_shares_patients(shared_data: Path) -> None:
    recordings = read("pascal", shared_data / "pascal")
    ((learned, test),) = folds_of(LEAKY, recordings[::-1], 0)
    backwards = recordings[::-1]
    assert len(test) == 117
    assert len(learned) == 585 - 117 - len(CONFLICTS - names(backwards, test))
    assert not names(backwards, learned) & (CONFLICTS | names(backwards, test))
    assert {backwards[i].group for i in learned} & {backwards[i].group for i in test}
    ((_, forwards),) = folds_of(LEAKY, recordings, 5)
    assert names(recordings, forwards) == names(backwards, test)


def test_nothing_clean_is_an_empty_list_of_places() -> None:
    assert learnable([], np.array([], dtype=np.int64)).dtype == np.int64


# --- baselines and the report


def test_the_majority_is_the_learned_side_s() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 4])
    folds = [(np.array([3, 4, 5, 6, 7]), np.array([0, 1, 2])), (np.array([0, 1, 2]), np.array([3, 4, 5, 6, 7]))]
    assert baselines.majority_answers(labels, folds).tolist() == [1, 1, 1, 0, 0, 0, 0, 0]


def test_nuisance_is_how_a_file_was_recorded(tmp_path: Path) -> None:
    x = np.concatenate([np.full(900, 0.5), np.full(100, 1.0)])
    soundfile.write(tmp_path / "x.wav", np.stack([x, 0 * x], axis=1), 2000, subtype="FLOAT")
    recording = Recording(tmp_path / "x.wav", "x.wav", "normal", "folder", "g", (True,) * 5)
    seconds, rate_hz, level_db, peak, dc, clipped = baselines.nuisance(recording)
    rms = np.sqrt((900 * 0.25 + 100) / 1000)
    assert (seconds, rate_hz, peak, clipped) == (0.5, 2000, 1.0, pytest.approx(0.1))
    assert level_db == pytest.approx(20 * np.log10(rms), abs=1e-4)
    assert dc == pytest.approx(0.55 / rms, abs=1e-4)


def test_of_circor_only_what_is_used_is_looked_at(tmp_path: Path) -> None:
    """Murmurs come longer than 16 s in some copies: neither the features nor the baseline may know."""
    samples = np.random.default_rng(0).normal(0, 0.1, 2000 * 20)
    samples[2000 * 16 :] = 0.9
    found = []
    for name, seconds in (("long", 20), ("cut", 16)):
        folder = tmp_path / name
        tiny_data.circor(folder, patients=1)
        for path in (folder / "audio").iterdir():
            soundfile.write(path, samples[: 2000 * seconds], 2000)
        (recording,) = read("circor", folder)[:1]
        heard = build(front_end(FrontEndSpec(bands=8)), [recording])
        found.append((recording.heard_s, heard.features(0).tobytes(), baselines.nuisance(recording).tolist()))
    assert found[0] == found[1]
    assert (found[0][0], found[0][2][0]) == (16.0, 16.0)
    whole = dataclasses.replace(recording, path=tmp_path / "long" / "audio" / recording.path.name, heard_s=None)
    assert baselines.nuisance(whole)[0] == 20.0


def test_nuisance_trees_answer_each_fold_from_the_others_alone() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    features = rng.normal(0, 0.1, (60, 6)) + labels[:, None]
    halves = np.arange(30), np.arange(30, 60)
    folds = [halves, halves[::-1]]
    assert np.array_equal(baselines.nuisance_answers(features, labels, folds, 0), labels)
    swapped = np.where(np.arange(60) < 30, labels, 1 - labels)  # what one half teaches is wrong for the other
    assert np.array_equal(baselines.nuisance_answers(features, swapped, folds, 0), 1 - swapped)


def test_scores_as_people_read_them() -> None:
    assert report.interval({"value": 0.5, "low": 0.25, "high": 0.75}) == "0.500 [0.250, 0.750]"
    assert report.interval({"value": 0.5, "low": None, "high": None}) == "0.500"
    assert report.interval({"value": None, "low": None, "high": None}) == "-"


def test_plots_show_what_they_are_given() -> None:
    history = [{"step": 50.0, "loss": 1.5}, {"step": 100.0, "loss": 1.0, "held_out_loss": 1.2}]
    lines = report.learning_curve(history).axes[0].lines
    assert [np.asarray(line.get_ydata()).tolist() for line in lines] == [[1.5, 1.0], [1.2]]
    assert len(report.learning_curve([]).axes[0].lines) == 1
    confusion = np.arange(25).reshape(5, 5)
    texts = [text.get_text() for text in report.confusion_matrix(confusion.tolist(), "25").axes[0].texts]
    assert texts == [str(n) for n in range(25)]
