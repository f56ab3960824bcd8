"""Features of many recordings in one array, and what the heart does in each frame of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_data

from models.frontend import FrontEndSpec
from train.audio import load
from train.datasets import Recording, read_circor
from train.filterbank import front_end
from train.table import Features, Table, heart_states, read
from train.timings import DIASTOLE, NO_STATE, S1, S2, SYSTOLE, Timed
from train.timings import read as read_timed

SPEC = FrontEndSpec(bands=8)


def recording(name: str, label: str, source: str = "circor") -> Recording:
    return Recording(Path(name), name, label, source, f"{source}/{name}", (True,) * 5)


def timed(name: str, segments: list[list[float]], source: str = "circor") -> Timed:
    return Timed(Path(name), name, source, f"{source}/{name}", np.array(segments))


def table(recordings: list[Recording], frames: int) -> Features[Recording]:
    n = len(recordings)
    return Features(tuple(recordings), np.zeros((n * frames, 8), dtype=np.float32), np.arange(n + 1) * frames)


def middle_s(frame: float) -> float:
    return SPEC.middle_s(frame)


def cycle(first: int) -> list[list[float]]:
    """S1, systole, S2 and diastole of three, four, two and five frames."""
    edges = np.cumsum([first, 3, 4, 2, 5]) - 0.5
    states = (S1, SYSTOLE, S2, DIASTOLE)
    return [[middle_s(a), middle_s(b), s] for a, b, s in zip(edges, edges[1:], states, strict=False)]


CYCLE = [0] * 3 + [1] * 4 + [2] * 2 + [3] * 5


def test_frames_are_in_the_states_that_are_annotated() -> None:
    recordings = [recording("a", "normal"), recording("b", "normal"), recording("c", "normal")]
    states = heart_states(SPEC, table(recordings, 20), [timed("c", cycle(4)), timed("a", cycle(0))])
    assert states.dtype == np.int8
    assert states[:20].tolist() == CYCLE + [NO_STATE] * 6
    assert states[20:40].tolist() == [NO_STATE] * 20
    assert states[40:].tolist() == [NO_STATE] * 4 + CYCLE + [NO_STATE] * 2


def test_the_systole_of_a_recording_with_a_murmur_is_another_state() -> None:
    recordings = [recording("a", "murmur"), recording("b", "normal")]
    states = heart_states(SPEC, table(recordings, 14), [timed("a", cycle(0)), timed("b", cycle(0))])
    assert states[:14].tolist() == [4 if s == 1 else s for s in CYCLE]
    assert states[14:].tolist() == CYCLE


def test_annotations_of_other_sources_and_other_recordings_say_nothing() -> None:
    """Set A's marks say when sounds begin, and nothing of how long they last."""
    recordings = [recording("a", "normal", "pascal_a"), recording("b", "normal")]
    others = [timed("a", cycle(0), "pascal_a"), timed("a", cycle(0)), timed("z", cycle(0))]
    assert (heart_states(SPEC, table(recordings, 14), others) == NO_STATE).all()


def test_a_table_of_made_hearts_knows_where_they_beat(tmp_path: Path) -> None:
    """Read from disk: where a frame is in S1 it is loud."""
    tiny_data.circor(tmp_path, patients=2, seconds=4, annotated=True)
    features = read(front_end(SPEC), read_circor(tmp_path, every=True))
    found = Table.of(features, heart_states(SPEC, features, read_timed("circor", tmp_path)))
    loud = found.values.max(axis=1)
    assert len(found) == 4
    assert loud[found.states == 0].mean() > loud[found.states == 3].mean() + 1
    assert (found.states != NO_STATE).mean() > 0.6
    murmurs = [i for i, r in enumerate(found.recordings) if r.label == "murmur"]
    assert {i for i in range(4) if (found.states[found.rows(i)] == 4).any()} == set(murmurs)
    assert found.labels.tolist() == [int(r.label == "murmur") for r in found.recordings]


def test_a_table_of_no_states_knows_none() -> None:
    plain = Table.of(table([recording("a", "normal")], 5))
    assert (plain.states == NO_STATE).all()
    assert len(plain.states) == len(plain.values) == 5


def test_reading_extracts_each_recording_by_itself_and_ticks(tmp_path: Path) -> None:
    paths = [tiny_data.put(tmp_path / f"{k}.wav", k, k, seconds) for k, seconds in enumerate((1.0, 0.02, 1.5))]
    ticks: list[int] = []
    recordings = [Recording(p, p.name, "normal", "folder", p.name, (True,) * 5) for p in paths]
    found = read(front_end(SPEC), recordings, lambda: ticks.append(1))
    assert len(ticks) == 3
    assert [found.frames(i) for i in range(3)] == [48, 0, 73]
    for i in (0, 2):
        wanted = front_end(SPEC).extract(load(paths[i], 2000)).astype(np.float32)
        assert np.array_equal(found.features(i), wanted)
    nothing: Features[Recording] = read(front_end(SPEC), [])
    assert nothing.values.shape == (0, 8)
    assert nothing.fingerprint([]) == found.fingerprint([])


def test_front_ends_of_a_spec_are_built_once() -> None:
    assert front_end(FrontEndSpec(bands=9)) is front_end(FrontEndSpec(bands=9))
    assert front_end(FrontEndSpec(bands=9)).spec != front_end(FrontEndSpec(bands=10)).spec
    assert len(Table.of(Features((), np.zeros((0, 8), dtype=np.float32), np.zeros(1, dtype=np.int64)))) == 0


@pytest.mark.parametrize("frames", [0, 3])
def test_a_recording_may_be_too_short_for_what_is_annotated(frames: int) -> None:
    states = heart_states(SPEC, table([recording("a", "normal")], frames), [timed("a", cycle(0))])
    assert states.tolist() == CYCLE[:frames]
