"""The ring between the audio callback and the worker: one writer, one reader, no lock, every loss counted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stream.block import Frames


class Reading(NamedTuple):
    """What one read returns.

    Attributes:
        samples: (n,) or (n, channels) float32, the reader's own copy; n >= 0.
        start: index of the first sample since the ring began; of the next sample to come where n is 0.
        lost: samples overwritten unread, indices `start - lost` to `start - 1`; told once, always with n > 0.
    """

    samples: Frames
    start: int
    lost: int


class Ring:
    """Keeps the newest `capacity_samples` of a stream; when full, the oldest are overwritten.

    A sample is one number, or with `channels` one for each of them: they come and are lost together.

    One thread may write while another reads. The writer announces how far it is going to overwrite (`_claimed`) before
    it copies, and what is complete (`written`) after. The reader takes only what is complete, and looks at the claim
    again after its own copy: what the writer may have touched meanwhile is counted as lost. The margin that keeps
    torn samples out is thus exactly the write in progress.

    Counters are Python integers, which never wrap: at 192 kHz a 32-bit one would after six hours.
    """

    def __init__(self, capacity_samples: int, channels: int | None = None) -> None:
        """Allocate once; nothing grows later. Without `channels` the samples are (n,), else (n, channels).

        Raises:
            ValueError: a capacity below one sample.
        """
        if capacity_samples < 1:
            raise ValueError(f"a ring holds at least one sample, not {capacity_samples}")
        shape = () if channels is None else (channels,)
        self._store: Frames = np.zeros((capacity_samples, *shape), dtype=np.float32)
        self._capacity = capacity_samples
        self._claimed = 0
        self._written = 0
        self._next = 0  # the reader's: index of the next sample to hand out

    @property
    def written(self) -> int:
        """Samples written so far: the index of the next one to come."""
        return self._written

    @property
    def waiting_samples(self) -> int:
        """Samples that could be read now, 0 to the capacity; any thread may ask."""
        handed_out = self._next  # looked at first: what is written meanwhile can't make it negative
        return min(self._written - handed_out, self._capacity)

    def write(self, samples: Frames) -> None:
        """Copy in and count; for the writer alone. Never waits, so that an audio callback may call it.

        Args:
            samples: (n,) or (n, channels) float32, n >= 0, any stride. Of more than the capacity only the last stay.
        """
        end = self._written + len(samples)
        self._claimed = end
        kept = samples[-self._capacity :]
        at = (end - len(kept)) % self._capacity
        before_wrap = self._capacity - at
        self._store[at : at + len(kept)] = kept[:before_wrap]
        if len(kept) > before_wrap:
            self._store[: len(kept) - before_wrap] = kept[before_wrap:]
        self._written = end

    def read(self, max_samples: int) -> Reading:
        """Copy out the oldest unread samples; for the reader alone. Never waits.

        Args:
            max_samples: most to return, >= 0.
        """
        begin = max(self._next, self._oldest_intact())
        copy = self._copy(begin, min(self._written - begin, max_samples))
        torn = max(0, self._oldest_intact() - begin)
        intact, start = copy[torn:], begin + torn
        if len(intact) == 0:
            return Reading(intact, self._next, 0)
        lost, self._next = start - self._next, start + len(intact)
        return Reading(intact, start, lost)

    def _oldest_intact(self) -> int:
        """Index of the oldest sample that no write, finished or under way, has touched."""
        return self._claimed - self._capacity

    def _copy(self, begin: int, count: int) -> Frames:
        if count <= 0:
            return self._store[:0].copy()
        at = begin % self._capacity
        first = self._store[at : at + count]
        return np.concatenate([first, self._store[: count - len(first)]])
