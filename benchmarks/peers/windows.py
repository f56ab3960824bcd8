"""What the two recomputing peers share: a window of the newest seconds at every hop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.contender import Contender, audio
from stream.block import Samples

RATE_HZ = 4000
#: As Laennec's own.
WINDOW_S, HOP_S = 4.0, 0.5
#: Frames of 64 ms every 20 ms, as many as Laennec's own front end makes.
FRAME_S, FRAME_HOP_S = 0.064, 0.02


def recompute(folder: Path, answer: Callable[[Samples], object], rate_hz: int = RATE_HZ) -> Contender:
    """Asks for an answer on the newest `WINDOW_S` every `HOP_S`; each pass begins once the first window is full."""
    heard = audio(folder, rate_hz)
    window, hop = round(WINDOW_S * rate_hz), round(HOP_S * rate_hz)
    ends = range(window, len(heard) + 1, hop)

    def hear() -> int:
        for end in ends:
            answer(heard[end - window : end])
        return len(ends)

    return Contender(len(ends) * HOP_S, hear)
