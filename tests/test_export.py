from __future__ import annotations

import base64
import dataclasses
import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
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
from models.extrasystole import Machine
from models.join import Joined, JoinSpec
from models.quality import QualitySpec
from models.rhythm import Net
from stream import golden as stream_golden
from stream.pulse import Pulse
from train import beats as beat_learning
from train import checkpoint
from train import run as train_run
from train.config import Config, recipes
from train.datasets import Recording
from train.headlines import headline
from train.heart import fit as heart_fit
from train.table import Features, Table
from train.timings import Timed

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
    return Table.of(Features(recordings, values, np.arange(41) * 150))


def annotated() -> Features[Timed]:
    """The same recordings, 75 bpm all of them."""
    table = made_up_table()
    cycles = [[k, k + 0.1, k + 0.3, k + 0.4, k + 0.8] for k in (0.1, 0.9, 1.7)]
    segments = np.array([[a, b, 1 + i] for cycle in cycles for i, (a, b) in enumerate(itertools.pairwise(cycle))])
    timed = tuple(Timed(r.path, r.name, "circor", r.group, segments) for r in table.recordings)
    return Features(timed, table.values, table.offsets)


def without_beats() -> Features[Timed]:
    return Features((), np.zeros((0, 32), dtype=np.float32), np.zeros(1, dtype=np.int64))


CEPSTRA: dict[str, Any] = {
    "net": {"features": 13, "channels": 8, "hidden": 8},
    "beat_net": {"features": 13, "channels": 8, "hidden": 8},
    "front_end": {"cepstra": 13, "lifter": 22},
    "augment": {"noise_share": 0.0, "floor_share": 0.0},
    "beat_augment": {"noise_share": 0.0, "floor_share": 0.0},
}
QUALITY = QualitySpec(bias=-5.5, usual_balance=2.0)


def train_here(folder: Path, timed: Features[Timed]) -> Path:
    config = tiny_bundle.tiny_config(fit=QUICK, beat_fit=QUICK, answer={"folds": 2})
    train_run.prepare(folder, config, resume=False)
    data = train_run.Data(made_up_table(), timed, QUALITY)
    train_run.train(folder, config, data, lambda *_: None, lambda: False)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_here(tmp_path_factory.mktemp("runs") / "run", annotated())


@pytest.fixture(scope="module")
def deaf_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on recordings without annotated beats."""
    return train_here(tmp_path_factory.mktemp("runs") / "deaf", without_beats())


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
    overall = {"accuracy": score, "balanced_accuracy": score, "macro_f1": score}
    return {
        "protocol": "pascal-grouped",
        "says": "how it was tested",
        "leaky": "",
        "n": 10,
        **overall,
        "rare_favoured": overall,
        "auroc": {"murmur vs normal, set B": score},
        "calibration_error": score,
        "config": config | {"seed": config["seed"] + 1, "fit": config["fit"] | fit},
    }


def test_the_command_leaves_a_bundle_that_verifies_and_nothing_else(exported: Path, run: Path) -> None:
    loaded = bundle.load(exported)
    assert loaded.id == "small-1"
    fitted = train_run.answer(run, loaded.front_end.spec)
    assert (loaded.join, loaded.decide) == (fitted.join, fitted.decide)
    assert loaded.join != JoinSpec()
    assert fitted.machine is not None
    assert loaded.extrasystole is not None
    for field in dataclasses.fields(Machine):
        assert np.array_equal(getattr(loaded.extrasystole, field.name), getattr(fitted.machine, field.name))
    assert loaded.meta["extrasystole_parameters"] == fitted.machine.parameters
    assert loaded.quality == train_run.quality_spec(run) == QUALITY
    assert loaded.rhythm is not None
    assert loaded.rhythm.spec == export_onnx.load(run).config.rhythm
    assert loaded.meta["inner_folds"] == json.loads((run / "metrics.json").read_text())
    assert [f["protocol"] for f in loaded.meta["figures"]] == ["pascal-grouped"]
    (shown,) = loaded.meta["figures"]
    assert set(shown) == {"protocol", "says", "leaky", "headline"}
    assert shown["headline"] == headline(a_result(run))
    assert "names" not in json.dumps(loaded.meta["training"])
    left = {p.name for p in exported.parent.iterdir()}
    assert left == {"small.onnx", "small.golden.json", "CARD.md", "results.json"}


def test_the_bundle_is_valid_onnx_with_its_weights_inside(exported: Path) -> None:
    model = onnx.load(exported, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert not any(t.external_data for t in model.graph.initializer)
    values = {p.key: p.value for p in model.metadata_props}
    assert set(values) == {bundle.METADATA_KEY, bundle.RHYTHM_KEY}
    rhythm = onnx.load_from_string(base64.b64decode(values[bundle.RHYTHM_KEY]))
    onnx.checker.check_model(rhythm, full_check=True)
    assert not any(t.external_data for t in rhythm.graph.initializer)
    shapes = [[d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim] for i in rhythm.graph.input]
    assert shapes == [["batch", 15, 32], ["batch", 34 + 4 * 32 + 8]]  # only the batch is free


def test_the_exported_network_is_the_averaged_one_of_the_checkpoint(exported: Path, run: Path) -> None:
    trained = export_onnx.load(run)
    chosen = recipes(trained.config)[json.loads((run / "metrics.json").read_text())["recipe"]]
    fit = heart_fit(chosen, made_up_table(), list(range(40)), trained.config.seed)
    averaged = fit.run(run / "model.safetensors", lambda *_: None, lambda: False)  # finished: read back as it is
    features = np.random.default_rng(0).normal(-8, 3, (3, 198, 32)).astype(np.float32)
    held = bundle.load(exported)
    for frames in (198, 100, 8):
        with torch.no_grad():
            wanted = averaged(torch.from_numpy(features), torch.full((3,), frames)).numpy()
        np.testing.assert_allclose(held.logits(features[:, :frames]), wanted, rtol=0, atol=1e-5)


def test_the_exported_rhythm_is_the_averaged_one_of_the_checkpoint(exported: Path, run: Path) -> None:
    trained = export_onnx.load(run)
    noises = [made_up_table().features(i) for i in range(0)]
    fit = beat_learning.fit(trained.config, annotated(), list(range(40)), noises, trained.config.seed)
    averaged = fit.run(run / "beats.safetensors", lambda *_: None, lambda: False)  # finished: read back as it is
    rhythm = bundle.load(exported).rhythm
    assert rhythm is not None
    features = np.random.default_rng(0).normal(-8, 3, (300, 32))
    found, state = rhythm.step(features, rhythm.init_state())
    found += rhythm.flush(state)
    wanted = beat_learning.beats(trained.config, averaged, features)
    assert len(wanted) > 5
    assert [b.sound for b in found] == [b.sound for b in wanted]
    np.testing.assert_allclose([b.t_s for b in found], [b.t_s for b in wanted], rtol=0, atol=1e-3)
    np.testing.assert_allclose([b.confidence for b in found], [b.confidence for b in wanted], rtol=0, atol=1e-4)


def test_what_serves_training_alone_is_left_out(exported: Path, run: Path) -> None:
    """The layer that tells what the heart does meanwhile: no node, no weight, no count."""
    trained, loaded = export_onnx.load(run), bundle.load(exported)
    extra = sum(p.numel() for p in trained.net.states.parameters())
    assert loaded.meta["parameters"] == sum(p.numel() for p in trained.net.parameters()) - extra
    model = onnx.load(exported)
    assert not any("states" in t.name for t in model.graph.initializer)
    held = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]
    assert sum(int(np.prod(t.dims)) for t in held) < loaded.meta["parameters"] + 100  # a few constants


def test_a_run_without_annotated_beats_becomes_a_bundle_without_rhythm(deaf_run: Path, tmp_path: Path) -> None:
    assert not (deaf_run / "beats.safetensors").exists()
    in_process(deaf_run, tmp_path / "deaf.onnx")
    loaded = bundle.load(tmp_path / "deaf.onnx")
    assert loaded.rhythm is None
    assert loaded.quality == QUALITY
    assert {p.key for p in onnx.load(tmp_path / "deaf.onnx").metadata_props} == {bundle.METADATA_KEY}
    assert not any(case["beats"] for case in json.loads((tmp_path / "deaf.golden.json").read_text())["cases"])
    assert stream_golden.replay(loaded)[1] < 1e-4


def test_the_card_says_what_a_reader_must_know(exported: Path) -> None:
    text = (exported.parent / "CARD.md").read_text(encoding="utf-8")
    assert text == card.card(bundle.load(exported).meta)
    for part in ("small-1", "not a medical device", "Learned from", "0.500 [0.400, 0.600]", *WORDS.values()):
        assert part in text
    assert "diagnosis" in text


def test_the_card_of_a_model_without_beats_and_machine_says_so() -> None:
    trained = tiny_bundle.untrained()
    whole = card.card(tiny_bundle.meta_of(trained))
    plain = trained._replace(beat_net=None, answer=trained.answer._replace(machine=None))
    text = card.card(tiny_bundle.meta_of(plain))
    assert "kernel machine" in whole
    assert f"{tiny_bundle.machine(trained.config).parameters:,} values" in whole
    assert "trained without annotated beats" in text
    assert "by the network alone" in text
    assert "kernel machine" not in text


def learned_from(*counts: str) -> dict[str, Any]:
    """The metadata of a bundle that learned from so many kinds of recordings."""
    side = {"hash": "0" * 16, "groups": 2, "counts": dict.fromkeys(counts, 3), "names": ["a.wav"]}
    notes = tiny_bundle.NOTES | {"splits": {"learned from": side}}
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
    assert "Probabilities are calibrated on this mixture" in text


def test_a_card_without_results_says_so() -> None:
    assert "Not evaluated yet" in card.card(tiny_bundle.default_meta())


def test_golden_decisions_are_what_the_bundle_answers_window_by_window(exported: Path) -> None:
    """The shared windowing, run block by block, and ONNX Runtime must give what torch gave for the whole sound."""
    held = json.loads(exported.with_suffix(".golden.json").read_text())
    loaded = bundle.load(exported)
    spec = loaded.front_end.spec
    assert held["rate_hz"] == spec.rate_hz
    assert len(held["cases"]) == 4
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
            judged = {"poor_signal"} if case["name"] == "noise" else {"ok", "uncertain"}
            assert d["status"] in {"listening", *judged}
            assert (d["label"] in CLASSES) if d["status"] == "ok" else (d["label"] is None)
        for b in case["beats"]:
            assert list(b) == ["t_s", "sound", "confidence"]
            assert 0.25 < b["confidence"] < 1
    decisions, worst = stream_golden.replay(bundle.load(exported))
    assert decisions == sum(len(case["decisions"]) for case in held["cases"])
    assert sum(len(case["beats"]) for case in held["cases"]) > 20  # hardly trained, it hears beats everywhere
    assert worst < 1e-4


def streamed(loaded: bundle.Bundle, samples: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """Times and probabilities of a recording's decisions, from its frames: written anew, without the stream."""
    spec, window = loaded.front_end.spec, loaded.window
    found: list[tuple[float, np.ndarray]] = []
    deciding = decide.init_state()
    heard = loaded.front_end.extract(samples)
    total = len(heard)
    assert (total - window.first_frames) % window.hop_frames  # the last decision lies between two hops
    pulse, told = Pulse(loaded.rhythm, 0.0) if loaded.rhythm else None, 0
    for end in windows.decision_ends(window, total):
        if pulse and loaded.rhythm:
            [(new, state)] = loaded.rhythm.steps([heard[told:end]], [pulse.state], [end == total])
            pulse.put(new, state)
            pulse.until(end, end == total)
        told = end
        recent = heard[max(0, end - window.window_frames) : end]
        levels = loaded.envelopes(heard[max(0, end - loaded.envelope_frames) : end])
        early = np.array([len(pulse.regularity.premature) if pulse else 0])
        moment = tiny_bundle.judged(loaded, recent[None], levels[None], early)
        alone = Joined(moment.logits[0], moment.early[0])
        probabilities, _, deciding = decide.step(loaded.decide, alone, deciding)
        found.append((spec.span_samples(end) / spec.rate_hz, probabilities))
    return found


def test_golden_sounds_differ_and_tell_a_changed_network(run: Path) -> None:
    trained = export_onnx.load(run)
    before = golden.vectors(trained)
    sounds = {case["int16_base64"] for case in before["cases"]}
    assert len(sounds) == 4
    with torch.no_grad():
        trained.net.last.weight[0] += 0.5
    after = golden.vectors(trained)
    for old, new in zip(before["cases"], after["cases"], strict=True):
        assert old["int16_base64"] == new["int16_base64"]
        assert old["decisions"] != new["decisions"]


def differences(one: export_onnx.Trained, other: export_onnx.Trained) -> list[float]:
    """Of each golden case the largest difference of a probability."""
    pairs = zip(golden.vectors(one)["cases"], golden.vectors(other)["cases"], strict=True)
    values = [[[d["probabilities"] for d in case["decisions"]] for case in pair] for pair in pairs]
    return [float(np.abs(np.subtract(a, b)).max()) for a, b in values]


def test_golden_decisions_tell_what_the_rhythm_adds() -> None:
    """Whoever leaves out the joint answer, the machine, its ten seconds or the early beats answers otherwise."""
    trained = tiny_bundle.hearing()
    answer, machine = trained.answer, tiny_bundle.machine(trained.config)
    identity = trained._replace(answer=answer._replace(join=JoinSpec(early=tiny_bundle.JOIN.early)))
    alone = trained._replace(answer=answer._replace(machine=None))
    assert min(differences(trained, identity)) > 10 * stream_golden.TOLERANCE
    assert min(differences(trained, alone)) > 10 * stream_golden.TOLERANCE
    shorter = dataclasses.replace(trained.config.intervals, memory_frames=198)
    forgetful = trained._replace(
        config=dataclasses.replace(trained.config, intervals=shorter),
        answer=answer._replace(machine=dataclasses.replace(machine, spec=shorter)),
    )
    deaf = trained._replace(beat_net=None)
    for other in (forgetful, deaf):
        assert max(differences(trained, other)) > 10 * stream_golden.TOLERANCE


def later(beats: list[dict[str, Any]]) -> None:
    beats[3]["t_s"] += 0.002


def nowhere(beats: list[dict[str, Any]]) -> None:
    beats[3]["t_s"] = float("nan")


def renamed(beats: list[dict[str, Any]]) -> None:
    beats[3]["sound"] = {"S1": "S2", "S2": "S1"}[beats[3]["sound"]]


def missed(beats: list[dict[str, Any]]) -> None:
    del beats[3]


def invented(beats: list[dict[str, Any]]) -> None:
    beats.insert(3, beats[3])


def timeless(beats: list[dict[str, Any]]) -> None:
    del beats[3]["t_s"]


@pytest.mark.parametrize("change", [later, nowhere, renamed, missed, invented, timeless])
def test_golden_beats_that_were_altered_are_told(
    exported: Path, tmp_path: Path, change: Callable[[list[dict[str, Any]]], None]
) -> None:
    copied = Path(shutil.copy(exported, tmp_path))
    held = json.loads(exported.with_suffix(".golden.json").read_text())
    copied.with_suffix(".golden.json").write_text(json.dumps(held))
    stream_golden.replay(bundle.load(copied))
    change(held["cases"][0]["beats"])
    copied.with_suffix(".golden.json").write_text(json.dumps(held))
    with pytest.raises(ModelError, match=r"golden\.json: .*; export the model again") as refused:
        stream_golden.replay(bundle.load(copied))
    assert "\n" not in str(refused.value)


def test_golden_vectors_without_beats_are_damaged(exported: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copy(exported, tmp_path))
    held = json.loads(exported.with_suffix(".golden.json").read_text())
    del held["cases"][1]["beats"]
    copied.with_suffix(".golden.json").write_text(json.dumps(held))
    with pytest.raises(ModelError, match="damaged"):
        stream_golden.replay(bundle.load(copied))


def test_golden_beats_tell_a_changed_network(run: Path) -> None:
    trained = export_onnx.load(run)
    assert trained.beat_net is not None
    before = golden.vectors(trained)
    with torch.no_grad():
        trained.beat_net.last.bias[1] += 3
    for old, new in zip(before["cases"], golden.vectors(trained)["cases"], strict=True):
        assert old["decisions"] == new["decisions"]
        assert old["beats"] != new["beats"]


@pytest.mark.parametrize("window", [{"window_frames": 500, "first_frames": 400}, {"window_frames": 400}])
def test_golden_sounds_outlast_any_window(window: dict[str, int]) -> None:
    for case in golden.vectors(tiny_bundle.untrained(tiny_bundle.tiny_config(window=window)))["cases"]:
        assert sum(d["status"] != "listening" for d in case["decisions"]) >= 4


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"window": {"window_frames": 120, "hop_frames": 7}},
        {"window": {"window_frames": 198, "first_frames": 51, "hop_frames": 47}},
        {"intervals": {"memory_frames": 60}},
        CEPSTRA,
    ],
    ids=["default", "quick hops", "last one due anyway", "short memory", "cepstra"],
)
def test_golden_vectors_of_any_settings_are_what_the_stream_answers(tmp_path: Path, tables: dict[str, Any]) -> None:
    """With a network that finds the beats of the golden sounds, whose early beats then count."""
    trained = tiny_bundle.untrained(tiny_bundle.hearing_config(**tables))
    if not trained.config.front_end.cepstra:
        trained = trained._replace(beat_net=tiny_bundle.hearing_net(trained.config))
    loaded = written(tmp_path, trained)
    loaded.path.with_suffix(".golden.json").write_text(json.dumps(golden.vectors(trained)))
    decisions, worst = stream_golden.replay(loaded)
    assert decisions > 20
    assert worst < 1e-4


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
        CEPSTRA,
        {"beat_net": {"channels": 48, "hidden": 64}},
        {"rhythm": {"block_frames": 1}},
        {"rhythm": {"block_frames": 40, "lookahead_frames": 0}, "beat_net": {"channels": 3, "hidden": 2, "keep": 0.9}},
    ],
    ids=[
        *("tiny", "default size", "limited range", "short windows", "cepstra"),
        *("default size of the rhythm", "frame by frame", "long blocks"),
    ],
)
def test_every_kind_of_network_is_exported_faithfully(tmp_path: Path, tables: dict[str, Any]) -> None:
    trained = tiny_bundle.untrained(tiny_bundle.tiny_config(**tables))
    loaded = written(tmp_path, trained)
    heard = loaded.front_end.extract(np.random.default_rng(0).normal(0, 0.1, 5000))
    assert parity.check(trained.net, loaded, [heard, heard[:8]]) < 1e-5
    assert trained.beat_net is not None
    assert parity.check_rhythm(trained.beat_net, loaded, [heard, heard[:8]]) < 1e-5


@pytest.mark.parametrize("value", [1e-3, float("nan")])
def test_a_network_that_changed_after_export_fails_parity(tmp_path: Path, value: float) -> None:
    trained = tiny_bundle.untrained()
    loaded = written(tmp_path, trained)
    with torch.no_grad():
        trained.net.last.bias.add_(value)
    with pytest.raises(ModelError, match="not exported"):
        parity.check(trained.net, loaded, [])


@pytest.mark.parametrize("part", ["convolution", "gru", "last"])
@pytest.mark.parametrize("value", [1e-2, float("nan")])
def test_a_rhythm_that_changed_after_export_fails_parity(tmp_path: Path, part: str, value: float) -> None:
    trained = tiny_bundle.untrained()
    loaded = written(tmp_path, trained)
    assert trained.beat_net is not None
    with torch.no_grad():
        next(getattr(trained.beat_net, part).parameters()).add_(value)
    with pytest.raises(ModelError, match="in an onset"):
        parity.check_rhythm(trained.beat_net, loaded, [])


class Differing:
    """A network that adds to its answers once it has heard a certain feature."""

    def __init__(self, inner: Net, mark: float) -> None:
        self._inner = inner
        self._mark = mark
        self.state_size = inner.state_size

    def __call__(self, features: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        onsets, following = self._inner(features, state)
        return onsets + np.float32(0.1) * bool((features == self._mark).any()), following


def test_parity_hears_a_difference_of_rhythm_on_the_given_windows_alone(tmp_path: Path) -> None:
    trained = tiny_bundle.untrained()
    loaded = written(tmp_path, trained)
    assert loaded.rhythm is not None
    assert trained.beat_net is not None
    loaded.rhythm.net = Differing(loaded.rhythm.net, mark=7.0)
    window = np.full((60, 32), -8.0)
    assert parity.check_rhythm(trained.beat_net, loaded, [window, window[:3]]) < 1e-5
    window[50] = 7
    with pytest.raises(ModelError, match=r"differ by 0\.1 in an onset"):
        parity.check_rhythm(trained.beat_net, loaded, [np.full((60, 32), -8.0), window])


def test_parity_hears_a_difference_on_the_given_windows_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = tiny_bundle.untrained()
    loaded = written(tmp_path, trained)
    seen: list[int] = []
    known = parity._difference

    def difference(net: Any, held: bundle.Bundle, features: np.ndarray) -> float:
        seen.append(len(features))
        return float("nan") if len(seen) == 9 else known(net, held, features)

    monkeypatch.setattr(parity, "_difference", difference)
    with pytest.raises(ModelError, match="nan"):
        parity.check(trained.net, loaded, [np.zeros((20, 32))] * 5)
    assert seen == [1, 1, 3, 16, 32, 64, 1, 1, 1, 1, 1]


def test_parity_windows_are_recordings_of_the_run(run: Path) -> None:
    table = made_up_table()
    found = parity.windows(run)
    assert {w.tobytes() for w in found} == {table.features(i).tobytes() for i in range(len(table))}
    assert {w.shape for w in found} == {(150, 32)}


def test_export_is_proved_on_the_windows_of_the_run(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    known, known_rhythm = parity.check, parity.check_rhythm

    def check(net: Any, held: bundle.Bundle, given: Any) -> float:
        seen.append(len(given))
        return known(net, held, given)

    def check_rhythm(net: Any, held: bundle.Bundle, given: Any) -> float:
        seen.append(len(given))
        return known_rhythm(net, held, given)

    monkeypatch.setattr(parity, "check", check)
    monkeypatch.setattr(parity, "check_rhythm", check_rhythm)
    in_process(run, tmp_path / "x.onnx")
    assert seen == 2 * [len(parity.windows(run))]
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


@pytest.mark.parametrize("which", ["graph", "rhythm_graph"])
def test_a_failed_proof_leaves_the_old_bundle_as_it_was(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    known = getattr(export_onnx, which)

    def altered(net: Any, frames: int) -> onnx.ModelProto:
        model: onnx.ModelProto = known(net, frames)
        with torch.no_grad():
            net.last.bias += 0.01
        return model

    monkeypatch.setattr(export_onnx, which, altered)
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
    config = tiny_bundle.tiny_config(fit=QUICK, beat_fit=QUICK, answer={"folds": 2})
    (own_run / "model.safetensors").unlink()
    with pytest.raises(LaennecError, match="stopped at step 1"):
        heart_fit(recipes(config)["even"], made_up_table(), list(range(40)), 0).run(
            own_run / "model.safetensors", lambda *_: None, lambda: True
        )
    done = laennec("export", own_run, "--out", tmp_path / "x.onnx")
    assert "stopped at step 1 of 3" in one_line(done, 3)
    assert not (tmp_path / "x.onnx").exists()


def test_a_rhythm_that_has_not_learned_to_the_end_is_refused(own_run: Path) -> None:
    held = checkpoint.load(own_run / "beats.safetensors")
    held.notes["step"] = 2
    checkpoint.save(own_run / "beats.safetensors", held)
    with pytest.raises(InputFileError, match="stopped at step 2 of 3; continue with --resume"):
        export_onnx.load(own_run)


@pytest.mark.parametrize("damage", ["", "hello"])
def test_a_damaged_rhythm_of_a_run_is_refused(own_run: Path, damage: str) -> None:
    (own_run / "beats.safetensors").write_text(damage)
    with pytest.raises(InputFileError, match=r"beats\.safetensors: is not a Laennec checkpoint.*train"):
        export_cli.export(own_run, own_run / "x.onnx")
    assert not (own_run / "x.onnx").exists()


@pytest.mark.parametrize("text", ['{"bias": NaN}', '{"loudness": 1}', "null"])
def test_a_quality_index_that_can_not_be_used_is_refused(own_run: Path, text: str) -> None:
    (own_run / "quality.json").write_text(text)
    with pytest.raises(InputFileError, match="holds no quality index; train first"):
        export_onnx.load(own_run)


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "answer.json", "metrics.json", "splits.json", "quality.json"]
)
@pytest.mark.parametrize("damage", ["missing", "empty", "text", "list"])
def test_a_run_with_a_missing_or_damaged_file_is_refused(own_run: Path, name: str, damage: str) -> None:
    (own_run / name).unlink()
    if damage != "missing":
        (own_run / name).write_text({"empty": "", "text": "hello", "list": "[1, 2]"}[damage])
    with pytest.raises(InputFileError, match="train"):
        export_cli.export(own_run, own_run / "x.onnx")
    assert not (own_run / "x.onnx").exists()


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("join", {"temperature": 1.0}),
        ("join", None),
        ("decide", {"temperature": 1.0}),
        ("decide", [0.5]),
        ("extrasystole", {"gamma": 1.0}),
        ("extrasystole", "kernel"),
        ("extrasystole", [1]),
    ],
)
def test_an_answer_that_can_not_be_used_is_refused(own_run: Path, part: str, value: Any) -> None:
    held = json.loads((own_run / "answer.json").read_text())
    (own_run / "answer.json").write_text(json.dumps(held | {part: value}))
    with pytest.raises(InputFileError, match="holds no finished training run; train first") as refused:
        export_onnx.load(own_run)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("table", ["net", "beat_net"])
def test_weights_that_do_not_fit_the_configuration_are_refused(own_run: Path, table: str) -> None:
    held, settings = checkpoint.load(own_run / "model.safetensors"), json.loads((own_run / "config.json").read_text())
    for config in (held.notes["config"], settings):
        config[table]["hidden"] = 9
    checkpoint.save(own_run / "model.safetensors", held)
    (own_run / "config.json").write_text(json.dumps(settings))
    says = {"net": "not a whole training run", "beat_net": "other settings than model"}[table]
    with pytest.raises(InputFileError, match=says) as caught:
        export_onnx.load(own_run)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("table", "key", "value"), [("net", "hidden", 9), ("sampling", "shares", {"folder": 1.0})])
def test_a_network_of_none_of_a_run_s_recipes_is_refused(own_run: Path, table: str, key: str, value: Any) -> None:
    held = checkpoint.load(own_run / "model.safetensors")
    held.notes["config"][table][key] = value
    checkpoint.save(own_run / "model.safetensors", held)
    with pytest.raises(InputFileError, match=r"other settings than config\.json; train anew") as caught:
        export_onnx.load(own_run)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_run_is_refused_with_code_3(tmp_path: Path) -> None:
    assert "train first" in one_line(laennec("export", tmp_path, "--out", tmp_path / "x.onnx"), 3)


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
    values = {p.key: p.value for p in model.metadata_props}
    meta = json.loads(values[bundle.METADATA_KEY])
    del meta["figures"][0]["headline"]
    helper.set_model_props(model, values | {bundle.METADATA_KEY: json.dumps(meta)})
    path = tmp_path / "odd.onnx"
    path.write_bytes(model.SerializeToString())
    assert "incomplete" in one_line(laennec("model", path), 5)


def test_unusable_options_are_settings(run: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError):
        in_process(run, tmp_path / "x.txt")
    assert isinstance(export_onnx.load(run).config, Config)
