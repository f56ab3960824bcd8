"""One capture from a live device: the callback fills a ring, `blocks` empties it and watches the device.

A dead device raises nothing by itself, and stopping it politely hangs for ever. So detectors run beside the samples
(`health`, PortAudio's finished callback, frames against clock), and closing gets a thread and a time limit. What comes
after a capture that failed is for `live`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Self

from models.errors import DeviceError
from stream.block import Block, Condition
from stream.sources import health, portaudio
from stream.sources.capture import CaptureSpec
from stream.sources.devices import DeviceInfo, choose
from stream.sources.intake import Intake
from stream.sources.portaudio import Backend, PortAudio, RefusedError, Stream, Wanted

MOST_CHANNELS = 32  # more are opened only when asked for: plug-ins claim up to 128 that are not there
POLL_S = 0.04  # a sound server may deliver every 10 ms: to be woken by each would cost twice the CPU time
CLOSE_LIMIT_S = 1.0


class DeviceSource:
    """One channel of an audio input device, or several at once, as a stream of blocks at the device's own rate.

    It captures from `open` on: whatever is not read within the ring's length is lost, and counted. A device with
    several channels is opened with all of them, because sound servers would mix them into one.

    Attributes:
        heard: which channel is heard, from 1: blocks are (n,); or which are, in order: blocks are (n, channels).
        intake: what it delivered, of the last opening.
        note: what a listener should know of how it was opened; empty where as wanted.
    """

    def __init__(self, device: DeviceInfo, spec: CaptureSpec, backend: Backend, spoke: bool = False) -> None:
        """Prepare; `open` is the way to make one. `spoke` says that more than zeros was heard of the device before."""
        available = device.max_input_channels
        usual = min(available, MOST_CHANNELS)
        self.heard = _heard(spec, usual)
        wanted = self.heard if isinstance(self.heard, int) else max(self.heard)
        if wanted > available:
            raise DeviceError(f"{device.name!r} has {available} input channel(s), so there is no channel {wanted}")
        self.device = device
        self.note = ""
        if spec.channels == () and available >= MOST_CHANNELS:  # as many as sound servers name, too
            heard = "all are heard" if usual == available else f"the first {usual} are heard, others by their numbers"
            self.note = (
                f"{device.name!r} names {available} channels, {heard}; if it is a sound server, which repeats and "
                "mixes them, choose the interface itself"
            )
        self._backend = backend
        self._spec = spec
        self._channels = max(usual, wanted)
        self._stream: Stream | None = None
        self._closing = threading.Lock()
        # An event, not the thread's own `join`: interrupted by Ctrl-C, that takes a thread for ended (CPython 3.11).
        self._let_go: threading.Event | None = None
        self._spoke = spoke
        self.intake = self._intake(spec.rate_hz or device.usual_rate_hz)

    def _intake(self, rate_hz: int) -> Intake:
        width = 1 if isinstance(self.heard, int) else max(self.heard) - min(self.heard) + 1
        return Intake(rate_hz, self._spec.ring_samples(rate_hz, width), self.heard, self._backend.now_s)

    @classmethod
    def open(
        cls, device: str | int | None = None, spec: CaptureSpec = CaptureSpec(), backend: Backend | None = None
    ) -> Self:
        """Open a device and begin to capture; of a rate that it refuses it takes another, and `note` says so.

        Args:
            device: index, id, name or part of a name; None is the system's default.
            spec: how.
            backend: PortAudio where not given.

        Raises:
            DeviceError: PortAudio or the device is missing, ambiguous, busy, or refuses channel or every rate.
        """
        backend = backend or PortAudio()
        source = cls(choose(backend.devices(), device), spec, backend)
        source.start()
        return source

    def start(self) -> None:
        """Begin to capture; see `open`."""
        wanted_hz = self.rate_hz
        try:
            self._start(wanted_hz)
        except RefusedError as refusal:
            if not refusal.rate or not self._start_otherwise():
                raise
            self.note = f"{self.device.name!r} refuses {wanted_hz} Hz: heard at {self.rate_hz} Hz"

    def _start_otherwise(self) -> bool:
        for rate_hz in dict.fromkeys((self.device.default_rate_hz, *portaudio.USUAL_RATES_HZ)):
            try:
                self._start(rate_hz)
            except RefusedError:
                continue
            return True
        return False

    def _start(self, rate_hz: int) -> None:
        self.intake, spec = self._intake(rate_hz), self._spec
        wanted = Wanted(self.device, rate_hz, self._channels, spec.block_frames, spec.latency)
        self._stream = self._backend.start(wanted, self.intake.callback, self.intake.on_finished)

    @property
    def rate_hz(self) -> int:
        """Sample rate of the blocks."""
        return self.intake.rate_hz

    @property
    def as_opened(self) -> CaptureSpec:
        """How to capture the very same again."""
        channels = None if isinstance(self.heard, int) else self.heard
        return replace(self._spec, rate_hz=self.rate_hz, channels=channels)

    @property
    def description(self) -> dict[str, object]:
        """What the log and the screen say; `channel` counts from 1, of `channels` opened."""
        return {
            "kind": "device",
            "name": self.device.name,
            "host_api": self.device.host_api,
            "index": self.device.index,
            "id": self.device.id,
            "rate_hz": self.rate_hz,
            "channel": self.heard if isinstance(self.heard, int) else list(self.heard),
            "channels": self._channels,
        }

    @property
    def last_s(self) -> float:
        """Monotonic time of the last delivery; of opening before the first."""
        return self.intake.last_s

    @property
    def delivers(self) -> bool | None:
        """Whether any audio came since it was opened; None where it may still."""
        if self.intake.delivered:
            return True
        over = self.intake.finished or self._backend.now_s() - self.intake.opened_s > health.START_S
        return False if over else None

    def captured_s_ago(self) -> float:
        """Seconds since the device last delivered (since opening, before the first time); 0.02 is usual, 2 is dead."""
        return self._backend.now_s() - self.last_s

    def blocks(self) -> Iterator[Block | Condition]:
        """Blocks of up to 0.1 s as they come, until `stop`; what was captured until then is handed out first.

        A silent device is told as stalled, and as listening when it goes on; one that gives zeros alone as listening,
        with the detail. Samples that the device itself lost show up as `lost` where they are noticed, 2 to 3 s late.

        Raises:
            DeviceError: the device went away, or gives nothing for 3.5 s. What it gave was yielded before, but for what
                it gives in that very moment; see `Intake.told_until_s`.
        """
        watch, flat, said = health.Watch(), health.Flat(spoke=self._spoke), ("listening", "")
        while True:
            # Asked before the read, so that nothing comes in after it; in this order, since closing sets both.
            finished, stopping = self.intake.finished, self.intake.stopping
            block = self.intake.next_block()
            watch = health.look(watch, self.intake.captured, self._backend.now_s())
            if block is not None:
                flat = health.hear(flat, block.samples)
                yield block
            elif stopping:
                return
            elif finished:
                raise DeviceError(f"{self.device.name!r} went away: reconnect it")
            elif health.lost(watch):
                raise DeviceError(f"{self.device.name!r} gives no more audio (unplugged? suspended?): reconnect it")
            else:
                self._backend.sleep(POLL_S)
            now = health.condition(watch, flat, self.rate_hz)
            if now != said:
                said = now
                state, detail = now
                yield Condition(state, self.intake.next_index, detail)

    def stop(self) -> None:
        """Capture no more; `blocks` ends once the ring is empty. Takes no lock: a signal handler may call it."""
        self.intake.stopping = True

    def close(self) -> None:
        """Release the device within a second, or leave it: a wedged driver holds on for ever.

        PortAudio would then also block the interpreter's exit, so the backend is told not to wait for it.
        """
        self.stop()
        with self._closing:
            if self._stream is None:
                return
            if self._let_go is None:
                self._let_go = threading.Event()
                threading.Thread(target=self._release, name="close audio device", daemon=True).start()
        try:
            self._let_go.wait(CLOSE_LIMIT_S)
        finally:  # also where Ctrl-C is pressed again
            if not self.closed_cleanly:
                self._backend.abandon()

    def _release(self) -> None:
        assert self._stream is not None
        assert self._let_go is not None
        try:
            self._stream.abort()  # never stop(): it waits for a callback that a dead device no longer makes
            self._stream.close()
        finally:
            self._let_go.set()

    @property
    def closed_cleanly(self) -> bool:
        """True once the device was let go; False while it is open, and after `close` where the driver is wedged.

        Where False at the program's end, `os._exit` after flushing is the safe way out.
        """
        return self._stream is None or (self._let_go is not None and self._let_go.is_set())


def _heard(spec: CaptureSpec, usual: int) -> int | tuple[int, ...]:
    """The channel, or those of several, of a device that is usually opened with so many."""
    if spec.channels is None:
        return spec.channel or 1
    return tuple(sorted(spec.channels)) or tuple(range(1, usual + 1))
