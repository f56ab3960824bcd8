"""Readers: each known mess of each data set, on made trees and on the real ones; and the decoding of files."""

from __future__ import annotations

import csv
import logging
import shutil
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from models.classes import class_of
from models.errors import InputFileError, SettingError
from train.audio import load
from train.circor import persons, recording_label
from train.datasets import Recording, read, read_circor, without_conflicts

EXTRASYSTOLE = 3  # its place in CLASSES


def put(path: Path, rate_hz: int = 2000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.linspace(-0.5, 0.5, 40), rate_hz)
    return path


def by_name(recordings: list[Recording]) -> dict[str, Recording]:
    return {r.name: r for r in recordings}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def pascal(tmp_path: Path) -> Path:
    for name in (
        "set_a/artifact__201012172012.wav",
        "set_a/normal__201108011112.wav",
        "set_a/murmur__201108222221.wav",
        "set_a/Aunlabelledtest__201101051105.wav",
        "set_b/extrastole__127_1306764300147_C2.wav",
        "set_b/normal_noisynormal_101_1305030823364_B.wav",
        "set_b/normal__103_1305031931979_B.wav",
        "set_b/murmur_noisymurmur_272_1309370164386_B_2.wav",
        "set_b/Bunlabelledtest__101_1305030823364_D.wav",
        "set_b/readme.wav",
        "set_b/normal.wav",
    ):
        put(tmp_path / name)
    return tmp_path


def test_pascal_takes_label_noise_and_group_from_the_name(pascal: Path) -> None:
    read_back = {r.name: (r.label, r.noisy, r.source, r.group) for r in read("pascal", pascal)}
    assert read_back == {
        "set_a/artifact__201012172012.wav": ("artifact", False, "pascal_a", "pascal_a/20101217"),
        "set_a/murmur__201108222221.wav": ("murmur", False, "pascal_a", "pascal_a/201108"),
        "set_a/normal__201108011112.wav": ("normal", False, "pascal_a", "pascal_a/201108"),
        "set_b/extrastole__127_1306764300147_C2.wav": ("extrasystole", False, "pascal_b", "pascal_b/127"),
        "set_b/murmur_noisymurmur_272_1309370164386_B_2.wav": ("murmur", True, "pascal_b", "pascal_b/272"),
        "set_b/normal__103_1305031931979_B.wav": ("normal", False, "pascal_b", "pascal_b/101"),
        "set_b/normal_noisynormal_101_1305030823364_B.wav": ("normal", True, "pascal_b", "pascal_b/101"),
    }
    assert list(read_back) == sorted(read_back)


@pytest.mark.parametrize("deeper", ["heartbeat-sounds/set_a heartbeat-sounds/set_b", "set_a/set_a set_b/set_b"])
def test_pascal_nested_one_level_down_reads_the_same(
    pascal: Path, tmp_path_factory: pytest.TempPathFactory, deeper: str
) -> None:
    nested = tmp_path_factory.mktemp("unpacked")
    for which, place in zip(("set_a", "set_b"), deeper.split(), strict=True):
        shutil.copytree(pascal / which, nested / place)
    assert [r.name for r in read("pascal", nested)] == [r.name for r in read("pascal", pascal)]
    assert all(r.path.is_file() for r in read("pascal", nested))


def test_pascal_csv_rows_about_other_files_change_nothing_and_a_disagreement_is_logged(
    pascal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = read("pascal", pascal)
    (pascal / "set_b.csv").write_text(
        "dataset,fname,label,sublabel\n"
        "b,set_b/Btraining_extrastole_127_1306764300147_C2.wav,murmur,\n"  # disagrees
        "b,set_b/Btraining_normal_103_1305031931979_B.wav,normal,\n"  # agrees
        "b,set_b/Btraining_normal_Btraining_noisynormal_101_1305030823364_B.wav,extrastole,noisynormal\n"  # disagrees
        "b,set_b/Btraining_normal_999_1_B.wav,normal,\n"  # no such file
        "b,set_b/Bunlabelledtest_101_1305030823364_D.wav,,\n"  # unlabelled
        "b\n\n"  # cut short
    )
    with caplog.at_level(logging.WARNING):
        assert read("pascal", pascal) == before
    assert len(caplog.messages) == 2
    assert "extrastole__127_1306764300147_C2.wav: set_b.csv says murmur" in caplog.messages[0]
    assert "normal_noisynormal_101_1305030823364_B.wav: set_b.csv says extrastole" in caplog.messages[1]


def test_pascal_csv_with_other_columns_or_bytes_is_no_obstacle(pascal: Path) -> None:
    (pascal / "set_a.csv").write_bytes(b"\xff\xfe\x00 nothing,like,it\n1,2,3,4,5\n")
    assert len(read("pascal", pascal)) == 7


def test_conflicts_are_dropped_from_pascal_only(tmp_path: Path) -> None:
    put(tmp_path / "set_a/murmur__201106141148.wav")
    put(tmp_path / "set_a/murmur__201106141149.wav")
    found = read("pascal", tmp_path)
    elsewhere = read("noise", tmp_path)  # same names, another data set
    assert [r.name for r in without_conflicts(found)] == ["set_a/murmur__201106141149.wav"]
    assert without_conflicts(elsewhere) == elsewhere


def test_folder_reads_classes_and_aliases_and_logs_other_folders(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("normal/1.wav", "Extra Heart Sound/1.flac", "extrahls/2.ogg", "holiday/1.wav", "murmur/._1.wav"):
        put(tmp_path / name, 8000)
    put(tmp_path / "absent/1.wav").rename(tmp_path / "absent/1.WAV")
    (tmp_path / "normal/notes.txt").write_text("no audio")
    found = read("folder", tmp_path)
    assert [(r.name, r.label) for r in found] == [
        ("Extra Heart Sound/1.flac", "extra_heart_sound"),
        ("absent/1.WAV", "normal"),
        ("extrahls/2.ogg", "extra_heart_sound"),
        ("normal/1.wav", "normal"),
    ]
    assert {r.source for r in found} == {"folder"}
    assert len({r.group for r in found}) == 4
    assert "holiday" in caplog.text


def test_noise_is_artifact_whatever_the_folder_and_takes_of_a_clip_are_a_group(tmp_path: Path) -> None:
    for name in ("normal/1-187207-A.wav", "normal/2-187207-B.wav", "rain/1-17367-A-10.wav", "own.wav"):
        put(tmp_path / name)
    found = by_name(read("noise", tmp_path))
    assert {r.label for r in found.values()} == {"artifact"}
    assert {name: r.group for name, r in found.items()} == {
        "normal/1-187207-A.wav": "noise/187207",
        "normal/2-187207-B.wav": "noise/187207",
        "own.wav": "noise/own.wav",
        "rain/1-17367-A-10.wav": "noise/17367",
    }


def test_persons_are_joined_over_several_steps_and_named_by_the_largest_number() -> None:
    assert persons({"50379": "9979", "60001": "50379", "7": "8"}) == {
        "9979": "60001",
        "50379": "60001",
        "60001": "60001",
        "7": "8",
        "8": "8",
    }


@pytest.mark.parametrize(
    ("murmur", "locations", "location", "label"),
    [
        ("Present", "AV+PV", "PV", "murmur"),
        ("Present", "AV+PV", "V", "murmur_patient_other_location"),
        ("Present", "nan", "PV", "murmur_patient_other_location"),
        ("Absent", "nan", "PV", "absent"),
        ("Unknown", "nan", "PV", "unknown"),
        ("", "", "PV", "unknown"),
    ],
)
def test_the_label_of_a_site(murmur: str, locations: str, location: str, label: str) -> None:
    assert recording_label(murmur, locations, location) == label


def test_physionet_layout_made_by_hand(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "training_data.csv").write_text(
        "Patient ID,Murmur,Murmur locations,Additional ID,Age,Outcome\n"
        "10,Present,AV,30.0,Child,Abnormal\n20,Absent,,,nan,Normal\n30,Absent,nan,10,Adolescent,Normal\n"
        "40,Unknown,nan,nan,Infant,Abnormal\n50,Absent,nan,nan,Child,Normal\n"
    )
    for stem in ("10_AV", "10_AV_2", "10_PV", "20_Phc", "30_MV", "40_AV", "99_AV", "notes"):
        put(tmp_path / f"training_data/{stem}.wav")
    found = read("circor", tmp_path)
    assert [(r.name[14:-4], r.label, r.location, r.patient, r.patient_label) for r in found] == [
        ("10_AV", "murmur", "AV", "30", "murmur"),
        ("10_AV_2", "murmur", "AV", "30", "murmur"),
        ("20_Phc", "normal", "Phc", "20", "normal"),
        ("30_MV", "normal", "MV", "30", "normal"),
    ]
    assert {r.group for r in found} == {"circor/30", "circor/20"}
    facts = [("Child", "Abnormal"), ("Child", "Abnormal"), ("", "Normal"), ("Adolescent", "Normal")]
    assert [(r.age, r.outcome) for r in found] == facts
    assert sorted(message.split()[0] for message in caplog.messages) == ["99_AV.wav", "notes.wav"]
    every = by_name(read_circor(tmp_path, every=True))
    more = {name: every[name] for name in every.keys() - by_name(found).keys()}
    assert {name: (r.label, r.patient_label, r.outcome) for name, r in more.items()} == {
        "training_data/10_PV.wav": ("normal", "murmur", "Abnormal"),
        "training_data/40_AV.wav": ("normal", "unknown", "Abnormal"),
    }
    assert read("circor", tmp_path / "training_data") == found
    assert [r.name for r in read("circor", tmp_path.parent)] == [r.name for r in found]


def test_circor_table_without_its_columns_names_them(tmp_path: Path) -> None:
    (tmp_path / "training_data.csv").write_text("Patient ID,Murmur\n1,Absent\n")
    with pytest.raises(InputFileError, match="Additional ID, Murmur locations"):
        read("circor", tmp_path)


def test_circor_s_own_layout_says_age_and_outcome_where_its_table_does(tmp_path: Path) -> None:
    head = "file,person,location,recording_label"
    put(tmp_path / "audio/1_AV.flac")
    for more, values, facts in (
        (",age,outcome", ",Child,Abnormal", ("Child", "Abnormal")),
        (",age,outcome", ",nan,", ("", "")),
        (",outcome", ", Normal ", ("", "Normal")),
        ("", "", ("", "")),
    ):
        (tmp_path / "recordings.csv").write_text(f"{head}{more}\naudio/1_AV.flac,1,AV,absent{values}\n")
        (found,) = read("circor", tmp_path)
        assert (found.age, found.outcome) == facts


def test_circor_rows_without_a_file_are_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "recordings.csv").write_text(
        "file,person,location,recording_label\naudio/1_AV.flac,1,AV,absent\naudio/1_PV.flac,1,PV,absent\n"
    )
    put(tmp_path / "audio/1_AV.flac")
    assert [r.name for r in read("circor", tmp_path)] == ["audio/1_AV.flac"]
    assert "audio/1_PV.flac" in caplog.text


@pytest.mark.parametrize("kind", ["pascal", "circor", "noise", "folder"])
def test_a_missing_or_empty_folder_is_one_clear_line(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InputFileError, match="no folder") as missing:
        read(kind, tmp_path / "nowhere")
    with pytest.raises(InputFileError, match="expected") as empty:
        read(kind, tmp_path)
    assert "\n" not in f"{missing.value}{empty.value}"


def test_an_unknown_kind_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="pascal, circor, noise, folder"):
        read("physionet", tmp_path)


# --- the real recordings ---


def test_real_pascal_agrees_with_its_table(shared_data: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = by_name(read("pascal", shared_data / "pascal"))
    oracle = {row["file"]: row for row in table(shared_data / "pascal_groups.csv")}
    assert len(found) == 585
    assert {n: (r.label, r.noisy) for n, r in found.items()} == {
        n: (class_of(row["label"]), row["noisy"] == "yes") for n, row in oracle.items()
    }
    assert not caplog.messages  # every csv row that matches a file agrees with its name
    assert len(without_conflicts(found.values())) == 577


def test_real_pascal_groups_are_the_tables_subjects_and_days(shared_data: Path) -> None:
    found = by_name(read("pascal", shared_data / "pascal"))
    parts: defaultdict[str, set[str]] = defaultdict(set)
    near_duplicates: defaultdict[str, set[str]] = defaultdict(set)
    for row in table(shared_data / "pascal_groups.csv"):
        one = row["subject"] or row["day"]
        merged = "101" if one in {"b_101", "b_103", "b_146"} else "2011-08" if one.startswith("a_201108") else one
        parts[merged].add(row["file"])
        near_duplicates[row["near_duplicate_group"]].add(found[row["file"]].group)
    ours: defaultdict[str, set[str]] = defaultdict(set)
    for name, recording in found.items():
        ours[recording.group].add(name)
    assert sorted(map(sorted, parts.values())) == sorted(map(sorted, ours.values()))
    del near_duplicates[""]
    assert near_duplicates
    assert all(len(groups) == 1 for groups in near_duplicates.values())


def test_real_circor_agrees_with_its_table(shared_data: Path) -> None:
    rows = Counter(row["recording_label"] for row in table(shared_data / "circor/recordings.csv"))
    training, every = (read_circor(shared_data / "circor", every=flag) for flag in (False, True))
    assert Counter(r.label for r in training) == {"murmur": rows["murmur"], "normal": rows["absent"]}
    assert len(every) - len(training) == rows["murmur_patient_other_location"] + rows["unknown"]
    assert Counter((r.label, r.patient_label) for r in every) == {
        ("murmur", "murmur"): 348,
        ("normal", "murmur"): 77,
        ("normal", "normal"): 1725,
        ("normal", "unknown"): 109,
    }
    listed = table(shared_data / "circor/recordings.csv")
    assert Counter(r.age for r in every) == Counter(row["age"].replace("nan", "") for row in listed)
    assert Counter(r.outcome for r in every) == Counter(row["outcome"] for row in listed)
    assert {r.speaks_of for r in every} == {tuple(i != EXTRASYSTOLE for i in range(5))}


def test_real_patients_in_physionets_layout_get_the_same_labels_and_persons(shared_data: Path, tmp_path: Path) -> None:
    """All of the set's own table, and every recording's name; the reader looks at no audio, so the files are empty."""
    shutil.copy(shared_data / "circor/patients.csv", tmp_path / "training_data.csv")
    (tmp_path / "training_data").mkdir()
    rows = table(shared_data / "circor/recordings.csv")
    for row in rows:
        (tmp_path / "training_data" / f"{Path(row['file']).stem}.wav").touch()

    def facts(recordings: list[Recording]) -> dict[str, tuple[str, ...]]:
        return {
            Path(r.name).stem: (r.label, r.patient_label, r.group, r.location, r.age, r.outcome) for r in recordings
        }

    assert facts(read_circor(tmp_path, every=True)) == facts(read_circor(shared_data / "circor", every=True))
    assert len({row["person"] for row in rows}) < len({row["patient"] for row in rows})  # joining had work to do


def test_real_noise_is_grouped_by_clip(shared_data: Path) -> None:
    found = read("noise", shared_data / "esc10")
    assert len(found) == 320
    assert {(r.label, r.source) for r in found} == {("artifact", "noise")}
    clips = {Path(r.name).stem.split("-")[1] for r in found}
    assert {r.group for r in found} == {f"noise/{clip}" for clip in clips}
    assert len(clips) < 320


# --- decoding ---


@pytest.mark.parametrize("rate_hz", [44100, 4000])
def test_load_equals_the_live_resampler_chunk_by_chunk(tmp_path: Path, rate_hz: int) -> None:
    signal = np.random.default_rng(0).uniform(-0.9, 0.9, rate_hz).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", signal, rate_hz, subtype="FLOAT")
    live = soxr.ResampleStream(rate_hz, 2000, 1, dtype="float32", quality="HQ")
    chunks = np.array_split(signal, 37)
    heard = [live.resample_chunk(chunk, last=i == 36) for i, chunk in enumerate(chunks)]
    loaded = load(tmp_path / "x.wav", 2000)
    assert loaded.dtype == np.float32
    assert len(loaded) == 2000
    np.testing.assert_array_equal(loaded, np.concatenate(heard))


def test_load_keeps_samples_at_equal_rates_and_takes_the_first_channel(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    both = np.random.default_rng(1).uniform(-1, 1, (500, 2)).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", both, 2000, subtype="FLOAT")
    with caplog.at_level(logging.INFO):
        np.testing.assert_array_equal(load(tmp_path / "x.wav", 2000), both[:, 0])
    assert "2 channels" in caplog.text


def bad_files(folder: Path) -> dict[Path, str]:
    soundfile.write(folder / "empty.wav", np.zeros(0), 4000)
    soundfile.write(folder / "nan.wav", np.array([0.0, np.nan]), 4000, subtype="FLOAT")
    soundfile.write(folder / "inf.wav", np.array([0.0, np.inf]), 4000, subtype="FLOAT")
    (folder / "text.wav").write_text("not audio at all")
    (folder / "nothing.flac").touch()
    (folder / "rateless.raw").write_bytes(b"1234")
    return {
        folder / "empty.wav": "no samples",
        folder / "nan.wav": "not finite",
        folder / "inf.wav": "not finite",
        folder / "text.wav": "can't be read",
        folder / "nothing.flac": "can't be read",
        folder / "rateless.raw": "can't be read",
        folder / "missing.wav": "no file",
        folder: "no file",
    }


def test_load_refuses_bad_files_in_one_line_that_names_them(tmp_path: Path) -> None:
    for path, cause in bad_files(tmp_path).items():
        with pytest.raises(InputFileError, match=cause) as refusal:
            load(path, 2000)
        assert str(path) in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_real_files_of_each_device_load_at_the_model_rate(shared_data: Path) -> None:
    recordings = [read("pascal", shared_data / "pascal")[i] for i in (0, -1)] + read("circor", shared_data / "circor")[
        :1
    ]
    for recording in recordings:
        info = soundfile.info(recording.path)
        samples = load(recording.path, 2000)
        assert len(samples) == pytest.approx(2000 * info.frames / info.samplerate, abs=2)
        assert 0 < np.abs(samples).max() < 1.5
