"""A stretch of audio and its place in the stream, and what becomes of a device: what sources yield."""

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


def unheard(block: Block, reason: str) -> Block:
    """The same stretch of the stream, all of it lost."""
    count = len(block.samples)
    return Block(
        block.samples[:0], block.start + count, block.rate_hz, block.lost + count, joined(block.reason, reason)
    )


def joined(reason: str, more: str) -> str:
    """Why neighbouring losses came about: each reason once, in the order met."""
    if not (reason and more):
        return reason or more
    return "; ".join(dict.fromkeys([*reason.split("; "), *more.split("; ")]))


#: Why values that can't be heard are lost.
NO_AUDIO = "values that are no audio"
#: A value beyond this is no sample of any sound file or device (32-bit integers stay below), but damage; it would
#: overflow the filters.
_LARGEST = 1e12


def is_audio(samples: Samples) -> np.ndarray:
    """(n,) bool: which values can be heard."""
    usable: np.ndarray = np.abs(samples) <= _LARGEST  # false for NaN
    return usable


def runs(samples: Samples) -> Iterator[tuple[Samples, bool]]:
    """The longest runs of audio (True) and of values that are none (False), in order; none of no samples."""
    usable = is_audio(samples)
    if usable.all():
        if len(samples):
            yield samples, True
        return
    edges = np.flatnonzero(np.diff(usable)) + 1
    for run, good in zip(np.split(samples, edges), np.split(usable, edges), strict=True):
        if len(run):
            yield run, bool(good[0])


#: What a device can be: heard; silent for a moment; away; being opened again; given up.
CONDITIONS = ("listening", "stalled", "lost", "reconnecting", "gone")


@dataclass(frozen=True)
class Condition:
    """A change of what becomes of a live device.

    Attributes:
        state: one of `CONDITIONS`. A source that says nothing is "listening".
        start: index, as `Block.start`, of the sample that comes next.
        detail: why, in words; empty where it speaks for itself.
    """

    state: str
    start: int
    detail: str = ""


class Source(Protocol):
    """Something that can be listened to, once."""

    @property
    def rate_hz(self) -> int:
        """Sample rate of the blocks."""

    @property
    def description(self) -> dict[str, object]:
        """What the session log says of the source: kind, name, rate_hz, channel and the like; JSON values only."""

    def blocks(self) -> Iterator[Block | Condition]:
        """Blocks in the order heard, a live device's changes between them, until it ends or `stop` is called.

        Raises:
            InputFileError, DeviceError: the audio can't be read any further. What was yielded before stands.
        """

    def stop(self) -> None:
        """Ask `blocks` to end soon. May be called from another thread or a signal handler; returns at once."""

    def close(self) -> None:
        """Release the file or device. Never hangs, may be called twice."""
