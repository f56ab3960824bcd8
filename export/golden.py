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
from models.join import join
from models.quality import Loudness
from models.windows import decision_ends
from train import beats, extrasystole
from train.filterbank import front_end
from train.predict import window_logits

Array = np.ndarray
#: Beyond the first full window: some decisions on full ones, and a last one between two hops.
_LONGER_S = 2.7


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
    """Cases (n,) of int16 values: two thumps a cycle, some of them early, noise between them, noise alone."""
    rng = np.random.default_rng(0)
    t = np.arange(length_samples) / rate_hz
    hiss = rng.normal(0, 1, len(t))
    steady = np.arange(0, t[-1], 0.8)
    # Every fifth comes early, and the next makes up for it.
    uneven = steady - 0.32 * (np.arange(len(steady)) % 5 == 3)
    since_s = _since(t, steady)
    sounds = {
        "thumps": _heart(t, steady) + 0.01 * hiss,
        "thumps of which some are early": _heart(t, uneven) + 0.01 * hiss,
        "thumps with noise between": _heart(t, steady) + (0.01 + 0.15 * ((since_s > 0.1) & (since_s < 0.3))) * hiss,
        "noise": 0.3 * hiss,
    }
    return {name: np.round(np.clip(0.3 * x, -1, 1) * 32767) for name, x in sounds.items()}


def _heart(t: Array, onsets_s: Array) -> Array:
    """Two thumps a beat, (n,) at times (n,)."""
    return _thump(_since(t, onsets_s), 50.0) + 0.7 * _thump(_since(t, onsets_s + 0.3), 70.0)


def _since(t: Array, onsets_s: Array) -> Array:
    """(n,) seconds since the newest onset; endless before the first."""
    found = np.searchsorted(onsets_s, t, side="right") - 1
    return np.where(found < 0, 1e3, t - onsets_s[found])


def _thump(since_s: Array, pitch_hz: float) -> Array:
    return np.asarray(np.exp(-since_s / 0.02) * np.sin(2 * np.pi * pitch_hz * since_s))


def _decisions(trained: Trained, features: FrontEnd, samples: Array) -> list[dict[str, Any]]:
    """What a stream of these samples must answer, hop by hop, computed without the streaming code."""
    spec, window = features.spec, trained.config.window
    heard = features.extract(samples)
    # Of the whole sound: each is as loud from end to end, and none is near a limit.
    loudness = Loudness(float(np.sqrt(np.mean(samples**2))), float(np.abs(samples).max()), 0.0)
    state, found = decide.init_state(), []
    ends = decision_ends(window, len(heard))
    for end, score, early in zip(ends, *_rhythm(trained, heard, ends), strict=True):
        cut = heard[max(0, end - window.window_frames) : end]
        joined = join(trained.answer.join, window_logits(trained.net, [cut.astype(np.float32)])[0], score, early)
        full = end >= window.window_frames or end == len(heard)
        about = decide.Window(spec.span_samples(end) / spec.rate_hz, 0.0, "ok" if full else "listening", None)
        judged = quality.assess(spec, features.log_energies(cut), loudness, trained.quality)
        made, state = decide.decision(trained.answer.decide, about, joined, judged, state)
        probabilities = [round(p, 6) for p in made.probabilities or ()]
        found.append({"t_s": made.t_s, "status": made.status, "label": made.label, "probabilities": probabilities})
    return found


def _rhythm(trained: Trained, heard: Array, ends: list[int]) -> tuple[Array, Array]:
    """Score of the spacing and count of early beats after so many frames each."""
    config, machine, net = trained.config, trained.answer.machine, trained.beat_net
    told = extrasystole.describe(config, heard, ends)
    scores = machine.scores(told) if machine else np.zeros(len(ends))
    return scores, extrasystole.premature(config, net, heard, ends) if net else np.zeros(len(ends), dtype=np.int64)


def _beats(trained: Trained, features: FrontEnd, samples: Array) -> list[dict[str, Any]]:
    """The S1 and S2 that a stream of these samples must find."""
    if trained.beat_net is None:
        return []
    found = beats.beats(trained.config, trained.beat_net, features.extract(samples))
    return [{"t_s": round(b.t_s, 6), "sound": b.sound, "confidence": round(b.confidence, 6)} for b in found]
