"""A trained run to one ONNX file: the network as a window graph, everything else as one JSON value in its metadata."""

from __future__ import annotations

import io
import json
import subprocess
import warnings
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import torch

from models import bundle
from models.classes import CLASSES
from models.decide import DecideSpec
from models.errors import InputFileError, SettingError
from models.nets import POOLING, HeartNet, parameters
from train import checkpoint, run
from train.config import Config, from_dict
from train.filterbank import front_end

_OPSET = 17
_LICENCE = "MIT"
#: Terms of the data sets, by the beginning of a source's name; of other recordings only their owner knows.
_TERMS = {"pascal": "PASCAL (CC0)", "circor": "CirCor DigiScope (ODC-By 1.0)", "noise": "noise (ESC-10 is CC BY 3.0)"}
_INTENDED_USE = "research and education; not a medical device, and no result of it is a diagnosis"


class Trained(NamedTuple):
    """What a finished run left."""

    net: HeartNet
    config: Config
    decide: DecideSpec
    notes: dict[str, Any]  # splits and metrics, as written by the run


def load(folder: Path) -> Trained:
    """Read a finished run.

    Raises:
        InputFileError: not a run, or not finished.
    """
    decide = run.decide_spec(folder)
    held = checkpoint.load(folder / "model.safetensors")
    try:
        config = from_dict(held.notes["config"])
        run.check_finished(folder, held.notes["step"], config)
        net = HeartNet(config.net)
        net.load_state_dict(checkpoint.averaged(held))
        notes = {name: dict(json.loads((folder / f"{name}.json").read_text())) for name in ("splits", "metrics")}
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:  # RuntimeError: weights that do not fit
        raise InputFileError(f"{folder}: is not a whole training run ({_first_line(error)}); train anew") from error
    return Trained(net.eval(), config, decide, notes)


def graph(net: HeartNet, frames: int) -> onnx.ModelProto:
    """The network as ONNX, batch and time free.

    Args:
        net: ready to predict.
        frames: length of the example window.
    """
    buffer = io.BytesIO()
    example = (torch.zeros(2, frames, net.spec.features), torch.tensor([frames, max(POOLING, frames // 2)]))
    with warnings.catch_warnings():
        # The old exporter keeps the time axis free and the weights inside the file; the new one does neither yet.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            example,
            buffer,  # type: ignore[arg-type]  # a file object is fine, only its annotation says paths
            dynamo=False,
            opset_version=_OPSET,
            input_names=list(bundle.INPUTS),
            output_names=[bundle.OUTPUT],
            dynamic_axes={"features": {0: "batch", 1: "time"}, "frames": {0: "batch"}, "logits": {0: "batch"}},
        )
    return onnx.load_from_string(buffer.getvalue())


def describe(trained: Trained, name: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    """The metadata of a bundle; docs/formats.md says what each key means.

    Args:
        trained: from `load`.
        name: of the model.
        results: of protocols run on this recipe, each from `figures`.
    """
    features = front_end(trained.config.front_end)
    spec = features.spec
    sides = trained.notes["splits"]
    return {
        "schema": bundle.SCHEMA,
        "version": version("laennec"),
        "id": name,
        "kind": "window",
        "classes": list(CLASSES),
        "front_end": asdict(spec),
        "front_end_digest": features.digest,
        "matrices": {key: bundle.encode_matrix(m) for key, m in features.matrices._asdict().items()},
        "window": asdict(trained.config.window),
        "decide": asdict(trained.decide),
        "delay_s": spec.frame_samples / spec.rate_hz,
        "parameters": parameters(trained.net),
        "training": {key: {k: v for k, v in side.items() if k != "names"} for key, side in sides.items()},
        "held_out": trained.notes["metrics"],
        "figures": results,
        "commit": _commit(),
        "licence": _licence(sides),
        "intended_use": _INTENDED_USE,
    }


def with_metadata(model: onnx.ModelProto, meta: dict[str, Any]) -> bytes:
    """The file's bytes."""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {bundle.METADATA_KEY: json.dumps(meta)})
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def figures(result: dict[str, Any], config: Config) -> dict[str, Any]:
    """What a bundle keeps of a result that `laennec evaluate --json` wrote.

    Raises:
        KeyError, TypeError: not such a result.
        SettingError: a result of other settings than the run's; the seed may differ.
    """
    if replace(from_dict(result["config"]), seed=config.seed) != config:
        raise SettingError(f"the result of {result['protocol']} was made with other settings than this run")
    kept = ("protocol", "says", "leaky", "n", "accuracy", "balanced_accuracy", "macro_f1", "auroc")
    return {key: result[key] for key in kept}


def _licence(sides: dict[str, Any]) -> str:
    sources = {what.partition("_")[0].partition(" ")[0] for side in sides.values() for what in side["counts"]}
    return f"{_LICENCE}; learned from {', '.join(_TERMS.get(s, f'{s} recordings') for s in sorted(sources))}"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _commit() -> str:
    """The checkout's commit, "-dirty" where files differ from it; "unknown" outside a checkout."""
    here = Path(__file__).parent
    try:
        asked = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return "unknown"
    return asked.stdout.strip() or "unknown"
