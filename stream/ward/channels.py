"""The channels of one audio interface as streams of their own, on its one clock: a gap is a gap in each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stream.block import Block, Condition
from stream.sources import health
from stream.sources.health import Flat
from stream.sources.live import LiveSource
from stream.ward.feed import Member, Round


class Channels:
    """What becomes of the device is told of each channel; beside that, which of them give nothing but zeros.

    Args:
        live: a device heard with several channels (`CaptureSpec.channels`).
    """

    def __init__(self, live: LiveSource) -> None:
        self._live = live
        about = live.description
        heard = about["channel"]
        assert isinstance(heard, list)
        self.name = str(about["name"])
        self.reads: frozenset[Path] = frozenset()
        self.members = tuple(Member(f"ch{n}", live.rate_hz, {**about, "channel": n}) for n in heard)

    def rounds(self) -> Iterator[Round]:
        """See `Feed`."""
        count = len(self.members)
        device, at = Condition("listening", 0), 0
        flats, said = [Flat()] * count, [("listening", "")] * count
        for heard in self._live.blocks():
            if isinstance(heard, Condition):
                device, at = heard, heard.start
                if heard.state == "listening" and not at:  # how it was opened
                    yield [(k, heard) for k in range(count)]
            else:
                apart = split(heard, count)
                flats = [health.hear(flat, block.samples) for flat, block in zip(flats, apart, strict=True)]
                at = heard.start + len(heard.samples)
                yield list(enumerate(apart))
            now = [self._own(flat) if device.state == "listening" else (device.state, device.detail) for flat in flats]
            news = [(k, Condition(now[k][0], at, now[k][1])) for k in range(count) if now[k] != said[k]]
            said = now
            if news:
                yield news

    def _own(self, flat: Flat) -> tuple[str, str]:
        """What becomes of a channel whose device is heard."""
        return health.condition(health.Watch(), flat, self._live.rate_hz)

    @property
    def drift_ppm(self) -> float | None:
        """See `LiveSource`."""
        return self._live.drift_ppm

    def captured_s_ago(self) -> float:
        """See `LiveSource`."""
        return self._live.captured_s_ago()

    def stop(self) -> None:
        """See `Feed`."""
        self._live.stop()

    def close(self) -> None:
        """See `Feed`."""
        self._live.close()


def split(block: Block, channels: int) -> list[Block]:
    """A block (n, channels) as one of (n,) for each channel; what is lost is lost of each."""
    if block.samples.ndim == 1:  # nothing but a loss
        return [block] * channels
    columns = np.ascontiguousarray(block.samples.T)
    return [Block(column, block.start, block.rate_hz, block.lost, block.reason) for column in columns]
