from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import windows
from models.windows import WindowSpec

Due = list[tuple[int, np.ndarray]]


@st.composite
def specs(draw: st.DrawFn) -> WindowSpec:
    least = draw(st.integers(1, 6))
    first = draw(st.integers(least, 12))
    return WindowSpec(draw(st.integers(first, 20)), draw(st.integers(1, 9)), first, least)


def frames(count: int) -> np.ndarray:
    return np.arange(2.0 * count).reshape(count, 2)


def run(spec: WindowSpec, heard: np.ndarray, cuts: list[int], keep: int) -> tuple[Due, windows.WindowState]:
    state, due = windows.init_state(2), []
    edges = [0, *sorted(cuts), len(heard)]
    for start, end in pairwise(edges):
        new, state = windows.step(spec, heard[start:end], state, keep)
        due += new
    return due, state


@given(spec=specs(), count=st.integers(0, 90), extra=st.integers(0, 30), data=st.data())
def test_any_chunking_gives_the_same_windows_and_they_are_the_newest_frames(
    spec: WindowSpec, count: int, extra: int, data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, count), max_size=20))
    heard, keep = frames(count), spec.window_frames + extra
    due, state = run(spec, heard, cuts, keep)
    assert [n for n, _ in due] == list(range(spec.first_frames, count + 1, spec.hop_frames))
    for n, window in [*due, *windows.flush(spec, state)]:
        assert np.array_equal(window, heard[max(0, n - keep) : n])
    assert state.frames == count
    assert len(state.tail) <= keep


@given(spec=specs(), count=st.integers(0, 90))
def test_flush_gives_the_tail_once_and_only_where_something_new_was_heard(spec: WindowSpec, count: int) -> None:
    due, state = run(spec, frames(count), [], spec.window_frames)
    rest = windows.flush(spec, state)
    decided = due[-1][0] if due else 0
    assert [n for n, _ in rest] == ([count] if count > decided and count >= spec.least_frames else [])


@given(spec=specs(), count=st.integers(0, 90), cut=st.integers(0, 90))
def test_a_recordings_windows_are_the_streams_full_ones_and_its_last(spec: WindowSpec, count: int, cut: int) -> None:
    due, state = run(spec, frames(count), [min(cut, count)], spec.window_frames)
    heard = [n for n, _ in [*due, *windows.flush(spec, state)]]
    full_or_last = [n for n in heard if n >= spec.window_frames or n == heard[-1]]
    assert windows.recording_ends(spec, count) == full_or_last


@given(spec=specs(), count=st.integers(0, 90), cut=st.integers(0, 90))
def test_a_recording_of_so_many_frames_is_decided_where_the_stream_decides(
    spec: WindowSpec, count: int, cut: int
) -> None:
    due, state = run(spec, frames(count), [min(cut, count)], spec.window_frames)
    assert windows.decision_ends(spec, count) == [n for n, _ in [*due, *windows.flush(spec, state)]]


@pytest.mark.parametrize(
    ("count", "ends"),
    [(0, []), (7, []), (8, [8]), (47, [47]), (48, [48]), (49, [48, 49]), (98, [48, 73, 98]), (99, [48, 73, 98, 99])],
)
def test_a_recordings_decisions_by_example(count: int, ends: list[int]) -> None:
    assert windows.decision_ends(WindowSpec(198, 25, 48, 8), count) == ends


@pytest.mark.parametrize(
    ("count", "ends"),
    [(0, []), (7, []), (8, [8]), (48, [48]), (197, [197]), (198, [198]), (199, [198, 199]), (223, [198, 223])],
)
def test_a_recordings_windows_by_example(count: int, ends: list[int]) -> None:
    assert windows.recording_ends(WindowSpec(198, 25, 48, 8), count) == ends


def test_a_step_leaves_the_state_it_was_given_as_it_was() -> None:
    spec = WindowSpec(10, 3, 4, 2)
    _, state = windows.step(spec, frames(9), windows.init_state(2), 10)
    kept = state.tail.copy()
    first, _ = windows.step(spec, frames(7), state, 10)
    again, _ = windows.step(spec, frames(7), state, 10)
    assert [n for n, _ in first] == [n for n, _ in again] == [10, 13, 16]
    assert np.array_equal(state.tail, kept)


@pytest.mark.parametrize(
    "change", [{"least_frames": 0}, {"first_frames": 7}, {"window_frames": 47}, {"hop_frames": 0}, {"hop_frames": -3}]
)
def test_impossible_specs_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        WindowSpec(**change)
