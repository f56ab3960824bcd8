"""Small made data sets on disk, in the layouts of PASCAL, CirCor and a noise folder, for tests that train on them.

The sounds are trains of short tones over noise; a class differs from the next by its pitch, so that a tiny network can
learn something. They are no heart sounds and need be none: what is tested is the way from files to report.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from models.classes import CLASSES
from train.datasets import Recording
from train.table import Features, Table

Array = np.ndarray

#: Smallest settings with which every part of training still does its work.
TINY_TOML = """\
seed = 3
[front_end]
bands = 8
[net]
features = 8
channels = 6
hidden = 6
[beat_net]
features = 8
channels = 6
hidden = 6
[window]
window_frames = 60
hop_frames = 10
first_frames = 20
[fit]
steps = {steps}
batch = 6
checkpoint_steps = 7
[beat_fit]
steps = {steps}
batch = 6
checkpoint_steps = 7
window_frames = 70
[answer]
folds = 2
[intervals]
bands = [2, 4, 8]
"""

#: Files of PASCAL by set; sessions (days in set A, patients in set B) are many enough for five grouped folds.
_SET_A = {"artifact": 8, "extrahls": 6, "murmur": 6, "normal": 8}
_SET_B = {"normal": 12, "murmur": 8, "extrastole": 6}

#: Auscultation sites of the made patients.
SITES = ("AV", "MV")


def sound(kind: int, seed: int, seconds: float, rate_hz: int) -> Array:
    """Beats of a tone whose pitch tells the kind (0-4), over noise; (seconds * rate_hz,) in [-1, 1]."""
    rng = np.random.default_rng(seed)
    t_s = np.arange(int(seconds * rate_hz)) / rate_hz
    beats = np.exp(-(((t_s + rng.random()) % 0.8) ** 2) / 0.01)
    return 0.3 * beats * np.sin(2 * np.pi * (50 + 70 * kind) * t_s) + 0.01 * rng.standard_normal(len(t_s))


def put(path: Path, kind: int, seed: int, seconds: float = 1.6, rate_hz: int = 2000) -> Path:
    """Write one such sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound(kind, seed, seconds, rate_hz), rate_hz)
    return path


def pascal(folder: Path) -> Path:
    """Set A at 4 kHz, a day a file or two; set B at 2 kHz, two files a patient; two files that carry two labels."""
    number = 0
    for label, count in _SET_A.items():
        for n in range(count):
            number += 1
            put(folder / f"set_a/{label}__2010{1 + n % 9:02}{number:02}1200.wav", _kind(label), number, 1.8, 4000)
    for label, count in _SET_B.items():
        for n in range(count):
            number += 1
            put(folder / f"set_b/{label}__{500 + number // 2}_{n}_A.wav", _kind(label), number, 1.0 + 0.2 * (n % 4))
    put(folder / "set_b/normal__237_1308750231222_C.wav", 0, 0)
    put(folder / "set_b/extrastole__237_1308750231222_C.wav", 0, 0)
    return folder


def pascal_timing(folder: Path, files: int = 4) -> Path:
    """The middles of S1 and S2 of some of set A's made files, in samples at 44.1 kHz, as PASCAL gives them."""
    rows = ["fname,cycle,sound,location"]
    for path in sorted((folder / "set_a").glob("normal__*"))[:files]:
        for k in range(2):
            for sound, middle_s in (("S1", 0.2 + 0.8 * k), ("S2", 0.5 + 0.8 * k)):
                rows.append(f"set_a/{path.name},{k + 1},{sound},{round(44_100 * middle_s)}")
    (folder / "set_a_timing.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def segments(seed: int, seconds: float) -> str:
    """Where the beats of `sound` lie, as CirCor writes it: S1 at a beat, S2 0.3 s later; unknown before the first."""
    first = -np.random.default_rng(seed).random() % 0.8
    rows, states = [(0.0, first, 0)], (1, 2, 3, 4)
    for beat in np.arange(first, seconds, 0.8):
        places = beat + np.array([0.0, 0.1, 0.3, 0.4, 0.8])
        rows += [(a, b, state) for a, b, state in zip(places, places[1:], states, strict=False) if b <= seconds]
    return "".join(f"{begin:.6f}\t{end:.6f}\t{state}\n" for begin, end, state in rows)


def circor(folder: Path, patients: int = 12, seconds: float = 1.6, annotated: bool = False, unknown: int = 0) -> Path:
    """In the project's own layout: every other patient has a murmur, heard at the first site alone; then unknown ones.

    Of every fourth patient the age is not known; what the clinic said is what the murmur says.
    """
    rows = ["file,person,location,recording_label,age,outcome"]
    for patient in range(patients + unknown):
        sick = patient % 2 if patient < patients else 0
        facts = f"{'nan' if patient % 4 == 3 else 'Child'},{'Abnormal' if sick else 'Normal'}"
        for place, site in enumerate(SITES):
            seed = 1000 + 10 * patient + place
            put(folder / f"audio/{patient}_{site}.wav", sick if place == 0 else 0, seed, seconds)
            if annotated:
                (folder / "segmentation").mkdir(exist_ok=True)
                (folder / f"segmentation/{patient}_{site}.tsv").write_text(segments(seed, seconds))
            label = "absent" if not sick else "murmur" if place == 0 else "murmur_patient_other_location"
            label = label if patient < patients else "unknown"
            rows.append(f"audio/{patient}_{site}.wav,{patient},{site},{label},{facts}")
    (folder / "recordings.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def noise(folder: Path, clips: int = 6) -> Path:
    """Clips named as in ESC-50."""
    for n in range(clips):
        put(folder / f"{1 + n % 5}-{100 + n}-A-0.wav", 4, 2000 + n)
    return folder


def config(folder: Path, steps: int = 20) -> Path:
    """The tiny settings as a TOML file."""
    path = folder / "tiny.toml"
    path.write_text(TINY_TOML.format(steps=steps), encoding="utf-8")
    return path


def table(recordings: list[Recording], frames: list[int], features: int = 8) -> Table:
    """Made features: noise, and a beat whose rate and bands tell the label."""
    rng = np.random.default_rng(5)

    def part(label: int, n: int) -> Array:
        beat = np.sin(2 * np.pi * np.arange(n) * (label + 1) / 30)
        return np.asarray(rng.normal(0, 0.5, (n, features)) + 2 * np.outer(beat, np.arange(features) % 5 == label))

    parts = [part(CLASSES.index(r.label), n) for r, n in zip(recordings, frames, strict=True)]
    values = np.concatenate(parts).astype(np.float32)
    return Table.of(Features(tuple(recordings), values, np.cumsum([0, *frames])))


def _kind(label: str) -> int:
    return ("normal", "murmur", "extrahls", "extrastole", "artifact").index(label)
