"""What a device delivers: copied and counted on PortAudio's thread, handed out in blocks on the listener's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from stream.block import Block
from stream.ring import Ring
from stream.sources.frame_clock import FrameClock

BLOCK_S = 0.1  # longest block handed on


class Intake:
    """Ring, clock and counters of one opening of a device.

    Args:
        rate_hz: of its samples.
        ring_samples: how many may wait unread.
        channels: which is heard, from 1: blocks are (n,); or which are, each once: blocks are (n, channels).
        now_s: monotonic clock.
    """

    def __init__(
        self, rate_hz: int, ring_samples: int, channels: int | tuple[int, ...], now_s: Callable[[], float]
    ) -> None:
        self.rate_hz = rate_hz
        self.opened_s = now_s()
        self.stopping = False
        self.finished = False  # PortAudio will call no more
        # What lies between the chosen channels is kept too: to pick would make the callback allocate.
        self._kept: int | slice
        self._picked: list[int] | None = None
        if isinstance(channels, int):
            self._kept, width = channels - 1, None
        else:
            first, last = min(channels), max(channels)
            self._kept, width = slice(first - 1, last), last - first + 1
            picked = [channel - first for channel in channels]
            self._picked = None if picked == list(range(width)) else picked
        self._now_s = now_s
        self._ring = Ring(ring_samples, width)
        self._clock = FrameClock(rate_hz)
        self._shift_samples = 0  # lost before the ring: how far stream indices are ahead of the ring's
        self._first: tuple[int, float] | None = None  # samples of the first callback, and its time
        self._heard = (0, self.opened_s)  # samples so far and the time of the last callback, replaced as one

    def callback(self, frames: Any, _count: int, _time: Any, _status: Any) -> None:
        """On PortAudio's thread: copy and count, nothing else."""
        if not self.stopping:
            self._ring.write(frames[:, self._kept])
            self._heard = (self._ring.written, self._now_s())
            self._first = self._first or self._heard

    def on_finished(self) -> None:
        """On PortAudio's thread."""
        self.finished = True

    def next_block(self) -> Block | None:
        """The oldest unread 0.1 s at most, with what was lost before it; None where nothing waits."""
        self._clock.observe(*self._heard)
        stretch = self._ring.read(round(BLOCK_S * self.rate_hz))
        if len(stretch.samples) == 0:
            return None
        missing = self._clock.missing_samples - self._shift_samples
        self._shift_samples += missing
        return Block(
            self._chosen(stretch.samples),
            start=stretch.start + self._shift_samples,
            rate_hz=self.rate_hz,
            lost=stretch.lost + missing,
            reason=_reason(stretch.lost, missing),
        )

    def _chosen(self, frames: Any) -> Any:
        return frames if self._picked is None else np.take(frames, self._picked, axis=1)

    @property
    def next_index(self) -> int:
        """Stream index of the next sample to be handed out."""
        return self._ring.read(0).start + self._shift_samples

    @property
    def captured(self) -> int:
        """Samples that came so far."""
        return self._heard[0]

    @property
    def delivered(self) -> bool:
        """Whether any audio came."""
        return self._first is not None

    @property
    def began_s(self) -> float:
        """Monotonic time at which the first sample was captured, as far as is known; of opening before any came."""
        return self._first[1] - self._first[0] / self.rate_hz if self._first else self.opened_s

    @property
    def last_s(self) -> float:
        """Monotonic time of the last delivery; of opening before the first."""
        return self._heard[1]

    @property
    def told_until_s(self) -> float:
        """Monotonic time up to which blocks tell of everything: what is unread, or seems lost, comes after."""
        captured, last_s = self._heard
        unread = captured - self._ring.read(0).start
        missing = self._clock.missing_samples - self._shift_samples + self._clock.suspected_samples
        return last_s - (unread + missing) / self.rate_hz

    @property
    def unseen_samples(self) -> int:
        """Samples that the device seems to have lost and that no block tells of yet."""
        return self._clock.suspected_samples

    @property
    def waiting_s(self) -> float:
        """Seconds of audio that wait to be read; never more than the ring is long."""
        return self._ring.waiting_samples / self.rate_hz

    @property
    def drift_ppm(self) -> float | None:
        """How much faster the device's clock is than the computer's; None until it is known."""
        return self._clock.drift_ppm


def _reason(overrun: int, missing: int) -> str:
    causes = ["the computer was too slow (ring overrun)"] * bool(overrun)
    causes += ["the device lost samples (frames against clock)"] * bool(missing)
    return "; ".join(causes)
