"""An untrained model bundle of the real layout, made in about a second: for tests that need a model, not its skill."""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import json
from pathlib import Path
from typing import Any

import torch

from export import onnx as export_onnx
from models.decide import DecideSpec
from models.nets import BeatNet, HeartNet
from models.quality import QualitySpec
from train.config import Config, from_dict

SCORE = {"value": 0.5, "low": 0.4, "high": 0.6}
NOTES: dict[str, Any] = {
    "splits": {
        side: {"hash": "0" * 12, "groups": 2, "counts": {"folder normal": 3}, "names": ["folder/a.wav"]}
        for side in ("learned from", "held out")
    },
    "metrics": {"n": 3, "accuracy": SCORE, "balanced_accuracy": SCORE, "macro_f1": SCORE, "per_class": {}},
}


def tiny_config(**tables: Any) -> Config:
    """A small network behind the default front end and windows; other tables as given."""
    return from_dict({"net": {"channels": 8, "hidden": 8}, "beat_net": {"channels": 6, "hidden": 8}, **tables})


def untrained(config: Config | None = None, decide: DecideSpec | None = None) -> export_onnx.Trained:
    """A network with seeded random weights, as `export.onnx.load` would give a trained one."""
    config = config or tiny_config()
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net, beat_net = HeartNet(config.net), BeatNet(config.beat_net)
        for norm in (net.first_norm, net.second_norm):  # as after training: not the identity
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.uniform_(-0.1, 0.1)
            norm.running_var.uniform_(0.5, 2.0)
    decide = decide or DecideSpec(threshold=0.0)
    return export_onnx.Trained(net.eval(), beat_net.eval(), config, decide, QualitySpec(), NOTES)


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
