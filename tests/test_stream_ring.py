"""The ring hands out every sample once and in order, or says exactly which it lost."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.ring import Ring

EXACT_INTEGERS = 1 << 24  # float32 holds these, so that a sample can carry its own index


def ramp(start: int, count: int) -> np.ndarray:
    return (np.arange(start, start + count) % EXACT_INTEGERS).astype(np.float32)


class ReferenceRing:
    """The same promise, kept with a plain list of everything ever written."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.heard, self.next = capacity, [], 0

    def write(self, samples: np.ndarray) -> None:
        self.heard.extend(samples.tolist())

    def read(self, max_samples: int) -> tuple[list[float], int, int]:
        start = max(self.next, len(self.heard) - self.capacity)
        samples = self.heard[start : start + max_samples]
        if not samples:
            return [], self.next, 0
        lost, self.next = start - self.next, start + len(samples)
        return samples, start, lost


steps = st.lists(st.tuples(st.sampled_from(["write", "read"]), st.integers(0, 40)), max_size=60)


@given(capacity=st.integers(1, 25), steps=steps)
def test_ring_equals_reference_for_any_order_of_writes_and_reads(capacity: int, steps: list[tuple[str, int]]) -> None:
    ring, reference = Ring(capacity), ReferenceRing(capacity)
    for action, count in [*steps, ("read", capacity)]:
        if action == "write":
            samples = ramp(ring.written, count)
            ring.write(samples)
            reference.write(samples)
        else:
            reading = ring.read(count)
            assert (reading.samples.tolist(), reading.start, reading.lost) == reference.read(count)
        assert ring.written == len(reference.heard)
        assert ring.waiting_samples == min(ring.written - reference.next, capacity)


@given(capacity=st.integers(1, 25), steps=steps)
def test_every_written_sample_is_read_or_counted_lost(capacity: int, steps: list[tuple[str, int]]) -> None:
    ring, read, lost = Ring(capacity), 0, 0
    for action, count in [*steps, ("read", capacity)]:
        if action == "write":
            ring.write(ramp(ring.written, count))
            continue
        reading = ring.read(count)
        read, lost = read + len(reading.samples), lost + reading.lost
    assert read + lost == ring.written


def test_overrun_names_the_lost_indices() -> None:
    ring = Ring(10)
    ring.write(ramp(0, 8))
    assert ring.read(3).start == 0
    ring.write(ramp(8, 9))  # indices 7 to 16 remain, 3 to 6 are gone
    reading = ring.read(100)
    assert (reading.start, reading.lost) == (7, 4)
    np.testing.assert_array_equal(reading.samples, ramp(7, 10))
    assert (len(ring.read(1).samples), ring.read(1).lost) == (0, 0)


def test_column_of_an_interleaved_block_is_written() -> None:
    ring = Ring(16)
    block = np.stack([ramp(0, 12), ramp(100, 12)], axis=1)
    ring.write(block[:, 1])
    np.testing.assert_array_equal(ring.read(12).samples, ramp(100, 12))


def test_a_read_is_a_copy_that_later_writes_leave_alone() -> None:
    ring = Ring(8)
    ring.write(ramp(0, 8))
    reading = ring.read(8)
    ring.write(ramp(50, 8))
    np.testing.assert_array_equal(reading.samples, ramp(0, 8))


def test_samples_past_the_32_bit_count_keep_their_indices() -> None:
    ring = Ring(10)
    ring._claimed = ring._written = ring._next = 2**32 - 3
    ring.write(ramp(0, 7))
    reading = ring.read(7)
    assert (reading.start, reading.lost) == (2**32 - 3, 0)
    np.testing.assert_array_equal(reading.samples, ramp(0, 7))


class OvertakenRing(Ring):
    """Lets the writer overwrite in the middle of a read, between the reader's copy and its second look."""

    def __init__(self, capacity: int, during_copy: list[int]) -> None:
        super().__init__(capacity)
        self.during_copy = during_copy

    def _copy(self, begin: int, count: int) -> np.ndarray:
        copy = super()._copy(begin, count)
        if self.during_copy:
            self.write(ramp(self.written, self.during_copy.pop()))
        return copy


@pytest.mark.parametrize(("overwritten", "start"), [(0, 0), (3, 3), (9, 9)])
def test_samples_overwritten_during_the_copy_are_discarded(overwritten: int, start: int) -> None:
    ring = OvertakenRing(10, [overwritten])
    ring.write(ramp(0, 10))
    reading = ring.read(10)
    assert (reading.start, reading.lost) == (start, start)
    np.testing.assert_array_equal(reading.samples, ramp(start, 10 - start))


def test_loss_of_a_whole_copy_is_told_with_the_next_samples() -> None:
    ring = OvertakenRing(10, [25])
    ring.write(ramp(0, 10))
    assert (len(ring.read(10).samples), ring._next) == (0, 0)
    reading = ring.read(10)
    assert (reading.start, reading.lost) == (25, 25)
    np.testing.assert_array_equal(reading.samples, ramp(25, 10))


def test_nothing_is_read_where_a_write_has_begun() -> None:
    ring = Ring(10)
    ring.write(ramp(0, 10))
    ring._claimed += 4  # the writer is inside its copy: indices 0 to 3 may be torn
    reading = ring.read(10)
    assert (reading.start, reading.lost, len(reading.samples)) == (4, 4, 6)


class BlockThatLetsTheReaderIn:
    """Reads the ring at the moment when a write asks for the samples, before any is overwritten or counted."""

    def __init__(self, ring: Ring, samples: np.ndarray) -> None:
        self.ring, self.samples = ring, samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, part: slice) -> np.ndarray:
        self.read = self.ring.read(10)
        return self.samples[part]


def test_a_write_announces_itself_before_it_copies() -> None:
    ring = Ring(10)
    ring.write(ramp(0, 10))
    block = BlockThatLetsTheReaderIn(ring, ramp(10, 4))
    ring.write(block)
    assert (block.read.start, block.read.lost) == (4, 4), "the reader took samples that are being overwritten"
    np.testing.assert_array_equal(block.read.samples, ramp(4, 6))
    assert ring.read(10).start == 10


def test_capacity_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        Ring(0)


def write_endlessly(ring: Ring, enough: threading.Event) -> None:
    sizes = [1, 37, 480, 4097, 20_000]  # large ones copy without Python's lock: true concurrency
    source, turn = ramp(0, EXACT_INTEGERS), 0
    while not enough.is_set():
        at = ring.written % EXACT_INTEGERS
        ring.write(source[at : at + sizes[turn % len(sizes)]])
        turn += 1
        if turn % 50 == 0:
            time.sleep(0.002)  # lets the reader catch up at times


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Python hands over between threads a thousand times as often as usual."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(interval_s)


def test_two_threads_lose_nothing_silently(hasty_threads: None) -> None:
    ring, enough, began_s = Ring(30_000), threading.Event(), time.monotonic()
    writer = threading.Thread(target=write_endlessly, args=(ring, enough))
    expected, read, lost, losses = 0, 0, 0, 0
    writer.start()
    try:
        while writer.is_alive() or expected < ring.written:
            reading = ring.read(15_000)
            assert reading.start - reading.lost == expected
            np.testing.assert_array_equal(reading.samples, ramp(reading.start, len(reading.samples)))
            expected = reading.start + len(reading.samples)
            read, lost, losses = read + len(reading.samples), lost + reading.lost, losses + (reading.lost > 0)
            passed_s = time.monotonic() - began_s
            if (passed_s > 2.0 and read > 1_000_000 and losses > 50) or passed_s > 30.0:
                enough.set()
    finally:
        enough.set()
        writer.join()
    assert read + lost == ring.written
    assert (read > 1_000_000, losses > 50) == (True, True), "the threads hardly met: nothing was put to the test"
