"""silero-vad's ONNX on bare ONNX Runtime: its package's wrapper, and torch, stay out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contender import Contender, audio, inside, onnx_session

WHAT = (
    "Tells speech from other sound, every 32 ms (512 samples at 16 kHz, 64 of the last hop before them), "
    "state carried. `silero_vad.onnx` of the package silero-vad; numpy and ONNX Runtime alone."
)
PACKAGES = ("silero-vad", "onnxruntime")
_RATE_HZ, _HOP, _CONTEXT = 16_000, 512, 64


def prepare(folder: Path, streams: int = 1) -> Contender:
    """Several streams are one batch: of the same audio, each from another place on."""
    session: Any = onnx_session(str(inside("silero_vad", "data", "silero_vad.onnx")))
    heard = audio(folder, _RATE_HZ)
    hops = len(heard) // _HOP
    cut = heard[: hops * _HOP].reshape(hops, _HOP)
    starts = np.arange(streams) * 7
    rate = np.array(_RATE_HZ)

    def hear() -> int:
        state = np.zeros((2, streams, 128), dtype=np.float32)
        context = np.zeros((streams, _CONTEXT), dtype=np.float32)
        for hop in range(hops):
            given = np.concatenate([context, cut[(starts + hop) % hops]], axis=1)
            _, state = session.run(None, {"input": given, "state": state, "sr": rate})
            context = given[:, -_CONTEXT:]
        return hops * streams

    return Contender(hops * _HOP / _RATE_HZ * streams, hear)
