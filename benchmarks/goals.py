"""What the figures are to reach, and whether they do. Pure: results in, rows out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from benchmarks.plan import (
    ALL_STAGES_STREAMS,
    CLASSIFIER_STREAMS,
    GROWTH,
    JOINT,
    NOTEBOOK,
    SILERO,
    SINGLE,
)

Results = Mapping[str, Any]


class Figure(NamedTuple):
    """A measured figure with its interval; all the same where there is none."""

    value: float
    low: float
    high: float


class Goal(NamedTuple):
    """A figure to reach.

    Attributes:
        figure: what it is.
        limit: to be reached.
        least: whether more is better.
        unit: written after numbers.
        find: in the results; None where it was not measured.
        readme: whether the README shows it.
    """

    figure: str
    limit: float
    least: bool
    unit: str
    find: Callable[[Results], Figure | None]
    readme: bool = False

    def verdict(self, results: Results) -> str:
        """By the median: "reached", "missed" or "not measured"."""
        found = self.find(results)
        if found is None:
            return "not measured"
        return "reached" if (found.value >= self.limit if self.least else found.value <= self.limit) else "missed"


def _exact(value: float) -> Figure:
    return Figure(value, value, value)


def of_spread(spread: Mapping[str, float]) -> Figure:
    """Median and interval."""
    return Figure(spread["median"], spread["low"], spread["high"])


def streams_a_core(spread: Mapping[str, float]) -> Figure:
    """From microseconds a second of audio: less is more."""
    return Figure(*(1e6 / spread[name] for name in ("median", "high", "low")))


def _streams(key: str, streams: int) -> Callable[[Results], Figure | None]:
    def find(results: Results) -> Figure | None:
        return next((streams_a_core(r["cpu_us"]) for r in results[key] if r["streams"] == streams), None)

    return find


def _ratio(ours: str, peer: str) -> Callable[[Results], Figure | None]:
    def find(results: Results) -> Figure | None:
        pairs = (r for r in results["ratios"] if (r["ours"], r["peer"]) == (ours, peer))
        return next(map(of_spread, pairs), None)

    return find


def _latency(block_s: float) -> Callable[[Results], Figure | None]:
    return lambda results: next(_exact(r["p99_ms"]) for r in results["latency"] if r["block_s"] == block_s)


def _memory(streams: int) -> Callable[[Results], Figure | None]:
    def find(results: Results) -> Figure | None:
        return next((_exact(r["most_mb"]) for r in results["memory"] if r["streams"] == streams), None)

    return find


def _archive(results: Results) -> Figure | None:
    return of_spread(results["archive"]["by_jobs"][0]["rate"])


def _gain(results: Results) -> Figure | None:
    return of_spread(results["archive"]["gain"])


def _growth(results: Results) -> Figure | None:
    return of_spread(results["growth"]) if results["growth"] else None


def _start(name: str) -> Callable[[Results], Figure | None]:
    return lambda results: of_spread(results["start"][name])


_CPU = "CPU for that of"
_FIRST = "first decision on a file"
_ONE, _MANY = f"{GROWTH[0]:,}", f"{GROWTH[1]:,}"
_ALL_STAGES = f"live streams a core, all stages, {ALL_STAGES_STREAMS:,} together"
_CLASSIFIER = f"live streams a core, classifier alone, {CLASSIFIER_STREAMS:,} together"

GOALS = (
    Goal(_ALL_STAGES, 1000, True, "", _streams("streams", ALL_STAGES_STREAMS), readme=True),
    Goal(_CLASSIFIER, 2000, True, "", _streams("classifier", CLASSIFIER_STREAMS)),
    Goal(f"{_CPU} silero-vad's ONNX, 64 streams together", 1 / 5, False, "", _ratio(JOINT, SILERO), readme=True),
    Goal(f"{_CPU} silero-vad's ONNX, one stream", 1 / 2, False, "", _ratio(SINGLE, SILERO), readme=True),
    Goal(f"{_CPU} librosa and torch, 64 streams together", 1 / 30, False, "", _ratio(JOINT, NOTEBOOK)),
    Goal(f"{_CPU} librosa and torch, one stream", 1 / 30, False, "", _ratio(SINGLE, NOTEBOOK)),
    Goal("a block of 0.5 s in to its decision out, 99th percentile", 5, False, " ms", _latency(0.5), readme=True),
    Goal("a block of 20 ms in to its decision out, 99th percentile", 5, False, " ms", _latency(0.02)),
    Goal("`laennec classify`, one process, times real time", 1500, True, "", _archive, readme=True),
    Goal("`laennec classify --jobs 2` on two cores, times one process", 1.8, True, "", _gain),
    Goal("start to the first decision on a file", 1.0, False, " s", _start(_FIRST), readme=True),
    Goal("start to the end of `laennec --help`", 0.3, False, " s", _start("--help")),
    Goal("memory, most ever held, one stream", 120, False, " MB", _memory(1), readme=True),
    Goal("memory, most ever held, 1,024 streams", 400, False, " MB", _memory(1024), readme=True),
    Goal(f"cost of a stream, {_MANY} together for {_ONE} together", 1.15, False, "", _growth),
)
