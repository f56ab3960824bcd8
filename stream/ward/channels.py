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

_HEARD = ("listening", "")


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
        device = _HEARD
        flats = [Flat()] * len(self.members)
        said = [_HEARD] * len(self.members)
        at = 0
        for heard in self._live.blocks():
            if isinstance(heard, Condition):
                device, at = (heard.state, heard.detail), heard.start
            else:
                apart = split(heard, len(self.members))
                flats = [health.hear(flat, block.samples) for flat, block in zip(flats, apart, strict=True)]
                at = heard.start + len(heard.samples)
                yield list(enumerate(apart))
            now = [device if device != _HEARD else self._own(flat) for flat in flats]
            news = [k for k, state in enumerate(now) if state != said[k] or isinstance(heard, Condition)]
            said = now
            if news:
                yield [(k, Condition(now[k][0], at, now[k][1])) for k in news]

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
