"""`laennec train`: find beats, learn in inner folds, choose a recipe, calibrate, report, learn from everything.

The folder RUN holds, in the order written:

    config.json           the configuration, complete
    beats.safetensors     the network that finds S1 and S2, where recordings have annotated beats
    <recipe>-inner<k>.safetensors  the network of a recipe that did not learn from inner fold k
    model.safetensors     the network that learned from everything: what `export` takes
    quality.json          the signal quality index, fitted
    splits.json           names learned from, their counts, number of groups and hash
    answer.json           how its answers are joined with what the rhythm says, calibrated, and when it abstains
    windows.safetensors   features of some recordings, on which `export` proves that ONNX Runtime answers as torch does
    predictions.csv       for each recording the answer of the network that did not learn from it
    metrics.json          their scores with intervals
    learning.png, confusion.png, report.md
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

from models import codec
from models.classes import CLASSES
from models.decide import DecideSpec
from models.errors import InputFileError, SettingError
from models.extrasystole import Machine
from models.frontend import FrontEndSpec
from models.join import JoinSpec, probabilities
from models.quality import QualitySpec
from train import beats, checkpoint, evidence, extrasystole, nested, report, scores
from train.config import Config, from_dict, to_dict
from train.inner import Sources, Work, checkpoint_of
from train.protocols import learnable
from train.splits import split_hash
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
        InputFileError: its configuration is damaged.
    """
    held = run / "config.json"
    if run.exists() and not run.is_dir():
        raise SettingError(f"{run} is a file; give another --out")
    if not resume and run.exists() and any(run.iterdir()):
        raise SettingError(f"{run} is not empty; continue it with --resume, or give a new --out")
    if resume:
        if not held.exists():
            raise SettingError(f"{run} holds no run to resume; leave --resume out")
        if configuration(held) != config:
            raise SettingError(f"{run} was begun with another configuration; give the same --config, or a new --out")
        return
    try:
        run.mkdir(parents=True, exist_ok=True)
        held.write_text(json.dumps(to_dict(config), indent=2) + "\n")
    except OSError as error:
        raise SettingError(f"{run}: can't be written: {error.strerror}; give another --out") from error


def configuration(path: Path) -> Config:
    """Of a run, from its config.json.

    Raises:
        InputFileError: missing or damaged.
    """
    try:
        return from_dict(json.loads(path.read_text()), str(path))
    except (OSError, ValueError, SettingError) as error:
        raise InputFileError(f"{path}: is no configuration of a run ({error}); train anew in a new folder") from error


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
    sources = _sources(run, config, data, step, stop)
    learned = nested.learn(config, Work(sources, usable, usable[:0], config.seed, run, step, stop))
    # Only now is it certain that a run that is continued learned from these recordings.
    splits = {"learned from": _side(table, usable)}
    _write_json(run / "quality.json", asdict(data.quality))
    _write_json(run / "splits.json", splits)
    decide = DecideSpec(threshold=learned.threshold, smoothing=config.answer.smoothing, margin=config.answer.margin)
    machine = codec.encode_machine(learned.machine) if learned.machine else None
    _write_json(run / "answer.json", {"join": asdict(learned.join), "decide": asdict(decide), "extrasystole": machine})
    _write_windows(run / "windows.safetensors", config, table, usable)
    metrics = {"recipe": learned.recipe} | _metrics(table, usable, learned.answers, decide)
    _write_json(run / "metrics.json", metrics)
    _write_predictions(run / "predictions.csv", table, usable, probabilities(learned.answers))
    history = checkpoint.load(checkpoint_of(run, learned.recipe, 0)).notes["history"]
    report.write(run, metrics, history, splits)


def _sources(
    run: Path, config: Config, data: Data, step: Callable[[str, int, float], None], stop: Callable[[], bool]
) -> Sources:
    """What the rhythm says of all recordings, by a network that learns here, where beats are annotated."""
    table, net, odds = data.labelled, None, JoinSpec().early
    timed = [i for i, t in enumerate(data.timed.recordings) if t.source == "circor"]
    if timed:
        noises = [table.features(i) for i, r in enumerate(table.recordings) if r.source == "noise"]
        fit = beats.fit(config, data.timed, timed, noises, config.seed)
        net = fit.run(run / "beats.safetensors", lambda n, loss: step(BEATS, n, loss), stop)
        ratio = extrasystole.weigh_premature(config, net, data.timed, timed, config.seed)
        odds = extrasystole.early_odds(config, ratio)
    at = evidence.moments(config, table)
    return Sources(table, at, evidence.early_beats(config, net, table, at), odds)


class Answer(NamedTuple):
    """How a finished run's network is made to answer."""

    join: JoinSpec
    decide: DecideSpec
    machine: Machine | None


def answer(run: Path, front_end: FrontEndSpec) -> Answer:
    """What a finished run fitted.

    Raises:
        InputFileError: the run is not finished.
    """
    try:
        held = json.loads((run / "answer.json").read_text())
        machine = held["extrasystole"]
        return Answer(
            codec.decode_spec(JoinSpec, held["join"]),
            codec.decode_spec(DecideSpec, held["decide"]),
            codec.decode_machine(machine, front_end) if machine else None,
        )
    except (OSError, LookupError, ValueError, TypeError) as error:
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


def _side(table: Table, indices: Array) -> dict[str, Any]:
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


def _metrics(table: Table, indices: Array, logits: Array, decide: DecideSpec) -> dict[str, Any]:
    recordings = [table.recordings[i] for i in indices]
    truth, answers = table.labels[indices], probabilities(logits)
    answered = answers.max(axis=1) >= decide.threshold
    right = answers.argmax(axis=1) == truth
    return {
        "says": "one answer per recording, from the network that did not learn from any of its group (inner folds); "
        "calibration and threshold are fitted on these same answers, so figures that use them are a little optimistic",
        "decide": asdict(decide),
        "calibration_error": round(scores.calibration_error(truth, answers), 4),
        "answered_share": round(float(answered.mean()), 4),
        "answered_accuracy": round(float(right[answered].mean()), 4) if answered.any() else None,
        **scores.classification(truth, answers.argmax(axis=1)[None], [r.group for r in recordings]),
    }


def _write_predictions(path: Path, table: Table, indices: Array, answers: Array) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["source", "name", "group", "label", "answer", *(f"p_{c}" for c in CLASSES)])
        for i, p in zip(indices, answers, strict=True):
            r = table.recordings[i]
            rows.writerow([r.source, r.name, r.group, r.label, CLASSES[p.argmax()], *(f"{x:.4f}" for x in p)])


def _write_windows(path: Path, config: Config, table: Table, indices: Array) -> None:
    """Features of some recordings' last windows, of several lengths: `export` proves itself on them."""
    some = [
        int(i) for i in indices[:: max(1, len(indices) // _PROOFS)] if table.frames(i) >= config.window.least_frames
    ]
    save_file({str(i): table.features(i)[-config.window.window_frames :].copy() for i in some}, path)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")
