"""Results of every classification protocol as `train.results` makes them, from answers that are drawn at random.

Nothing is learned: an answer is right about as often as a fair model's. So that what is written and drawn of results is
tested on their real shape.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import soundfile
from conftest import ROOT

from models.classes import CLASSES
from models.join import NEVER, Joined
from models.windows import decision_ends
from train import baselines, protocols, results, scores
from train.config import Config, to_dict
from train.datasets import Recording
from train.evaluate import Answers, Data
from train.patients import Told
from train.protocols import Case
from train.table import Features, Table

Array = np.ndarray
_SET_A = {"normal": 12, "murmur": 10, "extra_heart_sound": 8, "artifact": 10}
_SET_B = {"normal": 24, "murmur": 12, "extrasystole": 10}
_SITES, _AGES = ("AV", "MV", "PV", "TV"), ("Child", "Infant", "Adolescent")


def write(folder: Path) -> None:
    """A file of each protocol, as `laennec evaluate --json` writes it; those of the signal are the committed ones."""
    every = recordings(folder)
    about = {"config": to_dict(Config()), "data": ["circor", "noise", "pascal"]}
    # Intervals from few resamples and a baseline without its forest: nobody reads them here, and they take minutes.
    with (
        mock.patch.object(scores, "_RESAMPLES", 20),
        mock.patch.object(baselines, "nuisance_answers", lambda _, labels, asked, __: np.resize(labels, len(asked))),
    ):
        for name in protocols.PROTOCOLS:
            (folder / f"{name}.json").write_text(json.dumps(made(name, every, 700) | about))
    for name in ("timing", "quality"):
        shutil.copy(ROOT / "docs" / "results" / f"{name}.json", folder)


def recordings(folder: Path) -> list[Recording]:
    """Of PASCAL, two a day or patient, and of CirCor, in the shares of present, absent and unknown of the real set."""
    path = folder / "any.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 4000), 2000)
    found = [
        _of_pascal(path, which, *told) for which, shares in (("a", _SET_A), ("b", _SET_B)) for told in _each(shares)
    ]
    for n in range(30):
        patient_label = ("normal", "normal", "murmur", "unknown", "normal")[n % 5]
        for k, site in enumerate(_SITES):
            label = "murmur" if patient_label == "murmur" and k < 3 else "normal"
            found.append(_of_circor(path, f"{n}", patient_label, site, label, _AGES[n % 3]))
    return found


def made(name: str, every: Sequence[Recording], frames: int) -> dict[str, Any]:
    """A result of the protocol; every recording has so many frames."""
    config, rng = Config(), np.random.default_rng(1)
    cases = protocols.cases(name, every, [], config.seed)
    offsets = frames * np.arange(len(every) + 1)
    data = Data(
        Table.of(Features(tuple(every), np.zeros((offsets[-1], 1), np.float32), offsets)),
        Features((), np.zeros((0, 1)), np.zeros(1)),
    )
    if name == "cross-device":
        return results.cross_device(data, cases, [_logits(data.table, case, rng) for case in cases])
    answers = [_answers(config, data.table, case, rng) for case in cases]
    if name == "circor-patients":
        return results.circor_patients(data, answers)
    if name == "new-device":
        return results.new_device(data, answers)
    if name == "leakage":
        return results.leaks(data, answers, [_changed(data.table, case, rng) for case in cases])
    return results.recordings(name, config, data, answers)


def _each(shares: dict[str, int]) -> list[tuple[str, int]]:
    return [(label, n) for label, count in shares.items() for n in range(count)]


def _of_pascal(path: Path, which: str, label: str, n: int) -> Recording:
    group = f"pascal_{which}/{label[:4] if which == 'b' else ''}{n // 2}"
    return Recording(
        path, f"set_{which}/{label}__{n:03}.wav", label, f"pascal_{which}", group, (True,) * 5, noisy=n % 3 == 0
    )


def _of_circor(path: Path, patient: str, patient_label: str, site: str, label: str, age: str) -> Recording:
    outcome = "Normal" if patient_label == "normal" else "Abnormal"
    speaks_of = (True, True, True, False, True)
    name = f"audio/{patient}_{site}.wav"
    return Recording(
        path,
        name,
        label,
        "circor",
        f"circor/{patient}",
        speaks_of,
        False,
        site,
        patient,
        patient_label,
        age,
        outcome,
        16.0,
    )


def _logits(table: Table, case: Case, rng: np.random.Generator) -> Array:
    """Calibrated, roughly: the truth's lead is now and then below 0, and much the same for all seeds."""
    drawn = np.random.default_rng(7)
    lead = drawn.normal(2.0, 2.0, (len(table), 1)) * np.eye(len(CLASSES))[table.labels]
    common = lead + drawn.normal(0, 1.0, (len(table), len(CLASSES))) + [1.5, 0.0, -1.0, -0.5, -1.0]
    return np.asarray(common[case.tested] + rng.normal(0, 0.5, (len(case.tested), len(CLASSES))))


def _answers(config: Config, table: Table, case: Case, rng: np.random.Generator) -> Answers:
    logits = _logits(table, case, rng)
    rolling = []
    for i, told in zip(case.tested, logits, strict=True):
        ends = np.array(decision_ends(config.window, table.frames(int(i))))
        moments = told + rng.normal(0, 1, (len(ends), 5)) * np.sqrt(150 / ends)[:, None]
        early = np.where(rng.random(len(ends)) < 0.02, 1.0, NEVER)
        rolling.append(Joined(moments, early))
    device = rng.normal(0, 1, len(case.tested)) + [table.recordings[i].source == "pascal_a" for i in case.tested]
    return Answers(case, "default", logits, rolling, 0.6, np.array([0, 0.5, 1, 1, 0]), _told(table, case, rng), device)


def _told(table: Table, case: Case, rng: np.random.Generator) -> Told | None:
    own = [table.recordings[i] for i in case.tested if table.recordings[i].patient]
    patients = sorted({(r.patient, r.patient_label, r.group) for r in own})
    if not patients:
        return None
    truth = np.array([("normal", "unknown", "murmur").index(label) for _, label, _ in patients])
    lead = np.array([np.random.default_rng(int(patient)).normal(2.0, 2.0) for patient, *_ in patients])
    odds = (lead + rng.normal(0, 0.5, len(lead)))[:, None] * np.eye(3)[truth] + [1.0, 0.0, 0.5]
    chances = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    names = [f"{patient} {label}" for patient, label, _ in patients]
    shares = np.tile([0.6, 0.2, 0.2], (len(truth), 1))
    return Told(names, [group for *_, group in patients], truth, chances, chances[:, 2], shares)


def _changed(table: Table, case: Case, rng: np.random.Generator) -> dict[str, Array]:
    ways = ("as it is", "length of another", "level of another")
    return {name: _logits(table, case, rng).argmax(axis=1) for name in ways}
