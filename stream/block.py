"""A stretch of audio and its place in the stream: what every source yields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Samples = np.ndarray[tuple[int], np.dtype[np.float32]]


@dataclass(frozen=True)
class Block:
    """Contiguous mono audio.

    Attributes:
        samples: (n,) float32, full scale 1 (float recordings may go beyond), n >= 0.
        start: absolute index of the first sample since the stream began, lost samples included; the only clock.
        rate_hz: sample rate of this block.
        lost: samples lost immediately before `start`; 0 where this block follows the last one without a gap.
        reason: why they were lost, for the log; empty where nothing was.
    """

    samples: Samples
    start: int
    rate_hz: int
    lost: int = 0
    reason: str = ""


class Source(Protocol):
    """Something that can be listened to, once."""

    @property
    def rate_hz(self) -> int:
        """Sample rate of the blocks."""

    @property
    def description(self) -> dict[str, object]:
        """What the session log says of the source: kind, name, rate_hz, channel and the like; JSON values only."""

    def blocks(self) -> Iterator[Block]:
        """Blocks in the order heard, until the source ends or `stop` is called.

        Raises:
            InputFileError, DeviceError: the audio can't be read any further. What was yielded before stands.
        """

    def stop(self) -> None:
        """Ask `blocks` to end soon. May be called from another thread or a signal handler; returns at once."""

    def close(self) -> None:
        """Release the file or device. Never hangs, may be called twice."""
