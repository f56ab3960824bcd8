"""What most notebooks would ship: librosa's MFCC and a torch LSTM, anew for every window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.contender import Contender
from benchmarks.peers.windows import FRAME_HOP_S, FRAME_S, RATE_HZ, recompute
from stream.block import Samples

WHAT = (
    "Five classes every 0.5 s, from librosa's 40 MFCC of the last 4 s and a torch LSTM of 2 x 64 units, all "
    "of it computed anew at each hop. Our own lines: eval mode, inference mode, one thread, network of random"
    " weights. At 22,050 Hz with librosa's own frames (2,048 samples every 512), as `librosa.load` and "
    "`librosa.feature.mfcc` have it where nothing else is asked for; and at 4 kHz with 64 ms frames every 20 "
    "ms, as close to Laennec's own as it gets."
)
PACKAGES = ("librosa", "torch")


def prepare(folder: Path, own_frames: bool = False) -> Contender:
    """One stream.

    Args:
        folder: of the audio.
        own_frames: at 4 kHz, frames as Laennec's, in place of librosa's own.
    """
    import librosa
    import torch

    from benchmarks.peers.lstm import Lstm

    torch.set_num_threads(1)
    network = Lstm(40).eval()
    frames: dict[str, Any] = {
        "n_mels": 40,
        "n_fft": round(FRAME_S * RATE_HZ),
        "hop_length": round(FRAME_HOP_S * RATE_HZ),
    }
    rate_hz, asked = (RATE_HZ, frames) if own_frames else (22_050, {})

    @torch.inference_mode()
    def answer(window: Samples) -> int:
        features = librosa.feature.mfcc(y=window, sr=rate_hz, n_mfcc=40, **asked)
        return int(network(torch.from_numpy(features.T[None].copy())).argmax())

    return recompute(folder, answer, rate_hz)
