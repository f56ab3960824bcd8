"""What the shipped model calls simulated patients, from which it never learned: clear ones, at 20 dB.

These say what it is sure to answer; how it does on people is in docs/evaluation.md, and what it misses in the README.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from models import bundle
from models.bundle import Bundle
from models.classes import CLASSES
from stream.classify import Row, classify
from stream.patient import Patient
from stream.simulate import render

SECONDS = 20.0


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return bundle.load()


def heard(model: Bundle, patient: Patient, folder: Path) -> Row:
    """The row of `laennec classify` for twenty seconds of a patient."""
    path = folder / "patient.wav"
    soundfile.write(path, render(patient, SECONDS), patient.rate_hz)
    return classify(path, model)


def likeliest(row: Row) -> str:
    return max(CLASSES, key=lambda name: float(row[f"p_{name}"]))


@pytest.mark.parametrize("case", ["normal", "murmur", "artifact", "holosystolic_murmur", "vibratory_murmur"])
def test_clear_patients_are_called_what_they_are(shipped: Bundle, tmp_path: Path, case: str) -> None:
    """Nine of ten at least, as the README says."""
    patients = [Patient(case, heart_rate_bpm=bpm, snr_db=20, seed=s) for bpm in (60, 66, 72, 80, 90) for s in range(2)]
    told = [likeliest(heard(shipped, patient, tmp_path)) for patient in patients]
    assert told.count(patients[0].kind.label) >= 9


@pytest.mark.parametrize("seed", range(3))
def test_extrasystoles_at_the_usual_rate_are_called_so(shipped: Bundle, tmp_path: Path, seed: int) -> None:
    assert likeliest(heard(shipped, Patient("extrasystole", snr_db=20, seed=seed), tmp_path)) == "extrasystole"


@pytest.mark.parametrize("case", ["extrasystole", "trigeminy"])
def test_at_other_rates_most_are_called_so(shipped: Bundle, tmp_path: Path, case: str) -> None:
    """At least nine of twelve, as the README says."""
    patients = [Patient(case, heart_rate_bpm=bpm, snr_db=20, seed=s) for bpm in (60, 66, 80, 90) for s in range(3)]
    told = [likeliest(heard(shipped, patient, tmp_path)) for patient in patients]
    assert told.count("extrasystole") >= 9


@pytest.mark.parametrize("case", ["normal", "murmur"])
def test_a_steady_heart_is_no_extrasystole(shipped: Bundle, tmp_path: Path, case: str) -> None:
    assert heard(shipped, Patient(case, snr_db=20, seed=2), tmp_path)["p_extrasystole"] < 0.1
