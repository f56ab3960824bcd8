"""Golden vectors: short made-up sounds, and the decisions and beats that torch gives for them.

`laennec doctor` plays the same samples through the streaming pipeline and ONNX Runtime, and must get the same. The
sounds are made here, so that no recording of a person is shipped.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from export.onnx import Trained
from models import decide, quality
from models.frontend import FrontEnd
from models.quality import Loudness
from train import beats
from train.filterbank import front_end
from train.predict import window_logits

Array = np.ndarray
#: Beyond the first full window: some decisions on full ones, and a last one between two hops.
_LONGER_S = 2.5


def vectors(trained: Trained) -> dict[str, Any]:
    """Ready for JSON: rate_hz, and per case int16 samples, and the decisions and beats on them."""
    features = front_end(trained.config.front_end)
    rate_hz = features.spec.rate_hz
    length_samples = features.spec.span_samples(trained.config.window.window_frames) + round(_LONGER_S * rate_hz)
    return {
        "rate_hz": rate_hz,
        "cases": [
            {
                "name": name,
                "int16_base64": base64.b64encode(samples.astype("<i2").tobytes()).decode("ascii"),
                "decisions": _decisions(trained, features, samples.astype(np.float32) / 32768),
                "beats": _beats(trained, features, samples.astype(np.float32) / 32768),
            }
            for name, samples in _sounds(rate_hz, length_samples).items()
        ],
    }


def _sounds(rate_hz: int, length_samples: int) -> dict[str, Array]:
    """Three cases (n,) of int16 values: two thumps a cycle, the same with noise between them, noise alone."""
    rng = np.random.default_rng(0)
    t = np.arange(length_samples) / rate_hz
    hiss = rng.normal(0, 1, len(t))
    thumps = _thump(t % 0.8, 50.0) + 0.7 * _thump((t - 0.32) % 0.8, 70.0)
    between = ((t % 0.8) > 0.1) & ((t % 0.8) < 0.3)
    sounds = {
        "thumps": thumps + 0.01 * hiss,
        "thumps with noise between": thumps + 0.01 * hiss + 0.15 * hiss * between,
        "noise": 0.3 * hiss,
    }
    return {name: np.round(np.clip(0.3 * x, -1, 1) * 32767) for name, x in sounds.items()}


def _thump(since_s: Array, pitch_hz: float) -> Array:
    return np.asarray(np.exp(-since_s / 0.02) * np.sin(2 * np.pi * pitch_hz * since_s))


def _decisions(trained: Trained, features: FrontEnd, samples: Array) -> list[dict[str, Any]]:
    """What a stream of these samples must answer, hop by hop, computed without the streaming code."""
    spec, window = features.spec, trained.config.window
    heard = features.extract(samples)
    # Of the whole sound: each is as loud from end to end, and none is near a limit.
    loudness = Loudness(float(np.sqrt(np.mean(samples**2))), float(np.abs(samples).max()), 0.0)
    state, found = decide.init_state(), []
    ends = list(range(window.first_frames, len(heard) + 1, window.hop_frames))
    for end in [*ends, *([len(heard)] if len(heard) not in ends else [])]:
        cut = heard[max(0, end - window.window_frames) : end]
        logits = window_logits(trained.net, [cut.astype(np.float32)])[0]
        full = end >= window.window_frames or end == len(heard)
        about = decide.Window(spec.span_samples(end) / spec.rate_hz, 0.0, "ok" if full else "listening", None)
        judged = quality.assess(spec, features.log_energies(cut), loudness, trained.quality)
        made, state = decide.decision(trained.decide, about, logits, judged, state)
        probabilities = [round(p, 6) for p in made.probabilities or ()]
        found.append({"t_s": made.t_s, "status": made.status, "label": made.label, "probabilities": probabilities})
    return found


def _beats(trained: Trained, features: FrontEnd, samples: Array) -> list[dict[str, Any]]:
    """The S1 and S2 that a stream of these samples must find."""
    if trained.beat_net is None:
        return []
    found = beats.beats(trained.config, trained.beat_net, features.extract(samples))
    return [{"t_s": round(b.t_s, 6), "sound": b.sound, "confidence": round(b.confidence, 6)} for b in found]
