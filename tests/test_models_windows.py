from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import windows
from models.windows import Recent, WindowSpec

Due = list[tuple[int, np.ndarray]]


@st.composite
def specs(draw: st.DrawFn) -> WindowSpec:
    least = draw(st.integers(1, 6))
    first = draw(st.integers(least, 12))
    return WindowSpec(draw(st.integers(first, 20)), draw(st.integers(1, 9)), first, least)


def frames(count: int) -> np.ndarray:
    return np.arange(2.0 * count).reshape(count, 2)


def run(spec: WindowSpec, heard: np.ndarray, cuts: list[int], keep: int) -> tuple[Due, Recent]:
    """The decisions that fall due in a stream that comes in parts, and what each hears."""
    recent, due = windows.no_rows(2, np.float64), []
    for start, end in pairwise([0, *sorted(cuts), len(heard)]):
        before = recent.total
        recent = windows.add(recent, heard[start:end])
        assert recent.total == end
        ends = windows.due_ends(spec, before, end)
        if ends:
            recent = windows.put_together(recent)
            due += [(n, windows.cut(recent, n, keep)) for n in ends]
            recent = windows.trim(recent, keep)
    return due, recent


def flush(spec: WindowSpec, recent: Recent, keep: int) -> Due:
    """The decision that is left when the stream ends."""
    recent = windows.put_together(recent)
    return [(n, windows.cut(recent, n, keep)) for n in windows.left_end(spec, recent.total)]


@given(spec=specs(), count=st.integers(0, 90), extra=st.integers(0, 30), data=st.data())
def test_any_chunking_gives_the_same_windows_and_they_are_the_newest_frames(
    spec: WindowSpec, count: int, extra: int, data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, count), max_size=20))
    heard, keep = frames(count), spec.window_frames + extra
    due, recent = run(spec, heard, cuts, keep)
    assert [n for n, _ in due] == list(range(spec.first_frames, count + 1, spec.hop_frames))
    for n, window in [*due, *flush(spec, recent, keep)]:
        assert np.array_equal(window, heard[max(0, n - keep) : n])
    assert recent.total == count
    assert len(recent.rows) <= keep
    assert sum(map(len, recent.fresh)) < spec.first_frames + spec.hop_frames  # memory is bounded


@given(spec=specs(), count=st.integers(0, 90))
def test_the_tail_is_left_once_and_only_where_it_says_something_new(spec: WindowSpec, count: int) -> None:
    """After the last decision, if frames came; and anew if the window was not full, since it speaks for all now."""
    due, _ = run(spec, frames(count), [], spec.window_frames)
    decided = due[-1][0] if due else 0
    new = count >= spec.least_frames and (count > decided or count < spec.window_frames)
    assert windows.left_end(spec, count) == ([count] if new else [])


@given(spec=specs(), count=st.integers(0, 90), cut=st.integers(0, 90))
def test_a_recordings_windows_are_the_streams_full_ones_and_its_last(spec: WindowSpec, count: int, cut: int) -> None:
    heard = streamed(spec, count, cut)
    full_or_last = [n for n in heard if n >= spec.window_frames or n == heard[-1]]
    assert windows.recording_ends(spec, count) == full_or_last


@given(spec=specs(), count=st.integers(0, 90), cut=st.integers(0, 90))
def test_a_recording_of_so_many_frames_is_decided_where_the_stream_decides(
    spec: WindowSpec, count: int, cut: int
) -> None:
    assert windows.decision_ends(spec, count) == streamed(spec, count, cut)


def streamed(spec: WindowSpec, count: int, cut: int) -> list[int]:
    """Where a stream decides; once, where it does anew in the same place."""
    due, recent = run(spec, frames(count), [min(cut, count)], spec.window_frames)
    return list(dict.fromkeys(n for n, _ in [*due, *flush(spec, recent, spec.window_frames)]))


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


@given(sizes=st.lists(st.integers(0, 12), max_size=8), keep=st.integers(0, 15), count=st.integers(0, 15))
def test_the_newest_rows_are_cut_from_what_is_kept(sizes: list[int], keep: int, count: int) -> None:
    table = frames(sum(sizes))
    recent, before = windows.no_rows(2, np.float64), 0
    for size in sizes:
        end = before + size
        recent = windows.add(recent, table[before:end])
        whole = windows.put_together(recent)
        assert np.array_equal(windows.put_together(whole).rows, whole.rows)
        first = whole.total - len(whole.rows)
        for asked in range(first + count, end + 1):
            assert np.array_equal(windows.cut(whole, asked, count), table[asked - count : asked])
        recent = windows.trim(whole, keep)
        assert np.array_equal(recent.rows, table[max(0, end - max(0, min(keep, end))) : end])
        before = end


def test_a_table_is_left_as_it_was() -> None:
    held = windows.put_together(windows.add(windows.no_rows(2, np.float64), frames(9)))
    kept = held.rows.copy()
    more = windows.add(held, frames(5))
    assert windows.add(held, frames(0)) is held
    assert len(windows.trim(windows.put_together(more), 3).rows) == 3
    assert (held.total, held.fresh, len(more.fresh), more.total) == (9, (), 1, 14)
    assert np.array_equal(held.rows, kept)


@pytest.mark.parametrize(
    "change", [{"least_frames": 0}, {"first_frames": 7}, {"window_frames": 47}, {"hop_frames": 0}, {"hop_frames": -3}]
)
def test_impossible_specs_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        WindowSpec(**change)
