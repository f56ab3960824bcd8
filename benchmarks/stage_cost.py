"""CPU time of each stage, where it is done: `python benchmarks/stage_cost.py [STREAMS]`, one core.

The stages are timed inside the running pipeline, not in loops of their own: alone, each would find its code and data in
the processor's caches, and cost half of what it does in its place (tried). Printed are medians over rounds of ten
seconds of audio, and rhythm and quality together as a share of the classifier: of its network, and of front end and
network.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.contender import write_audio
from benchmarks.ours.streams import BLOCK_S, RATE_HZ, WARM, Ward
from models import intervals, join, quality, regularity, windows
from models.bundle import Bundle
from models.extrasystole import Machine
from models.frontend import FrontEnd
from models.rhythm import Rhythm
from stream import meter
from stream.resample import Resampler
from stream.stretch import Stretch

#: What each stage is in code: functions, none of which calls another of these.
STAGES: dict[str, list[tuple[Any, str]]] = {
    "resampler": [(Resampler, "process")],
    "level": [(meter, "step"), (meter, "trim"), (meter, "loudness")],
    "front end": [(FrontEnd, "cut"), (FrontEnd, "features")],
    "windows": [(windows, "add"), (windows, "put_together"), (windows, "cut"), (windows, "trim")],
    "network": [(Bundle, "logits")],
    "S1 and S2": [(Rhythm, "steps")],
    "rate and early beats": [(regularity, "assess")],
    "spacing of sounds": [(Bundle, "envelopes"), (intervals, "describe_all"), (Machine, "scores")],
    "quality": [(quality, "assess_all")],
    "join and decide": [(join, "join"), (join, "probabilities"), (Stretch, "smooth"), (Stretch, "tell")],
}
WHOLE, REST = "whole", "everything else"
_RHYTHM = ("S1 and S2", "rate and early beats", "spacing of sounds", "quality")
_BLOCKS = 20  # a round


def measure(folder: Path, streams: int = 1, rounds: int = 40) -> dict[str, list[float]]:
    """Microseconds of CPU per second of audio, by stage and round.

    A stage that is not done by the functions of `STAGES` is missing, and part of the rest.
    """
    ward = Ward(folder, streams, joint=streams > 1)
    for _ in range(WARM):
        ward.hear()
    spent: Counter[str] = Counter()
    for stage, functions in STAGES.items():
        for holder, name in functions:
            setattr(holder, name, _timed(getattr(holder, name), stage, spent))
    taken = [_round(ward, spent, streams) for _ in range(rounds)]
    return {stage: [one[stage] for one in taken] for stage in taken[0]}


def _round(ward: Ward, spent: Counter[str], streams: int) -> dict[str, float]:
    spent.clear()
    begin = time.process_time()
    for _ in range(_BLOCKS):
        ward.hear()
    whole = time.process_time() - begin
    parts = {stage: spent[stage] for stage in STAGES if stage in spent}
    all_of_it = {WHOLE: whole, **parts, REST: whole - sum(parts.values())}
    return {stage: took_s / (_BLOCKS * BLOCK_S * streams) * 1e6 for stage, took_s in all_of_it.items()}


def _timed(function: Callable[..., Any], stage: str, spent: Counter[str]) -> Callable[..., Any]:
    def timed(*given: Any, **named: Any) -> Any:
        begin = time.process_time()
        try:
            return function(*given, **named)
        finally:
            spent[stage] += time.process_time() - begin  # type: ignore[assignment]

    return timed


def main(streams: int) -> None:
    """Print what each costs."""
    with tempfile.TemporaryDirectory() as name:
        write_audio(Path(name), 40.0, [RATE_HZ])
        cost = {stage: median(values) for stage, values in measure(Path(name), streams).items()}
    for stage, microseconds in cost.items():
        print(f"{stage:<20} {microseconds:6.0f} us per second of audio")
    if streams == 1:
        both = sum(cost[stage] for stage in _RHYTHM)
        print(f"rhythm and quality: {both / cost['network']:.2f} of the network alone")
        print(f"                    {both / (cost['network'] + cost['front end']):.2f} of front end and network")


if __name__ == "__main__":
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
