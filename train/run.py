"""`laennec train`: hold some recordings out, learn, calibrate, report, then learn again from everything.

The folder RUN holds, in the order written:

    config.json           the configuration, complete
    splits.json           names on each side, their counts, number of groups and hash
    held-out.safetensors  the network that did not learn from the held-out recordings
    windows.safetensors   features of some of them, on which `export` proves that ONNX Runtime answers as torch does
    predictions.csv       its answer for each held-out recording
    metrics.json          their scores with intervals, the fitted calibration
    learning.png, confusion.png, report.md
    quality.json          the signal quality index, fitted
    beats.safetensors     the network that finds S1 and S2, where recordings have annotated beats
    model.safetensors     the network that learned from everything, with that calibration: what `export` takes
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save_file

from models.classes import CLASSES
from models.decide import DecideSpec, calibrate
from models.errors import InputFileError, SettingError
from models.quality import QualitySpec
from train import beats, heart, report, scores
from train import calibrate as calibration
from train.config import Config, from_dict, to_dict
from train.predict import recording_logits
from train.protocols import learnable
from train.splits import hold_out, split_hash
from train.table import Features, Table
from train.timings import Timed

Array = np.ndarray
_PROOFS = 48
#: The phase in which the network that finds S1 and S2 learns, as told to `step`.
BEATS = "S1 and S2"


class Data(NamedTuple):
    """What a run learns from."""

    labelled: Table
    timed: Features[Timed]  # recordings with annotated S1 and S2; may be empty
    quality: QualitySpec  # from `train.quality.fit`


def prepare(run: Path, config: Config, resume: bool) -> None:
    """Make the run's folder, or check that it is the one to continue.

    Raises:
        SettingError: the folder holds another run, or `resume` finds none or other settings.
    """
    held = run / "config.json"
    if run.exists() and not run.is_dir():
        raise SettingError(f"{run} is a file; give another --out")
    if not resume and run.exists() and any(run.iterdir()):
        raise SettingError(f"{run} is not empty; continue it with --resume, or give a new --out")
    if resume:
        if not held.exists():
            raise SettingError(f"{run} holds no run to resume; leave --resume out")
        if _configuration(held) != config:
            raise SettingError(f"{run} was begun with another configuration; give the same --config, or a new --out")
        return
    try:
        run.mkdir(parents=True, exist_ok=True)
        held.write_text(json.dumps(to_dict(config), indent=2) + "\n")
    except OSError as error:
        raise SettingError(f"{run}: can't be written: {error.strerror}; give another --out") from error


def _configuration(path: Path) -> Config:
    try:
        return from_dict(json.loads(path.read_text()), str(path))
    except (OSError, ValueError) as error:
        raise SettingError(f"{path}: can't be read ({error}); give a new --out") from error


def train(
    run: Path, config: Config, data: Data, step: Callable[[str, int, float], None], stop: Callable[[], bool]
) -> None:
    """Everything after the features.

    Args:
        run: folder from `prepare`.
        config: the recipe.
        data: all recordings.
        step: called with the phase's name, its step and loss.
        stop: asked after each step.

    Raises:
        Interrupted: `stop` said so; call again to continue.
    """
    table = data.labelled
    usable = learnable(table.recordings, np.arange(len(table)))
    kept, held = hold_out([table.recordings[i] for i in usable], config.answer.hold_out, config.seed)
    kept, held = usable[kept], usable[held]
    inner = heart.fit(config, table, list(kept), config.seed, list(held))
    net = inner.run(run / "held-out.safetensors", lambda n, loss: step("with recordings held out", n, loss), stop)
    splits = _splits(table, kept, held)
    _write_json(run / "splits.json", splits)
    _write_windows(run / "windows.safetensors", config, table, held)
    logits = recording_logits(net, config.window, table, list(held))
    decide = calibration.fit(config.answer, logits, table.labels[held])
    metrics = _metrics(table, held, logits, decide)
    _write_json(run / "metrics.json", metrics)
    _write_predictions(run / "predictions.csv", table, held, calibrate(decide, logits))
    report.write(run, metrics, inner.history, splits)
    _write_json(run / "quality.json", asdict(data.quality))
    learned = [i for i, timed in enumerate(data.timed.recordings) if timed.source == "circor"]
    if learned:
        noises = [table.features(i) for i, r in enumerate(table.recordings) if r.source == "noise"]
        beats.fit(config, data.timed, learned, noises, config.seed).run(
            run / "beats.safetensors", lambda n, loss: step(BEATS, n, loss), stop
        )
    heart.fit(config, table, list(usable), config.seed).run(
        run / "model.safetensors", lambda n, loss: step("on everything", n, loss), stop
    )


def decide_spec(run: Path) -> DecideSpec:
    """The calibration that a finished run fitted.

    Raises:
        InputFileError: the run is not finished.
    """
    try:
        return DecideSpec(**json.loads((run / "metrics.json").read_text())["decide"])
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputFileError(
            f"{run}: holds no finished training run; train first, or continue with --resume"
        ) from error


def quality_spec(run: Path) -> QualitySpec:
    """The quality index that a finished run fitted.

    Raises:
        InputFileError: the run is not finished.
    """
    try:
        return QualitySpec(**json.loads((run / "quality.json").read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InputFileError(f"{run}: holds no quality index; train first, or continue with --resume") from error


def check_finished(run: Path, step: int, wanted: int) -> None:
    """Refuse a network that has not learned to the end.

    Raises:
        InputFileError: fewer steps than the configuration asks for.
    """
    if step < wanted:
        raise InputFileError(f"{run}: stopped at step {step} of {wanted}; continue with --resume")


def _splits(table: Table, kept: Array, held: Array) -> dict[str, Any]:
    def side(indices: Array) -> dict[str, Any]:
        recordings = [table.recordings[i] for i in indices]
        names = [f"{r.source}/{r.name}" for r in recordings]
        counts: dict[str, int] = {}
        for r in recordings:
            counts[f"{r.source} {r.label}"] = counts.get(f"{r.source} {r.label}", 0) + 1
        return {
            "hash": split_hash(names),
            "groups": len({r.group for r in recordings}),
            "counts": dict(sorted(counts.items())),
            "names": names,
        }

    return {"learned from": side(kept), "held out": side(held)}


def _metrics(table: Table, held: Array, logits: Array, decide: DecideSpec) -> dict[str, Any]:
    truth = table.labels[held]
    probabilities = calibrate(decide, logits)
    answered = probabilities.max(axis=1) >= decide.threshold
    right = probabilities.argmax(axis=1) == truth
    groups = [table.recordings[i].group for i in held]
    return {
        "says": "one answer per held-out recording, from the network that did not learn from any of its group; the "
        "calibration and threshold are fitted on these same recordings, so figures that use them are optimistic",
        "decide": asdict(decide),
        "calibration_error": round(scores.calibration_error(truth, probabilities), 4),
        "answered_share": round(float(answered.mean()), 4),
        "answered_accuracy": round(float(right[answered].mean()), 4) if answered.any() else None,
        **scores.classification(truth, probabilities.argmax(axis=1)[None], groups),
    }


def _write_predictions(path: Path, table: Table, held: Array, probabilities: Array) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["source", "name", "group", "label", "answer", *(f"p_{c}" for c in CLASSES)])
        for i, p in zip(held, probabilities, strict=True):
            r = table.recordings[i]
            rows.writerow([r.source, r.name, r.group, r.label, CLASSES[p.argmax()], *(f"{x:.4f}" for x in p)])


def _write_windows(path: Path, config: Config, table: Table, held: Array) -> None:
    """Features of some held-out recordings' last windows, of several lengths: `export` proves itself on them."""
    some = [int(i) for i in held[:: max(1, len(held) // _PROOFS)] if table.frames(i) >= config.window.least_frames]
    save_file({str(i): table.features(i)[-config.window.window_frames :].copy() for i in some}, path)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")
