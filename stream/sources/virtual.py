"""A recording as a faulty device on a virtual clock: what `listen` does about faults, tried in seconds.

Everything but PortAudio itself is real: ring, detectors, recovery. Time passes only while the listener waits, in steps
of 10 ms, so the same faults give the same events at any speed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.errors import LaennecError, SettingError
from stream.block import Block, Condition, Samples
from stream.sources.capture import CaptureSpec
from stream.sources.devices import DeviceInfo
from stream.sources.file import FileSource
from stream.sources.live import LiveSource
from stream.sources.pace import Pacer
from stream.sources.portaudio import RefusedError, Wanted

_TICK_S = 0.01  # a callback's length
_FORM = re.compile(r"(drop|unplug|stall)=([0-9.]+)@([0-9.]+)|(rate)=([+-]?[0-9.]+)")


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    Attributes:
        kind: "drop", the device loses samples and does not say so; "unplug", it is away; "stall", it gives nothing and
            then all at once; "rate", its clock is off.
        amount: seconds, or for "rate" parts per million.
        at_s: when, in seconds from the start; 0 for "rate", which holds throughout.
    """

    kind: str
    amount: float
    at_s: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Fault:
        """From KIND=SECONDS@TIME or rate=PPM.

        Raises:
            SettingError: it is neither, or beyond what a clock can be.
        """
        found = _FORM.fullmatch(text)
        try:
            if found and found[4]:
                fault = cls("rate", float(found[5]))
                if abs(fault.amount) > 10_000:
                    raise SettingError(f"--fault {text}: a clock is off by 10000 parts per million at most")
                return fault
            if found:
                return cls(found[1], float(found[2]), float(found[3]))
        except ValueError:  # 1.2.3
            pass
        raise SettingError(
            f"--fault {text}: give drop=SECONDS@TIME, unplug=SECONDS@TIME, stall=SECONDS@TIME or rate=PPM"
        )

    def __str__(self) -> str:
        return f"{self.kind}={self.amount:g}" + (f"@{self.at_s:g}" if self.kind != "rate" else "")

    def holds(self, at_s: float) -> bool:
        """Whether it goes on at that time."""
        return self.kind != "rate" and self.at_s <= at_s < self.at_s + self.amount


class VirtualSound:
    """A computer with one device, which plays a recording into its microphone, as a `Backend`; also its stream.

    Args:
        file: the recording, not paced.
        faults: what goes wrong with the device.
        speed: as for `Pacer`.
        ended: called once when the recording is over.
    """

    def __init__(
        self, file: FileSource, faults: Sequence[Fault], speed: float | None, ended: Callable[[], None]
    ) -> None:
        self._faults = faults
        self._ended = ended
        self._rate_hz = file.rate_hz
        self._device = DeviceInfo(0, str(file.description["name"]), "virtual", 1, file.rate_hz, True)
        self._true_hz = file.rate_hz * (1 + 1e-6 * sum(f.amount for f in faults if f.kind == "rate"))
        self._blocks = file.blocks()
        self._pacer = Pacer(file.rate_hz, speed)
        self._now_s = 0.0
        self._played = 0  # samples that the microphone heard
        self._rest: Samples = np.zeros(0, dtype=np.float32)  # of the recording, read and not yet played
        self._kept: list[Samples] = []  # heard, and held back by a stall
        self._callback: Callable[..., None] | None = None
        self._finished: Callable[[], None] = lambda: None
        self._over = False

    def devices(self, anew: bool = False) -> list[DeviceInfo]:  # noqa: ARG002 - it always looks anew
        """See `Backend`."""
        return [] if self._suffers("unplug") else [self._device]

    def start(self, wanted: Wanted, callback: Callable[..., None], finished: Callable[[], None]) -> VirtualSound:
        """See `Backend`."""
        if self._suffers("unplug"):
            raise RefusedError(wanted, "Device unavailable")
        if wanted.rate_hz != self._rate_hz:
            raise RefusedError(wanted, "Invalid sample rate")
        # What was heard before it was opened is not in a new stream.
        self._callback, self._finished, self._kept = callback, finished, []
        return self

    def abort(self) -> None:
        """See `portaudio.Stream`."""
        self._callback = None

    def close(self) -> None:
        """See `portaudio.Stream`."""

    def abandon(self) -> None:
        """See `Backend`."""

    def now_s(self) -> float:
        """See `Backend`."""
        return self._now_s

    def sleep(self, seconds: float) -> None:
        """Time passes: the device hears, and delivers what it does not lose."""
        for _ in range(max(1, round(seconds / _TICK_S))):
            self._tick()

    def _tick(self) -> None:
        self._now_s += _TICK_S
        due = int(self._now_s * self._true_hz)
        self._pacer.wait(round(self._now_s * self._rate_hz), lambda: self._over)
        heard = self._play(due - self._played)
        over = self._played < due
        if self._suffers("unplug"):
            self._unplug()
        elif self._suffers("stall") and not over:
            self._kept.append(heard)
        elif not self._suffers("drop"):
            self._deliver(np.concatenate([*self._kept, heard]))
            self._kept = []
        if over and not self._over:
            self._over = True
            self._ended()

    def _suffers(self, kind: str) -> bool:
        return any(fault.kind == kind and fault.holds(self._now_s) for fault in self._faults)

    def _unplug(self) -> None:
        self._kept = []
        if self._callback:
            self._callback = None
            self._finished()

    def _deliver(self, samples: Samples) -> None:
        if self._callback and len(samples):
            self._callback(samples[:, None], len(samples), None, None)

    def _play(self, count: int) -> Samples:
        """The next samples of the recording, fewer at its end."""
        while len(self._rest) < count and (block := next(self._blocks, None)) is not None:
            # What the recording lacks is silence to a microphone; only a device can lose anything.
            self._rest = np.concatenate([self._rest, np.zeros(block.lost, dtype=np.float32), block.samples])
        heard, self._rest = self._rest[:count], self._rest[count:]
        self._played += len(heard)
        return heard


class FaultySource:
    """A recording heard through a device with faults, to its end.

    Args:
        file: the recording, opened without pace.
        faults: what goes wrong.
        speed: as for `Pacer`.
        most_gap_s: as for `LiveSource`.

    Raises:
        SettingError: a fault begins when the recording is over.
        DeviceError: as `LiveSource`.
    """

    def __init__(
        self, file: FileSource, faults: Sequence[Fault], speed: float | None, most_gap_s: float | None = None
    ) -> None:
        self._file = file
        try:
            _check(faults, file.span_s)
            # The stream may begin only now: nothing is lost before anyone listens.
            sound = VirtualSound(file, faults, speed, self.stop)
            self._live = LiveSource(None, CaptureSpec(rate_hz=file.rate_hz), most_gap_s, sound)
        except LaennecError:
            file.close()
            raise
        self.description = file.description | {"faults": [str(fault) for fault in faults]}

    @property
    def rate_hz(self) -> int:
        """Sample rate of the recording."""
        return self._file.rate_hz

    def blocks(self) -> Iterator[Block | Condition]:
        """As `LiveSource.blocks`, until the recording is over."""
        return self._live.blocks()

    def stop(self) -> None:
        """End soon."""
        self._live.stop()

    def close(self) -> None:
        """Close the recording."""
        self._live.close()
        self._file.close()


def _check(faults: Sequence[Fault], span_s: float | None) -> None:
    for fault in faults:
        if span_s is not None and fault.at_s >= span_s:
            raise SettingError(f"--fault {fault}: the recording is over by then, after {span_s:.1f} s")
