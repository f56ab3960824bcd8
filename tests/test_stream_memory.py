"""The newest minutes of audio in their places, and what a trace lets through of them."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.frontend import FrontEndSpec
from stream import bands
from stream.memory import Memory
from stream.monitor import trace

RATE_HZ = 2000


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 60)), max_size=30), st.integers(1, 80), st.data())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_each_sample_is_where_it_was_put_and_what_was_lost_is_blank(
    parts: list[tuple[int, int]], capacity: int, data: st.DataObject
) -> None:
    memory, whole = Memory(1, capacity), np.zeros(0, np.float32)
    for lost, count in parts:
        samples = np.arange(len(whole), len(whole) + count, dtype=np.float32)
        memory.put(len(whole) + lost, samples)
        whole = np.concatenate([whole, np.full(lost, np.nan, np.float32), samples])
    assert memory.end == len(whole)
    assert memory.oldest == max(0, len(whole) - capacity)
    kept = whole.copy()
    kept[: memory.oldest] = np.nan
    begin = data.draw(st.integers(-50, len(whole) + 50))
    end = data.draw(st.integers(begin, len(whole) + 100))
    wanted = np.full(end - begin, np.nan, np.float32)
    for at in range(max(begin, 0), min(end, len(whole))):
        wanted[at - begin] = kept[at]
    np.testing.assert_array_equal(memory.window(begin, end), wanted)


def test_what_comes_late_takes_the_place_of_what_seemed_lost() -> None:
    memory = Memory(1, 10)
    memory.put(0, np.arange(4, dtype=np.float32))
    memory.lose(9)
    memory.lose(7)
    memory.put(4, np.array([4, 5], np.float32))
    np.testing.assert_array_equal(memory.window(0, 9), [0, 1, 2, 3, 4, 5, np.nan, np.nan, np.nan])
    assert memory.end == 9
    memory.lose(10**12)
    memory.put(6, np.ones(2, np.float32))  # long gone
    assert np.isnan(memory.window(10**12 - 10, 10**12)).all()


def test_looking_while_it_is_written_never_shows_what_was_not_there() -> None:
    memory, done = Memory(1, 500), threading.Event()

    def write() -> None:
        for at in range(0, 300_000, 50):
            memory.put(at, np.arange(at, at + 50, dtype=np.float32) % 4096)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    looks = 0
    while not done.is_set():
        end = memory.end
        seen = memory.window(end - 600, end)
        at = np.arange(end - 600, end) % 4096
        assert ((seen == at) | np.isnan(seen)).all()
        looks += 1
    writer.join()
    assert looks > 10


# Bands


def tone(hz: float, seconds: float = 4.0) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ).astype(np.float32)


@pytest.mark.parametrize(
    ("sound", "through", "stopped"),
    [("wide", (40, 200, 385), (0, 10, 420, 800)), ("bell", (35, 80, 135), (0, 5, 170, 300)),
     ("diaphragm", (115, 250, 385), (0, 40, 80, 420))],
)  # fmt: skip
def test_a_band_lets_through_what_it_says(sound: str, through: tuple[float, ...], stopped: tuple[float, ...]) -> None:
    band = bands.band_hz(FrontEndSpec(), sound)
    middle = slice(RATE_HZ, -RATE_HZ)
    for hz in through:
        out = bands.band_pass(tone(hz), RATE_HZ, band)
        np.testing.assert_allclose(out[middle], tone(hz)[middle], atol=0.15)
    for hz in stopped:
        out = bands.band_pass(tone(hz) + 1, RATE_HZ, band)
        assert np.abs(out[middle]).max() < 0.02, hz


def test_bands_stay_below_half_the_rate() -> None:
    assert bands.band_hz(FrontEndSpec(rate_hz=600, high_hz=250), "diaphragm") == (100, 300)
    assert bands.band_hz(FrontEndSpec(), "wide") == (25, 400)


@given(st.integers(2000, 9000), st.integers(100, 6000), st.integers(0, 3000))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_what_is_seen_of_a_moment_does_not_depend_on_the_window(end: int, samples: int, lost: int) -> None:
    memory, noise = Memory(RATE_HZ), np.random.default_rng(5).normal(size=10_000).astype(np.float32)
    memory.put(0, noise[:4000])
    memory.put(4000 + lost, noise[4000:])
    end = min(end, memory.end - 200)
    whole = bands.window(memory, memory.end, memory.end, (25, 400))
    seen = bands.window(memory, end, samples, (25, 400))
    begin = max(0, end - samples)
    near = np.zeros(memory.end, bool)  # the mean that is taken off is the window's: it matters at the edges alone
    for edge in (0, 4000, 4000 + lost, memory.end):
        near[max(0, edge - 200) : edge + 200] = True
    inside = ~near[begin:end]
    np.testing.assert_allclose(seen[inside], whole[begin:end][inside], atol=1e-4)
    np.testing.assert_array_equal(np.isnan(seen), np.isnan(whole[begin:end]))


def test_a_gap_is_blank_in_the_trace_and_never_a_line() -> None:
    samples = tone(50)
    samples[2000:4000] = np.nan
    for heard in (samples, bands.band_pass(samples, RATE_HZ, (20, 150))):
        found = trace.extremes(heard, RATE_HZ, 4.0, 160, 4.0)
        assert np.isnan(found.low[40:80]).all()
        assert np.isfinite(found.low[:40]).all()
        assert np.isfinite(found.low[80:]).all()
        assert [row[20:40].strip() for row in trace.braille(found, 4)] == [""] * 4


def test_a_column_with_some_sound_shows_it() -> None:
    samples = np.full(2000, np.nan, np.float32)
    samples[7::20] = 0.5
    samples[11::20] = np.inf
    found = trace.extremes(samples, RATE_HZ, 1.0, 100, 1.0)
    assert (found.high == 0.5).all()
    assert (found.low == 0.5).all()


def test_a_fixed_gain_is_the_traces() -> None:
    found = trace.extremes(tone(50), RATE_HZ, 4.0, 160, 4.0)
    assert trace.scale_db(found) == 0
    assert trace.scale_db(found._replace(edge_db=-24)) == -24
    rows = trace.braille(found._replace(edge_db=24), 4)
    assert rows[0].strip() == ""
    assert rows[1].strip() != "" or rows[2].strip() != ""
