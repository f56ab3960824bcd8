"""soxr's stream as everyone here makes it, so that recordings are learned from as they are heard."""

from __future__ import annotations

import os

import soxr

# soxr filters in blocks of a transform's length, and holds audio back until one is full: up to 0.7 s. With the shortest
# transforms that hold its filters it is 0.32 s at most, the sound differs by 2e-7 of full scale, and the CPU time by
# nothing. libsoxr has no other switch for it than this variable (its `log2_large_dft_size`), read with each new stream.
os.environ.setdefault("SOXR_LARGE_DFT_SIZE", "8")


def stream(rate_hz: int, to_hz: int, kernel: str) -> soxr.ResampleStream:
    """One channel of float32 from a rate to another.

    Args:
        rate_hz: of what goes in.
        to_hz: of what comes out.
        kernel: soxr's name of the filter.
    """
    return soxr.ResampleStream(rate_hz, to_hz, 1, dtype="float32", quality=kernel)
