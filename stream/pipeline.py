"""Blocks in, events out: keeps stretches apart at gaps, and the ledger of every sample."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

from models.bundle import Bundle
from models.decide import Decision
from models.rhythm import Beat
from stream import engine
from stream.block import NO_AUDIO, Block, Samples, joined, runs
from stream.engine import Work
from stream.memory import KEPT_S, Memory
from stream.snapshot import Ledger, Level
from stream.stretch import Stretch


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
#: Work that waits for the engine, which sends what comes of it; at last all events in their order.
Steps = Generator[Work, list[Decision | Beat], list[Event]]


class Pipeline:
    """A whole stream, from its first sample to its last.

    The events do not depend on how the stream is cut into blocks. Memory is bounded.

    Args:
        bundle: the model.
        rate_hz: of the source.
        remember: whether the newest minutes of audio are kept, for a screen.

    Attributes:
        bundle: the model.
        memory: the newest audio at the front end's rate, if it is kept; another thread may look.
    """

    def __init__(self, bundle: Bundle, rate_hz: int, remember: bool = False) -> None:
        self.bundle = bundle
        self._rate_hz = rate_hz
        self._stretch = Stretch(bundle, rate_hz, 0, "listening")
        self._lost = 0
        self._reason = ""
        self._past = Ledger()  # of stretches that ended
        self.memory = Memory(bundle.front_end.spec.rate_hz, KEPT_S if remember else 0.0)
        self._placed = 0  # index, at the front end's rate, of the stretch's next sample

    def process(self, block: Block) -> list[Event]:
        """Hear a block; the events it completes.

        Decisions and gaps come in the order of their time, beats by themselves too, but a beat is told up to a second
        after its time, so between them.
        """
        return self._alone(self.hearing(block))

    def flush(self) -> list[Event]:
        """The stream is over: what can still be decided, and a loss at its very end."""
        return self._alone(self.ending())

    def hearing(self, block: Block) -> Steps:
        """`process`, stopping wherever the engine is needed, so that it can serve other pipelines too."""
        events: list[Event] = []
        if block.lost:
            events += yield from self._lose(block.lost, block.reason)
        for samples, usable in runs(block.samples):
            events += yield from self._hear(samples) if usable else self._lose(len(samples), NO_AUDIO)
        return events

    def ending(self) -> Steps:
        """`flush`, as `hearing`."""
        events = yield from self._end_stretch()
        return [*events, *self._tell_gap()]

    def _alone(self, steps: Steps) -> list[Event]:
        try:
            work = next(steps)
            while True:
                work = steps.send(engine.advance(self.bundle, [work])[0])
        except StopIteration as end:
            events: list[Event] = end.value
            return events

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

    def _lose(self, samples: int, reason: str) -> Steps:
        """Remember a loss; it is told once audio comes again, so that neighbouring losses are one gap.

        What came before it is decided at once.
        """
        told: list[Event] = []
        if self._stretch.heard_samples:
            told = yield from self._end_stretch()
        self._lost += samples
        self._reason = joined(self._reason, reason)
        self.memory.lose(self._at(self.ledger.captured))
        return told

    def _hear(self, samples: Samples) -> Steps:
        gap = self._tell_gap()
        self._place(self._stretch.hear(samples))
        told = (yield Work(self._stretch, self._stretch.take())) if self._stretch.ready else []
        return [*gap, *told]

    def _place(self, resampled: Samples) -> None:
        self.memory.put(self._placed, resampled)
        self._placed += len(resampled)

    def _at(self, sample: int) -> int:
        """The place at the front end's rate of a place in the stream."""
        return round(sample * self.bundle.front_end.spec.rate_hz / self._rate_hz)

    def _end_stretch(self) -> Steps:
        resampled = self._stretch.end()
        told = yield Work(self._stretch, self._stretch.take())
        # The resampler may give a sample more than there is time for.
        room = self._at(self._stretch.start + self._stretch.heard_samples) - self._placed
        self._place(resampled[: max(0, room)])
        heard, useful = self._stretch.heard_samples, self._stretch.decided
        self._past = replace(
            self._past,
            captured=self._past.captured + heard,
            analysed=self._past.analysed + heard * useful,
            discarded=self._past.discarded + heard * (not useful),
        )
        self._begin(self._stretch.start + heard)
        return [*told]

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
        self._stretch = Stretch(self.bundle, self._rate_hz, start, "gap")
        self._placed = self._at(start)
