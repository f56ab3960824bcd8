"""python_speech_features and an LSTM in ONNX Runtime, anew for every window."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contender import Contender, onnx_session
from benchmarks.peers.windows import FRAME_HOP_S, FRAME_S, RATE_HZ, WINDOW_S, recompute
from stream.block import Samples

WHAT = (
    "Five classes every 0.5 s, from python_speech_features' 13 MFCC of the last 4 s at 4 kHz and an LSTM of 2"
    " x 64 units in ONNX Runtime, all of it computed anew at each hop. Our own lines, one thread."
)
PACKAGES = ("python-speech-features", "onnxruntime")
_CEPSTRA = 13


def prepare(folder: Path) -> Contender:
    """One stream."""
    from python_speech_features import mfcc

    session: Any = onnx_session(_exported())
    fft = round(FRAME_S * RATE_HZ)

    def answer(window: Samples) -> int:
        features = mfcc(window, RATE_HZ, FRAME_S, FRAME_HOP_S, numcep=_CEPSTRA, nfilt=26, nfft=fft)
        return int(session.run(None, {"features": features[None].astype(np.float32)})[0].argmax())

    return recompute(folder, answer)


def _exported() -> bytes:
    """The LSTM as ONNX."""
    import onnx  # noqa: F401  torch's exporter asks for it late, in other words
    import torch

    from benchmarks.peers.lstm import Lstm

    frames = round(WINDOW_S / FRAME_HOP_S)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the older exporter
        torch.onnx.export(
            Lstm(_CEPSTRA).eval(),
            (torch.zeros(1, frames, _CEPSTRA),),
            f"{folder}/lstm.onnx",
            input_names=["features"],
            dynamic_axes={"features": {1: "frames"}},
            opset_version=17,
            dynamo=False,
        )
        return Path(folder, "lstm.onnx").read_bytes()
