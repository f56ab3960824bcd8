"""`laennec train` from folders of recordings to a run and its report, stopped, resumed, refused; on to `classify`."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny_bundle
import tiny_data
import torch
from matplotlib import image
from safetensors.numpy import load_file
from sklearn.metrics import accuracy_score

import laennec
from export import onnx as export_onnx
from models.classes import CLASSES
from models.decide import DecideSpec
from models.errors import InputFileError
from models.frontend import FrontEndSpec
from models.join import JoinSpec, probabilities
from models.nets import BeatNet
from models.quality import QualitySpec
from train import baselines, checkpoint, datasets, extrasystole, nested, quality, run, table, timings
from train.beats import BeatTask
from train.config import from_dict, load, recipes
from train.datasets import Recording, read
from train.filterbank import front_end
from train.loop import Interrupted
from train.pascal import CONFLICTS
from train.splits import grouped_folds, split_hash
from train.table import Table

STEPS = 80
FILES = {
    *("config.json", "quality.json", "splits.json", "default-inner0.safetensors", "default-inner1.safetensors"),
    *("even-inner0.safetensors", "even-inner1.safetensors", "model.safetensors", "answer.json"),
    *("windows.safetensors", "predictions.csv", "metrics.json"),
    *("learning.png", "confusion.png", "report.md"),
}
INNER = tuple(f"{name}-inner{k}" for name in ("default", "even") for k in (0, 1))
NETWORKS = (*INNER, "model")

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
    said = (run.__doc__ or "").replace("<recipe>-inner<k>", "default-inner0")
    assert all(name in said for name in FILES - {f"{name}.safetensors" for name in INNER[1:]})
    assert (folder / "report.md").read_text(encoding="utf-8") in out
    assert f"laennec export {folder}" in out


def test_its_pictures_open_and_show_something(finished: tuple[Path, str]) -> None:
    for name in ("learning.png", "confusion.png"):
        pixels = image.imread(finished[0] / name)
        assert min(pixels.shape[:2]) > 400
        assert pixels.std() > 0.01


def everything(made: Path) -> list[Recording]:
    return [*read("pascal", made / "pascal"), *read("circor", made / "circor"), *read("noise", made / "noise")]


def is_clean(r: Recording) -> bool:
    return not (r.source.startswith("pascal") and r.name in CONFLICTS)


def test_predictions_have_a_row_per_recording_that_is_learned_from(finished: tuple[Path, str]) -> None:
    rows, splits = rows_of(finished[0]), json.loads((finished[0] / "splits.json").read_text())
    assert list(splits) == ["learned from"]
    assert [f"{r['source']}/{r['name']}" for r in rows] == splits["learned from"]["names"]
    assert len({r["group"] for r in rows}) == splits["learned from"]["groups"]
    for row in rows:
        p = [float(row[f"p_{name}"]) for name in CLASSES]
        assert sum(p) == pytest.approx(1, abs=5e-4)
        assert p[CLASSES.index(row["answer"])] == max(p)


def test_all_that_is_clean_is_learned_from_and_each_answer_is_of_a_network_that_did_not_learn_from_the_group(
    made: Path, finished: tuple[Path, str]
) -> None:
    recordings = everything(made)
    side = json.loads((finished[0] / "splits.json").read_text())["learned from"]
    clean = [f"{r.source}/{r.name}" for r in recordings if is_clean(r)]
    assert len(clean) == len(recordings) - 2
    assert side["names"] == clean
    assert side["hash"] == split_hash(clean)
    assert sum(side["counts"].values()) == len(clean)
    heard = table.read(front_end(load(made / "tiny.toml").front_end), recordings)
    usable = [i for i, r in enumerate(recordings) if is_clean(r)]
    learned = {name: checkpoint.load(finished[0] / f"{name}.safetensors").notes["learned"] for name in NETWORKS}
    assert learned["model"] == heard.fingerprint(usable)
    folds = grouped_folds([recordings[i] for i in usable], 2, load(made / "tiny.toml").seed)
    for k, (a, b) in enumerate(folds):
        for name in ("default", "even"):
            assert learned[f"{name}-inner{k}"] == heard.fingerprint([usable[i] for i in a])
        assert not {recordings[usable[i]].group for i in a} & {recordings[usable[i]].group for i in b}


def test_windows_are_of_recordings_learned_from_and_of_several_lengths(made: Path, finished: tuple[Path, str]) -> None:
    """Each is the end of a recording, as long as a window at most; of many recordings some."""
    config = load(made / "tiny.toml")
    recordings = [r for r in everything(made) if is_clean(r)]
    heard = table.read(front_end(config.front_end), recordings)
    ends = {heard.features(i)[-config.window.window_frames :].tobytes() for i in range(len(recordings))}
    found = list(load_file(finished[0] / "windows.safetensors").values())
    assert 48 <= len(found) <= len(recordings)
    assert {x.tobytes() for x in found} <= ends
    lengths = {len(x) for x in found}
    assert len(lengths) > 1
    assert config.window.least_frames <= min(lengths) <= max(lengths) == config.window.window_frames


def test_metrics_agree_with_the_predictions(made: Path, finished: tuple[Path, str]) -> None:
    rows, metrics = rows_of(finished[0]), json.loads((finished[0] / "metrics.json").read_text())
    expected = accuracy_score([r["label"] for r in rows], [r["answer"] for r in rows])
    assert metrics["accuracy"]["value"] == pytest.approx(expected, abs=1e-4)
    assert metrics["n"] == len(rows)
    answered = [r for r in rows if max(float(r[f"p_{c}"]) for c in CLASSES) >= metrics["decide"]["threshold"] - 1e-4]
    assert metrics["answered_share"] == pytest.approx(len(answered) / len(rows), abs=0.05)
    answer = run.answer(finished[0], load(made / "tiny.toml").front_end)
    assert answer.decide == DecideSpec(**metrics["decide"])
    assert answer.join != JoinSpec()
    assert answer.join.early == JoinSpec().early  # no beats are annotated
    assert answer.machine is not None


def test_the_configuration_is_written_whole(made: Path, finished: tuple[Path, str]) -> None:
    held = from_dict(json.loads((finished[0] / "config.json").read_text()))
    assert held == load(made / "tiny.toml")
    chosen = json.loads((finished[0] / "metrics.json").read_text())["recipe"]
    for name in NETWORKS:
        notes = checkpoint.load(finished[0] / f"{name}.safetensors").notes
        assert from_dict(notes["config"]) == recipes(held)[chosen if name == "model" else name.split("-")[0]]
        assert notes["step"] == STEPS


def test_control_c_ends_in_a_line_and_resume_comes_to_the_same_network(
    made: Path, finished: tuple[Path, str], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = started(*train_words(made, out))
    until = time.monotonic() + 60
    while not (out / "default-inner0.safetensors").exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert code == 1
    assert_one_line(err, "stopped at step", f"of {STEPS}; continue with --resume")
    code, _, err = ended(started(*train_words(made, out), "--resume"))
    assert code == 0, err
    assert {path.name for path in out.iterdir()} == FILES
    for name in NETWORKS:
        path = f"{name}.safetensors"
        one, other = (checkpoint.averaged(checkpoint.load(folder / path)) for folder in (finished[0], out))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
    for name in ("predictions.csv", "answer.json", "metrics.json"):
        assert (out / name).read_text() == (finished[0] / name).read_text()


def test_resuming_a_finished_run_learns_nothing_more(made: Path, finished: tuple[Path, str], main: Main) -> None:
    names = ("model.safetensors", "answer.json", "metrics.json", "report.md")
    before = {name: (finished[0] / name).read_bytes() for name in names}
    assert main(*train_words(made, finished[0]), "--resume")[0] == 0
    assert before == {name: (finished[0] / name).read_bytes() for name in before}


def test_the_quality_index_is_the_one_fitted_on_the_same_recordings(made: Path, finished: tuple[Path, str]) -> None:
    settings = load(made / "tiny.toml")
    wanted = quality.fit(everything(made), front_end(settings.front_end), settings.seed)
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
    task = BeatTask(settings, heard, range(len(timed)), [noises.features(i) for i in range(len(noises))])
    assert held.notes["learned"] == task.learned
    answer = run.answer(out, settings.front_end)
    net = BeatNet(settings.beat_net)
    net.load_state_dict(checkpoint.averaged(held))
    weighed = extrasystole.weigh_premature(settings, net, heard, range(len(timed)), settings.seed)
    assert answer.join.early == pytest.approx(extrasystole.early_odds(settings, weighed))
    assert held.notes["step"] == 12
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
        Table.of(table.read(front_end(settings.front_end), recordings)),
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
    inner = [f"by {name}, inner fold {k} of 2" for name in ("default", "even") for k in (1, 2)]
    assert phases == [name for name in ("S1 and S2", *inner, "on everything") for _ in range(12)]
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
        run.answer(tmp_path, FrontEndSpec())
    for text in ("", "[1]", "{}", '{"join": {}, "decide": {}, "extrasystole": null}'):
        (tmp_path / "answer.json").write_text(text)
        with pytest.raises(InputFileError, match="no finished training run"):
            run.answer(tmp_path, FrontEndSpec())
    for text in ("", "[1]", '{"bias": NaN}', '{"periodicities": 1}'):
        (tmp_path / "quality.json").write_text(text)
        with pytest.raises(InputFileError, match="holds no quality index"):
            run.quality_spec(tmp_path)
    run.check_finished(tmp_path, STEPS, STEPS)
    with pytest.raises(InputFileError, match=f"stopped at step {STEPS - 1} of {STEPS}"):
        run.check_finished(tmp_path, STEPS - 1, STEPS)


# --- from recordings to answers


def test_a_run_is_exported_and_its_bundle_classifies_as_it_was_trained_to(
    hearing: Path, tmp_path: Path, main: Main
) -> None:
    """Train, export, classify by their commands; torch, without a stream, says the same of every recording."""
    trained, bundle, rows = tmp_path / "run", tmp_path / "model.onnx", tmp_path / "rows.csv"
    assert main(*hearing_words(hearing, trained))[0] == 0
    code, out, err = main("export", str(trained), "--out", str(bundle))
    assert code == 0, err
    assert "torch and ONNX Runtime differ by" in out
    files = sorted([*(hearing / "pascal").rglob("*.wav")][::7] + [*(hearing / "circor").rglob("*.wav")][:4])
    code, _, err = main("classify", *map(str, files), "--model", str(bundle), "--out", str(rows))
    assert code == 0, err
    with rows.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert [row["path"] for row in found] == [str(path) for path in files]
    model = export_onnx.load(trained)
    recordings = [Recording(p, p.name, "normal", "folder", p.name, (True,) * 5) for p in files]
    heard = Table.of(table.read(front_end(model.config.front_end), recordings))
    learned, sources = tiny_bundle.offline(model, heard)
    wanted = probabilities(nested.answer(model.config, learned, sources, np.arange(len(files)))[0])
    told = [[float(row[f"p_{name}"]) for name in CLASSES] for row in found]
    np.testing.assert_allclose(told, wanted, atol=1e-3)
    assert np.ptp(wanted, axis=0).max() > 0.01
    assert learned.machine is not None
    assert learned.join != JoinSpec()
    for row, p in zip(found, wanted, strict=True):
        assert row["status"] in {"ok", "uncertain", "poor_signal"}
        assert row["label"] == (CLASSES[p.argmax()] if row["status"] == "ok" else "")


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
    assert code == 3
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


def test_too_little_to_split_is_refused(tmp_path: Path, main: Main) -> None:
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
        (["--protocol", "timing", *data(made, "circor", "pascal")], "give --data noise=DIR"),
        (["--protocol", "timing", *data(made, "pascal", "circor", "noise")], "timing needs 5 annotated persons"),
        (["--protocol", "quality", *data(made, "pascal")], "give --data noise=DIR"),
        (["--protocol", "seed-split", *data(made, "pascal"), "--json", str(tmp_path / "no/r.json")], "--json"),
        (["--protocol", "seed-split", *data(made, "pascal"), "--json", str(tmp_path)], "--json"),
    ):
        code, _, err = main("evaluate", *words)
        assert code == 2
        assert_one_line(err, says)


# --- what a run must beat


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
        heard = table.read(front_end(FrontEndSpec(bands=8)), [recording])
        found.append((recording.heard_s, heard.features(0).tobytes(), baselines.nuisance(recording).tolist()))
    assert found[0] == found[1]
    assert (found[0][0], found[0][2][0]) == (16.0, 16.0)
    whole = dataclasses.replace(recording, path=tmp_path / "long" / "audio" / recording.path.name, heard_s=None)
    assert baselines.nuisance(whole)[0] == 20.0


def test_nuisance_trees_answer_what_they_learned() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    features = rng.normal(0, 0.1, (60, 6)) + labels[:, None]
    learned, asked = slice(0, 30), slice(30, 60)
    found = baselines.nuisance_answers(features[learned], labels[learned], features[asked], 0)
    assert np.array_equal(found, labels[asked])
    swapped = baselines.nuisance_answers(features[learned], 1 - labels[learned], features[asked], 0)
    assert np.array_equal(swapped, 1 - labels[asked])
    again = baselines.nuisance_answers(features[learned], labels[learned], features[asked], 0)
    assert np.array_equal(again, found)
