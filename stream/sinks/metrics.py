"""What is heard and lost, as Prometheus metrics. Only imported where they are asked for: needs the extra `metrics`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from models.classes import CLASSES
from models.decide import STATUSES, Decision
from models.rhythm import Beat
from stream.block import CONDITIONS
from stream.snapshot import Ledger, Snapshot

_AWAY = ("lost", "reconnecting")
_SAMPLES = {"captured": "captured", "analysed": "analysed", "lost": "dropped", "discarded": "discarded"}


class MetricsSink:
    """Counts what it is told, over all sessions of the program, and looks at the running one when it is asked.

    It is a collector as prometheus-client has them: register it with a registry, which asks it on a thread of its own
    at each scrape. Counters begin at 0. A gauge that nothing is known of at the moment (no heart rate, no latency of a
    file) has no sample: as NaN it would turn averages over time into NaN, and 0 would be a lie.
    """

    def __init__(self) -> None:
        self._decisions = Counter({(status, label): 0 for status in STATUSES for label in _labels(status)})
        self._beats = Counter({"S1": 0, "S2": 0})
        self._gaps = self._reconnects = self._notices = self._marks = 0
        self._newest: Decision | None = None
        self._state = "listening"
        # Samples of the sessions that are over, and the one that runs: replaced as one, as a scrape may come between.
        self._heard: tuple[Ledger, Callable[[], Snapshot] | None] = (Ledger(), None)

    def watch(self, snapshot: Callable[[], Snapshot]) -> None:
        """Look at this session from now on, until it tells its end."""
        self._state = "listening"
        self._heard = (self._heard[0], snapshot)

    def decision(self, d: Decision) -> None:
        """Count a decision; it is the newest."""
        self._decisions[d.status, d.label or ""] += 1
        self._newest = d

    def beat(self, beat: Beat) -> None:
        """Count a heart sound."""
        self._beats[beat.sound] += 1

    def gap(self, t_s: float, lost_samples: int, reason: str) -> None:  # noqa: ARG002 - the ledger has the samples
        """Count a loss."""
        self._gaps += 1

    def condition(self, t_s: float, state: str, detail: str) -> None:  # noqa: ARG002
        """Note what became of the device; to be heard again after it was away is a reconnect."""
        self._reconnects += self._state in _AWAY and state == "listening"
        self._state = state

    def notice(self, t_s: float, text: str) -> None:  # noqa: ARG002
        """Count a notice."""
        self._notices += 1

    def mark(self, t_s: float, note: str) -> None:  # noqa: ARG002
        """Count a mark."""
        self._marks += 1

    def end(self, ledger: Ledger, reason: str) -> None:  # noqa: ARG002
        """Add up the session; nothing is known now of a running one."""
        self._heard = (_sum(self._heard[0], ledger), None)
        self._newest = None

    def collect(self) -> Iterator[Metric]:
        """All metrics as they are now."""
        before, look = self._heard
        now = look() if look else None
        yield from self._counters(_sum(before, now.ledger) if now else before)
        # What was said of the last audio says nothing of now, where none comes.
        newest = self._newest if self._state == "listening" else None
        yield _gauge("quality", "Signal quality, 0 to 1; absent where unknown.", newest.quality if newest else None)
        rate = newest.heart_rate_bpm if newest else None
        yield _gauge("heart_rate_bpm", "Beats per minute; absent where unknown.", rate)
        latency = "From capture to decision beyond the window itself; absent where not live."
        yield _gauge("latency_seconds", latency, now.latency_s if now else None)
        waiting = "Audio that waits in the ring; more than its length is lost. Absent where there is no ring."
        yield _gauge("ring_waiting_seconds", waiting, now.waiting_s if now else None)
        state = GaugeMetricFamily("laennec_device_state", "1 for what the device is now.", labels=("state",))
        for name in CONDITIONS:
            state.add_metric((name,), float(name == self._state))
        yield state

    def _counters(self, ledger: Ledger) -> Iterator[Metric]:
        decisions = CounterMetricFamily(
            "laennec_decisions", "Rolling decisions; the label is empty unless ok.", labels=("status", "label")
        )
        for key, count in self._decisions.copy().items():
            decisions.add_metric(key, count)
        yield decisions
        beats = CounterMetricFamily("laennec_beats", "Heart sounds found.", labels=("sound",))
        for sound, count in self._beats.copy().items():
            beats.add_metric((sound,), count)
        yield beats
        for name, field in _SAMPLES.items():
            about = f"Samples {name}, at the source's rate; captured = analysed + lost + discarded."
            yield CounterMetricFamily(f"laennec_{name}_samples", about, value=getattr(ledger, field))
        yield CounterMetricFamily("laennec_gaps", "Stretches of audio lost.", value=self._gaps)
        yield CounterMetricFamily(
            "laennec_reconnects", "Times that the device was heard again after it was away.", value=self._reconnects
        )
        yield CounterMetricFamily("laennec_notices", "Things that the listener was to know.", value=self._notices)
        yield CounterMetricFamily("laennec_marks", "Moments that the listener marked.", value=self._marks)


def _labels(status: str) -> tuple[str, ...]:
    return CLASSES if status == "ok" else ("",)


def _sum(a: Ledger, b: Ledger) -> Ledger:
    return Ledger(a.captured + b.captured, a.analysed + b.analysed, a.dropped + b.dropped, a.discarded + b.discarded)


def _gauge(name: str, about: str, value: float | None) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"laennec_{name}", about, value=value)
