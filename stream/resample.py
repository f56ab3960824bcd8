"""From the source's rate to the front end's, as a stream: soxr with its filter's memory kept between blocks."""

from __future__ import annotations

import numpy as np

from models import resampling
from stream.block import Samples

#: Input rates that can be heard: below, the heart's sounds are cut off; above, no sound card goes.
RATES_HZ = (2_000, 192_000)


class Resampler:
    """A stream of samples at another rate.

    The same samples come out however they are cut into blocks, and as many as soxr gives for the whole at once; the
    filter's delay is taken out, so that sample k of the output belongs to time k / to_hz. At equal rates samples pass
    through unchanged.

    Args:
        rate_hz: of what comes in.
        to_hz: of what goes out.
        kernel: soxr's name of the filter.
    """

    def __init__(self, rate_hz: int, to_hz: int, kernel: str) -> None:
        self._rate_hz = rate_hz
        self._to_hz = to_hz
        self._kernel = kernel
        self.reset()

    def process(self, samples: Samples) -> Samples:
        """Samples (k,) float32 at `to_hz` that (n,) more at `rate_hz` complete."""
        self._received += len(samples)
        out: Samples = self._stream.resample_chunk(np.ascontiguousarray(samples, dtype=np.float32))
        self._given += len(out)
        return out

    def flush(self) -> Samples:
        """What the filter still holds; then only `reset` may follow."""
        out: Samples = self._stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
        self._given += len(out)
        return out

    def reset(self) -> None:
        """Forget what was heard."""
        self._stream = resampling.stream(self._rate_hz, self._to_hz, self._kernel)
        self._received = self._given = 0

    @property
    def delay_s(self) -> float:
        """How far the output is behind the input."""
        return self._received / self._rate_hz - self._given / self._to_hz
