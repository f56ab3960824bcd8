"""All figures of a protocol from its models' answers, ready for JSON; docs/evaluation.md says what each means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from models.classes import CLASSES
from models.errors import SettingError
from models.join import Joined
from models.windows import decision_ends
from train import baselines, evaluate, gathered, leakage, over_time, patient_scores, patients, scores
from train.config import Config
from train.datasets import Recording
from train.evaluate import Answers, Data
from train.protocols import PROTOCOLS, Case
from train.table import Table

Array = np.ndarray
_NORMAL, _MURMUR, _EXTRA, _EXTRASYSTOLE, _ARTIFACT = range(len(CLASSES))


def of(name: str, config: Config, data: Data, cases: Sequence[Case], shop: evaluate.Workshop) -> dict[str, Any]:
    """Run a protocol and score it.

    Args:
        name: one of `PROTOCOLS`.
        config: the recipe.
        data: all recordings.
        cases: of that protocol.
        shop: where and how models are learned.
    """
    if name == "cross-device":
        return cross_device(data, cases, evaluate.cross(config, data, cases, shop))
    answers = evaluate.run(config, data, cases, shop)
    chosen = Counter(a.recipe for a in answers)
    return _scored(name, config, data, cases, answers, shop) | {"recipes": dict(sorted(chosen.items()))}


def _scored(
    name: str, config: Config, data: Data, cases: Sequence[Case], answers: Sequence[Answers], shop: evaluate.Workshop
) -> dict[str, Any]:
    if name == "circor-patients":
        return circor_patients(data, answers)
    if name == "new-device":
        return new_device(data, answers)
    if name == "leakage":
        return leaks(data, answers, evaluate.changed(config, data, cases, shop))
    return recordings(name, config, data, answers)


def about(name: str) -> dict[str, Any]:
    """What every result says of its protocol."""
    protocol = PROTOCOLS[name]
    return {"protocol": name, "says": protocol.says, "leaky": protocol.leaky}


def recordings(name: str, config: Config, data: Data, answers: Sequence[Answers]) -> dict[str, Any]:
    """`pascal-grouped` and `seed-split`: one answer per recording of PASCAL."""
    found = gathered.gather(answers)
    own, truth, groups = _facts(data.table, found)
    sources = _values(own, "source")
    return (
        about(name)
        | gathered.answered(truth, found, groups)
        | {
            "auroc": gathered.areas(own, truth, found.probabilities),
            "set_a_normals": gathered.mistaken(own, truth, found, "pascal_a"),
            "heard": over_time.heard(config, truth, *_streamed(config, data.table, found), groups),
            "flips_per_minute": over_time.flips(config, _seconds(config, data.table, found), found.rolling, groups),
            "parts": {s: gathered.classified(truth, found, groups, _where(own, "source", s)) for s in sources},
            "baselines": _baselines(data.table, answers, found.tested, truth, groups),
            "answers": gathered.listed(own, found),
        }
    )


def circor_patients(data: Data, answers: Sequence[Answers]) -> dict[str, Any]:
    """`circor-patients`: one answer per patient; murmur against normal by site and by age; the open answer."""
    found = gathered.gather(answers)
    own, truth, groups = _facts(data.table, found)
    told = _patient_runs(answers)
    clear = np.array([r.patient_label == "normal" or r.label == "murmur" for r in own])
    parts = {
        name: {v: gathered.murmur_auroc(own, found, clear & _where(own, fact, v)) for v in _values(own, fact)}
        for name, fact in (("sites", "location"), ("ages", "age"))
    }
    return about("circor-patients") | {
        **patient_scores.score(told),
        "parts": parts,
        "open_answer": gathered.answered(truth[clear], found.of(clear), list(np.array(groups)[clear])),
        "answers": patient_scores.listed(told),
        "baselines": _patient_baselines(data.table, answers),
    }


def new_device(data: Data, answers: Sequence[Answers]) -> dict[str, Any]:
    """`new-device`: per source left out, the open answer on its normals, and murmur against normal."""
    sources = {}
    for source in sorted({a.case.name.partition("without-")[2] for a in answers}):
        found = gathered.gather([a for a in answers if a.case.name.endswith(f"without-{source}")])
        own, _, groups = _facts(data.table, found)
        sources[source] = {
            "clear_normals": gathered.open_answers(found, np.array([_clear_normal(r) for r in own]), groups),
            "all_normals": gathered.open_answers(
                found, np.array([r.label == "normal" and r.patient_label in {"", "normal"} for r in own]), groups
            ),
            "auroc": {"murmur vs normal": gathered.murmur_auroc(own, found, np.array([_either(r) for r in own]))},
        }
        if source == "circor":
            by_patient = gathered.murmur_auroc_by_patient(own, found)
            sources[source]["auroc"]["murmur present vs absent, by patient"] = by_patient
    return about("new-device") | {"sources": sources}


def cross_device(data: Data, cases: Sequence[Case], logits: Sequence[Array]) -> dict[str, Any]:
    """`cross-device`: murmur against normal, learned on one source, tested on another."""
    pairs: dict[str, list[tuple[Any, Array]]] = {}
    for case, found in zip(cases, logits, strict=True):
        pairs.setdefault(case.name.partition("-")[2], []).append((case, found))
    areas = {}
    for name, runs in pairs.items():
        tested = runs[0][0].tested
        own = [data.table.recordings[i] for i in tested]
        clear = np.array([_either(r) for r in own])
        odds = np.array([found[clear, _MURMUR] - found[clear, _NORMAL] for _, found in runs])
        positive = np.array([r.label == "murmur" for r, c in zip(own, clear, strict=True) if c])
        areas[name] = scores.auroc(positive, odds, [r.group for r, c in zip(own, clear, strict=True) if c])
    return about("cross-device") | {"auroc": areas}


def leaks(data: Data, answers: Sequence[Answers], changed: Sequence[dict[str, Array]]) -> dict[str, Any]:
    """`leakage`; `changed` holds per case the answers by what was changed, "as it is" among them."""
    found = gathered.gather(answers)
    own, truth, _ = _facts(data.table, found)
    odds = np.zeros((len(found.rolling), len(own)))
    seeds = sorted({a.case.seed for a in answers})
    then = {name: np.zeros((len(seeds), len(own)), dtype=np.int64) for name in changed[0]}
    for a, told in zip(answers, changed, strict=True):
        run, rows = seeds.index(a.case.seed), np.searchsorted(found.tested, a.case.tested)
        odds[run, rows] = a.device
        for name, classes in told.items():
            then[name][run, rows] = classes
    unchanged = then.pop("as it is")
    return about("leakage") | {
        "device_auroc": leakage.device(own, odds),
        "set_a_normals": gathered.mistaken(own, truth, found, "pascal_a"),
        "changed": leakage.describe(own, truth, unchanged, then),
    }


def _facts(table: Table, found: gathered.Gathered) -> tuple[list[Recording], Array, list[str]]:
    own = [table.recordings[i] for i in found.tested]
    return own, table.labels[found.tested], [r.group for r in own]


def _values(own: Sequence[Recording], fact: str) -> list[str]:
    """What a fact can be, where it is known."""
    return sorted({getattr(r, fact) for r in own} - {""})


def _where(own: Sequence[Recording], fact: str, value: str) -> Array:
    """(n,) bool, recordings of which it is so."""
    return np.array([getattr(r, fact) == value for r in own])


def _either(r: Recording) -> bool:
    """Murmur at this site, or none in the patient."""
    return r.label == "murmur" or (r.label == "normal" and r.patient_label in {"", "normal"})


def _clear_normal(r: Recording) -> bool:
    return r.label == "normal" and r.patient_label in {"", "normal"} and r.outcome in {"", "Normal"} and not r.noisy


def _streamed(config: Config, table: Table, found: gathered.Gathered) -> tuple[Array, list[Array], list[list[Joined]]]:
    frames = np.array([table.frames(i) for i in found.tested])
    return frames, [np.array(decision_ends(config.window, n)) for n in frames], found.rolling


def _seconds(config: Config, table: Table, found: gathered.Gathered) -> Array:
    """How long each recording was heard from its first answer on."""
    frames = np.array([table.frames(i) for i in found.tested])
    return np.asarray(np.maximum(frames - config.window.first_frames, 0) * config.front_end.hop_s)


def _patient_runs(answers: Sequence[Answers]) -> list[patients.Told]:
    """Per seed all patients."""
    seeds = sorted({a.case.seed for a in answers})
    runs = [[a.patients for a in answers if a.case.seed == s and a.patients] for s in seeds]
    if not all(runs):
        raise SettingError("circor-patients needs patients with a murmur and patients without; give more --data")
    return [patient_scores.together(run) for run in runs]


def _baselines(
    table: Table, answers: Sequence[Answers], tested: Array, truth: Array, groups: Sequence[str]
) -> dict[str, Any]:
    """The same folds, answered by the majority and by how the file was recorded."""
    pascal = [i for i, r in enumerate(table.recordings) if r.source.startswith("pascal")]
    features = {i: baselines.nuisance(table.recordings[i]) for i in pascal}
    seeds = sorted({a.case.seed for a in answers})
    told = {name: np.zeros((len(seeds), len(tested)), dtype=np.int64) for name in ("majority", "nuisance only")}
    for a in answers:
        run, rows = seeds.index(a.case.seed), np.searchsorted(tested, a.case.tested)
        learned = [i for i in a.case.learned if i in features]
        labels = table.labels[learned]
        told["majority"][run, rows] = np.bincount(labels).argmax()
        told["nuisance only"][run, rows] = baselines.nuisance_answers(
            np.array([features[i] for i in learned]),
            labels,
            np.array([features[i] for i in a.case.tested]),
            a.case.seed,
        )
    return {name: scores.classification(truth, found, groups) for name, found in told.items()}


def _patient_baselines(table: Table, answers: Sequence[Answers]) -> dict[str, Any]:
    """AUROC of murmur present against absent by how the files were recorded, the first seed's folds."""
    first = min(a.case.seed for a in answers)
    own = [i for i, r in enumerate(table.recordings) if r.source == "circor"]
    features = {i: baselines.nuisance(table.recordings[i]) for i in own}
    chances: dict[tuple[str, str], list[float]] = {}
    for a in answers:
        if a.case.seed == first:
            learned = [i for i in a.case.learned if i in features]
            positive = table.labels[learned] == CLASSES.index("murmur")
            asked = np.array([features[i] for i in a.case.tested])
            found = baselines.nuisance_chances(np.array([features[i] for i in learned]), positive, asked, first)
            for i, chance in zip(a.case.tested, found, strict=True):
                r = table.recordings[i]
                chances.setdefault((r.patient_label, r.group), []).append(float(chance))
    known = [key for key in chances if key[0] != "unknown"]
    present = np.array([label == "murmur" for label, _ in known])
    means = np.array([[np.mean(chances[key]) for key in known]])
    return {"nuisance only, AUROC": scores.auroc(present, means, [group for _, group in known])}
