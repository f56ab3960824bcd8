"""A simulated stream as files: what is heard, and what is true of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile

from models.errors import LaennecError, SettingError
from stream import truth
from stream.patient import Patient
from stream.sources.simulated import SimulatedSource

LONGEST_S = 3600.0


def write(path: Path, patient: Patient, duration_s: float) -> str:
    """Write a stream's first `duration_s` seconds as x.wav, x.json and x.txt; files of those names are replaced.

    Args:
        path: x.wav; 16-bit PCM at the patient's rate.
        patient: who.
        duration_s: at least one sample, at most `LONGEST_S`.

    Returns:
        One line that says what was written: x.json holds `truth.as_json`, x.txt `truth.label_track`.

    Raises:
        SettingError: another suffix, a duration out of range, or a file can't be written; then nothing is changed.
        LaennecError: the disk is full.
    """
    if path.suffix.lower() != ".wav":
        raise SettingError(f"{path}: --out takes a name that ends in .wav; the truth goes beside it (.json, .txt)")
    if not 1 / patient.rate_hz <= duration_s <= LONGEST_S:
        raise SettingError(f"--out writes one sample to one hour of sound, not {duration_s:g} s; give other --seconds")
    source = SimulatedSource(patient, duration_s, block_samples=patient.rate_hz, speed=None)
    known = truth.truth(patient, 0, duration_s)
    about = truth.as_json(patient, duration_s, known)
    texts = {
        path.with_suffix(".json"): json.dumps(about, indent=1, allow_nan=False) + "\n",
        path.with_suffix(".txt"): truth.label_track(known),
    }
    for name in (path, *texts):
        _check_writable(name)
    _write_sound(path, source)
    for name, text in texts.items():
        _write_text(name, text)
    beside = " and ".join(str(name) for name in texts)
    return (
        f"{path}: {duration_s:g} s of a simulated patient ({patient.case}); "
        f"{beside}: {len(known.onsets)} onsets of S1 and S2, {len(known.events)} events"
    )


def _check_writable(path: Path) -> None:
    """Tried, as nothing else tells for sure, without a trace: another of the files may yet be refused."""
    try:
        new = not path.exists()
        path.open("ab").close()  # to append leaves an older file as it was
        if new:
            path.unlink()
    except OSError as error:
        raise SettingError(f"{path}: can't be written: {error.strerror}; give another --out") from error


def _write_sound(path: Path, source: SimulatedSource) -> None:
    try:
        with soundfile.SoundFile(path, "w", source.rate_hz, 1, "PCM_16") as file:
            for block in source.blocks():
                # Rounded here: libsndfile leaves it to the processor's mode.
                file.write(np.rint(block.samples * 32767).astype(np.int16))
    except (OSError, soundfile.LibsndfileError) as error:
        raise LaennecError(f"{path}: can't be written any more; free some space") from error


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise LaennecError(f"{path}: can't be written any more: {error.strerror}; free some space") from error
