from __future__ import annotations

import base64
import copy
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_bundle
import torch
from onnx import TensorProto, helper

from models import bundle, codec, intervals
from models.classes import CLASSES
from models.decide import DecideSpec
from models.errors import ModelError
from models.extrasystole import Machine
from models.frontend import FrontEndSpec
from models.intervals import IntervalSpec
from models.join import NEVER, Joined, JoinSpec, join
from models.nets import BeatNet, HeartNet
from models.quality import QualitySpec
from models.rhythm import RhythmSpec
from models.windows import WindowSpec, pad
from train.beats import TorchNet
from train.config import Config
from train.filterbank import build

Meta = dict[str, Any]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle.write(tmp_path_factory.mktemp("bundle") / "tiny.onnx")


@pytest.fixture(scope="module")
def loaded(file: Path) -> bundle.Bundle:
    return bundle.load(file)


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        bundle.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 300 + len(str(path))
    return message


def properties(text: str | None, rhythm: str | None = "") -> dict[str, str]:
    """A file's metadata: this description, or none, and this rhythm's graph, "" for the tiny bundle's own."""
    graph = tiny_bundle.default_rhythm() if rhythm == "" else rhythm
    values = {bundle.METADATA_KEY: text, bundle.RHYTHM_KEY: graph}
    return {key: value for key, value in values.items() if value is not None}


def with_text(path: Path, text: str | None, rhythm: str | None = "") -> Path:
    """The tiny bundle with other `properties`."""
    model = onnx.load_from_string(tiny_bundle.default_data())
    del model.metadata_props[:]
    helper.set_model_props(model, properties(text, rhythm))
    path.write_bytes(model.SerializeToString())
    return path


def test_a_bundle_brings_back_what_was_exported(loaded: bundle.Bundle) -> None:
    assert loaded.id == "tiny"
    assert loaded.front_end.spec == FrontEndSpec()
    assert loaded.window == WindowSpec()
    assert loaded.decide == DecideSpec(threshold=0.0)
    assert loaded.join == tiny_bundle.JOIN != JoinSpec()
    assert loaded.quality == QualitySpec()
    assert loaded.rhythm is not None
    assert loaded.rhythm.spec == RhythmSpec()
    for held, wanted in zip(loaded.front_end.matrices, build(FrontEndSpec()), strict=True):
        assert np.array_equal(held, wanted)
    assert len(loaded.sha256) == 64
    assert loaded.meta["classes"] == list(CLASSES)


def test_its_features_are_those_of_training_bit_for_bit(loaded: bundle.Bundle) -> None:
    from train.filterbank import front_end

    signal = np.random.default_rng(0).normal(0, 0.1, 3000).astype(np.float32)
    assert np.array_equal(loaded.front_end.extract(signal), front_end(FrontEndSpec()).extract(signal))


def windows(count: int, frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(-8, 3, (count, frames, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def net() -> Iterator[HeartNet]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a network this small only waits for its helpers
    yield tiny_bundle.untrained().net
    torch.set_num_threads(threads)


def of_torch(net: HeartNet, features: np.ndarray) -> np.ndarray:
    frames = np.full(len(features), features.shape[1])
    with torch.no_grad():
        found: np.ndarray = net(torch.from_numpy(features), torch.from_numpy(frames)).numpy()
    return found


@pytest.mark.parametrize("count", [1, 2, 7, 16, 64])
@pytest.mark.parametrize("time", [4, 5, 8, 48, 73, 198, 400])
def test_onnx_runtime_answers_as_torch(loaded: bundle.Bundle, net: HeartNet, count: int, time: int) -> None:
    features = windows(count, time, seed=count * 1000 + time)
    found = loaded.logits(features)
    assert found.shape == (count, len(CLASSES))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, of_torch(net, features), rtol=0, atol=1e-5)


def test_windows_that_training_pads_are_heard_as_torch_hears_them(loaded: bundle.Bundle, net: HeartNet) -> None:
    """In training, windows of unlike lengths share a batch; when listening each length is heard by itself."""
    given = [windows(1, n, seed=n)[0] for n in (4, 5, 48, 73, 198)]
    features, frames = pad(given)
    with torch.no_grad():
        wanted = net(torch.from_numpy(features), torch.from_numpy(frames)).numpy()
    np.testing.assert_allclose([loaded.logits(x[None])[0] for x in given], wanted, rtol=0, atol=1e-5)


@pytest.fixture(scope="module", params=["tiny", "unlimited range", "one hidden", "shipped"])
def some(request: pytest.FixtureRequest, loaded: bundle.Bundle, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Networks of several sizes; rounding depends on them."""
    if request.param in ("tiny", "shipped"):
        return loaded if request.param == "tiny" else bundle.load()
    size = {"range_nepers": 0.0} if request.param == "unlimited range" else {"channels": 3, "hidden": 1}
    path = tmp_path_factory.mktemp("bundle") / "other.onnx"
    config = tiny_bundle.tiny_config(net={"channels": 8, "hidden": 8} | size)
    path.write_bytes(tiny_bundle.data_of(tiny_bundle.untrained(config)))
    return bundle.load(path)


@pytest.mark.parametrize("time", [4, 7, 8, 48, 73, 198])
def test_a_window_gets_the_same_logits_to_the_bit_alone_and_in_any_batch(some: bundle.Bundle, time: int) -> None:
    most = min(64, bundle.FRAMES_TOGETHER // time)  # a model is tried with so many when it is loaded
    features = windows(most, time)
    alone = np.concatenate([some.logits(x[None]) for x in features])
    assert alone.std(axis=0).min() > 0
    for count in range(1, most + 1):
        assert np.array_equal(some.logits(features[:count]), alone[:count]), count
        assert np.array_equal(some.logits(features[most - count :]), alone[most - count :]), count
    mixed = np.random.default_rng(time).permutation(most)
    assert np.array_equal(some.logits(features[mixed]), alone[mixed])


@pytest.mark.parametrize("value", [1e30, -1e30, 1e6, -1e6, 0.0, -23.0, 1e-40])
@pytest.mark.parametrize("count", [2, 3, 17, 32])
def test_nor_do_extreme_windows_beside_it_change_them(some: bundle.Bundle, value: float, count: int) -> None:
    features = windows(count, 198)
    alone = [some.logits(x[None])[0] for x in features]
    for place in {0, count // 2, count - 1}:
        others = features.copy()
        others[place] = value * np.sign(windows(1, 198, seed=9)[0] + 8) if abs(value) > 1 else value
        found = _logits_of_finite(some, others)
        assert np.array_equal(np.delete(found, place, axis=0), np.delete(alone, place, axis=0))


def _logits_of_finite(held: bundle.Bundle, features: np.ndarray) -> np.ndarray:
    """As `logits`, but that the session may answer what is not finite to the extreme window alone."""
    found: np.ndarray = held.session.run([bundle.OUTPUT], {"features": features})[0].astype(np.float64)
    return found


def test_the_same_window_always_gets_the_same_logits(loaded: bundle.Bundle, file: Path) -> None:
    features = windows(3, 198)
    assert np.array_equal(loaded.logits(features), bundle.load(file).logits(features))


@pytest.mark.parametrize("offset", [5.0, -3.0])
def test_a_louder_recording_gets_the_same_logits(loaded: bundle.Bundle, offset: float) -> None:
    # A third of the usual spread: beyond `range_nepers` a device's response decides what is limited.
    features = windows(2, 198) / 3
    per_band = (features + offset + np.linspace(0, 2, 32)).astype(np.float32)
    np.testing.assert_allclose(loaded.logits(features), loaded.logits(per_band), atol=1e-4)


def test_loading_needs_neither_torch_nor_the_onnx_package_and_prints_nothing(file: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from models import bundle; bundle.load(Path(sys.argv[1]));"
        "bad = [m for m in ('torch', 'onnx', 'scipy', 'python_speech_features') if m in sys.modules]; sys.exit(str(bad)"
        " if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script, file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_matrices_come_back_from_json_bit_for_bit() -> None:
    for matrix in (np.random.default_rng(0).normal(size=(3, 5)), np.zeros((0, 4)), np.arange(6.0).reshape(2, 3).T):
        text = json.dumps(codec.encode_matrix(matrix))
        assert np.array_equal(codec.decode_matrix(json.loads(text)), matrix)


def test_specs_come_back_from_json_as_they_were() -> None:
    for spec in (JoinSpec(), tiny_bundle.JOIN, IntervalSpec(), IntervalSpec(7, (3,), (0.5, 2.0)), WindowSpec()):
        values = json.loads(json.dumps(dataclasses.asdict(spec)))
        assert codec.decode_spec(type(spec), values) == spec


def equal(one: Machine, other: Machine) -> bool:
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(Machine))


def test_a_machine_comes_back_from_json_bit_for_bit(loaded: bundle.Bundle) -> None:
    wanted = tiny_bundle.machine(tiny_bundle.tiny_config())
    text = json.dumps(codec.encode_machine(wanted), allow_nan=False)
    assert equal(codec.decode_machine(json.loads(text), FrontEndSpec()), wanted)
    assert loaded.extrasystole is not None
    assert equal(loaded.extrasystole, wanted)
    with pytest.raises(ValueError, match="more bands"):
        codec.decode_machine(json.loads(text), FrontEndSpec(bands=31))


# The joint answer


@pytest.fixture(scope="module")
def heard(loaded: bundle.Bundle) -> np.ndarray:
    """Features of 12 s of uneven thumps: longer than the machine's memory, and that longer than the window."""
    rng = np.random.default_rng(0)
    samples = 0.001 * rng.normal(size=24_000)
    for at in np.cumsum(rng.uniform(400, 1400, 20)).astype(int):
        samples[at : at + 120] += 0.3 * np.sin(np.arange(len(samples[at : at + 120])) / 6)
    found: np.ndarray = loaded.front_end.extract(samples)
    return found


def hear(held: bundle.Bundle, recent: np.ndarray, premature: int) -> Joined:
    """What is said of one moment, of the frames heard by then."""
    envelopes = held.envelopes(recent)[max(0, len(recent) - held.envelope_frames) :]
    windows = recent[-held.window.window_frames :]
    found = tiny_bundle.judged(held, windows[None], envelopes[None], np.array([premature]))
    return Joined(found.logits[0], found.early[0])


def alike(one: Joined, other: Joined) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("frames", [8, 60, 198, 300, 500, 598])
@pytest.mark.parametrize("premature", [0, 1, 2, 5])
def test_it_hears_the_window_the_memory_and_the_early_beats(
    loaded: bundle.Bundle, heard: np.ndarray, frames: int, premature: int
) -> None:
    recent = heard[:frames]
    assert loaded.extrasystole is not None
    window = recent[-198:]
    told = intervals.describe(IntervalSpec(), 0.02, recent[-500:])
    logits = loaded.logits(window[None])[0]
    wanted = join(tiny_bundle.JOIN, logits, loaded.extrasystole.scores(told), np.array(premature))
    found = hear(loaded, recent, premature)
    assert alike(found, wanted)
    assert (found.logits.shape, found.early.shape) == ((5,), ())
    assert found.logits.dtype == np.float64
    assert found.early == (tiny_bundle.JOIN.early if premature >= 2 else NEVER)


def test_every_part_of_what_is_heard_matters(loaded: bundle.Bundle, heard: np.ndarray) -> None:
    """Frames before the window move extrasystole alone, early beats too; frames before the memory nothing."""
    assert loaded.envelope_frames == 500
    recent = heard[-500:]
    plain, k = hear(loaded, recent, 0), CLASSES.index("extrasystole")
    early = hear(loaded, recent, 2)
    for other in (hear(loaded, recent[100:], 0), early):
        assert abs(other.told[k] - plain.told[k]) > 1e-3
        assert np.array_equal(np.delete(other.told, k), np.delete(plain.told, k))
    assert early.told[k] > plain.told[k]
    assert np.array_equal(early.logits, plain.logits)
    assert alike(hear(loaded, recent, 1), plain)
    assert alike(hear(loaded, recent, 7), early)
    assert alike(hear(loaded, heard, 0), plain)


def test_a_model_without_a_machine_wants_no_more_than_its_window(tmp_path: Path, heard: np.ndarray) -> None:
    meta = tiny_bundle.default_meta() | {"extrasystole": None}
    held = bundle.load(with_text(tmp_path / "timbre.onnx", json.dumps(meta)))
    assert (held.extrasystole, held.envelope_frames) == (None, 0)
    assert held.envelopes(heard).shape == (len(heard), 0)
    window = heard[-198:]
    logits = held.logits(window[None])[0]
    wanted = join(tiny_bundle.JOIN, logits, np.zeros(()), np.array(2))
    assert wanted.early != NEVER
    assert alike(hear(held, window, 2), wanted)
    assert alike(hear(held, heard, 2), wanted)


def test_a_memory_shorter_than_the_window_is_no_longer(tmp_path: Path, heard: np.ndarray) -> None:
    meta = tiny_bundle.default_meta()
    meta["extrasystole"]["intervals"]["memory_frames"] = 50
    held = bundle.load(with_text(tmp_path / "short.onnx", json.dumps(meta)))
    assert held.envelope_frames == 50
    assert held.extrasystole is not None
    told = intervals.describe(held.extrasystole.spec, 0.02, heard[-50:])
    wanted = join(tiny_bundle.JOIN, held.logits(heard[None, -198:])[0], held.extrasystole.scores(told), np.array(0))
    assert alike(hear(held, heard, 0), wanted)


@pytest.mark.parametrize("frames", [8, 198, 500])
def test_moments_heard_together_are_each_as_alone_to_the_bit(some: bundle.Bundle, frames: int) -> None:
    rng = np.random.default_rng(frames)
    given = rng.normal(-12, 3, (32, min(frames, 198), 32))
    levels = np.cumsum(rng.normal(0, 1, (32, frames, 3)), axis=1)
    early = rng.integers(0, 5, 32)
    alone = [tiny_bundle.judged(some, given[k : k + 1], levels[k : k + 1], early[k : k + 1]) for k in range(32)]
    for count in (*range(1, 9), 17, 31, 32):
        found = tiny_bundle.judged(some, given[-count:], levels[-count:], early[-count:])
        for k in range(count):
            assert alike(Joined(found.logits[k], found.early[k]), Joined(*(part[0] for part in alone[32 - count + k])))


# What is refused


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "no such model" in refusal(tmp_path / "none.onnx")
    assert "can't be read" in refusal(tmp_path / ("x" * 300 + ".onnx"))


def test_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    assert "folder or device" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe.onnx")
    assert "folder or device" in refusal(tmp_path / "pipe.onnx")


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 5000, b"laennec\n" * 50, np.random.default_rng(0).bytes(9999), b"\x08\x07" * 99, b"{}"],
    ids=["empty", "zeros", "text", "random", "protobuf", "json"],
)
def test_what_is_no_onnx_model_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(data)
    refusal(path)


@pytest.mark.parametrize("share", [0.001, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_bundle_is_refused(tmp_path: Path, share: float) -> None:
    data = tiny_bundle.default_data()
    path = tmp_path / "cut.onnx"
    path.write_bytes(data[: int(share * len(data))])
    refusal(path)


def test_every_truncation_is_refused_or_whole(tmp_path: Path) -> None:
    data = tiny_bundle.default_data()
    path = tmp_path / "cut.onnx"
    for size in np.random.default_rng(0).integers(0, len(data), 40):
        path.write_bytes(data[:size])
        refusal(path)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(2**40)
    assert "too large" in refusal(path)


def foreign(path: Path, text: str | None, inputs: tuple[str, ...], width: int = 5) -> Path:
    """An ONNX model that is not Laennec's graph: it sums the features into `width` equal logits."""
    shapes = {"features": (TensorProto.FLOAT, ["b", "t", "f"]), "more": (TensorProto.FLOAT, ["b"])}
    nodes = [
        helper.make_node("ReduceSum", [inputs[0], "axes"], ["sum"], keepdims=0),
        helper.make_node("Unsqueeze", ["sum", "one"], ["column"]),
        helper.make_node("Expand", ["column", "shape"], [bundle.OUTPUT]),
    ]
    constants = [
        helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2]),
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        helper.make_tensor("shape", TensorProto.INT64, [2], [1, width]),
    ]
    given = [
        helper.make_tensor_value_info(name, *shapes[kind])
        for name, kind in zip(inputs, ("features", "more"), strict=False)
    ]
    out = helper.make_tensor_value_info(bundle.OUTPUT, TensorProto.FLOAT, ["b", width])
    model = helper.make_model(
        helper.make_graph(nodes, "g", given, [out], constants), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 8
    helper.set_model_props(model, properties(text))
    path.write_bytes(model.SerializeToString())
    return path


def test_a_foreign_model_is_refused(tmp_path: Path) -> None:
    assert "not one of Laennec's" in refusal(foreign(tmp_path / "f.onnx", None, bundle.INPUTS))


def test_a_graph_that_does_not_fit_its_description_is_refused(tmp_path: Path) -> None:
    text = json.dumps(tiny_bundle.default_meta())
    bundle.load(foreign(tmp_path / "fits.onnx", text, bundle.INPUTS))  # the other refusals are of what differs from it
    for name, inputs, width in (
        ("renamed", ("x",), 5),
        ("schema 4", ("features", "frames"), 5),
        ("swapped", ("frames", "features"), 5),
        ("wide", bundle.INPUTS, 6),
    ):
        assert "graph" in refusal(foreign(tmp_path / f"{name}.onnx", text, inputs, width))


def narrow() -> Config:
    """Settings with fewer bands."""
    size = {"features": 24, "channels": 8, "hidden": 8}
    return tiny_bundle.tiny_config(net=size, beat_net=size, front_end={"bands": 24}, intervals={"bands": [8, 14, 24]})


def test_a_network_for_other_features_is_refused(tmp_path: Path) -> None:
    model = tiny_bundle.graph_of(tiny_bundle.untrained(narrow()))
    helper.set_model_props(model, properties(json.dumps(tiny_bundle.default_meta())))
    path = tmp_path / "narrow.onnx"
    path.write_bytes(model.SerializeToString())
    assert "does not run" in refusal(path)


def test_a_network_that_answers_nan_is_refused(tmp_path: Path) -> None:
    trained = tiny_bundle.untrained()
    torch.nn.init.constant_(trained.net.last.bias, float("nan"))
    path = tmp_path / "nan.onnx"
    path.write_bytes(tiny_bundle.data_of(trained))
    assert "graph" in refusal(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "not json",
        "[]",
        "null",
        "17",
        '"text"',
        "{}",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"schema": ' + "9" * 5000 + "}",
        f'{{"schema": {bundle.SCHEMA}, "classes": 5}}',
        f'{{"schema": {bundle.SCHEMA}, "classes": null}}',
        "\\ud800",
    ],
    ids=range(14),
)
def test_garbage_for_a_description_is_refused(tmp_path: Path, text: str) -> None:
    refusal(with_text(tmp_path / "garbage.onnx", text))


def test_no_description_is_refused(tmp_path: Path) -> None:
    assert "not one of Laennec's" in refusal(with_text(tmp_path / "bare.onnx", None))


def put(*keys: str, value: Any) -> Callable[[Meta], None]:
    def change(meta: Meta) -> None:
        inner = meta
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value

    return change


def one_matrix_entry(meta: Meta) -> None:
    matrix = codec.decode_matrix(meta["matrices"]["bank"]).copy()
    matrix[np.unravel_index(matrix.argmax(), matrix.shape)] *= 1 + 1e-12
    meta["matrices"]["bank"] = codec.encode_matrix(matrix)


def lose_a_vector(meta: Meta) -> None:
    vectors = codec.decode_matrix(meta["extrasystole"]["vectors"])
    meta["extrasystole"]["vectors"] = codec.encode_matrix(vectors[1:])


def no_scale(meta: Meta) -> None:
    meta["extrasystole"]["scale"] = codec.encode_matrix(np.zeros(IntervalSpec().size))


ALTERED: dict[str, tuple[Callable[[Meta], None], str]] = {
    "earlier schema": (put("schema", value=4), "has schema 4"),
    "later schema": (put("schema", value=6), "has schema 6"),
    "odd schema": (put("schema", value={"a\nb": ["x" * 9999]}), "has schema"),
    "other order": (put("classes", value=list(reversed(CLASSES))), "other classes"),
    "fewer classes": (put("classes", value=list(CLASSES[:4])), "other classes"),
    "unhashable classes": (put("classes", value=[[1], {}]), "other classes"),
    "other band": (put("front_end", "low_hz", value=30.0), "digest"),
    "other floor": (put("front_end", "floor", value=-20.0), "digest"),
    "other digest": (put("front_end_digest", value="0" * 64), "digest"),
    "no digest": (put("front_end_digest", value=None), "digest"),
    "matrix entry": (one_matrix_entry, "digest"),
    "whole number as fraction": (put("front_end", "hop_samples", value=40.0), "hop_samples"),
    "text for a number": (put("front_end", "rate_hz", value="2000"), "rate_hz"),
    "truth for a number": (put("window", "hop_frames", value=True), "hop_frames"),
    "impossible band": (put("front_end", "high_hz", value=5000.0), "band"),
    "impossible window": (put("window", "first_frames", value=1000), "first_frames"),
    "half a frame": (put("window", "window_frames", value=198.5), "window_frames"),
    "endless window": (put("window", "window_frames", value=10**12), "graph"),
    "no frames at all": (put("window", "least_frames", value=0), "least_frames"),
    "no temperature": (put("join", "temperature", value=0.0), "temperature"),
    "temperature NaN": (put("join", "temperature", value=float("nan")), "temperature"),
    "temperature in the thresholds": (put("decide", "temperature", value=1.0), "temperature"),
    "endless temperature": (put("join", "temperature", value=10**400), "temperature"),
    "fewer biases": (put("join", "bias", value=[0.0] * 4), "bias"),
    "a bias for all": (put("join", "bias", value=0.0), "bias"),
    "bias as text": (put("join", "bias", value=["0"] * 5), "bias"),
    "bias NaN": (put("join", "bias", value=[float("nan")] * 5), "bias"),
    "endless bias": (put("join", "bias", value=[10**400] * 5), "description"),
    "early of more counts": (put("join", "early", value=[0.0, 1.0]), "early"),
    "early of no count": (put("join", "early", value=[]), "early"),
    "early NaN": (put("join", "early", value=float("nan")), "early"),
    "early endless": (put("join", "early", value=float("-inf")), "early"),
    "endless early": (put("join", "early", value=10**400), "early"),
    "early as text": (put("join", "early", value="0"), "early"),
    "early as truth": (put("join", "early", value=True), "early"),
    "early null": (put("join", "early", value=None), "early"),
    "timbre as truth": (put("join", "timbre", value=True), "timbre"),
    "spacing endless": (put("join", "spacing", value=float("inf")), "spacing"),
    "unknown key of the join": (put("join", "mystery", value=1), "mystery"),
    "join null": (put("join", value=None), "description"),
    "machine of another memory": (put("extrasystole", "intervals", "memory_frames", value=0), "memory_frames"),
    "endless memory": (put("extrasystole", "intervals", "memory_frames", value=10**12), "memory_frames"),
    "machine of more bands": (put("extrasystole", "intervals", "bands", value=[8, 14, 33]), "more bands"),
    "machine of fewer envelopes": (put("extrasystole", "intervals", "bands", value=[8, 14]), "do not fit together"),
    "machine of no envelope": (put("extrasystole", "intervals", "bands", value=[]), "bands"),
    "swings descending": (put("extrasystole", "intervals", "swings", value=[1.5, 1.3, 1.1, 0.9]), "swings"),
    "machine without width": (put("extrasystole", "gamma", value=0.0), "can't be used"),
    "machine's width NaN": (put("extrasystole", "gamma", value=float("nan")), "can't be used"),
    "machine's width as list": (put("extrasystole", "gamma", value=[1]), "description"),
    "machine's width as text": (put("extrasystole", "gamma", value="wide"), "description"),
    "machine's endless width": (put("extrasystole", "gamma", value=10**400), "description"),
    "machine's offset endless": (put("extrasystole", "offset", value=float("inf")), "can't be used"),
    "machine's vector lost": (lose_a_vector, "do not fit together"),
    "machine's scale 0": (no_scale, "can't be used"),
    "machine as list": (put("extrasystole", value=[1, 2]), "description"),
    "machine as truth": (put("extrasystole", value=False), "description"),
    "machine as text": (put("extrasystole", value="kernel"), "description"),
    "threshold null": (put("decide", "threshold", value=None), "threshold"),
    "unknown key": (put("decide", "mystery", value=1), "mystery"),
    "quality NaN": (put("quality", "bias", value=float("nan")), "finite"),
    "quality endless": (put("quality", "mobility", value=float("inf")), "finite"),
    "usual quality NaN": (put("quality", "usual_balance", value=float("nan")), "finite"),
    "quality as text": (put("quality", "bias", value="1"), "bias"),
    "quality null": (put("quality", value=None), "description"),
    "rhythm threshold 0": (put("rhythm", "threshold", value=0.0), "threshold"),
    "rhythm threshold NaN": (put("rhythm", "threshold", value=float("nan")), "threshold"),
    "rhythm without neighbours": (put("rhythm", "near_frames", value=0), "near_frames"),
    "endless neighbours": (put("rhythm", "near_frames", value=10**12), "near_frames"),
    "rhythm looks back": (put("rhythm", "lookahead_frames", value=-1), "lookahead_frames"),
    "endless lookahead": (put("rhythm", "lookahead_frames", value=10**12), "lookahead_frames"),
    "other blocks": (put("rhythm", "block_frames", value=14), "rhythm"),
    "endless blocks": (put("rhythm", "block_frames", value=10**12), "block_frames"),
    "half a block": (put("rhythm", "block_frames", value=15.0), "block_frames"),
    "unknown key of the rhythm": (put("rhythm", "mystery", value=1), "mystery"),
    "rhythm as list": (put("rhythm", value=[15, 12]), "description"),
    "rhythm as truth": (put("rhythm", value=False), "description"),
    "spec as list": (put("front_end", value=[1, 2]), "description"),
    "spec as null": (put("window", value=None), "description"),
    "matrices as text": (put("matrices", value="bank"), "description"),
    "matrix as text": (put("matrices", "bank", value="zeros"), "description"),
    "matrix not base64": (put("matrices", "bank", "float64_base64", value="?%"), "description"),
    "matrix not ASCII": (put("matrices", "bank", "float64_base64", value="é"), "description"),
    "matrix cut": (put("matrices", "bank", "float64_base64", value="AAAA"), "description"),
    "matrix misshapen": (put("matrices", "bank", "shape", value=[32, 512]), "description"),
    "matrix shape huge": (put("matrices", "bank", "shape", value=[10**30]), "description"),
    "matrix shape text": (put("matrices", "bank", "shape", value="wide"), "description"),
    "another matrix": (put("matrices", "third", value=codec.encode_matrix(np.zeros((1, 1)))), "description"),
}


@pytest.mark.parametrize("name", ALTERED)
def test_an_altered_description_is_refused(tmp_path: Path, name: str) -> None:
    change, says = ALTERED[name]
    meta = tiny_bundle.default_meta()
    change(meta)
    assert says in refusal(with_text(tmp_path / "altered.onnx", json.dumps(meta)))


OTHERS_WORDS = ("codec", "object", "argument", "indices", "Expecting", "__", "index out of", "Only base64", "invalid")


@pytest.mark.parametrize("name", ALTERED)
def test_a_refusal_is_not_in_pythons_own_words(tmp_path: Path, name: str) -> None:
    meta = tiny_bundle.default_meta()
    ALTERED[name][0](meta)
    said = refusal(with_text(tmp_path / "altered.onnx", json.dumps(meta))).removeprefix(str(tmp_path))
    assert not [words for words in OTHERS_WORDS if words in said]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        *((text, "it is no whole JSON") for text in ("", "{", "lub dub")),
        *((text, "a value in it is of the wrong kind") for text in ("[]", "null", "5", '"text"')),
        ("{}", "schema is missing"),
        ("[" * 100_000, "it is nested without end"),
    ],
    ids=range(9),
)
def test_a_description_that_is_none_is_refused_in_plain_words(tmp_path: Path, text: str, words: str) -> None:
    said = refusal(with_text(tmp_path / "odd.onnx", text))
    assert said.endswith(f": its description can't be read ({words}); export it again")


def test_bytes_that_are_no_text_are_told_in_plain_words(tmp_path: Path) -> None:
    whole = tiny_bundle.default_data()
    assert b'"licence"' in whole
    (tmp_path / "bytes.onnx").write_bytes(whole.replace(b'"licence"', b'"lic\xff\xfece"', 1))
    said = refusal(tmp_path / "bytes.onnx")
    assert "bytes.onnx: its description can't be read (it holds bytes that are no UTF-8 text); export it again" in said


@pytest.mark.parametrize(
    "section", ["front_end", "matrices", "window", "join", "decide", "quality", "rhythm", "extrasystole"]
)
def test_a_description_without_any_one_part_is_refused(tmp_path: Path, section: str) -> None:
    whole = tiny_bundle.default_meta()
    for key in [*whole[section], None]:
        meta = copy.deepcopy(whole)
        if key is None:
            del meta[section]
        else:
            del meta[section][key]
        refusal(with_text(tmp_path / "part.onnx", json.dumps(meta)))


@pytest.mark.parametrize(
    "key", ["schema", "classes", "id", "front_end_digest", "quality", "rhythm", "join", "extrasystole"]
)
def test_a_description_without_a_needed_key_is_refused(tmp_path: Path, key: str) -> None:
    meta = tiny_bundle.default_meta()
    del meta[key]
    assert key in refusal(with_text(tmp_path / "key.onnx", json.dumps(meta)))


# The rhythm's graph


def test_a_model_trained_without_beats_has_no_rhythm(tmp_path: Path) -> None:
    trained = tiny_bundle.untrained()._replace(beat_net=None)
    path = tmp_path / "deaf.onnx"
    path.write_bytes(tiny_bundle.data_of(trained))
    held = bundle.load(path)
    assert held.rhythm is None
    assert (held.meta["rhythm"], held.meta["rhythm_delay_s"], held.meta["rhythm_parameters"]) == (None, None, 0)
    assert {p.key for p in onnx.load(path).metadata_props} == {bundle.METADATA_KEY}
    assert np.isfinite(held.logits(windows(2, 50))).all()


@pytest.fixture(scope="module")
def beat_net() -> BeatNet:
    net = tiny_bundle.untrained().beat_net
    assert net is not None
    return net


def test_the_rhythm_hears_as_torch_and_carries_its_state(loaded: bundle.Bundle, beat_net: BeatNet) -> None:
    assert loaded.rhythm is not None
    nets = (loaded.rhythm.net, TorchNet(beat_net))
    assert nets[0].state_size == nets[1].state_size == beat_net.spec.state
    states = [np.zeros(net.state_size, dtype=np.float32) for net in nets]
    answers: list[list[np.ndarray]] = [[], []]
    for block in windows(40, RhythmSpec().block_frames):
        for which, net in enumerate(nets):
            onsets, following = net(block[None], states[which][None])
            states[which] = following[0]
            answers[which].append(onsets[0])
    np.testing.assert_allclose(answers[0], answers[1], rtol=0, atol=1e-5)
    np.testing.assert_allclose(states[0], states[1], rtol=1e-5, atol=1e-4)
    assert np.std(answers[0]) > 0.01


def base64_of(net: Any, frames: int = RhythmSpec().block_frames) -> str:
    """A network as the graph that finds S1 and S2."""
    trained = tiny_bundle.untrained()._replace(beat_net=net)
    trained = trained._replace(config=dataclasses.replace(trained.config, rhythm=RhythmSpec(block_frames=frames)))
    return base64.b64encode(tiny_bundle.rhythm_graph_of(trained).SerializeToString()).decode("ascii")


def nan_net() -> BeatNet:
    net = tiny_bundle.untrained().beat_net
    assert net is not None
    torch.nn.init.constant_(net.last.bias, float("nan"))
    return net


def narrow_net() -> BeatNet:
    net = tiny_bundle.untrained(narrow()).beat_net
    assert net is not None
    return net


def altered_rhythm(change: Callable[[onnx.ModelProto], None]) -> str:
    model = onnx.load_from_string(base64.b64decode(tiny_bundle.default_rhythm()))
    change(model)
    return base64.b64encode(model.SerializeToString()).decode("ascii")


def rename_output(model: onnx.ModelProto) -> None:
    for name in [n for node in model.graph.node for n in node.output if n == "onsets"]:
        for node in model.graph.node:
            node.output[:] = ["sounds" if n == name else n for n in node.output]
    model.graph.output[0].name = "sounds"


def swap_outputs(model: onnx.ModelProto) -> None:
    names = {"onsets": "next_state", "next_state": "onsets"}
    for node in model.graph.node:
        node.output[:] = [names.get(n, n) for n in node.output]
        node.input[:] = [names.get(n, n) for n in node.input]
    for value in model.graph.output:
        value.name = names[value.name]


def window_graph() -> str:
    """The graph of the classification, whose second input is no state."""
    return base64.b64encode(tiny_bundle.graph_of(tiny_bundle.untrained()).SerializeToString()).decode("ascii")


RHYTHMS: dict[str, tuple[Callable[[], str | None], str]] = {
    "missing": (lambda: None, bundle.RHYTHM_KEY),
    "blank": (lambda: " ", "description"),
    "not base64": (lambda: "?%", "description"),
    "not ASCII": (lambda: "é" * 8, "description"),
    "no model": (lambda: base64.b64encode(b"laennec" * 50).decode(), "not a whole ONNX model"),
    "nothing": (lambda: "AAAA", "not a whole ONNX model"),
    "cut": (lambda: tiny_bundle.default_rhythm()[: 4 * (len(tiny_bundle.default_rhythm()) // 8)], "ONNX model"),
    "other graph": (window_graph, "description"),
    "other bands": (lambda: base64_of(narrow_net()), "does not run"),
    "longer blocks": (lambda: base64_of(tiny_bundle.untrained().beat_net, 16), "does not run"),
    "output renamed": (lambda: altered_rhythm(rename_output), "does not run"),
    "outputs swapped": (lambda: altered_rhythm(swap_outputs), "does not fit"),
    "NaN": (lambda: base64_of(nan_net()), "does not fit"),
}


@pytest.mark.parametrize("name", RHYTHMS)
def test_a_missing_or_damaged_rhythm_is_refused(tmp_path: Path, name: str) -> None:
    rhythm, says = RHYTHMS[name]
    text = json.dumps(tiny_bundle.default_meta())
    bundle.load(with_text(tmp_path / "whole.onnx", text))  # the refusal is of what differs from it
    assert says in refusal(with_text(tmp_path / "damaged.onnx", text, rhythm()))


def test_a_rhythm_of_one_input_is_refused(tmp_path: Path) -> None:
    """It has no state, which is told from its inputs."""
    foreign(tmp_path / "one.onnx", None, ("features",))
    rhythm = base64.b64encode((tmp_path / "one.onnx").read_bytes()).decode("ascii")
    text = json.dumps(tiny_bundle.default_meta())
    assert "description" in refusal(with_text(tmp_path / "stateless.onnx", text, rhythm))


def test_a_description_that_names_no_rhythm_does_not_use_the_graph(tmp_path: Path) -> None:
    meta = tiny_bundle.default_meta() | {"rhythm": None}
    assert bundle.load(with_text(tmp_path / "unused.onnx", json.dumps(meta))).rhythm is None
