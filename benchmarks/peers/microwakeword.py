"""pymicro-wakeword: the smallest kind of streaming classifier in wide use."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.contender import Contender, audio

WHAT = (
    'Waits for the words "okay nabu", every 30 ms: 10 ms features and an int8 network in TensorFlow Lite, '
    "state carried, one model of those in the package pymicro-wakeword."
)
PACKAGES = ("pymicro-wakeword", "pymicro-features")
_RATE_HZ, _CHUNK = 16_000, 160


def prepare(folder: Path) -> Contender:
    """One stream, fed as bytes in 10 ms."""
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

    word, features = MicroWakeWord.from_builtin(Model.OKAY_NABU), MicroWakeWordFeatures()
    pcm = np.round(audio(folder, _RATE_HZ) * 32767).astype("<i2")
    chunks = [pcm[at : at + _CHUNK].tobytes() for at in range(0, len(pcm) - _CHUNK + 1, _CHUNK)]

    def hear() -> int:
        for chunk in chunks:
            for frame in features.process_streaming(chunk):
                word.process_streaming(frame)
        return len(chunks) // word.stride

    return Contender(len(chunks) * _CHUNK / _RATE_HZ, hear)
