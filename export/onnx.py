"""A trained run to one ONNX file: the network as a window graph, everything else as one JSON value in its metadata."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import onnx
import torch
from torch import Tensor, nn

from export.listening import Listening
from models import beat_graph, bundle, codec
from models.classes import CLASSES
from models.errors import InputFileError, SettingError
from models.nets import BeatNet, HeartNet, Onsets, parameters
from models.quality import QualitySpec
from train import checkpoint, run
from train.config import Config, from_dict, recipes
from train.filterbank import front_end
from train.headlines import headline
from train.loop import Net

_OPSET = 17
_LICENCE = "MIT"
#: Terms of the data sets, by the beginning of a source's name; of other recordings only their owner knows.
_TERMS = {"pascal": "PASCAL (CC0)", "circor": "CirCor DigiScope (ODC-By 1.0)", "noise": "noise (ESC-10 is CC BY 3.0)"}
_INTENDED_USE = "research and education; not a medical device, and no result of it is a diagnosis"


class Trained(NamedTuple):
    """What a finished run left."""

    net: HeartNet
    beat_net: BeatNet | None  # None where no recording had annotated beats
    config: Config
    answer: run.Answer  # how its logits become an answer
    quality: QualitySpec
    notes: dict[str, Any]  # splits and metrics, as written by the run


def load(folder: Path) -> Trained:
    """Read a finished run.

    Raises:
        InputFileError: not a run, or not finished.
    """
    torch.set_num_threads(1)  # as in training; networks this small only wait for their helpers
    quality = run.quality_spec(folder)
    held = checkpoint.load(folder / "model.safetensors")
    beats = folder / "beats.safetensors"
    try:
        config = run.configuration(folder / "config.json")
        if from_dict(held.notes["config"]) not in recipes(config).values():
            raise InputFileError(f"{folder}: model.safetensors has other settings than config.json; train anew")
        net = _trained(folder, held, HeartNet(config.net), config.fit.steps)
        beat_net = None
        if beats.exists():
            found = checkpoint.load(beats)
            if from_dict(found.notes["config"]) != config:
                raise InputFileError(f"{beats}: was trained with other settings than model.safetensors; train anew")
            beat_net = _trained(folder, found, BeatNet(config.beat_net), config.beat_fit.steps)
        answer = run.answer(folder, config.front_end)
        notes = {name: dict(json.loads((folder / f"{name}.json").read_text())) for name in ("splits", "metrics")}
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:  # RuntimeError: weights that do not fit
        raise InputFileError(f"{folder}: is not a whole training run ({_first_line(error)}); train anew") from error
    return Trained(net, beat_net, config, answer, quality, notes)


def _trained(folder: Path, held: checkpoint.Checkpoint, net: Net, steps: int) -> Net:
    """The network with a finished run's weights, ready to predict."""
    run.check_finished(folder, held.notes["step"], steps)
    net.load_state_dict(checkpoint.averaged(held))
    return net.eval()


def graph(net: HeartNet, frames: int) -> onnx.ModelProto:
    """The network that classifies windows as ONNX, batch and time free.

    Args:
        net: ready to predict.
        frames: length of the example window.
    """
    example = (torch.zeros(2, frames, net.spec.features),)
    free = {"features": {0: "batch", 1: "time"}, "logits": {0: "batch"}}
    return _exported(Listening(net), example, bundle.INPUTS, (bundle.OUTPUT,), free)


def rhythm_graph(net: BeatNet, frames: int) -> onnx.ModelProto:
    """The network that finds S1 and S2 as ONNX: a block and a state in, onsets and a state out.

    The batch is free. The time is not: a stream always gives whole blocks, and the weights of the running means are
    constants then.

    Args:
        net: ready to predict.
        frames: length of a block.
    """
    example = (torch.zeros(2, frames, net.spec.features), torch.zeros(2, net.spec.state))
    free = {name: {0: "batch"} for name in (*beat_graph.INPUTS, *beat_graph.OUTPUTS)}
    return _exported(Onsets(net), example, beat_graph.INPUTS, beat_graph.OUTPUTS, free)


def _exported(
    net: nn.Module,
    example: tuple[Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    free: dict[str, dict[int, str]],
) -> onnx.ModelProto:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The old exporter keeps the time axis free and the weights inside the file; the new one does neither yet.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            example,
            buffer,  # type: ignore[arg-type]  # a file object is fine, only its annotation says paths
            dynamo=False,
            opset_version=_OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=free,
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
    sides, machine = trained.notes["splits"], trained.answer.machine
    return {
        "schema": bundle.SCHEMA,
        "version": version("laennec"),
        "id": name,
        "kind": "window",
        "classes": list(CLASSES),
        "front_end": asdict(spec),
        "front_end_digest": features.digest,
        "matrices": {key: codec.encode_matrix(m) for key, m in features.matrices._asdict().items()},
        "window": asdict(trained.config.window),
        "join": asdict(trained.answer.join),
        "decide": asdict(trained.answer.decide),
        "extrasystole": codec.encode_machine(machine) if machine else None,
        "quality": asdict(trained.quality),
        "rhythm": asdict(trained.config.rhythm) if trained.beat_net else None,
        "delay_s": spec.frame_samples / spec.rate_hz,
        "rhythm_delay_s": trained.config.rhythm.delay_s(spec) if trained.beat_net else None,
        "parameters": parameters(trained.net) - parameters(trained.net.states),  # those that serve listening
        "rhythm_parameters": parameters(trained.beat_net) if trained.beat_net else 0,
        "extrasystole_parameters": machine.parameters if machine else 0,
        "training": {key: {k: v for k, v in side.items() if k != "names"} for key, side in sides.items()},
        "inner_folds": trained.notes["metrics"],
        "figures": results,
        "commit": _commit(),
        "licence": _licence(sides),
        "intended_use": _INTENDED_USE,
    }


def with_metadata(model: onnx.ModelProto, meta: dict[str, Any], rhythm: onnx.ModelProto | None) -> bytes:
    """The file's bytes.

    Args:
        model: from `graph`.
        meta: from `describe`.
        rhythm: from `rhythm_graph`, where the run has one.
    """
    del model.metadata_props[:]
    values = {bundle.METADATA_KEY: json.dumps(meta)}
    if rhythm is not None:
        values[bundle.RHYTHM_KEY] = base64.b64encode(rhythm.SerializeToString()).decode("ascii")
    onnx.helper.set_model_props(model, values)
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
    about = {key: result[key] for key in ("protocol", "says", "leaky")}
    return about | {"headline": headline(result)}


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
