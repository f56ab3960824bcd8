"""Ring, ledger and recovery under anything that may befall them, against a plain reference that keeps every sample.

The device, the clock and the listener are one state machine. The listener is the real one, on its own thread; it runs
only when it is told to, so that "the computer is too slow" is as repeatable as the rest.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from models import bundle as bundles
from stream.block import Block, Condition
from stream.pipeline import Gap, Pipeline
from stream.sources.capture import CaptureSpec
from stream.sources.devices import DeviceInfo
from stream.sources.live import LiveSource
from stream.sources.portaudio import RefusedError, Wanted

RATE_HZ = 2000
TICK_S = 0.01
SCALE = float(1 << 23)
RING_S = 1.0
DEVICE = DeviceInfo(0, "a stethoscope", "virtual", 1, RATE_HZ, True)
OVERRUN = "the computer was too slow (ring overrun)"
#: What a loss that is measured by clock may be off by: a delivery, a poll, and the bursts in which audio comes.
NEAR = round(0.15 * RATE_HZ)
#: Less than this in a row a device can lose unseen; see `stream.sources.frame_clock`.
UNSEEN = round(0.26 * RATE_HZ)
FOLLOWS = {
    "listening": {"listening", "stalled", "lost"},
    "stalled": {"listening", "lost"},
    "lost": {"reconnecting"},
    "reconnecting": {"reconnecting", "listening"},
}


class Stream:
    """An open one."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def abort(self) -> None:
        """What waits in its ring is never read any more."""
        self._room.callback = None
        self._room.waiting.clear()
        self._room.overwritten = 0

    def close(self) -> None:
        """Nothing is left to do."""


class Room:
    """A heart, a device and a clock, as a `Backend`; and the reference: what waits to be heard, in order.

    Each sample says at which sample of the heart's own time it was made.
    """

    def __init__(self, ppm: int) -> None:
        self.now_time_s = 0.0
        self._true_hz = RATE_HZ * (1 + ppm * 1e-6)
        self._made = 0
        self.callback: Callable[..., None] | None = None
        self._finished: Callable[[], None] = lambda: None
        self.present = True
        self.stalled_s = self.dropping_s = 0.0
        self.burst_ticks = 1
        self._ticks = 0
        self._kept: list[np.ndarray] = []
        self.waiting: deque[int] = deque(maxlen=round(RING_S * RATE_HZ))
        self.overwritten = 0  # since the listener last read
        self.overrun = 0
        self.expected: list[int] = []
        self.hears = True  # the listener reads, rather than looking for the device
        self.budget_ticks = 0
        self.go, self.back = threading.Semaphore(0), threading.Semaphore(0)

    def devices(self, anew: bool = False) -> list[DeviceInfo]:
        return [DEVICE] if self.present else []

    def start(self, wanted: Wanted, callback: Callable[..., None], finished: Callable[[], None]) -> Stream:
        if not self.present:
            raise RefusedError(wanted, "Device unavailable")
        self.callback, self._finished, self._kept = callback, finished, []
        return Stream(self)

    def abandon(self) -> None:
        """Where it is stopped in the middle of an attempt to open the device, nobody waits for that."""

    def now_s(self) -> float:
        return self.now_time_s

    def sleep(self, _seconds: float) -> None:
        """The listener has nothing to do: everything that came was read."""
        if self.hears:
            self.expected += self.waiting
            self.overrun += self.overwritten
            self.waiting.clear()
            self.overwritten = 0
        if self.budget_ticks <= 0:
            self.back.release()
            self.go.acquire()
        self.budget_ticks -= 1
        self.tick()

    def tick(self) -> None:
        """A hundredth of a second passes."""
        made = self._make(TICK_S)
        self.stalled_s, self.dropping_s = self.stalled_s - TICK_S, self.dropping_s - TICK_S
        self._ticks += 1
        if self.present and self.dropping_s <= 0:
            self._kept.append(made)
        if self.present and self.stalled_s <= 0 and self._ticks % self.burst_ticks == 0:
            self._deliver()

    def suspend(self, seconds: float) -> None:
        """The computer sleeps: time goes on, and nothing else."""
        self._make(seconds)

    def unplug(self) -> None:
        self.present, self._kept = False, []
        self.stalled_s = self.dropping_s = 0.0
        if self.callback:
            self.callback = None
            self._finished()

    def _make(self, seconds: float) -> np.ndarray:
        self.now_time_s += seconds
        begin, self._made = self._made, int(self.now_time_s * self._true_hz)
        return np.arange(begin, self._made)

    def _deliver(self) -> None:
        made = np.concatenate([*self._kept, np.zeros(0, dtype=int)])
        self._kept = []
        if self.callback and len(made):
            self.callback((made / SCALE).astype(np.float32)[:, None], len(made), None, None)
            self.overwritten += max(0, len(self.waiting) + len(made) - RING_SAMPLES)
            self.waiting.extend(made.tolist())


RING_SAMPLES = round(RING_S * RATE_HZ)


class Told(NamedTuple):
    """What the listener told of: each sample's place in the stream, and in the heart's own time."""

    stream: list[int]
    made: list[int]


class Recovery(RuleBasedStateMachine):
    """A session with a device that stalls, loses, goes and comes back, on a computer that is slow, or sleeps."""

    @initialize(ppm=st.integers(-200, 200), burst_ticks=st.integers(1, 6))
    def open(self, ppm: int, burst_ticks: int) -> None:
        self.room = Room(ppm)
        self.room.burst_ticks = burst_ticks
        self.live = LiveSource(None, CaptureSpec(ring_s=RING_S), None, self.room)
        self.pipeline = Pipeline(bundles.load(bundles.SHIPPED), RATE_HZ)
        self.blocks: list[Block] = []
        self.states = ["listening"]
        self.told = Told([], [])
        self.gaps: list[Gap] = []
        self.faults = self.drops = 0
        self.failure: BaseException | None = None
        self.worker = threading.Thread(target=self._listen, daemon=True)
        self.worker.start()
        assert self.room.back.acquire(timeout=60)
        self._resume(50)

    def _listen(self) -> None:
        try:
            for heard in self.live.blocks():
                self._take(heard)
            self.gaps += [event for event in self.pipeline.flush() if isinstance(event, Gap)]
        except BaseException as error:
            self.failure = error
        finally:
            self.room.back.release()

    def _take(self, heard: Block | Condition) -> None:
        if isinstance(heard, Condition):
            self.states.append(heard.state)
            self.room.hears = heard.state in {"listening", "stalled"}
            return
        self.blocks.append(heard)
        self.told.stream.extend(range(heard.start, heard.start + len(heard.samples)))
        self.told.made.extend(np.round(heard.samples * SCALE).astype(int).tolist())
        self.gaps += [event for event in self.pipeline.process(heard) if isinstance(event, Gap)]

    def _resume(self, ticks: int) -> None:
        self.room.budget_ticks = ticks
        self.room.go.release()
        assert self.room.back.acquire(timeout=60), "the listener hangs"
        if self.failure:
            raise self.failure

    @rule(ticks=st.integers(1, 300))
    def listen(self, ticks: int) -> None:
        self._resume(ticks)

    @rule(ticks=st.integers(1, 300))
    def be_too_slow(self, ticks: int) -> None:
        """The listener gets no time, and the device goes on."""
        for _ in range(ticks):
            self.room.tick()
        self._resume(1)

    def _suffer(self, seconds: float, too_slow: bool) -> None:
        """Begin to live through a fault; its rest may fall into what comes next."""
        self.faults += 1
        (self.be_too_slow if too_slow else self._resume)(max(1, round(90 * seconds)))

    @precondition(lambda self: self.room.present)
    @rule(seconds=st.floats(0.05, 8), too_slow=st.booleans())
    def stall(self, seconds: float, too_slow: bool) -> None:
        """The device holds back what it hears, and gives it all at once; unless it is given up before."""
        self.room.stalled_s = seconds
        self._suffer(seconds, too_slow)

    @precondition(lambda self: self.room.present)
    @rule(seconds=st.floats(0.05, 8), too_slow=st.booleans())
    def drop(self, seconds: float, too_slow: bool) -> None:
        self.drops += 1
        self.room.dropping_s = seconds
        self._suffer(seconds, too_slow)

    @precondition(lambda self: self.room.present)
    @rule()
    def unplug(self) -> None:
        self.room.unplug()
        self.faults += 1

    @precondition(lambda self: not self.room.present)
    @rule()
    def plug(self) -> None:
        self.room.present = True

    @rule(seconds=st.floats(0.1, 600))
    def suspend(self, seconds: float) -> None:
        self.room.suspend(seconds)
        self.faults += 1
        self.drops += 1

    @precondition(lambda self: self.room.present)
    @rule()
    def calm(self) -> None:
        """Some seconds without a fault: by then the stream's clock is the heart's."""
        self.room.stalled_s = self.room.dropping_s = 0.0
        self._resume(1100)
        assert self.states[-1] == "listening"
        self._check_clock(self.told.stream[-1], self.told.made[-1])

    def _check_clock(self, stream: int, made: int) -> None:
        """Drift is no loss: where the device was away, time was counted by the computer's clock."""
        first = self.told.made[0] - self.told.stream[0]
        drifted = 200e-6 * made
        assert abs(made - stream - first) <= NEAR * (1 + self.faults) + UNSEEN * self.drops + drifted

    @invariant()
    def every_sample_is_told_in_order_or_counted(self) -> None:
        assert self.told.made == self.room.expected
        following = 0
        for block in self.blocks:
            assert block.start - block.lost == following
            assert bool(block.lost) == bool(block.reason)
            following = block.start + len(block.samples)

    @invariant()
    def what_the_ring_lost_is_counted_to_the_sample(self) -> None:
        if self.room.hears:
            alone = sum(block.lost for block in self.blocks if block.reason == OVERRUN)
            beside = sum(block.lost for block in self.blocks if OVERRUN in block.reason)
            assert alone <= self.room.overrun <= beside

    @invariant()
    def the_ledger_adds_up(self) -> None:
        ledger = self.pipeline.ledger
        last = self.blocks[-1]
        assert ledger.captured == last.start + len(last.samples)
        assert ledger.captured == ledger.analysed + ledger.dropped + ledger.discarded
        assert ledger.dropped == sum(block.lost for block in self.blocks)

    @invariant()
    def states_follow_each_other_as_they_are_drawn(self) -> None:
        assert all(b in FOLLOWS[a] for a, b in zip(self.states, self.states[1:], strict=False))

    def teardown(self) -> None:
        if self.failure:
            return
        self.live.stop()
        self.room.burst_ticks = 10**9  # a stopped capture takes no more
        self._resume(10**6)
        self.worker.join(10)
        self.live.close()
        assert self.told.made == self.room.expected + list(self.room.waiting if self.room.hears else ())
        last = self.blocks[-1]
        self._check_clock(last.start + len(last.samples), int(self.room.now_time_s * RATE_HZ))
        assert sum(gap.lost_samples for gap in self.gaps) == self.pipeline.ledger.dropped


TestRecovery = Recovery.TestCase
# No shrinking: it would take minutes.
TestRecovery.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, phases=(Phase.explicit, Phase.generate)
)
