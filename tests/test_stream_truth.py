from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from program import parsed

from models.errors import LaennecError, SettingError
from stream.cases import CASES
from stream.simulate import LostContact, Patient, onsets, render
from stream.sinks import truth_files
from stream.truth import Event, as_json, label_track, truth

HEARTS = [case for case in CASES if CASES[case].heart]
PATIENTS = st.builds(
    Patient,
    st.sampled_from(HEARTS),
    st.one_of(st.floats(45, 180), st.sampled_from([45, 180])),
    seed=st.integers(0, 10**6),
)


def named(events: list[Event], *names: str) -> list[Event]:
    return [event for event in events if event.name in names]


# --- what is true


@settings(max_examples=150, deadline=None)
@given(patient=PATIENTS, from_s=st.floats(0, 4000))
def test_the_truth_of_every_heart_at_every_rate_is_in_order_and_leaves_room(patient, from_s):
    until_s = from_s + 15
    known = truth(patient, from_s, until_s)
    times_s, sounds = zip(*known.onsets, strict=True)
    assert all(a != b for a, b in itertools.pairwise(sounds))
    assert set(sounds) == {"S1", "S2"}
    assert np.min(np.diff(times_s)) > 0.085
    assert times_s[0] >= from_s
    assert times_s[-1] < until_s
    assert all(from_s <= event.start_s < event.end_s <= until_s for event in known.events)
    assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(known.events))


@settings(max_examples=150, deadline=None)
@given(patient=PATIENTS)
def test_what_is_added_fits_between_the_sounds_that_hold_it(patient):
    kind, known = patient.kind, truth(patient, 0, 15)
    whole = [event for event in known.events if known.onsets[0].t_s < event.start_s < known.onsets[-1].t_s]
    assert len(whole) > 8 or not (kind.murmur or kind.extra)  # none was dropped
    for event in named(whole, "murmur", "S3", "S4"):
        before_s, before = max(onset for onset in known.onsets if onset.t_s <= event.start_s)
        after_s, after = min(onset for onset in known.onsets if onset.t_s > event.start_s)
        in_systole = kind.murmur is not None and kind.murmur.phase == "systole"
        assert (before, after) == (("S1", "S2") if in_systole else ("S2", "S1"))
        assert event.end_s <= after_s - 0.009
        assert event.end_s - event.start_s > 0.035
        if event.name == "S3":
            assert 0.1199 < event.start_s - before_s < 0.1501
        if event.name == "S4":
            assert after_s - event.start_s <= 0.0901
            assert event.start_s - before_s > 0.0799


@settings(max_examples=60, deadline=None)
@given(patient=PATIENTS, cuts=st.lists(st.floats(0, 20), min_size=2, max_size=2).map(sorted))
def test_the_truth_of_a_stretch_is_a_piece_of_the_whole(patient, cuts):
    from_s, until_s = cuts
    whole, piece = truth(patient, 0, 25), truth(patient, from_s, until_s)
    assert piece.onsets == [onset for onset in whole.onsets if from_s <= onset.t_s < until_s]
    cut = [Event(max(e.start_s, from_s), min(e.end_s, until_s), e.name) for e in whole.events]
    assert piece.events == [event for event in cut if event.start_s < event.end_s]


@pytest.mark.parametrize(
    ("case", "names"),
    [
        ("normal", set()),
        ("artifact", set()),
        ("holosystolic_murmur", {"murmur"}),
        ("diastolic_murmur", {"murmur"}),
        ("extra_heart_sound", {"S3"}),
        ("s4", {"S4"}),
        ("extrasystole", {"extrasystole"}),
        ("trigeminy", {"extrasystole"}),
    ],
)
def test_events_are_those_of_the_case(case, names):
    assert {event.name for event in truth(Patient(case), 0, 30).events} == names


def test_an_extrasystole_lasts_from_its_first_sound_to_the_end_of_its_second():
    known = truth(Patient("bigeminy"), 1, 59)
    whole = [event for event in known.events if event.start_s > 1 and event.end_s < 59]
    times_s = {sound: np.array([t_s for t_s, name in known.onsets if name == sound]) for sound in ("S1", "S2")}
    assert len(whole) == pytest.approx(len(times_s["S1"]) / 2, abs=2)
    for event in whole:
        assert event.start_s in times_s["S1"]
        (s2_s,) = times_s["S2"][(times_s["S2"] > event.start_s) & (times_s["S2"] < event.end_s)]
        assert 0.069 < event.end_s - s2_s < 0.111


# --- lost contact


@settings(max_examples=100, deadline=None)
@given(patient=PATIENTS, start_s=st.floats(0.5, 14), length_s=st.floats(0.001, 10))
def test_what_contact_is_lost_for_is_not_true(patient, start_s, length_s):
    lost = LostContact(start_s, length_s)
    whole = truth(patient, 0, 15)
    broken = truth(Patient(patient.case, patient.heart_rate_bpm, seed=patient.seed, lost_contact=lost), 0, 15)
    assert named(broken.events, "lost contact") == [Event(start_s, min(lost.end_s, 15), "lost contact")]
    assert set(broken.onsets) <= set(whole.onsets)
    for t_s, _ in set(whole.onsets) - set(broken.onsets):
        assert start_s - 0.145 < t_s < lost.end_s
    for t_s, _ in broken.onsets:
        assert t_s >= lost.end_s or t_s + 0.07 <= start_s
    rest = named(broken.events, "murmur", "S3", "S4", "extrasystole")
    assert set(rest) <= set(whole.events)
    for event in rest:  # a short loss may lie between the sounds of an extrasystole
        around = event.name == "extrasystole" and event.start_s < start_s and event.end_s > lost.end_s
        assert around or event.end_s <= start_s or event.start_s >= lost.end_s
    assert len(rest) >= len([e for e in whole.events if e.end_s <= start_s or e.start_s >= lost.end_s])


def test_every_true_onset_is_heard_and_none_while_contact_is_lost():
    patient = Patient("normal", seed=6, snr_db=100, lost_contact=LostContact(5, 7))
    samples = np.abs(render(patient, 20))
    assert len([t_s for t_s, _ in onsets(patient, 19.8)]) > 25
    for t_s, _ in onsets(patient, 19.8):
        here = round(t_s * 4000)
        assert np.max(samples[here : here + 80]) > 0.2 * np.max(samples)
    assert np.max(samples[20_000:48_000]) < 1e-4 * np.max(samples)


# --- as files


@pytest.mark.parametrize("case", ["murmur", "diastolic_murmur", "s4", "bigeminy", "artifact"])
def test_sound_truth_and_labels_are_read_back(tmp_path, case):
    lost = LostContact(3.2, 1.5) if CASES[case].heart else None
    patient = Patient(case, 80.5, rate_hz=2205, seed=4, snr_db=14, noise="speech", lost_contact=lost)
    said = truth_files.write(tmp_path / "x.wav", patient, 8.25)
    assert str(tmp_path / "x.wav") in said
    assert "\n" not in said

    about = soundfile.info(tmp_path / "x.wav")
    assert (about.subtype, about.samplerate, about.channels) == ("PCM_16", 2205, 1)
    samples, _ = soundfile.read(tmp_path / "x.wav", dtype="int16")
    expected = render(patient, 8.25)
    assert len(samples) == len(expected)
    np.testing.assert_allclose(samples / 32767, expected, rtol=0, atol=0.51 / 32767)

    known = truth(patient, 0, 8.25)
    (kept,) = parsed(json.dumps(json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))) + "\n")
    assert kept == as_json(patient, 8.25, known)
    assert kept["class"] == CASES[case].label
    assert [(onset["t_s"], onset["sound"]) for onset in kept["onsets"]] == [(round(t, 6), s) for t, s in known.onsets]
    assert [(e["event"], e["start_s"], e["end_s"]) for e in kept["events"]] == [
        (e.name, round(e.start_s, 6), round(e.end_s, 6)) for e in known.events
    ]
    assert bool(kept["onsets"]) == CASES[case].heart
    asked = kept["patient"]
    asked["lost_contact"] = asked["lost_contact"] and LostContact(**asked["lost_contact"])
    assert Patient(**asked) == patient

    labels = [line.split("\t") for line in (tmp_path / "x.txt").read_text(encoding="utf-8").splitlines()]
    points = [(float(start), name) for start, end, name in labels if start == end]
    regions = [(name, float(start), float(end)) for start, end, name in labels if start != end]
    assert points == [(round(t_s, 6), sound) for t_s, sound in known.onsets]
    assert sorted(regions) == sorted((e["event"], e["start_s"], e["end_s"]) for e in kept["events"])
    assert [float(start) for start, _, _ in labels] == sorted(float(start) for start, _, _ in labels)


def test_a_label_is_start_end_and_name_with_tabs_between():
    track = label_track(truth(Patient("bigeminy", lost_contact=LostContact(2, 1)), 0, 5))
    assert "2.000000\t3.000000\tlost contact\n" in track
    assert track.count("\textrasystole\n") == 2
    assert all(len(line.split("\t")) == 3 for line in track.splitlines())


def test_files_of_the_same_names_are_replaced(tmp_path):
    for seconds in (4, 2):
        truth_files.write(tmp_path / "x.WAV", Patient("normal"), seconds)
    assert soundfile.info(tmp_path / "x.WAV").frames == 8000
    assert json.loads((tmp_path / "x.json").read_text())["duration_s"] == 2
    assert {path.name for path in tmp_path.iterdir()} == {"x.WAV", "x.json", "x.txt"}


@pytest.mark.parametrize("name", ["x", "x.flac", "x.json"])
def test_a_name_that_does_not_end_in_wav_is_refused(tmp_path, name):
    with pytest.raises(SettingError, match=r"ends in \.wav"):
        truth_files.write(tmp_path / name, Patient("normal"), 1)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".wav", ".json", ".txt"])
def test_where_one_file_can_not_be_written_none_is_replaced(tmp_path, suffix):
    for other in {".wav", ".json", ".txt"} - {suffix}:
        (tmp_path / f"x{other}").write_text("older")
    (tmp_path / f"x{suffix}").mkdir()
    with pytest.raises(SettingError, match=rf"x\{suffix}: can't be written: Is a directory; give another --out"):
        truth_files.write(tmp_path / "x.wav", Patient("normal"), 1)
    assert [path.read_text() for path in tmp_path.iterdir() if path.is_file()] == ["older", "older"]


@pytest.mark.parametrize("suffix", [".wav", ".json", ".txt"])
def test_a_refusal_leaves_no_new_file(tmp_path, suffix):
    (tmp_path / f"x{suffix}").mkdir()
    with pytest.raises(SettingError, match="can't be written"):
        truth_files.write(tmp_path / "x.wav", Patient("normal"), 1)
    assert [path.name for path in tmp_path.iterdir()] == [f"x{suffix}"]


@pytest.mark.parametrize("suffix", [".wav", ".json", ".txt"])
def test_a_full_disk_is_told(tmp_path, suffix):
    (tmp_path / f"x{suffix}").symlink_to("/dev/full")
    with pytest.raises(LaennecError, match=rf"x\{suffix}: can't be written any more.*free some space"):
        truth_files.write(tmp_path / "x.wav", Patient("normal"), 1)


def test_one_sample_is_the_least_that_is_written(tmp_path):
    truth_files.write(tmp_path / "x.wav", Patient("normal"), 1 / 4000)
    assert soundfile.info(tmp_path / "x.wav").frames == 1


@pytest.mark.parametrize("duration_s", [0, -1, 0.0001, 3600.1, 1e12, float("nan"), float("inf")])
def test_an_impossible_duration_writes_nothing(tmp_path, duration_s):
    with pytest.raises(SettingError, match=r"one sample to one hour of sound, not .* s; give other --seconds"):
        truth_files.write(tmp_path / "x.wav", Patient("normal"), duration_s)
    assert not any(tmp_path.iterdir())
