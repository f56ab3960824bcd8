"""Annotated S1 and S2: read from both layouts of CirCor and from PASCAL's table, and refused in a line if damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_data

from models.errors import InputFileError
from models.frontend import FrontEndSpec
from train.datasets import CIRCOR_HEARD_S
from train.timings import DIASTOLE, NO_STATE, S1, S2, SYSTOLE, Timed, in_frames, read, states_of, to_frames

#: Two cycles after half a second that nothing is known of.
TWO_CYCLES = """\
0	0.5	0
0.5	0.62	1
0.62	0.8	2
0.8	0.9	3
0.9	1.3	4
1.3	1.42	1
1.42	1.6	2
1.6	1.7	3
1.7	2.1	4
2.1	30.0	0
"""


def own_layout(folder: Path, *tables: str) -> Path:
    """Recordings of one person each, in the project's own layout; "" leaves a table out."""
    rows = ["file,person,location,recording_label"]
    (folder / "audio").mkdir(parents=True)
    (folder / "segmentation").mkdir()
    for k, table in enumerate(tables):
        tiny_data.put(folder / f"audio/{k}_AV.wav", 0, k)
        rows.append(f"audio/{k}_AV.wav,p{k},AV,absent")
        if table:
            (folder / f"segmentation/{k}_AV.tsv").write_text(table)
    (folder / "recordings.csv").write_text("\n".join(rows) + "\n")
    return folder


def physionet_layout(folder: Path, *tables: str) -> Path:
    rows = ["Patient ID,Murmur,Murmur locations,Additional ID"]
    (folder / "training_data").mkdir(parents=True)
    for k, table in enumerate(tables):
        tiny_data.put(folder / f"training_data/{k}_AV.wav", 0, k)
        rows.append(f"{k},Absent,nan,nan")
        if table:
            (folder / f"training_data/{k}_AV.tsv").write_text(table)
    (folder / "training_data.csv").write_text("\n".join(rows) + "\n")
    return folder


LAYOUTS = pytest.mark.parametrize("layout", [own_layout, physionet_layout])


@LAYOUTS
def test_segments_are_read_and_the_unknown_is_left_out(tmp_path: Path, layout: object) -> None:
    assert callable(layout)
    found = read("circor", layout(tmp_path / "circor", TWO_CYCLES, "", TWO_CYCLES))
    assert [timed.path.stem for timed in found] == ["0_AV", "2_AV"]
    timed = found[0]
    assert timed.path.is_file()
    assert (timed.source, timed.group.startswith("circor/"), timed.heard_s) == ("circor", True, CIRCOR_HEARD_S)
    assert timed.segments[:, 2].tolist() == [S1, SYSTOLE, S2, DIASTOLE] * 2
    np.testing.assert_allclose(timed.segments[[0, -1], :2], [[0.5, 0.62], [1.7, 2.1]])
    np.testing.assert_allclose(timed.onsets("S1"), [0.5, 1.3])
    np.testing.assert_allclose(timed.onsets("S2"), [0.8, 1.6])
    np.testing.assert_allclose(timed.spans, [[0.5, 2.1]])


@LAYOUTS
def test_only_the_seconds_that_are_heard_count(tmp_path: Path, layout: object) -> None:
    """As of the audio: murmurs come longer than 16 s in some copies."""
    assert callable(layout)
    late = "1.0 1.1 1\n1.1 1.4 2\n15.9 16.3 3\n16.3 16.8 4\n16.8 16.9 1\n"
    (timed,) = read("circor", layout(tmp_path / "a", late))
    assert timed.segments[:, 2].tolist() == [S1, SYSTOLE, S2]
    assert timed.segments[-1, 1] == CIRCOR_HEARD_S == 16.0
    assert read("circor", layout(tmp_path / "b", "17 17.1 1\n17.1 17.3 2\n")) == []


def test_a_recording_of_which_nothing_is_known_is_passed_over(tmp_path: Path) -> None:
    assert read("circor", own_layout(tmp_path / "circor", "0 30.8 0\n")) == []


def test_between_spans_nothing_is_known(tmp_path: Path) -> None:
    gap = "1.0 1.1 1\n1.1 1.4 2\n1.4 1.5 3\n3.0 3.1 1\n3.12 3.4 2\n"
    (timed,) = read("circor", own_layout(tmp_path / "circor", gap))
    np.testing.assert_allclose(timed.spans, [[1.0, 1.5], [3.0, 3.4]])  # 20 ms are no gap, 1.5 s are one


def test_segments_that_are_listed_twice_or_overlap_a_little_are_read_once(tmp_path: Path) -> None:
    """CirCor has two of the one and a hundred of the other."""
    known = TWO_CYCLES.replace("0	0.5	0\n", "").replace("2.1	30.0	0\n", "")
    little = TWO_CYCLES.replace("0.62	0.8	2", "0.619	0.8	2")
    twice, overlapping = read("circor", own_layout(tmp_path / "circor", known + known, little))
    assert twice.segments.tolist() == [[float(x) for x in line.split()] for line in known.splitlines()]
    np.testing.assert_allclose(twice.spans, [[0.5, 2.1]])
    np.testing.assert_allclose(overlapping.spans, [[0.5, 2.1]])


@LAYOUTS
@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "hello",
        "0.1 0.2",
        "0.1 0.2 1 5",
        "0.1 0.2 1\n0.2 0.3",
        "0.1 0.2 S1",
        "0.1,0.2,1",
        "0.5 0.4 1",
        "0.1 nan 1",
        "0.1 0.9 1\n0.5 1.2 2",
        "\0",
    ],
)
def test_a_damaged_segmentation_is_refused_in_a_line(tmp_path: Path, layout: object, text: str) -> None:
    assert callable(layout)
    folder = layout(tmp_path / "circor", TWO_CYCLES)
    (table,) = folder.rglob("*.tsv")
    table.write_text(text)
    with pytest.raises(InputFileError, match=r"0_AV\.tsv: .*; take CirCor's own file") as refusal:
        read("circor", folder)
    assert "\n" not in str(refusal.value)


def test_a_segmentation_that_is_no_text_is_refused_in_a_line(tmp_path: Path) -> None:
    folder = own_layout(tmp_path / "circor", TWO_CYCLES)
    (folder / "segmentation/0_AV.tsv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputFileError, match=r"0_AV\.tsv"):
        read("circor", folder)


def test_data_sets_without_annotations_have_none(tmp_path: Path) -> None:
    tiny_data.noise(tmp_path / "noise", 2)
    tiny_data.put(tmp_path / "folder/murmur/1.wav", 1, 1)
    assert read("noise", tmp_path / "noise") == read("folder", tmp_path / "folder") == []
    assert read("pascal", tiny_data.pascal(tmp_path / "pascal")) == []
    assert read("circor", tiny_data.circor(tmp_path / "circor", 2)) == []
    assert read("circor", tmp_path / "nowhere") == []


# --- in frames


def test_segments_in_frames_are_where_the_frames_middles_are() -> None:
    """A frame's number stands for its middle: 25 ms, then every 20 ms."""
    spec = FrontEndSpec()
    assert to_frames(spec, np.array([0.025, 0.045, 0.525])).tolist() == pytest.approx([0, 1, 25])
    segments = np.array([[0.025, 0.125, S1], [0.125, 0.535, SYSTOLE]])
    np.testing.assert_allclose(in_frames(spec, segments), np.array([[0, 5, S1], [5, 25.5, SYSTOLE]]))
    assert segments[0, 0] == 0.025  # a copy


@pytest.mark.parametrize("seed", range(5))
def test_states_of_frames_by_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges = np.sort(rng.uniform(-5, 45, 12)).reshape(6, 2)
    segments = np.column_stack([edges, rng.integers(1, 5, 6)])
    wanted = [next((s - 1 for a, b, s in segments if a <= k < b), NO_STATE) for k in range(40)]
    found = states_of(segments, 40)
    assert found.tolist() == wanted
    assert found.dtype == np.int8
    assert len(states_of(segments, 0)) == 0


# --- PASCAL


def pascal(folder: Path, *rows: str) -> Path:
    for name in ("normal__1", "normal__2"):
        tiny_data.put(folder / f"set_a/{name}.wav", 0, 1)
    (folder / "set_a_timing.csv").write_text("\n".join(["fname,cycle,sound,location", *rows]) + "\n")
    return folder


def test_set_a_marks_middles_from_which_the_onsets_are_reckoned(tmp_path: Path) -> None:
    folder = pascal(
        tmp_path,
        "set_a/normal__2.wav,1,S1,44100",
        "set_a/normal__1.wav,1,S2,30870",
        "set_a/normal__1.wav,1,S1,13230",
        "set_a/normal__1.wav,2,S1,52920",
        "set_a/gone.wav,1,S1,1",
    )
    first, second = read("pascal", folder)
    assert (first.name, second.name) == ("set_a/normal__1.wav", "set_a/normal__2.wav")
    assert first.path.is_file()
    assert (first.source, first.heard_s) == ("pascal_a", None)
    assert first.group != second.group
    np.testing.assert_allclose(first.onsets("S1"), [0.3 - 0.06, 1.2 - 0.06])
    np.testing.assert_allclose(first.onsets("S2"), [0.7 - 0.05])
    np.testing.assert_allclose(first.spans, [[0.24, 1.24]])
    np.testing.assert_allclose(second.onsets("S1"), [0.94])
    assert len(second.onsets("S2")) == 0


@pytest.mark.parametrize(
    "text",
    [
        "fname,cycle,sound\nset_a/normal__1.wav,1,S1\n",
        "fname,cycle,sound,location\nset_a/normal__1.wav,1,S3,100\n",
        "fname,cycle,sound,location\nset_a/normal__1.wav,1,S1,soon\n",
        "fname,cycle,sound,location\nset_a/normal__1.wav,1,S1\n",
        "fname,cycle,sound,location\nset_a/normal__1.wav,1,S1,1.5\n",
        "name,cycle,sound,location\nset_a/normal__1.wav,1,S1,100\n",
    ],
)
def test_a_damaged_table_of_set_a_is_refused_in_a_line(tmp_path: Path, text: str) -> None:
    (pascal(tmp_path) / "set_a_timing.csv").write_text(text)
    with pytest.raises(InputFileError, match=r"set_a_timing\.csv: needs fname, sound") as refusal:
        read("pascal", tmp_path)
    assert "\n" not in str(refusal.value)


def test_an_empty_table_of_set_a_annotates_nothing(tmp_path: Path) -> None:
    assert read("pascal", pascal(tmp_path)) == []


def test_the_made_data_of_other_tests_is_annotated_as_it_sounds(tmp_path: Path) -> None:
    """`tiny_data.sound` is loudest where its beats begin."""
    tiny_data.circor(tmp_path / "circor", patients=2, seconds=4, annotated=True)
    found = read("circor", tmp_path / "circor")
    assert len(found) == 4
    from train import audio

    for timed in found:
        loud = np.abs(audio.load(timed.path, 2000))
        assert len(timed.onsets("S1")) >= 4
        for onset in timed.onsets("S1")[:-1]:
            at = round(2000 * onset)
            assert loud[at : at + 100].mean() > 2 * loud[at + 1000 : at + 1100].mean()


# --- the real ones


def test_real_annotations_are_whole_cycles_within_16_s(shared_data: Path) -> None:
    found = read("circor", shared_data / "circor")
    assert 2100 < len(found) < 2259  # 87 of 2,259 are annotated nowhere, 28 only later
    assert len({timed.group for timed in found}) > 600
    for timed in found:
        begins, ends, states = timed.segments.T
        assert begins[0] >= 0
        assert ends[-1] <= CIRCOR_HEARD_S
        assert (np.diff(begins) > 0).all()
        assert (ends[:-1] <= begins[1:] + 0.01).all()
        assert set(states) <= {S1, SYSTOLE, S2, DIASTOLE}
    onsets = sum(len(timed.onsets("S1")) for timed in found)
    assert onsets > 30_000
    follow = [(a, b) for timed in found for a, b in zip(timed.segments[:, 2], timed.segments[1:, 2], strict=False)]
    in_turn = np.mean([(a % 4) + 1 == b for a, b in follow])
    assert in_turn > 0.99


def test_the_real_table_of_set_a_has_hearts_of_likely_rates(shared_data: Path) -> None:
    found = read("pascal", shared_data / "pascal")
    assert len(found) == 20  # of 21 annotated, one is in the set under two labels
    assert len({timed.group for timed in found}) == 14  # days
    assert sum(len(timed.onsets(sound)) for timed in found for sound in ("S1", "S2")) > 350
    rates = [60 / np.median(np.diff(timed.onsets("S1"))) for timed in found if len(timed.onsets("S1")) > 2]
    assert 40 < min(rates) < max(rates) < 150


def test_a_copy_of_real_files_in_physionet_s_layout_says_the_same(shared_data: Path, tmp_path: Path) -> None:
    own = [t for t in read("circor", shared_data / "circor") if t.path.stem.startswith(("14241_", "9983_"))]
    (tmp_path / "training_data").mkdir()
    rows = ["Patient ID,Murmur,Murmur locations,Additional ID"]
    rows += [f"{patient},Absent,nan,nan" for patient in ("14241", "9983")]
    (tmp_path / "training_data.csv").write_text("\n".join(rows) + "\n")
    for timed in own:
        tiny_data.put(tmp_path / f"training_data/{timed.path.stem}.wav", 0, 1)
        table = timed.path.parent.parent / "segmentation" / f"{timed.path.stem}.tsv"
        shutil.copy(table, tmp_path / "training_data")
    copied = {t.path.stem: t for t in read("circor", tmp_path)}
    assert len(own) == len(copied) >= 4
    for timed in own:
        assert isinstance(timed, Timed)
        assert np.array_equal(copied[timed.path.stem].segments, timed.segments)
