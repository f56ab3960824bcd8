"""Blocks in, events out: keeps stretches apart at gaps, and the ledger of every sample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from models.bundle import Bundle
from models.decide import Decision
from models.rhythm import Beat
from stream.block import NO_AUDIO, Block, Samples, runs
from stream.snapshot import Ledger, Level
from stream.stretch import Stretch

TRACE_S = 6.0


@dataclass(frozen=True)
class Gap:
    """Audio that was lost.

    Attributes:
        t_s: where the loss begins, from the first sample of the stream.
        lost_samples: at the source's rate.
        reason: why, in words.
    """

    t_s: float
    lost_samples: int
    reason: str


#: Beats at times of the stream, as all of them.
Event = Decision | Beat | Gap


class Trace(NamedTuple):
    """The newest audio at the front end's rate, replaced as one, so that another thread may look."""

    samples: Samples
    end_s: float


class Pipeline:
    """A whole stream, from its first sample to its last.

    The events do not depend on how the stream is cut into blocks. Memory is bounded.

    Args:
        bundle: the model.
        rate_hz: of the source.
    """

    def __init__(self, bundle: Bundle, rate_hz: int) -> None:
        self._bundle = bundle
        self._rate_hz = rate_hz
        self._stretch = Stretch(bundle, rate_hz, 0, "listening")
        self._lost = 0
        self._reason = ""
        self._past = Ledger()  # of stretches that ended
        self.trace = Trace(np.zeros(0, dtype=np.float32), 0.0)

    def process(self, block: Block) -> list[Event]:
        """Hear a block; the events it completes.

        Decisions and gaps come in the order of their time, beats by themselves too, but a beat is told up to a second
        after its time, so between them.
        """
        events: list[Event] = [*self._lose(block.lost, block.reason)]
        for samples, usable in runs(block.samples):
            if usable:
                events += self._hear(samples)
            else:
                events += self._lose(len(samples), NO_AUDIO)
        return events

    def flush(self) -> list[Event]:
        """The stream is over: what can still be decided, and a loss at its very end."""
        return [*self._end_stretch(), *self._tell_gap()]

    @property
    def ledger(self) -> Ledger:
        """Where every sample so far went; captured = analysed + dropped + discarded at any time."""
        past, running, lost = self._past, self._stretch.heard_samples, self._lost
        return Ledger(past.captured + running + lost, past.analysed + running, past.dropped + lost, past.discarded)

    @property
    def delay_s(self) -> float:
        """How far decisions are behind what was heard, beyond the window's own length."""
        return self._stretch.delay_s

    @property
    def level(self) -> Level:
        """Loudness of the last second."""
        heard = self._stretch.loudness
        return Level(heard.peak, heard.rms, heard.clipped_share)

    def _lose(self, samples: int, reason: str) -> list[Decision | Beat]:
        """Remember a loss; it is told once audio comes again, so that neighbouring losses are one gap.

        What came before it is decided at once.
        """
        if not samples:
            return []
        told = self._end_stretch() if self._stretch.heard_samples else []
        self._lost += samples
        self._reason = self._reason or reason
        return told

    def _hear(self, samples: Samples) -> list[Event]:
        events = self._tell_gap()
        resampled, told = self._stretch.hear(samples)
        end_s = (self._stretch.start + self._stretch.heard_samples) / self._rate_hz - self._stretch.delay_s
        keep = round(TRACE_S * self._bundle.front_end.spec.rate_hz)
        self.trace = Trace(np.concatenate([self.trace.samples, resampled])[-keep:], end_s)
        return [*events, *told]

    def _end_stretch(self) -> list[Decision | Beat]:
        told = self._stretch.end()
        heard, useful = self._stretch.heard_samples, self._stretch.decided
        self._past = replace(
            self._past,
            captured=self._past.captured + heard,
            analysed=self._past.analysed + heard * useful,
            discarded=self._past.discarded + heard * (not useful),
        )
        self._begin(self._stretch.start + heard)
        return told

    def _tell_gap(self) -> list[Event]:
        if not self._lost:
            return []
        gap = Gap(self._stretch.start / self._rate_hz, self._lost, self._reason or "unknown")
        self._past = replace(
            self._past, captured=self._past.captured + self._lost, dropped=self._past.dropped + self._lost
        )
        self._begin(self._stretch.start + self._lost)
        self._lost, self._reason = 0, ""
        return [gap]

    def _begin(self, start: int) -> None:
        self._stretch = Stretch(self._bundle, self._rate_hz, start, "gap")
        self.trace = Trace(np.zeros(0, dtype=np.float32), start / self._rate_hz)
