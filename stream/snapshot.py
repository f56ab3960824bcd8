"""What the screen shows at one instant: frozen, so that drawing never races with listening."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.decide import Decision
from models.rhythm import Beat
from stream.block import Samples
from stream.monitor.view import Mark, View
from stream.tachogram import Cycle


@dataclass(frozen=True)
class Ledger:
    """Where every captured sample went, in samples at the source's rate: captured = analysed + dropped + discarded.

    Attributes:
        captured: samples the source's clock counts, lost ones included.
        analysed: samples a decision has heard, or is about to.
        dropped: samples lost before analysis (ring overrun, device fault).
        discarded: samples of stretches too short for any decision.
    """

    captured: int = 0
    analysed: int = 0
    dropped: int = 0
    discarded: int = 0


@dataclass(frozen=True)
class Level:
    """Loudness of the last second at the source's rate; amplitudes are relative to full scale.

    Attributes:
        peak: largest magnitude, 0 to 1 (above 1 only in float recordings).
        rms: root mean square, 0 to 1.
        clipped_share: share of samples at or beyond full scale, 0 to 1.
    """

    peak: float = 0.0
    rms: float = 0.0
    clipped_share: float = 0.0


@dataclass(frozen=True)
class Snapshot:
    """Everything one frame of the screen needs.

    Attributes:
        source: what is listened to, for the title line.
        model: id of the model.
        band_hz: (low, high) of what the trace lets through, for its caption.
        rate_hz: the source's native sample rate.
        trace: (m,) float32 at `trace_rate_hz`, what is to be shown; shorter at the start, NaN where audio was lost.
        trace_rate_hz: sample rate of `trace`.
        trace_end_s: stream time of the trace's last sample.
        span_s: how much of it is to be shown, > 0.
        decision: the newest, or None before the first; where the view is frozen, the newest of that moment.
        history: decisions so far, oldest first, thinned to a bounded number; of all of the session, frozen or not.
        beats: S1 and S2 of the minute before the trace's end, oldest first, in stream time; of a live trace, those of
            the newest half second or so are not known yet.
        cycles: from S1 to S1, of the minute before the trace's end, oldest first.
        level: loudness of the last second.
        ledger: samples so far.
        latency_s: from a sample's capture to its decision beyond the window itself, or None where not live.
        recording: name of the file being recorded, or empty.
        condition: of a live device, one of `block.CONDITIONS`.
        condition_detail: why, in words.
        notice: the newest thing that the listener must know, beside the answers; or empty.
        drift_ppm: how much faster the device's clock is than the computer's; None where not known.
        waiting_s: audio that was captured and waits in the ring to be heard; None where there is no ring.
        synthetic: True for a simulated patient.
        ended: why the stream ended, or empty while it runs.
        paused: whether the listener paused: what comes is counted as lost.
        marks: the newest moments that the listener marked, oldest first.
        view: what the listener chose to see.
    """

    source: str
    model: str
    band_hz: tuple[float, float]
    rate_hz: int
    trace: Samples
    trace_rate_hz: int
    trace_end_s: float
    span_s: float = 5.0
    decision: Decision | None = None
    history: tuple[Decision, ...] = ()
    beats: tuple[Beat, ...] = ()
    cycles: tuple[Cycle, ...] = ()
    level: Level = field(default_factory=Level)
    ledger: Ledger = field(default_factory=Ledger)
    latency_s: float | None = None
    recording: str = ""
    condition: str = "listening"
    condition_detail: str = ""
    drift_ppm: float | None = None
    waiting_s: float | None = None
    notice: str = ""
    synthetic: bool = False
    ended: str = ""
    paused: bool = False
    marks: tuple[Mark, ...] = ()
    view: View = field(default_factory=View)
