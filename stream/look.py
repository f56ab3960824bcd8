"""What a screen shows of a session at one instant, to someone who chose a view."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.bundle import Bundle
from models.decide import Decision
from stream import bands
from stream.block import Condition, Source
from stream.memory import Memory
from stream.monitor.view import View
from stream.past import Past
from stream.pipeline import Pipeline
from stream.snapshot import Level, Snapshot

#: A decision is older than this where nothing was heard for so long.
_LOST_S = 0.5
_UNKNOWN = Level(float("nan"), float("nan"), 0.0)


class Standing(NamedTuple):
    """How a session stands, beside what was heard; each as in `Snapshot`."""

    condition: Condition
    notice: str
    ended: str
    paused: bool
    recording: str


def live_s(memory: Memory) -> float:
    """Stream time up to which the trace can be drawn now: its filter looks ahead."""
    return max(0.0, memory.end / memory.rate_hz - bands.REACH_S)


def snapshot(
    source: Source, bundle: Bundle, pipeline: Pipeline, past: Past, standing: Standing, view: View
) -> Snapshot:
    """Everything that one frame needs; another thread may listen meanwhile."""
    memory, about, history = pipeline.memory, source.description, past.history
    age = getattr(source, "captured_s_ago", None)
    frozen = view.frozen_at_s is not None
    end = round((live_s(memory) if view.frozen_at_s is None else view.frozen_at_s) * memory.rate_hz)
    end_s, band_hz = end / memory.rate_hz, bands.band_hz(bundle.front_end.spec, view.sound)
    return Snapshot(
        source=str(about["name"]),
        model=bundle.id,
        band_hz=band_hz,
        rate_hz=source.rate_hz,
        trace=bands.window(memory, end, round(view.span_s * memory.rate_hz), band_hz),
        trace_rate_hz=memory.rate_hz,
        trace_end_s=end_s,
        span_s=view.span_s,
        decision=_back_at(past, memory, end) if frozen else (history[-1] if history else None),
        history=history,
        beats=past.beats_before(end_s),
        cycles=past.cycles_before(end_s),
        level=_UNKNOWN if standing.paused or frozen else pipeline.level,
        ledger=pipeline.ledger,
        latency_s=age() + pipeline.delay_s if age and standing.condition.state == "listening" else None,
        recording=standing.recording,
        condition=standing.condition.state,
        condition_detail=standing.condition.detail,
        drift_ppm=getattr(source, "drift_ppm", None),
        waiting_s=getattr(source, "waiting_s", None),
        notice=standing.notice,
        synthetic=about["kind"] == "simulated",
        ended=standing.ended,
        paused=standing.paused,
        marks=past.marks,
        view=view,
    )


def _back_at(past: Past, memory: Memory, end: int) -> Decision | None:
    """What was decided at a moment that is looked back at; where audio was lost just before it, only that."""
    t_s = end / memory.rate_hz
    made = past.decision_at(t_s)
    heard = np.isfinite(memory.window(end - round(_LOST_S * memory.rate_hz), end))
    return made if made is None or heard.any() else Decision(t_s, 0.0, None, "gap", None)
