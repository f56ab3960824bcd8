"""Fixed snapshots for the tests of the monitor and the plain lines. No clock, no random numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.classes import CLASSES
from models.decide import Decision
from models.regularity import Premature, Regularity
from models.rhythm import Beat
from stream.block import Samples
from stream.snapshot import Ledger, Level, Snapshot

TRACE_RATE_HZ = 500
NAN = float("nan")


def heart(end_s: float, span_s: float = 6.0, bpm: float = 75.0, murmur: float = 0.06) -> Samples:
    """Two decaying tones a beat and a rumble in systole between them, at `TRACE_RATE_HZ`."""
    first = max(0, round((end_s - span_s) * TRACE_RATE_HZ))
    t_s = np.arange(first, round(end_s * TRACE_RATE_HZ)) / TRACE_RATE_HZ
    phase_s = t_s % (60 / bpm)

    def sound(start_s: float, hz: float, size: float) -> np.ndarray:
        since = phase_s - start_s
        return np.where(since >= 0, size * np.exp(-np.maximum(since, 0) / 0.03) * np.sin(2 * np.pi * hz * since), 0)

    systole = (phase_s > 0.12) & (phase_s < 0.32)
    rumble = murmur * systole * np.sin(np.pi * (phase_s - 0.12) / 0.2) * np.sin(2 * np.pi * 137 * t_s)
    return np.asarray(sound(0.02, 50, 0.3) + sound(0.34, 70, 0.22) + rumble, dtype=np.float32)


def beats(end_s: float, span_s: float = 6.0, bpm: float = 75.0, told_s: float = 0.6) -> tuple[Beat, ...]:
    """The beats of `heart`, those of the newest `told_s` seconds not told yet."""
    numbers = range(int((end_s - span_s) * bpm / 60), int(end_s * bpm / 60) + 1)
    onsets = [
        (number * 60 / bpm + after_s, sound) for number in numbers for after_s, sound in ((0.02, "S1"), (0.34, "S2"))
    ]
    return tuple(Beat(t_s, sound, 0.9) for t_s, sound in onsets if end_s - span_s < t_s < end_s - told_s)


def steady(*premature: Premature, confidence: float = 0.9) -> Regularity:
    """A steady rhythm at 75 beats a minute, but for some beats."""
    return Regularity(75.0, confidence, 0.02, 0.97, premature)


def decided(t_s: float, label: str | None, status: str = "ok", p: float = 0.83, **changes: object) -> Decision:
    """A decision with probability p for its label and the rest shared out evenly."""
    best = CLASSES.index(label) if label else 0
    probabilities = tuple(p if i == best else (1 - p) / 4 for i in range(5))
    base = Decision(t_s, 4.0, label, status, probabilities, 0.72, "", 75.0, regularity=steady())
    return replace(base, **changes)  # type: ignore[arg-type]


def history(count: int, hop_s: float = 1.0) -> tuple[Decision, ...]:
    """Listening, then normal, murmur, a gap, and so on, in stretches of ten."""
    course = [
        ("normal", "ok"),
        ("murmur", "ok"),
        (None, "uncertain"),
        ("murmur", "ok"),
        (None, "gap"),
        ("extra_heart_sound", "ok"),
        ("extrasystole", "ok"),
        (None, "poor_signal"),
        ("artifact", "ok"),
    ]
    early = [decided(i * hop_s, None, "listening") for i in range(min(4, count))]
    return (*early, *(decided(i * hop_s, *course[i // 10 % len(course)]) for i in range(4, count)))


def murmur() -> Snapshot:
    """A murmur that has stood for six seconds, 96 s into a simulated patient."""
    past = (*history(91), *(decided(float(t), "murmur") for t in range(91, 97)))
    return Snapshot(
        source="simulated patient: murmur",
        model="laennec-1",
        band_hz=(25.0, 400.0),
        rate_hz=4000,
        trace=heart(96.3),
        trace_rate_hz=TRACE_RATE_HZ,
        trace_end_s=96.3,
        decision=past[-1],
        history=past,
        beats=beats(96.3),
        level=Level(peak=0.27, rms=0.06),
        ledger=Ledger(captured=385_200, analysed=384_720, dropped=480),
        latency_s=0.21,
        recording="heart.wav",
        synthetic=True,
    )


def start() -> Snapshot:
    """Before the first sample."""
    return Snapshot("microphone", "laennec-1", (25.0, 400.0), 48_000, np.zeros(0, dtype=np.float32), TRACE_RATE_HZ, 0.0)


def unknowns() -> Snapshot:
    """Everything that can be unknown is."""
    nothing = Decision(5.0, 4.0, None, "uncertain", (NAN,) * 5, NAN, "", NAN)
    trace = np.full(2500, np.nan, dtype=np.float32)
    level = Level(NAN, NAN, NAN)
    return replace(
        start(), decision=nothing, history=(nothing,), trace=trace, trace_end_s=5.0, level=level, latency_s=NAN
    )
