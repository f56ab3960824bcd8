"""Paired rounds: every contender in a process of its own, taking turns, so that what else the machine does hits all.

Turns run forwards in one round and backwards in the next: nobody is always the one after the heaviest. Times are
compared within a round; what is told is the median over the rounds and its interval.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.worker import ONE_THREAD

ROOT = Path(__file__).resolve().parent.parent


class FailedError(Exception):
    """A measured process ended by itself; the message says which and why."""


class Work(NamedTuple):
    """What a process is asked to do.

    Attributes:
        name: in tables.
        module: that does it, e.g. "peers.silero".
        settings: for its `prepare` or `measure`.
    """

    name: str
    module: str
    settings: Mapping[str, Any] = {}


class Spread(NamedTuple):
    """A median over rounds.

    Attributes:
        median: of the rounds.
        low: with `high` an interval that holds the true median in 95 of 100 cases, from the order of the rounds alone;
            of fewer than six rounds the least and the largest, which is less sure.
        high: see low.
        rounds: how many.
    """

    median: float
    low: float
    high: float
    rounds: int


def spread(values: Sequence[float]) -> Spread:
    """Median and interval of one or more values."""
    ordered, n = sorted(values), len(values)
    out, missed = 0, 2 / 2**n  # how many are left out at either end, and how often the interval misses
    while (more := missed + 2 * math.comb(n, out + 1) / 2**n) <= 0.05:
        out, missed = out + 1, more
    return Spread(statistics.median(ordered), ordered[out], ordered[-1 - out], n)


class Process:
    """A worker on one core.

    Attributes:
        name: of the work.
        ready: what it said of itself; empty before.
    """

    def __init__(self, work: Work, folder: Path, core: int, least_s: float = 0.0) -> None:
        self.name = work.name
        self.ready: dict[str, Any] = {}
        settings = json.dumps({**work.settings, "core": core, "least_s": least_s})
        command = [sys.executable, "-m", "benchmarks.worker", f"benchmarks.{work.module}", str(folder), settings]
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        self._errors = (folder / f"{work.name}.txt").open("w+")
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,  # Ctrl-C is told to this process, which ends them
        )

    def told(self) -> dict[str, Any]:
        """Its next line.

        Raises:
            FailedError: it ended.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._errors.seek(0)
            last = (self._errors.read().strip().splitlines() or ["it said nothing"])[-1]
            raise FailedError(f"{self.name} ended with exit code {code}: {last}")
        return dict(json.loads(line))

    def round(self) -> dict[str, float]:
        """Let it run a round; what that took."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.told()

    def end(self) -> None:
        """For good, whatever it does."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()


@contextlib.contextmanager
def running(works: Sequence[Work], folder: Path, core: int, least_s: float = 0.0) -> Iterator[list[Process]]:
    """Processes that get ready side by side; all of them end with the block."""
    processes: list[Process] = []
    try:
        for work in works:
            processes.append(Process(work, folder, core, least_s))
        yield processes
    finally:
        for process in processes:
            process.end()


def take_turns(processes: Sequence[Process], rounds: int) -> dict[str, list[dict[str, float]]]:
    """What each took in each round, by name."""
    taken: dict[str, list[dict[str, float]]] = {process.name: [] for process in processes}
    for number in range(rounds):
        for process in processes if number % 2 == 0 else reversed(processes):
            taken[process.name].append(process.round())
    return taken


def once(work: Work, folder: Path, core: int) -> Any:
    """What a process with `measure` finds."""
    with running([work], folder, core) as (process,):
        return process.told()["found"]


def cost(taken: Sequence[Mapping[str, float]], clock: str) -> list[float]:
    """Microseconds of "cpu_s" or "wall_s" for a second of audio, by round."""
    return [spent[clock] / spent["audio_s"] * 1e6 for spent in taken]


def ratio(one: Sequence[Mapping[str, float]], other: Sequence[Mapping[str, float]]) -> Spread:
    """CPU of one for CPU of the other, over the rounds that they share."""
    pairs = zip(cost(one, "cpu_s"), cost(other, "cpu_s"), strict=True)
    return spread([mine / theirs for mine, theirs in pairs])
