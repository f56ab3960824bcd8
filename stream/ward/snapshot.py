"""What the ward's screen shows at one instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from models.decide import Decision
from stream.snapshot import Ledger
from stream.ward.view import WardView


class Row(NamedTuple):
    """One stream.

    Attributes:
        name: of the stream.
        rate_hz: of its samples.
        decision: the newest, or None before the first.
        held_s: for how long it has been the same.
        ledger: samples so far.
        condition: of the device, one of `block.CONDITIONS`.
        detail: why, in words.
        notice: the newest thing that the listener must know; or empty.
        ended: why the stream ended; empty while it runs.
    """

    name: str
    rate_hz: int
    decision: Decision | None
    held_s: float
    ledger: Ledger
    condition: str
    detail: str
    notice: str
    ended: str

    @property
    def lost_s(self) -> float:
        """Audio that was lost."""
        return self.ledger.dropped / self.rate_hz


@dataclass(frozen=True)
class WardSnapshot:
    """Everything one frame needs.

    Attributes:
        source: what all of them come from.
        model: id of the model.
        rows: of all streams, in their order.
        latency_s: from a sample's capture to its decision beyond the window itself, or None where not live.
        drift_ppm: how much faster the device's clock is than the computer's; None where not known.
        view: what the listener chose to see.
    """

    source: str
    model: str
    rows: tuple[Row, ...]
    latency_s: float | None
    drift_ppm: float | None
    view: WardView

    @property
    def elapsed_s(self) -> float:
        """Stream time of the stream that has come farthest."""
        return max((row.ledger.captured / row.rate_hz for row in self.rows), default=0.0)
