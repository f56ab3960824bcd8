"""Protocols: who is learned from and who is tested, on made data sets and on the real ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tiny_data

from train import protocols, timing, timings
from train.datasets import Recording, read, read_circor
from train.pascal import CONFLICTS
from train.protocols import ALL_BEATS, FOLDS, NO_BEATS, PROTOCOLS, SEEDS, Case, beat_folds, cases, joint_folds
from train.splits import even_folds
from train.timings import Timed

GROUPED = ("pascal-grouped", "circor-patients", "leakage")


class Made:
    """All data sets, and which recordings have annotated beats."""

    def __init__(self, recordings: list[Recording], timed: list[Timed]) -> None:
        self.recordings = recordings
        self.timed = timed

    def groups(self, indices: np.ndarray) -> set[str]:
        return {self.recordings[i].group for i in indices}

    def sources(self, indices: np.ndarray) -> set[str]:
        return {self.recordings[i].source for i in indices}

    def names(self, indices: np.ndarray) -> set[str]:
        return {self.recordings[i].name for i in indices}


def everything(folder: Path, noise: str = "noise") -> Made:
    recordings = [*read("pascal", folder / "pascal"), *read_circor(folder / "circor", every=True)]
    return Made([*recordings, *read("noise", folder / noise)], timings.read("circor", folder / "circor"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Of 16 patients of CirCor four are unknown, and of 14 of all of them beats are annotated."""
    folder = tmp_path_factory.mktemp("made")
    tiny_data.pascal(folder / "pascal")
    tiny_data.circor(folder / "circor", 12, annotated=True, unknown=4)
    for patient in (0, 15):
        for path in (folder / "circor/segmentation").glob(f"{patient}_*.tsv"):
            path.unlink()
    tiny_data.noise(folder / "noise", 9)
    return everything(folder)


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Made:
    return everything(shared_data, "esc10")


@pytest.fixture(params=["made", "real"])
def data(request: pytest.FixtureRequest) -> Made:
    found: Made = request.getfixturevalue(request.param)
    return found


def clean(recording: Recording) -> bool:
    listed = recording.source.startswith("pascal") and recording.name in CONFLICTS
    return not listed and not (recording.patient_label in {"murmur", "unknown"} and recording.label == "normal")


def conflicting(recording: Recording) -> bool:
    return recording.source.startswith("pascal") and recording.name in CONFLICTS


# --- honesty, whatever the protocol


@pytest.mark.parametrize("name", PROTOCOLS)
def test_no_group_is_on_both_sides(data: Made, name: str) -> None:
    for case in cases(name, data.recordings, data.timed, 0):
        sides = data.groups(case.tested), data.groups(case.learned) | data.groups(case.also)
        if PROTOCOLS[name].leaky:
            assert sides[0] & sides[1]  # which is what it says
        else:
            assert not sides[0] & sides[1]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_only_what_is_clean_is_learned_from(data: Made, name: str) -> None:
    for case in cases(name, data.recordings, data.timed, 0):
        assert len(case.learned)
        assert all(clean(data.recordings[i]) for i in case.learned)
        # What is answered in inner folds and not learned from is unclear, and of no patient that is tested.
        assert not any(clean(data.recordings[i]) or conflicting(data.recordings[i]) for i in case.also)
        for some in (case.learned, case.also, case.tested):
            assert some.dtype == np.int64
            assert (np.diff(some) > 0).all() or name == "cross-device"
            assert len(set(some.tolist())) == len(some)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_cases_of_the_same_name_learn_the_same(data: Made, name: str) -> None:
    """Checkpoints of protocols that share a folder are taken by the name."""
    other = {case.name: case for p in PROTOCOLS for case in cases(p, data.recordings, data.timed, 0)}
    for case in cases(name, data.recordings, data.timed, 0):
        twin = other[case.name]
        assert case.seed == twin.seed
        assert np.array_equal(case.learned, twin.learned)
        assert np.array_equal(case.also, twin.also)
        assert case.beats == twin.beats


def test_which_protocols_share_their_models(data: Made) -> None:
    names = {p: {case.name for case in cases(p, data.recordings, data.timed, 0)} for p in PROTOCOLS}
    assert names["pascal-grouped"] == names["circor-patients"] == names["leakage"]
    joint = FOLDS * SEEDS
    assert [len(names[p]) for p in ("leakage", "new-device", "cross-device", "seed-split")] == [joint, 3, 4, 1]
    assert len(set().union(*names.values())) == joint + 3 + 4 + 1


def test_another_first_seed_names_other_models(made: Made) -> None:
    for name in PROTOCOLS:
        here, there = (cases(name, made.recordings, made.timed, seed) for seed in (0, 10))
        assert not {case.name for case in here} & {case.name for case in there}
        assert len(here) == len(there)


# --- the joint folds


@pytest.mark.parametrize("seed", [0, 1])
def test_a_fold_holds_out_a_fifth_of_every_data_set_and_each_recording_once(data: Made, seed: int) -> None:
    folds = joint_folds(data.recordings, data.timed, seed)
    assert len(folds) == FOLDS
    held = np.concatenate(folds)
    usable = [i for i, r in enumerate(data.recordings) if not conflicting(r)]
    assert sorted(held.tolist()) == usable
    at = {group: k for k, fold in enumerate(folds) for group in data.groups(fold)}
    assert sum(len(data.groups(fold)) for fold in folds) == len(at)  # each group once
    for kind in ("pascal", "circor", "noise"):
        sizes = [sum(data.recordings[i].source.startswith(kind) for i in fold) for fold in folds]
        assert min(sizes) > 0.1 * sum(sizes)
        assert max(sizes) < 0.35 * sum(sizes)


def test_the_folds_of_circor_and_of_noise_are_the_same_for_all_seeds_and_those_of_pascal_are_not(data: Made) -> None:
    def held(seed: int, kind: str) -> list[list[int]]:
        folds = joint_folds(data.recordings, data.timed, seed)
        return [[i for i in fold.tolist() if data.recordings[i].source.startswith(kind)] for fold in folds]

    for kind in ("circor", "noise"):
        assert held(0, kind) == held(1, kind) == held(7, kind)
    assert held(0, "pascal") == held(0, "pascal")
    assert held(0, "pascal") != held(1, "pascal")


def test_the_networks_that_find_beats_are_those_of_the_protocol_timing(data: Made) -> None:
    """Persons with annotated beats and noises lie in the folds in which `timing` holds them out."""
    found = beat_folds(data.timed, data.recordings)
    persons = [t.group for t in data.timed]
    quiet = [r.group for r in timing.noises_of(data.recordings)]
    for groups in (persons, quiet):
        for k, (_, tested) in enumerate(even_folds(groups, FOLDS)):
            assert {found[groups[i]] for i in tested} == {k}
    everyone = {r.group for r in data.recordings if r.source in {"circor", "noise"}}
    assert set(found) == everyone
    unannotated = everyone - set(persons) - set(quiet)
    assert unannotated
    spread = Counter(found[group] for group in unannotated)
    assert max(spread.values()) - min(spread.values()) <= 1 or len(unannotated) < FOLDS


def test_too_few_annotated_persons_and_noises_have_folds_too(made: Made) -> None:
    """Without annotations every person of CirCor is dealt out, and a few noises are drawn."""
    found = beat_folds([], made.recordings)
    persons = sorted({r.group for r in made.recordings if r.source == "circor"})
    assert [found[group] for group in persons] == [n % FOLDS for n in range(len(persons))]
    few = [t for t in made.timed if t.group in {"circor/1", "circor/2"}]
    assert set(beat_folds(few, made.recordings)) >= set(persons)


@pytest.mark.parametrize("name", GROUPED)
def test_each_fold_learns_all_that_it_does_not_hold_out(data: Made, name: str) -> None:
    kind = PROTOCOLS[name].tested[0]
    for k, case in enumerate(cases(name, data.recordings, data.timed, 3)):
        seed, fold = 3 + k // FOLDS, k % FOLDS
        assert (case.name, case.seed, case.beats) == (f"seed{seed}-fold{fold}", seed, f"fold{fold}")
        held = joint_folds(data.recordings, data.timed, seed)[fold]
        others = np.setdiff1d(np.arange(len(data.recordings)), held)
        assert case.learned.tolist() == [i for i in others if clean(data.recordings[i])]
        unclear = [i for i in others if not clean(data.recordings[i]) and not conflicting(data.recordings[i])]
        assert case.also.tolist() == unclear
        assert case.tested.tolist() == [i for i in held if data.recordings[i].source.startswith(kind)]


@pytest.mark.parametrize("name", GROUPED)
def test_every_recording_of_the_tested_set_is_tested_once_a_seed(data: Made, name: str) -> None:
    """Also sites of CirCor that are not learned from: a patient is told by all of them."""
    kind = PROTOCOLS[name].tested[0]
    wanted = [i for i, r in enumerate(data.recordings) if r.source.startswith(kind) and not conflicting(r)]
    found = cases(name, data.recordings, data.timed, 0)
    for seed in range(SEEDS):
        assert sorted(i for c in found if c.seed == seed for i in c.tested.tolist()) == wanted
    if kind == "circor":
        labels = {data.recordings[i].patient_label for i in wanted}
        assert labels == {"murmur", "normal", "unknown"}
        assert any(not clean(data.recordings[i]) for i in wanted)


def test_the_real_sets_are_tested_whole(real: Made) -> None:
    tested = [i for c in cases("pascal-grouped", real.recordings, real.timed, 0)[:FOLDS] for i in c.tested]
    assert len(tested) == 585 - len(CONFLICTS)
    tested = [i for c in cases("circor-patients", real.recordings, real.timed, 0)[:FOLDS] for i in c.tested]
    assert len(tested) == 348 + 77 + 1725 + 109


# --- devices


def test_a_new_device_is_one_of_which_nothing_was_learned(data: Made) -> None:
    found = {case.name: case for case in cases("new-device", data.recordings, data.timed, 5)}
    assert set(found) == {f"seed5-without-{source}" for source in ("pascal_a", "pascal_b", "circor")}
    for name, case in found.items():
        source = name.partition("without-")[2]
        assert data.sources(case.tested) == {source}
        assert data.sources(case.learned) == {"pascal_a", "pascal_b", "circor", "noise"} - {source}
        own = [i for i, r in enumerate(data.recordings) if r.source == source and not conflicting(r)]
        assert case.tested.tolist() == own
        # The network that finds beats learned from CirCor: it must not be asked about CirCor as a new device.
        assert case.beats == (NO_BEATS if source == "circor" else ALL_BEATS)
        assert len(case.also) == 0 or source != "circor"


def test_of_devices_that_are_not_there_none_is_left_out(made: Made) -> None:
    some = [r for r in made.recordings if r.source != "pascal_a"]
    names = [case.name for case in cases("new-device", some, made.timed, 0)]
    assert names == ["seed0-without-pascal_b", "seed0-without-circor"]


def test_crossed_devices_learn_murmur_and_normal_of_one_and_noise_alone(data: Made) -> None:
    found = cases("cross-device", data.recordings, data.timed, 6)
    pairs = ["pascal_a-to-pascal_b", "pascal_b-to-pascal_a", "circor-to-pascal_b", "pascal-to-circor"]
    assert [(case.name, case.seed) for case in found] == [(f"seed6-{pair}", 6) for pair in pairs]
    for case in found:
        of, to = case.name.partition("-")[2].split("-to-")
        assert {s for s in data.sources(case.learned) if not s.startswith(of)} == {"noise"}
        assert all(s.startswith(to) for s in data.sources(case.tested))
        labels = {data.recordings[i].label for i in case.learned if data.recordings[i].source != "noise"}
        assert labels == {data.recordings[i].label for i in case.tested} == {"normal", "murmur"}
        assert (len(case.also), case.beats) == (0, NO_BEATS)
        assert not any(conflicting(data.recordings[i]) for i in case.tested)
        noises = sum(r.source == "noise" for r in data.recordings)
        assert sum(data.recordings[i].source == "noise" for i in case.learned) == noises


# --- the split that leaks


def test_the_seed_split_is_the_published_one_and_shares_patients(real: Made) -> None:
    (case,) = cases("seed-split", real.recordings, real.timed, 0)
    (backwards,) = cases("seed-split", real.recordings[::-1], real.timed, 0)
    last = len(real.recordings) - 1
    assert sorted(last - backwards.tested) == case.tested.tolist()
    assert (len(case.tested), case.beats, case.name) == (117, ALL_BEATS, "seed0-split")
    assert real.sources(case.tested) == {"pascal_a", "pascal_b"}
    learned = [i for i in case.learned if real.recordings[i].source.startswith("pascal")]
    assert len(learned) == 585 - 117 - len(CONFLICTS - real.names(case.tested))
    assert not set(case.learned) & set(case.tested)
    assert real.sources(case.learned) == {"pascal_a", "pascal_b", "circor", "noise"}


def test_the_same_recordings_are_tested_whatever_else_is_given_and_whatever_the_seed(made: Made) -> None:
    alone = [r for r in made.recordings if r.source.startswith("pascal")]
    found: list[Case] = [*cases("seed-split", made.recordings, [], 0), *cases("seed-split", alone, [], 4)]
    assert made.names(found[0].tested) == {alone[i].name for i in found[1].tested}
    assert len(found[0].tested) == 12  # a fifth of 56, rounded up


# --- what protocols say of themselves


def test_protocols_say_what_they_are() -> None:
    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert len(protocol.says) > 40
        assert set(protocol.tested) <= {"pascal", "circor"}
    assert [name for name, p in PROTOCOLS.items() if p.leaky] == ["seed-split"]


def test_nothing_clean_is_an_empty_list_of_places() -> None:
    assert protocols.learnable([], np.array([], dtype=np.int64)).dtype == np.int64
