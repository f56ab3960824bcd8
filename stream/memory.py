"""The newest minutes of audio, each sample at its place in stream time, so that the screen can look back."""

from __future__ import annotations

import numpy as np

from stream.block import Samples

#: How far back one may look.
BACK_S = 300.0
#: How much is kept: a moment that is being looked at stays for `BACK_S` more.
KEPT_S = 2 * BACK_S


class Memory:
    """Keeps the newest `kept_s` of a stream; where nothing was heard there is NaN, which no sound can be taken for.

    One thread may put while others look: what the writer touched meanwhile is NaN in the copy (as in `ring.Ring`).
    Allocated once; pages that were never written cost nothing.

    Args:
        rate_hz: of the samples.
        kept_s: seconds, above 0.
    """

    def __init__(self, rate_hz: int, kept_s: float = KEPT_S) -> None:
        self.rate_hz = rate_hz
        self._capacity = max(1, round(kept_s * rate_hz))
        self._store: Samples = np.empty(self._capacity, dtype=np.float32)
        self._claimed = 0
        self._end = 0

    @property
    def end(self) -> int:
        """Index of the sample to come; what is before it was heard or lost."""
        return self._end

    @property
    def oldest(self) -> int:
        """Index of the oldest sample that is kept."""
        return max(0, self._claimed - self._capacity)

    def put(self, at: int, samples: Samples) -> None:
        """Place (n,) float32, n >= 0, at index `at` >= 0; what lies between the end and there was lost."""
        if at > self._end:
            self.lose(at)
        end = max(self._end, at + len(samples))
        self._claimed = end
        late = max(0, end - self._capacity - at)  # no longer kept
        self._fill(at + late, samples[late:])
        self._end = end

    def lose(self, until: int) -> None:
        """Nothing is heard from the end up to index `until`; no effect where that has passed."""
        missing = min(until - self._end, self._capacity)
        if missing > 0:
            self._claimed = until
            self._fill(until - missing, np.full(missing, np.nan, dtype=np.float32))
            self._end = until

    def window(self, begin: int, end: int) -> Samples:
        """A copy of the samples from `begin` to before `end`, (end - begin,); NaN where nothing is known."""
        found = np.full(max(0, end - begin), np.nan, dtype=np.float32)
        first, last = max(begin, self.oldest), min(end, self._end)
        if last > first:
            found[first - begin : last - begin] = self._copy(first, last)
            found[: max(0, self.oldest - begin)] = np.nan
        return found

    def _fill(self, at: int, samples: Samples) -> None:
        begin = at % self._capacity
        before_wrap = self._capacity - begin
        self._store[begin : begin + len(samples)] = samples[:before_wrap]
        if len(samples) > before_wrap:
            self._store[: len(samples) - before_wrap] = samples[before_wrap:]

    def _copy(self, first: int, last: int) -> Samples:
        begin = first % self._capacity
        head = self._store[begin : begin + last - first]
        return np.concatenate([head, self._store[: last - first - len(head)]])
