"""Hours of audio as fast as they go through a whole session: memory, time per block, the sample clock.

python benchmarks/long_session.py [--hours 24] [--rate 48000] [--model FILE] [--json]

At 48 kHz the samples pass 2^31 after 12.4 and 2^32 after 24.9 hours, in one stretch. Memory is that of the process,
of which the newest decisions, kept for the screen, fill up within the first hour; from there on it must not grow. Each
decision's time is compared with the exact one, as a fraction. Needs Linux, where memory is looked up in /proc.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models import bundle
from models.bundle import Bundle
from models.decide import Decision
from models.rhythm import Beat
from stream.block import Block
from stream.patient import Patient
from stream.session import Session
from stream.simulate import render
from stream.sinks.jsonl import JsonlSink
from stream.snapshot import Ledger

_BLOCK_S = 0.5
_LOOP_S = 60.0
#: Until the session's bounded history of decisions was full and thinned a few times.
_WARM_S = 3600.0
_PARTS = 12


class Part(NamedTuple):
    """A stretch of the session."""

    end_h: float
    rss_mb: float
    allocated: int  # memory blocks of Python's own
    block_us: float  # median


class Repeating:
    """A minute of a simulated patient, over and over."""

    def __init__(self, rate_hz: int, hours: float) -> None:
        self.rate_hz = rate_hz
        self.description: dict[str, object] = {"kind": "simulated", "name": "a long night", "rate_hz": rate_hz}
        samples = round(_BLOCK_S * rate_hz)
        audio = render(Patient("normal", rate_hz=rate_hz), _LOOP_S).astype(np.float32)
        self._cuts = np.split(audio, range(samples, len(audio), samples))
        self._blocks = round(hours * 3600 / _BLOCK_S)

    def blocks(self) -> Iterator[Block]:
        """Blocks of half a second until the hours are over."""
        start = 0
        for k in range(self._blocks):
            cut = self._cuts[k % len(self._cuts)]
            yield Block(cut, start, self.rate_hz)
            start += len(cut)

    def stop(self) -> None:
        """It ends by itself."""

    def close(self) -> None:
        """Nothing is held."""


class Clock:
    """A sink that compares each decision's time with the exact one."""

    def __init__(self, model: Bundle) -> None:
        self._front, self._window = model.front_end.spec, model.window
        self.decisions = 0
        self.worst_s = 0.0
        self.ledger = Ledger()
        self.reason = ""

    def decision(self, d: Decision) -> None:
        """The last decision may come at any frame."""
        frames = self._window.first_frames + self.decisions * self._window.hop_frames
        exact_s = Fraction(self._front.span_samples(frames), self._front.rate_hz)
        if Fraction(d.t_s) - exact_s > -Fraction(self._front.hop_s):
            self.worst_s = max(self.worst_s, abs(float(Fraction(d.t_s) - exact_s)))
        self.decisions += 1

    def beat(self, beat: Beat) -> None:
        """Not looked at."""

    def gap(self, t_s: float, lost_samples: int, reason: str) -> None:
        """There is none."""

    def condition(self, t_s: float, state: str, detail: str) -> None:
        """There is no device."""

    def mark(self, t_s: float, note: str) -> None:
        """Nobody marks anything."""

    def notice(self, t_s: float, text: str) -> None:
        """There is nothing to say."""

    def end(self, ledger: Ledger, reason: str) -> None:
        """Where every sample went."""
        self.ledger, self.reason = ledger, reason


class Watch:
    """Looks at the process after each block, and as often at the session as the screen does."""

    def __init__(self, hours: float) -> None:
        self.session: Session | None = None
        self.parts: list[Part] = []
        blocks = round(hours * 3600 / _BLOCK_S)
        self._ends = {round(blocks * (k + 1) / _PARTS) for k in range(_PARTS)}
        self._taken_us: list[float] = []
        self._warm = False
        self._blocks = 0
        self.before_mb, self.before_allocated = 0.0, 0
        self._last_s = time.perf_counter()

    def after_block(self) -> None:
        """What a block took, and every so often what the process holds."""
        assert self.session is not None
        self.session.snapshot()
        self._taken_us.append((time.perf_counter() - self._last_s) * 1e6)
        self._blocks += 1
        heard_s = self._blocks * _BLOCK_S
        if not self._warm and heard_s >= _WARM_S:
            self._warm = True
            self.before_mb, self.before_allocated = rss_mb(), sys.getallocatedblocks()
        if self._blocks in self._ends:
            median_us = statistics.median(self._taken_us)
            self._taken_us.clear()
            self.parts.append(Part(heard_s / 3600, rss_mb(), sys.getallocatedblocks(), median_us))
        self._last_s = time.perf_counter()


def rss_mb() -> float:
    """Memory that the process holds now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(hours: float, rate_hz: int, model: Bundle) -> dict[str, object]:
    """Run the session; what was found."""
    source, clock, watch = Repeating(rate_hz, hours), Clock(model), Watch(hours)
    with Path(os.devnull).open("w") as nowhere:
        session = Session(source, model, [JsonlSink(nowhere, "the log", {}), clock])
        watch.session = session
        session.run(watch.after_block)
    # Of block times without the first part, which still fills the history.
    later = watch.parts[1:]
    trend = np.polyfit([p.end_h for p in later], [p.block_us for p in later], 1)[0] if len(later) > 1 else 0.0
    return {
        "hours": hours,
        "samples": clock.ledger.captured,
        "decisions": clock.decisions,
        "analysed": clock.ledger.analysed,
        "ended": clock.reason,
        "worst_clock_error_s": clock.worst_s,
        "grown_mb": watch.parts[-1].rss_mb - watch.before_mb,
        "grown_blocks": watch.parts[-1].allocated - watch.before_allocated,
        "block_us_per_hour": float(trend),
        "parts": [part._asdict() for part in watch.parts],
    }


def main() -> None:
    """Print what was found."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--hours", type=float, default=24.0)
    asked.add_argument("--rate", type=int, default=48_000)
    asked.add_argument("--model", type=Path, default=bundle.SHIPPED)
    asked.add_argument("--json", action="store_true")
    wanted = asked.parse_args()
    found = measure(wanted.hours, wanted.rate, bundle.load(wanted.model))
    if wanted.json:
        print(json.dumps(found))
        return
    for part in (Part(**values) for values in found["parts"]):  # type: ignore[attr-defined]
        print(f"{part.end_h:6.2f} h  {part.rss_mb:7.2f} MB  {part.block_us:6.0f} us a block of {_BLOCK_S} s")
    print(f"{found['samples']:,} samples, {found['decisions']:,} decisions")
    print(f"a decision's time is off by {found['worst_clock_error_s']:.1e} s at most")
    print(f"after {_WARM_S / 60:.0f} minutes memory grew by {found['grown_mb']:.2f} MB")
    print(f"time per block: {found['block_us_per_hour']:+.2f} us an hour")


if __name__ == "__main__":
    main()
