"""An untrained model bundle of the real layout, made in about a second: for tests that need a model, not its skill."""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from export import onnx as export_onnx
from models.bundle import Bundle
from models.decide import DecideSpec
from models.extrasystole import Machine
from models.join import Joined, JoinSpec
from models.nets import BeatNet, HeartNet
from models.quality import QualitySpec
from train import evidence, nested
from train.config import Config, from_dict
from train.inner import Sources
from train.run import Answer
from train.table import Table

Array = np.ndarray
SCORE = {"value": 0.5, "low": 0.4, "high": 0.6}
NOTES: dict[str, Any] = {
    "splits": {
        side: {"hash": "0" * 12, "groups": 2, "counts": {"folder normal": 3}, "names": ["folder/a.wav"]}
        for side in ("learned from",)
    },
    "metrics": {"n": 3, "accuracy": SCORE, "balanced_accuracy": SCORE, "macro_f1": SCORE, "per_class": {}},
}


#: Nothing in it is the identity, so that whoever leaves a part of it out answers otherwise.
JOIN = JoinSpec(1.7, (0.3, -0.2, 0.1, -0.4, 0.2), 0.6, 0.8, 1.6)


def tiny_config(**tables: Any) -> Config:
    """A small network behind the default front end and windows; other tables as given."""
    return from_dict({"net": {"channels": 8, "hidden": 8}, "beat_net": {"channels": 6, "hidden": 8}, **tables})


def machine(config: Config) -> Machine:
    """A small kernel machine around usual intervals, whose score differs from rhythm to rhythm."""
    rng, size = np.random.default_rng(7), config.intervals.size
    usual = np.tile([0.6, 0.7, 1.4, 0.3, 0.3, 0.45], size // 6)
    vectors, weights = rng.normal(0, 1, (6, size)), rng.normal(0, 2, 6)
    return Machine(config.intervals, usual, np.full(size, 0.4), vectors, weights, 0.1, 0.5 / size)


def untrained(config: Config | None = None, decide: DecideSpec | None = None) -> export_onnx.Trained:
    """A network with seeded random weights, as `export.onnx.load` would give a trained one, and what belongs to it."""
    config = config or tiny_config()
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net, beat_net = HeartNet(config.net), BeatNet(config.beat_net)
        for norm in (net.first_norm, net.second_norm):  # as after training: not the identity
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.uniform_(-0.1, 0.1)
            norm.running_var.uniform_(0.5, 2.0)
    answer = Answer(JOIN, decide or DecideSpec(threshold=0.0), machine(config))
    return export_onnx.Trained(net.eval(), beat_net.eval(), config, answer, QualitySpec(), NOTES)


def hearing_config(**tables: Any) -> Config:
    """Settings for `hearing_net`: two frames of lookahead are all that it knows of what comes."""
    rhythm = tables.pop("rhythm", {}) | {"lookahead_frames": 2}
    return tiny_config(rhythm=rhythm, **tables)


def hearing_net(config: Config) -> BeatNet:
    """A network made by hand for the default bands that hears thumps of 50 Hz as S1 and of 70 Hz as S2.

    One channel of the convolution per sound: by how much the bands below 120 Hz rose at the middle one of its five
    frames, and which of them did most. The GRU hands both on (its update gate is shut, its memory unused).
    """
    net = BeatNet(config.beat_net).eval()
    rose = torch.tensor([-1 / 2, -1 / 2, 1 / 3, 1 / 3, 1 / 3])
    since = torch.tensor([0, 0, 0, 1 / 2, 1 / 2])
    low, lower = torch.zeros(config.beat_net.features), torch.zeros(config.beat_net.features)
    low[:9], lower[:2], lower[4:7] = 1 / 9, 1 / 2, -1 / 3
    hidden, shut, gru = config.beat_net.hidden, -30.0, dict(net.gru.named_parameters())
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
        for k, sign in enumerate((1, -1)):
            net.convolution.weight[k] = low[:, None] * rose + sign * 2 * lower[:, None] * since
            net.convolution.bias[k] = -2.8  # type: ignore[index]
            gru["weight_ih_l0"][2 * hidden + k, k] = 1
            net.last.weight[k, k] = 10
        gru["bias_ih_l0"][hidden : 2 * hidden] = shut
        net.last.bias[:2] = -3
    return net


def thumps(seconds: float, onsets_s: Array, rate_hz: int = 2000, seed: int = 0) -> Array:
    """A sound as `hearing_net` knows it: at each onset S1, 0.3 s later S2; over hiss, (n,) float32."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    x = 0.003 * np.random.default_rng(seed).normal(size=len(t))
    for after_s, pitch_hz in ((0.0, 50), (0.3, 70)):
        for onset_s in onsets_s + after_s:
            since_s = t[t >= onset_s] - onset_s
            x[t >= onset_s] += 0.3 * np.exp(-since_s / 0.02) * np.sin(2 * np.pi * pitch_hz * since_s)
    return x.astype(np.float32)


def skipping(until_s: float, every: int = 6, cycle_s: float = 0.8) -> Array:
    """Onsets in seconds of a heart of which every so many beats one comes early, with its pause."""
    steady = np.arange(0.2, until_s, cycle_s)
    return np.asarray(steady - 0.4 * cycle_s * (np.arange(len(steady)) % every == every - 1))


def hearing() -> export_onnx.Trained:
    """`untrained`, but that it finds S1 and S2 in `thumps`."""
    config = hearing_config()
    return untrained(config)._replace(beat_net=hearing_net(config))


def offline(trained: export_onnx.Trained, table: Table) -> tuple[nested.Learned, Sources]:
    """The same model and recordings as evaluation has them, where there is no stream."""
    config, answer = trained.config, trained.answer
    at = evidence.moments(config, table)
    early = evidence.early_beats(config, trained.beat_net, table, at)
    nobody, limit = np.zeros(0, dtype=np.int64), answer.decide.threshold
    learned = nested.Learned("default", trained.net, answer.machine, answer.join, limit, nobody, np.zeros((0, 5)))
    return learned, Sources(table, at, early, answer.join.early)


def meta_of(trained: export_onnx.Trained) -> dict[str, Any]:
    """The bundle's metadata."""
    return export_onnx.describe(trained, "tiny", [])


def graph_of(trained: export_onnx.Trained) -> Any:
    """The bundle's graph; what the exporter prints is swallowed."""
    with contextlib.redirect_stdout(io.StringIO()):
        return export_onnx.graph(trained.net, trained.config.window.window_frames)


def rhythm_graph_of(trained: export_onnx.Trained) -> Any:
    """The graph that finds S1 and S2, if there is one."""
    if trained.beat_net is None:
        return None
    with contextlib.redirect_stdout(io.StringIO()):
        return export_onnx.rhythm_graph(trained.beat_net, trained.config.rhythm.block_frames)


def data_of(trained: export_onnx.Trained) -> bytes:
    """The bundle's bytes."""
    return export_onnx.with_metadata(graph_of(trained), meta_of(trained), rhythm_graph_of(trained))


@functools.cache
def default_data() -> bytes:
    """The bytes of the tiny bundle with default settings; made once."""
    return data_of(untrained())


@functools.cache
def default_rhythm() -> str:
    """Its graph that finds S1 and S2, as it lies in the metadata."""
    graph = rhythm_graph_of(untrained())
    return base64.b64encode(graph.SerializeToString()).decode("ascii")


@functools.cache
def _default_text() -> str:
    return json.dumps(meta_of(untrained()))


def default_meta() -> dict[str, Any]:
    """Its metadata, a fresh copy to alter."""
    return dict(json.loads(_default_text()))


def write(path: Path) -> Path:
    """Write the tiny bundle with default settings to `path`, which ends in .onnx."""
    path.write_bytes(default_data())
    return path


def judged(model: Bundle, windows: Array, envelopes: Array, premature: Array) -> Joined:
    """What a model says of moments of one shape: (n, k, features), (n, m, bands), (n,)."""
    return model.joined(model.logits(windows), model.spacing(envelopes), premature)
