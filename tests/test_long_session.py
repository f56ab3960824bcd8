"""Long sessions: memory stays where it is, and times are exact where a 32-bit counter would have wrapped.

`python benchmarks/long_session.py` hears 24 hours at 48 kHz in one stretch; that takes minutes. Here it hears so long
that a leak of one object in ten decisions would show.
"""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_bundle
from conftest import ROOT, skip_or_fail
from program import heart, surroundings

from models import bundle, windows
from models.bundle import Bundle
from models.decide import Decision
from models.rhythm import Beat
from stream.block import Block
from stream.pipeline import Event, Gap, Pipeline
from stream.ring import Ring

RATE_HZ = 48_000


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle.write(tmp_path_factory.mktemp("bundle") / "tiny.onnx")


@pytest.fixture(scope="module")
def model(file: Path) -> Bundle:
    return bundle.load(file)


# Memory


@pytest.fixture(scope="module")
def night(file: Path) -> dict[str, Any]:
    """An hour to warm up, and two rounds of the history's thinning: the session is then as it was after the hour."""
    if not Path("/proc/self/statm").exists():
        skip_or_fail("memory is looked up in /proc: run this on Linux")
    command = [sys.executable, ROOT / "benchmarks" / "long_session.py", "--json", "--rate", 4000, "--model", file]
    done = subprocess.run(
        [*map(str, command), "--hours", str(4600 / 3600)],
        env=surroundings(),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(done.stdout))


def test_memory_does_not_grow_once_warm(night: dict[str, Any]) -> None:
    assert night["grown_mb"] < 1.0
    assert night["grown_blocks"] < 200  # of 2000 decisions


def test_every_sample_and_decision_of_hours_is_there(night: dict[str, Any], model: Bundle) -> None:
    assert night["ended"] == "end of input"
    assert night["samples"] == night["analysed"] == 4600 * 4000
    frames = model.front_end.spec.frames_in(4600 * model.front_end.spec.rate_hz)
    assert night["decisions"] == len(windows.decision_ends(model.window, frames))
    assert night["worst_clock_error_s"] < 1e-9


def held_values(thing: Any, seen: set[int]) -> int:
    """How many numbers lie in arrays and containers that an object holds, the model aside."""
    if id(thing) in seen or isinstance(thing, Bundle | str | int | float):
        return 0
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        return int(thing.size)
    parts = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list | tuple | set) else ()
    inner = vars(thing).values() if hasattr(thing, "__dict__") else ()
    return len(list(parts)) + sum(held_values(part, seen) for part in (*parts, *inner))


def test_what_a_pipeline_holds_is_as_much_after_minutes_as_after_a_quarter_of_one(model: Bundle) -> None:
    held = []
    pipeline = Pipeline(model, 4000)
    samples = heart(10.0)
    for at in range(0, 240 * 4000, len(samples)):
        pipeline.process(Block(samples, at, 4000))
        held.append(held_values(pipeline, set()))
    # Beats of the last ten seconds are held, as many as there are.
    assert max(held) > 10_000
    assert max(held[12:]) <= 1.01 * max(held[2:12])


# The sample clock


def events(model: Bundle, blocks: list[Block]) -> tuple[list[Event], Pipeline]:
    pipeline = Pipeline(model, RATE_HZ)
    told = [event for block in blocks for event in pipeline.process(block)]
    return told + pipeline.flush(), pipeline


def after_a_loss(lost: int) -> list[Block]:
    """Two seconds of sound, a loss, and seven seconds more."""
    sound = heart(9.0, rate_hz=RATE_HZ)
    first, rest = sound[: 2 * RATE_HZ], sound[2 * RATE_HZ :]
    blocks = [Block(first, 0, RATE_HZ)]
    for k, cut in enumerate(np.split(rest, 14)):
        start = len(first) + lost + k * len(cut)
        blocks.append(Block(cut, start, RATE_HZ, 0 if k else lost, "" if k else "a long wait"))
    return blocks


def later(told: list[Event], kind: type) -> list[Any]:
    """Events of a kind after the loss."""
    gap = next(k for k, event in enumerate(told) if isinstance(event, Gap))
    return [event for event in told[gap + 1 :] if isinstance(event, kind)]


@pytest.mark.parametrize("lost", [2**31 - 3 * RATE_HZ, 2**31 - 1, 2**31, 2**31 + 7, 2**32 - 5 * RATE_HZ, 2**40 + 1])
def test_times_are_exact_beyond_what_32_bits_count(model: Bundle, lost: int) -> None:
    told, pipeline = events(model, after_a_loss(lost))
    spec = model.front_end.spec
    start = 2 * RATE_HZ + lost
    decisions = later(told, Decision)
    ends = windows.decision_ends(model.window, spec.frames_in(7 * spec.rate_hz))
    assert len(decisions) == len(ends) > 10
    for decision, frames in zip(decisions, ends, strict=True):
        exact_s = Fraction(start, RATE_HZ) + Fraction(spec.span_samples(frames), spec.rate_hz)
        assert abs(Fraction(decision.t_s) - exact_s) <= Fraction(np.spacing(float(exact_s)))
        assert round(Fraction(round(decision.t_s, 6)) * RATE_HZ) == exact_s * RATE_HZ, "as written in the log"
    (gap,) = (event for event in told if isinstance(event, Gap))
    assert (gap.t_s, gap.lost_samples) == (2.0, lost)
    ledger = pipeline.ledger
    assert (ledger.captured, ledger.analysed, ledger.dropped) == (9 * RATE_HZ + lost, 9 * RATE_HZ, lost)


def test_what_is_said_does_not_depend_on_how_late_it_is(model: Bundle) -> None:
    early, _ = events(model, after_a_loss(RATE_HZ))
    late, _ = events(model, after_a_loss(2**31))
    apart_s = (2**31 - RATE_HZ) / RATE_HZ
    pairs = list(zip(later(early, Decision), later(late, Decision), strict=True))
    assert all(a.probabilities == b.probabilities and a.status == b.status for a, b in pairs)
    beats = list(zip(later(early, Beat), later(late, Beat), strict=True))
    assert all(a.sound == b.sound and abs(b.t_s - a.t_s - apart_s) < 1e-6 for a, b in beats)


@pytest.mark.parametrize("begin", [2**31 - 500, 2**32 - 500, 2**53 - 500])
def test_the_ring_counts_on_where_32_bits_end(begin: int) -> None:
    ring = Ring(1000)
    ring._claimed = ring._written = ring._next = begin  # as after hours; writing as much would take them
    expected = begin
    for k in range(20):
        size = 1300 if k == 9 else 90  # more than it holds
        ring.write(np.arange(size, dtype=np.float32))
        found = ring.read(2000)
        lost = max(0, size - 1000)
        assert (found.start, found.lost) == (expected + lost, lost)
        assert np.array_equal(found.samples, np.arange(size)[lost:])
        expected += size
    assert ring.written == expected > begin + 2500
