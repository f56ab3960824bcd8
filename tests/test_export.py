from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_bundle
import torch
from onnx import helper
from safetensors.numpy import save_file

from export import card, golden, parity
from export import cli as export_cli
from export import onnx as export_onnx
from models import bundle, decide, windows
from models.classes import CLASSES, WORDS
from models.errors import InputFileError, LaennecError, ModelError, SettingError
from stream import golden as stream_golden
from train import run as train_run
from train.config import Config
from train.datasets import Recording
from train.loop import Fit
from train.table import Table

QUICK: dict[str, Any] = {"steps": 3, "batch": 4, "checkpoint_steps": 1}


def made_up_table() -> Table:
    """Features of 40 recordings of 40 people, all classes, 3 s each."""
    rng = np.random.default_rng(0)
    labels = [CLASSES[k % len(CLASSES)] for k in range(40)]
    recordings = tuple(
        Recording(Path(f"{k}.wav"), f"{k}.wav", label, "folder", f"folder/{k}", (True,) * 5)
        for k, label in enumerate(labels)
    )
    values = rng.normal(-8, 3, (40 * 150, 32)).astype(np.float32)
    return Table(recordings, values, np.arange(41) * 150)


def train_here(folder: Path) -> Path:
    config = tiny_bundle.tiny_config(fit=QUICK)
    train_run.prepare(folder, config, resume=False)
    train_run.train(folder, config, made_up_table(), lambda *_: None, lambda: False)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_here(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def own_run(run: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(run, tmp_path / "own-run"))


def laennec(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "laennec", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def one_line(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The refusal of a command that ended as it should: one line, no traceback."""
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("laennec: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    return done.stderr


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    results = folder / "results.json"
    results.write_text(json.dumps(a_result(run)))
    out = folder / "small.onnx"
    done = laennec("export", run, "--out", out, "--results", results, "--name", "small-1")
    assert done.returncode == 0, done.stderr
    assert "torch and ONNX Runtime differ by" in done.stdout
    return out


def a_result(run: Path, **fit: Any) -> dict[str, Any]:
    """What `laennec evaluate --json` leaves, of the run's settings but for another seed and what is given."""
    config = json.loads((run / "config.json").read_text())
    score = tiny_bundle.SCORE
    return {
        "protocol": "pascal-grouped",
        "says": "how it was tested",
        "leaky": "",
        "n": 10,
        "accuracy": score,
        "balanced_accuracy": score,
        "macro_f1": score,
        "auroc": {"murmur vs normal, set B": score},
        "config": config | {"seed": config["seed"] + 1, "fit": config["fit"] | fit},
    }


def test_the_command_leaves_a_bundle_that_verifies_and_nothing_else(exported: Path, run: Path) -> None:
    loaded = bundle.load(exported)
    assert loaded.id == "small-1"
    assert loaded.decide == train_run.decide_spec(run)
    assert loaded.meta["held_out"] == json.loads((run / "metrics.json").read_text())
    assert [f["protocol"] for f in loaded.meta["figures"]] == ["pascal-grouped"]
    assert "config" not in loaded.meta["figures"][0]
    assert "names" not in json.dumps(loaded.meta["training"])
    left = {p.name for p in exported.parent.iterdir()}
    assert left == {"small.onnx", "small.golden.json", "CARD.md", "results.json"}


def test_the_bundle_is_valid_onnx_with_its_weights_inside(exported: Path) -> None:
    model = onnx.load(exported, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert not any(t.external_data for t in model.graph.initializer)
    assert {p.key for p in model.metadata_props} == {bundle.METADATA_KEY}


def test_the_exported_network_is_the_averaged_one_of_the_checkpoint(exported: Path, run: Path) -> None:
    trained = export_onnx.load(run)
    fit = Fit(trained.config, made_up_table(), list(range(40)), trained.config.seed)
    averaged = fit.run(run / "model.safetensors", lambda *_: None, lambda: False)  # finished: read back as it is
    features = np.random.default_rng(0).normal(-8, 3, (3, 198, 32)).astype(np.float32)
    frames = np.array([198, 100, 8])
    with torch.no_grad():
        wanted = averaged(torch.from_numpy(features), torch.from_numpy(frames)).numpy()
    np.testing.assert_allclose(bundle.load(exported).logits(features, frames), wanted, rtol=0, atol=1e-5)


def test_the_card_says_what_a_reader_must_know(exported: Path) -> None:
    text = (exported.parent / "CARD.md").read_text(encoding="utf-8")
    assert text == card.card(bundle.load(exported).meta)
    for part in ("small-1", "not a medical device", "Learned from", "0.500 [0.400, 0.600]", *WORDS.values()):
        assert part in text
    assert "diagnosis" in text


def learned_from(*counts: str) -> dict[str, Any]:
    """The metadata of a bundle that learned from so many kinds of recordings."""
    side = {"hash": "0" * 16, "groups": 2, "counts": dict.fromkeys(counts, 3), "names": ["a.wav"]}
    notes = tiny_bundle.NOTES | {"splits": {"learned from": side, "held out": side}}
    return export_onnx.describe(tiny_bundle.untrained()._replace(notes=notes), "tiny", [])


@pytest.mark.parametrize(
    ("counts", "terms"),
    [
        (["folder normal"], "folder recordings"),
        (["pascal_a normal", "pascal_b murmur"], "PASCAL (CC0)"),
        (["noise artifact", "circor murmur"], "CirCor DigiScope (ODC-By 1.0), noise (ESC-10 is CC BY 3.0)"),
    ],
)
def test_the_licence_names_the_terms_of_the_sources_and_of_no_other(counts: list[str], terms: str) -> None:
    meta = learned_from(*counts)
    assert meta["licence"] == f"MIT; learned from {terms}"
    assert meta["licence"] in card.card(meta)


def test_the_card_warns_of_the_sources_it_learned_from_and_of_no_other() -> None:
    warnings = {"pascal_a": "one phone app", "pascal_b": "PASCAL set B", "circor": "children and young adults"}
    for source in warnings:
        text = card.card(learned_from(f"{source} normal"))
        assert {name for name, words in warnings.items() if words in text} == {source}
    text = card.card(learned_from("folder normal"))
    assert not any(words in text for words in warnings.values())
    assert "matter of rhythm" in text


def test_a_card_without_results_says_so() -> None:
    assert "Not evaluated yet" in card.card(tiny_bundle.default_meta())


def test_golden_decisions_are_what_the_bundle_answers_window_by_window(exported: Path) -> None:
    """The shared windowing, run block by block, and ONNX Runtime must give what torch gave for the whole sound."""
    held = json.loads(exported.with_suffix(".golden.json").read_text())
    loaded = bundle.load(exported)
    spec = loaded.front_end.spec
    assert held["rate_hz"] == spec.rate_hz
    assert len(held["cases"]) == 3
    for case in held["cases"]:
        samples = np.frombuffer(base64.b64decode(case["int16_base64"]), "<i2").astype(np.float32) / 32768
        found = streamed(loaded, samples)
        assert [d["t_s"] for d in case["decisions"]] == pytest.approx([t_s for t_s, _ in found])
        for wanted, (_, probabilities) in zip(case["decisions"], found, strict=True):
            np.testing.assert_allclose(wanted["probabilities"], probabilities, rtol=0, atol=1e-5)


def test_golden_decisions_say_what_was_answered(exported: Path) -> None:
    """Listening until the window is full; then a label, or none and the status says why."""
    held = json.loads(exported.with_suffix(".golden.json").read_text())
    full_s = bundle.load(exported).front_end.spec.span_samples(198) / held["rate_hz"]
    for case in held["cases"]:
        for d in case["decisions"]:
            assert list(d) == ["t_s", "status", "label", "probabilities"]
            assert (d["status"] == "listening") == (d["t_s"] < full_s)
            assert d["status"] in {"listening", "ok", "uncertain"}
            assert (d["label"] in CLASSES) if d["status"] == "ok" else (d["label"] is None)
    decisions, worst = stream_golden.replay(bundle.load(exported))
    assert decisions == sum(len(case["decisions"]) for case in held["cases"])
    assert worst < 1e-4


def streamed(loaded: bundle.Bundle, samples: np.ndarray) -> list[tuple[float, np.ndarray]]:
    spec, window = loaded.front_end.spec, loaded.window
    due: list[tuple[int, np.ndarray]] = []
    found: list[tuple[float, np.ndarray]] = []
    frames, deciding = loaded.front_end.init_state(), decide.init_state()
    state = windows.init_state(spec.features)
    for start in range(0, len(samples), 333):
        new, frames = loaded.front_end.step(samples[start : start + 333], frames)
        fell_due, state = windows.step(window, new, state, window.window_frames)
        due += fell_due
    for end, features in [*due, *windows.flush(window, state)]:
        logits = loaded.logits(features[None], np.array([len(features)]))[0]
        probabilities, _, deciding = decide.step(loaded.decide, logits, deciding)
        found.append((spec.span_samples(end) / spec.rate_hz, probabilities))
    return found


def test_golden_sounds_differ_and_tell_a_changed_network(run: Path) -> None:
    trained = export_onnx.load(run)
    before = golden.vectors(trained)
    sounds = {case["int16_base64"] for case in before["cases"]}
    assert len(sounds) == 3
    with torch.no_grad():
        trained.net.last.weight[0] += 0.5
    after = golden.vectors(trained)
    for old, new in zip(before["cases"], after["cases"], strict=True):
        assert old["int16_base64"] == new["int16_base64"]
        assert old["decisions"] != new["decisions"]


@pytest.mark.parametrize("window", [{"window_frames": 500, "first_frames": 400}, {"window_frames": 400}])
def test_golden_sounds_outlast_any_window(window: dict[str, int]) -> None:
    for case in golden.vectors(tiny_bundle.untrained(tiny_bundle.tiny_config(window=window)))["cases"]:
        assert sum(d["status"] != "listening" for d in case["decisions"]) >= 4


# Parity


def written(tmp_path: Path, trained: export_onnx.Trained) -> bundle.Bundle:
    path = tmp_path / "made.onnx"
    path.write_bytes(tiny_bundle.data_of(trained))
    return bundle.load(path)


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"net": {"channels": 48, "hidden": 48}},
        {"net": {"channels": 8, "hidden": 8, "range_nepers": 6.0}},
        {"window": {"window_frames": 8, "first_frames": 8, "least_frames": 8}},
        {
            "net": {"features": 13, "channels": 8, "hidden": 8},
            "front_end": {"cepstra": 13, "lifter": 22},
            "augment": {"noise_share": 0.0, "floor_share": 0.0},
        },
    ],
    ids=["tiny", "default size", "limited range", "short windows", "cepstra"],
)
def test_every_kind_of_network_is_exported_faithfully(tmp_path: Path, tables: dict[str, Any]) -> None:
    trained = tiny_bundle.untrained(tiny_bundle.tiny_config(**tables))
    loaded = written(tmp_path, trained)
    heard = loaded.front_end.extract(np.random.default_rng(0).normal(0, 0.1, 5000))
    assert parity.check(trained.net, loaded, [heard, heard[:8]]) < 1e-5


@pytest.mark.parametrize("value", [1e-3, float("nan")])
def test_a_network_that_changed_after_export_fails_parity(tmp_path: Path, value: float) -> None:
    trained = tiny_bundle.untrained()
    loaded = written(tmp_path, trained)
    with torch.no_grad():
        trained.net.last.bias.add_(value)
    with pytest.raises(ModelError, match="not exported"):
        parity.check(trained.net, loaded, [])


def test_parity_hears_a_difference_on_the_given_windows_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = tiny_bundle.untrained()
    loaded = written(tmp_path, trained)
    seen: list[int] = []
    known = parity._difference

    def difference(net: Any, held: bundle.Bundle, features: np.ndarray, frames: np.ndarray) -> float:
        seen.append(len(frames))
        return float("nan") if len(seen) == 7 else known(net, held, features, frames)

    monkeypatch.setattr(parity, "_difference", difference)
    with pytest.raises(ModelError, match="nan"):
        parity.check(trained.net, loaded, [np.zeros((20, 32))] * 5)
    assert seen == [1, 1, 3, 16, 32, 64, 5]


def test_parity_windows_are_held_out_recordings_of_the_run(run: Path) -> None:
    table, held = made_up_table(), json.loads((run / "splits.json").read_text())["held out"]["names"]
    ends = {table.features(i).tobytes() for i, r in enumerate(table.recordings) if f"folder/{r.name}" in held}
    found = parity.windows(run)
    assert {w.tobytes() for w in found} == ends
    assert {w.shape for w in found} == {(150, 32)}


def test_export_is_proved_on_the_windows_of_the_run(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    known = parity.check

    def check(net: Any, held: bundle.Bundle, given: Any) -> float:
        seen.append(len(given))
        return known(net, held, given)

    monkeypatch.setattr(parity, "check", check)
    in_process(run, tmp_path / "x.onnx")
    assert seen == [len(parity.windows(run))]
    assert seen[0] > 0


@pytest.mark.parametrize(
    ("damage", "says"), [("missing", "train again"), ("text", "train again"), ("none", "no window")]
)
def test_a_run_without_windows_is_refused(own_run: Path, damage: str, says: str) -> None:
    path = own_run / "windows.safetensors"
    path.unlink()
    if damage == "text":
        path.write_text("hello")
    if damage == "none":
        save_file({}, path)
    with pytest.raises(InputFileError, match=rf"windows\.safetensors: .*{says}"):
        in_process(own_run, own_run / "x.onnx")
    assert not (own_run / "x.onnx").exists()


# What is refused


def in_process(run: Path, out: Path, **options: Any) -> None:
    export_cli.export(run, out, **options)


def test_a_failed_proof_leaves_the_old_bundle_as_it_was(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = export_onnx.graph

    def altered(net: Any, frames: int) -> onnx.ModelProto:
        model = known(net, frames)
        with torch.no_grad():
            net.last.bias += 0.01
        return model

    monkeypatch.setattr(export_onnx, "graph", altered)
    held = {"kept.onnx": b"the old bundle", "kept.golden.json": b"old vectors", "CARD.md": b"old card"}
    for name, data in held.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ModelError, match=r"differ by 0\.01"):
        in_process(run, tmp_path / "kept.onnx")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == held


def test_a_bundle_that_would_not_verify_is_not_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = export_onnx.describe
    monkeypatch.setattr(export_onnx, "describe", lambda *a: known(*a) | {"front_end_digest": "0" * 64})
    with pytest.raises(ModelError, match="digest"):
        in_process(run, tmp_path / "new.onnx")
    assert not list(tmp_path.iterdir())


def test_exporting_again_replaces_bundle_and_vectors(run: Path, tmp_path: Path) -> None:
    in_process(run, tmp_path / "again.onnx", name="first")
    in_process(run, tmp_path / "again.onnx", name="second")
    assert bundle.load(tmp_path / "again.onnx").id == "second"
    assert "second" in (tmp_path / "CARD.md").read_text(encoding="utf-8")


def test_an_unfinished_run_is_refused_with_code_3(run: Path, own_run: Path, tmp_path: Path) -> None:
    config = tiny_bundle.tiny_config(fit=QUICK)
    (own_run / "model.safetensors").unlink()
    with pytest.raises(LaennecError, match="stopped at step 1"):
        Fit(config, made_up_table(), list(range(40)), 0).run(
            own_run / "model.safetensors", lambda *_: None, lambda: True
        )
    done = laennec("export", own_run, "--out", tmp_path / "x.onnx")
    assert "stopped at step 1 of 3" in one_line(done, 3)
    assert not (tmp_path / "x.onnx").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "metrics.json", "splits.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "text", "list"])
def test_a_run_with_a_missing_or_damaged_file_is_refused(own_run: Path, name: str, damage: str) -> None:
    (own_run / name).unlink()
    if damage != "missing":
        (own_run / name).write_text({"empty": "", "text": "hello", "list": "[1, 2]"}[damage])
    with pytest.raises(InputFileError, match="train"):
        export_cli.export(own_run, own_run / "x.onnx")
    assert not (own_run / "x.onnx").exists()


def test_weights_that_do_not_fit_the_configuration_are_refused(own_run: Path) -> None:
    from train import checkpoint

    held = checkpoint.load(own_run / "model.safetensors")
    held.notes["config"]["net"]["hidden"] = 9
    checkpoint.save(own_run / "model.safetensors", held)
    with pytest.raises(InputFileError, match="not a whole training run") as caught:
        export_onnx.load(own_run)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_run_is_refused_with_code_3(tmp_path: Path) -> None:
    assert "no finished training run" in one_line(laennec("export", tmp_path, "--out", tmp_path / "x.onnx"), 3)


@pytest.mark.parametrize("name", ["bundle.bin", "nowhere/x.onnx", "folder.onnx"])
def test_an_unusable_out_is_refused_with_code_2(run: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.onnx").mkdir()
    assert "ends in .onnx" in one_line(laennec("export", run, "--out", tmp_path / name), 2)


@pytest.mark.parametrize("text", ["", "[1]", "{}", "null", '{"protocol": "p"}'])
def test_results_that_are_none_are_refused_before_anything_is_written(run: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(InputFileError, match="is not a result"):
        in_process(run, tmp_path / "x.onnx", results=[tmp_path / "results.json"])
    assert not (tmp_path / "x.onnx").exists()


@pytest.mark.parametrize("changed", [{"steps": 4}, {"learning_rate": 0.5}])
def test_results_of_other_settings_are_refused(run: Path, tmp_path: Path, changed: dict[str, Any]) -> None:
    (tmp_path / "results.json").write_text(json.dumps(a_result(run, **changed)))
    with pytest.raises(SettingError, match="pascal-grouped was made with other settings than this run"):
        in_process(run, tmp_path / "x.onnx", results=[tmp_path / "results.json"])
    assert not (tmp_path / "x.onnx").exists()


def test_without_the_training_packages_one_line_says_what_to_install(run: Path, tmp_path: Path) -> None:
    script = (
        f"import sys; sys.modules['torch'] = None; sys.argv = ['laennec', 'export', {str(run)!r}, '--out', 'x.onnx']"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{script}; import laennec; laennec.main()"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert "pip install -e '.[train]'" in one_line(done, 2)


# `laennec model`


def test_model_describes_a_bundle(exported: Path) -> None:
    done = laennec("model", exported)
    assert done.returncode == 0, done.stderr
    for part in ("small-1", bundle.load(exported).sha256, "25-400 Hz", "pascal-grouped", "verified"):
        assert part in done.stdout


def test_model_as_json_is_the_whole_description(exported: Path) -> None:
    done = laennec("model", exported, "--json")
    found = json.loads(done.stdout)
    loaded = bundle.load(exported)
    assert found == {"path": str(exported), "sha256": loaded.sha256, **loaded.meta}


def test_model_refuses_a_damaged_file_with_code_5(exported: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.onnx"
    path.write_bytes(exported.read_bytes()[:5000])
    assert "not a whole ONNX model" in one_line(laennec("model", path), 5)
    assert "no such model" in one_line(laennec("model", tmp_path / "none.onnx", "--json"), 5)


def test_model_refuses_figures_it_can_not_read(exported: Path, tmp_path: Path) -> None:
    model = onnx.load(exported)
    meta = json.loads(model.metadata_props[0].value)
    del meta["figures"][0]["accuracy"]
    helper.set_model_props(model, {bundle.METADATA_KEY: json.dumps(meta)})
    path = tmp_path / "odd.onnx"
    path.write_bytes(model.SerializeToString())
    assert "incomplete" in one_line(laennec("model", path), 5)


def test_unusable_options_are_settings(run: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError):
        in_process(run, tmp_path / "x.txt")
    assert isinstance(export_onnx.load(run).config, Config)
