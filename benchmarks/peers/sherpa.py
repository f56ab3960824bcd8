"""sherpa-onnx's voice activity detector."""

from __future__ import annotations

from pathlib import Path

from benchmarks.contender import Contender, audio, inside

WHAT = (
    "Tells speech from other sound, every 32 ms, and cuts it into segments: sherpa-onnx's detector in C++, "
    "its own build of ONNX Runtime, with the model of the package silero-vad."
)
PACKAGES = ("sherpa-onnx", "silero-vad")
_RATE_HZ, _HOP = 16_000, 512


def prepare(folder: Path) -> Contender:
    """One stream."""
    import sherpa_onnx  # type: ignore[import-untyped]

    config = sherpa_onnx.VadModelConfig()
    config.silero_vad.model = str(inside("silero_vad", "data", "silero_vad.onnx"))
    config.sample_rate, config.num_threads = _RATE_HZ, 1
    detector = sherpa_onnx.VoiceActivityDetector(config, buffer_size_in_seconds=30)
    heard = audio(folder, _RATE_HZ)
    blocks = [heard[at : at + _HOP] for at in range(0, len(heard) - _HOP + 1, _HOP)]

    def hear() -> int:
        for block in blocks:
            detector.accept_waveform(block)
            while not detector.empty():
                detector.pop()
        return len(blocks)

    return Contender(len(blocks) * _HOP / _RATE_HZ, hear)
