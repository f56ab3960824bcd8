"""A live device that may go and come back: the same one is opened again, and the time between is counted as lost.

    listening -> stalled    no audio for 0.75 s; back to listening if it goes on
    listening -> lost       the stream ended, or no audio for 3.5 s
    lost -> reconnecting    the old stream is let go, the same device is looked for, with growing pauses
    reconnecting -> listening    it was found; the gap is as long as the clock says
    lost, reconnecting -> gone   it stayed away for longer than allowed

Never another device: who is heard must not change silently.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace

import numpy as np

from models.errors import DeviceError, SettingError
from stream.block import Block, Condition
from stream.sources import health
from stream.sources.attempt import Attempt
from stream.sources.capture import CaptureSpec
from stream.sources.device import POLL_S, DeviceSource
from stream.sources.devices import alike, choose
from stream.sources.portaudio import Backend, PortAudio

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 5.0  # between attempts; each is twice the last
STEADY_S = 10.0  # a device that was heard for so long is tried at once when it goes
COUNT_S = 1.0  # how often time without audio is told while it passes
_AWAY = "the device was away"


class LiveSource:
    """One channel of a device, or several at once, for as long as it takes.

    Args:
        device: index, id, name or part of a name; None is the system's default.
        spec: how to capture.
        most_gap_s: longest time without audio, counted once the device is lost; None waits for ever, 0 ends at once.
            Above 0 it is looked for once at least.
        backend: PortAudio where not given.

    Raises:
        SettingError: `most_gap_s` is no such time.
        DeviceError: as `DeviceSource.open`.
    """

    def __init__(
        self,
        device: str | int | None = None,
        spec: CaptureSpec = CaptureSpec(),
        most_gap_s: float | None = None,
        backend: Backend | None = None,
    ) -> None:
        if most_gap_s is not None and not 0 <= most_gap_s < np.inf:
            raise SettingError(f"--max-gap {most_gap_s}: give a number of seconds from 0 up")
        self._backend = backend or PortAudio()
        self._most_gap_s = most_gap_s
        devices = self._backend.devices()
        self._capture = DeviceSource(choose(devices, device), spec, self._backend)
        self._capture.start()
        # A device that comes back at another rate, or with fewer channels, would be another stream.
        self._spec = self._capture.as_opened
        self._makes = alike(devices, self._capture.device)
        self._held = [self._capture]  # all that were opened and may not have been let go
        self._attempt: Attempt | None = None
        self._stopped_s: float | None = None
        self._next = 0  # stream index of the sample to come
        self._pause_s, self._said = 0.0, ""
        self._gone_s = self._counted_s = 0.0  # when the device went, and until when that was told as lost
        self.description = self._capture.description

    @property
    def rate_hz(self) -> int:
        """Sample rate of the blocks."""
        return self._capture.rate_hz

    @property
    def drift_ppm(self) -> float | None:
        """How much faster the device's clock is than the computer's; None until it is known."""
        return self._capture.intake.drift_ppm

    @property
    def waiting_s(self) -> float:
        """Seconds of audio that wait in the ring; see `Intake.waiting_s`."""
        return self._capture.intake.waiting_s

    def captured_s_ago(self) -> float:
        """Seconds since the device last delivered."""
        return self._capture.captured_s_ago()

    def blocks(self) -> Iterator[Block | Condition]:
        """Blocks and conditions until `stop`; see `DeviceSource.blocks`. Time away is told as lost while it passes.

        Raises:
            DeviceError: the device never gave anything, or stayed away for longer than `most_gap_s`.
        """
        if self._capture.note:
            yield Condition("listening", 0, self._capture.note)
        lost = 0
        while True:
            try:
                for heard in self._hear(lost):
                    lost = 0 if isinstance(heard, Block) else lost
                    yield heard
                yield from self._silence_at_the_end()
                return
            except DeviceError as error:
                if not self._capture.delivers:
                    raise
                cause = error
            if not lost:  # else not even one block came since
                self._gone_s = self._counted_s = self._capture.intake.told_until_s
            yield Condition("lost", self._next, str(cause))
            try:
                yield from self._reconnect(cause)
            except DeviceError as error:
                yield from self._away(self._backend.now_s())
                yield Condition("gone", self._next, str(error))
                raise
            if self._stopped_s is not None:
                yield from self._away(self._stopped_s)
                return
            lost = self._samples(self._counted_s, self._capture.intake.began_s)
            yield Condition("listening", self._next + lost)

    def _hear(self, lost: int) -> Iterator[Block | Condition]:
        """What one capture gives, on the stream's own clock, after so many lost samples."""
        base, first = self._next + lost, True
        for heard in self._capture.blocks():
            if isinstance(heard, Condition):
                yield replace(heard, start=self._next if not first else base)
                continue
            block = replace(heard, start=base + heard.start)
            if first and lost:
                reason = "; ".join(x for x in (_AWAY, block.reason) if x)
                block = replace(block, lost=block.lost + lost, reason=reason)
            first = False
            self._next = block.start + len(block.samples)
            if self._next - base > STEADY_S * self.rate_hz:
                self._pause_s = 0.0
            yield block

    def _samples(self, from_s: float, to_s: float) -> int:
        return max(0, round((to_s - from_s) * self.rate_hz))

    def _silence_at_the_end(self) -> Iterator[Block]:
        """What a device seems to have lost by the end, and the time in which it was silent."""
        if unseen := self._capture.intake.unseen_samples:
            yield self._loss(unseen, "the device lost samples (frames against clock)")
        last_s, end_s = self._capture.last_s, self._stopped_s
        if end_s is not None and self._capture.delivers and end_s - last_s > health.STALLED_S:
            yield self._loss(self._samples(last_s, end_s), "no audio came")

    def _away(self, to_s: float) -> Iterator[Block]:
        if missed := self._samples(self._counted_s, to_s):
            self._counted_s += missed / self.rate_hz
            yield self._loss(missed, _AWAY)

    def _loss(self, missed: int, reason: str) -> Block:
        self._next += missed
        return Block(np.zeros(0, dtype=np.float32), self._next, self.rate_hz, missed, reason)

    def _reconnect(self, cause: DeviceError) -> Iterator[Block | Condition]:
        """Wait for the device; afterwards there is a new capture that has begun to deliver, or a stop.

        Raises:
            DeviceError: it stayed away for too long.
        """
        if self._most_gap_s == 0:
            self._give_up_after(cause)
        self._said = ""
        yield Condition("reconnecting", self._next)
        while self._stopped_s is None:
            yield from self._wait(cause)
            refusal = yield from self._try(cause)
            if not refusal:
                return
            yield from self._say(refusal)

    def _say(self, refusal: str) -> Iterator[Condition]:
        if refusal != self._said:
            self._said = refusal
            yield Condition("reconnecting", self._next, refusal)

    def _wait(self, cause: DeviceError) -> Iterator[Block]:
        """The pause before an attempt; there is none before the first."""
        until_s = self._backend.now_s() + self._pause_s
        while self._stopped_s is None and self._backend.now_s() < until_s:
            self._backend.sleep(POLL_S)
            yield from self._pass(cause)
        self._pause_s = min(max(FIRST_PAUSE_S, 2 * self._pause_s), LONGEST_PAUSE_S)

    def _pass(self, cause: DeviceError) -> Iterator[Block]:
        """Time has passed without the device: tell it as lost now and then, and don't wait longer than allowed."""
        if self._backend.now_s() > self._counted_s + COUNT_S:
            yield from self._away(self._backend.now_s())
        self._give_up_after(cause)

    def _try(self, cause: DeviceError) -> Generator[Block | Condition, None, str]:
        """Look and open once; why it did not work, empty where audio comes again or a stop was asked for."""
        self._attempt = attempt = Attempt(self._backend, self._capture.device, self._held, self._spec, self._makes)
        try:
            yield from self._attend(attempt, cause)
            found = attempt.found
            while found and found.delivers is None and self._stopped_s is None:
                # Nothing is told as lost now: what comes first may have been captured before it comes.
                self._backend.sleep(POLL_S)
                self._give_up_after(cause)
            if found and found.delivers:
                self._capture = attempt.adopt(found)
                return ""
            if self._stopped_s is not None:
                return ""
            self._give_up_after(cause)
            return attempt.refusal or "it was opened, but gives no audio"
        finally:
            attempt.abandon()

    def _attend(self, attempt: Attempt, cause: DeviceError) -> Iterator[Block | Condition]:
        """Until an attempt is over. One that hangs is told."""
        while attempt.running and self._stopped_s is None:
            attempt.wait(POLL_S)
            if attempt.hangs:
                yield from self._say("the sound system does not answer: restart it")
                yield from self._pass(cause)

    def _give_up_after(self, cause: DeviceError) -> None:
        if self._most_gap_s is not None and self._backend.now_s() - self._gone_s > self._most_gap_s:
            raise DeviceError(f"{cause}; it stayed away for longer than --max-gap {self._most_gap_s:g}")

    def stop(self) -> None:
        """End soon. Takes no lock: a signal handler may call it."""
        if self._stopped_s is None:
            self._stopped_s = self._backend.now_s()
        self._capture.stop()

    def close(self) -> None:
        """Release the device within a second, or leave it; see `DeviceSource.close`."""
        self.stop()
        for capture in list(self._held):
            capture.close()
        if not self.closed_cleanly:
            self._backend.abandon()

    @property
    def closed_cleanly(self) -> bool:
        """See `DeviceSource.closed_cleanly`."""
        return all(capture.closed_cleanly for capture in self._held) and not (self._attempt and self._attempt.running)
