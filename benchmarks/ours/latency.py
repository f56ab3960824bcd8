"""From a block going in to its decision coming out: one stream, wall clock."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from benchmarks.contender import audio
from benchmarks.ours.streams import RATE_HZ, model, pipeline
from models.decide import Decision
from stream.block import Block

_WARM = 30  # decisions


def measure(folder: Path, block_s: float, decisions: int) -> dict[str, float]:
    """Milliseconds over those blocks that complete a decision, after the first 30 of them."""
    heard, step = audio(folder, RATE_HZ), round(block_s * RATE_HZ)
    blocks = [heard[at : at + step] for at in range(0, len(heard) - step + 1, step)]
    stream, took_s, number = pipeline(model()), list[float](), 0
    while len(took_s) < _WARM + decisions:
        block = Block(blocks[number % len(blocks)], number * step, RATE_HZ)
        began_s = time.perf_counter()
        events = stream.process(block)
        passed_s = time.perf_counter() - began_s
        number += 1
        if any(isinstance(event, Decision) for event in events):
            took_s.append(passed_s)
    ms = 1e3 * np.array(took_s[_WARM:])
    told = {"p50_ms": np.median(ms), "p99_ms": np.quantile(ms, 0.99), "max_ms": ms.max()}
    return {"block_s": block_s, "decisions": float(decisions), **{name: float(value) for name, value in told.items()}}
