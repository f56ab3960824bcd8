"""Listening live: PortAudio's callback fills a ring, `blocks` empties it and watches that the device still speaks.

A dead device raises nothing by itself, and stopping it politely hangs for ever. So three detectors run beside the
samples (a watchdog, PortAudio's finished callback, frames against clock), and closing gets a thread and a time limit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, Self

from models.errors import DeviceError, SettingError
from stream.block import Block
from stream.resample import RATES_HZ
from stream.ring import Ring
from stream.sources import portaudio
from stream.sources.frame_clock import FrameClock
from stream.sources.portaudio import DeviceInfo

MOST_CHANNELS = 32  # more are opened only when asked for: plug-ins claim up to 128 that are not there
POLL_S = 0.01
BLOCK_S = 0.1  # longest block handed on
SILENT_LIMIT_S = 2.0
START_LIMIT_S = 5.0  # wireless microphones take their time before the first sample
CLOSE_LIMIT_S = 2.0


class DeviceSource:
    """One channel of an audio input device, as a stream of blocks at the device's own rate.

    It captures from `open` on: whatever is not read within the ring's length is lost, and counted.
    """

    def __init__(self, device: DeviceInfo, rate_hz: int, channel: int, channels: int, ring_s: float) -> None:
        """Prepare; `open` is the way to make one."""
        self._device = device
        self._rate_hz = rate_hz
        self._channel = channel
        self._channels = channels
        self._ring = Ring(max(1, round(ring_s * rate_hz)))
        self._clock = FrameClock(rate_hz)
        self._shift_samples = 0  # lost before the ring: how far stream indices are ahead of the ring's
        self._stream: Any = None
        self._heard = (0, time.monotonic())  # samples so far and the time of the last callback, replaced as one
        self._stopping = False
        self._finished = False
        self._closer: threading.Thread | None = None

    @classmethod
    def open(
        cls,
        device: str | int | None = None,
        rate_hz: int | None = None,
        channel: int | None = None,
        ring_s: float = 10.0,
        block_frames: int = 0,
    ) -> Self:
        """Open a device and begin to capture.

        A device with several channels is opened with all of them, because sound servers would mix them into one.

        Args:
            device: index, name or part of a name; None is the system's default.
            rate_hz: 2,000 to 192,000; None is the device's default.
            channel: which channel to hear, from 1; None is the first.
            ring_s: how much audio may wait for the worker.
            block_frames: frames per callback; 0 leaves it to PortAudio.

        Raises:
            SettingError: rate or channel out of range.
            DeviceError: PortAudio or the device is missing, ambiguous, busy, or refuses the rate or channel.
        """
        _check_settings(rate_hz, channel)
        info = portaudio.find_device(device)
        available, wanted = info.max_input_channels, channel or 1
        if wanted > available:
            raise DeviceError(f"{info.name!r} has {available} input channel(s), so there is no channel {wanted}")
        channels = min(available, max(MOST_CHANNELS, wanted))
        source = cls(info, rate_hz or info.default_rate_hz, wanted, channels, ring_s)
        with portaudio.quiet_stderr():
            source._start(block_frames)
        return source

    def _start(self, block_frames: int) -> None:
        sounddevice = portaudio.load()
        try:
            self._stream = sounddevice.InputStream(
                device=self._device.index,
                samplerate=self._rate_hz,
                channels=self._channels,
                dtype="float32",
                blocksize=block_frames,
                callback=self._callback,
                finished_callback=self._on_finished,
            )
            self._stream.start()
        except sounddevice.PortAudioError as error:
            self.close()
            raise DeviceError(self._refusal(str(error))) from error

    def _refusal(self, complaint: str) -> str:
        name, default_hz = self._device.name, self._device.default_rate_hz
        if "sample rate" in complaint.lower():
            return f"{name!r} refuses a rate of {self._rate_hz} Hz: try its default with --rate {default_hz}"
        if "unavailable" in complaint.lower():
            return f"{name!r} is busy or gone: close other programs that use it, or reconnect it"
        return f"{name!r} can't be opened with {self._channels} channel(s) at {self._rate_hz} Hz: {complaint}"

    def _callback(self, frames: Any, _count: int, _time: Any, _status: Any) -> None:
        """On PortAudio's thread: copy and count, nothing else."""
        if not self._stopping:
            self._ring.write(frames[:, self._channel - 1])
            self._heard = (self._ring.written, time.monotonic())

    def _on_finished(self) -> None:
        self._finished = True

    @property
    def rate_hz(self) -> int:
        """Sample rate of the blocks."""
        return self._rate_hz

    @property
    def description(self) -> dict[str, object]:
        """What the log and the screen say; `channel` counts from 1, of `channels` opened."""
        return {
            "kind": "device",
            "name": self._device.name,
            "host_api": self._device.host_api,
            "index": self._device.index,
            "rate_hz": self._rate_hz,
            "channel": self._channel,
            "channels": self._channels,
        }

    def captured_s_ago(self) -> float:
        """Seconds since the device last delivered (since opening, before the first time); 0.02 is usual, 2 is dead."""
        return time.monotonic() - self._heard[1]

    def blocks(self) -> Iterator[Block]:
        """Blocks of up to 0.1 s as they come, until `stop`; what was captured until then is handed out first.

        Samples that the device itself lost show up as `lost` where they are noticed, 2 to 3 s late: the stream's
        clock is true again from there.

        Raises:
            DeviceError: the device went away, or gives nothing for 2 s. All that it gave was yielded before.
        """
        watchdog = _Watchdog()
        while True:
            # Asked before the read, so that nothing comes in after it; in this order, since closing sets both.
            finished, stopping = self._finished, self._stopping
            block = self._next_block()
            if block is not None:
                yield block
            elif stopping:
                return
            elif finished:
                raise DeviceError(f"{self._device.name!r} went away: reconnect it and start again")
            elif watchdog.silent_too_long(self._heard[0], time.monotonic()):
                raise DeviceError(
                    f"{self._device.name!r} gives no more audio: it was unplugged or suspended, or never started; "
                    "reconnect it and start again"
                )
            else:
                time.sleep(POLL_S)

    def _next_block(self) -> Block | None:
        self._clock.observe(*self._heard)
        stretch = self._ring.read(round(BLOCK_S * self._rate_hz))
        if len(stretch.samples) == 0:
            return None
        missing = self._clock.missing_samples - self._shift_samples
        self._shift_samples += missing
        return Block(
            stretch.samples,
            start=stretch.start + self._shift_samples,
            rate_hz=self._rate_hz,
            lost=stretch.lost + missing,
            reason=_reason(stretch.lost, missing),
        )

    def stop(self) -> None:
        """Capture no more; `blocks` ends once the ring is empty. Takes no lock: a signal handler may call it."""
        self._stopping = True

    def close(self) -> None:
        """Release the device within 2 s, or leave it: a wedged driver holds on for ever.

        PortAudio would then also block the interpreter's exit, so that is told not to wait for it.
        """
        self.stop()
        if self._stream is None or self._closer is not None:
            return
        self._closer = threading.Thread(target=self._release, name="close audio device", daemon=True)
        self._closer.start()
        self._closer.join(CLOSE_LIMIT_S)
        if not self.closed_cleanly:
            portaudio.skip_at_exit()

    def _release(self) -> None:
        self._stream.abort()  # never stop(): it waits for a callback that a dead device no longer makes
        self._stream.close()

    @property
    def closed_cleanly(self) -> bool:
        """True once the device was let go; False while it is open, and after `close` where the driver is wedged.

        Where False at the end of the program, `os._exit` after flushing is the safe way out.
        """
        return self._stream is None or (self._closer is not None and not self._closer.is_alive())


class _Watchdog:
    """Adds up the time in which it watched and heard nothing.

    Time in which the whole program was held up (suspended, a busy computer) says nothing of the device, and is left
    out: that is why it doesn't simply subtract two times.
    """

    def __init__(self) -> None:
        self._count = 0
        self._watched_s: float | None = None
        self._silent_s = 0.0

    def silent_too_long(self, captured_samples: int, now_s: float) -> bool:
        """Look once; to be called every `POLL_S` or so."""
        if captured_samples != self._count:
            self._silent_s = 0.0
        elif self._watched_s is not None:
            self._silent_s += min(now_s - self._watched_s, 10 * POLL_S)
        self._count, self._watched_s = captured_samples, now_s
        return self._silent_s > (SILENT_LIMIT_S if captured_samples else START_LIMIT_S)


def _check_settings(rate_hz: int | None, channel: int | None) -> None:
    low, high = RATES_HZ
    if rate_hz is not None and not low <= rate_hz <= high:
        raise SettingError(f"a rate of {rate_hz} Hz is out of range: choose {low} to {high} Hz, or leave --rate out")
    if channel is not None and channel < 1:
        raise SettingError(f"there is no channel {channel}: channels are numbered from 1")


def _reason(overrun: int, missing: int) -> str:
    causes = ["the computer was too slow (ring overrun)"] * bool(overrun)
    causes += ["the device lost samples (frames against clock)"] * bool(missing)
    return "; ".join(causes)
