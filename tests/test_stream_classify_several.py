"""Recordings heard together: the rows of each are what they are alone, and never are many files open."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny_bundle
from program import heart

from models import bundle as bundles
from models.bundle import Bundle
from stream import classify, workers
from stream.sources.file import FileSource

LENGTHS_S = (0.1, 3, 0.4, 26, 5.5, 1, 11, 2)
RATES_HZ = (4000, 44_100, 2000, 4000, 8000)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("model")
    (folder / "hearing.onnx").write_bytes(tiny_bundle.data_of(tiny_bundle.hearing()))
    return bundles.load(folder / "hearing.onnx")


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Forty recordings of many lengths and rates; among them some that can't be used, with a gap, or damaged late."""
    folder, made = tmp_path_factory.mktemp("many"), []
    for n in range(40):
        rate_hz = RATES_HZ[n % len(RATES_HZ)]
        samples = heart(LENGTHS_S[n % len(LENGTHS_S)], rate_hz=rate_hz)
        made.append(folder / f"{n}.wav")
        soundfile.write(made[-1], samples, rate_hz, "PCM_16")
    made[7].write_text("no sound")
    made[9].unlink()
    made[10] = folder
    late = heart(26)
    late[-5] = np.nan
    soundfile.write(made[11], late, 4000, "FLOAT")
    loss = '{"at_sample": 9000, "lost_samples": 70000, "reason": "unplugged"}\n'
    (folder / "12.wav.gaps.jsonl").write_text(loss)
    return made


def test_recordings_heard_together_answer_as_each_does_alone(bundle: Bundle, paths: list[Path]) -> None:
    alone = [classify.classify(path, bundle) for path in paths]
    assert classify.several(paths, bundle) == alone
    assert classify.several(paths[::-1], bundle) == alone[::-1]
    errors = [n for n, row in enumerate(alone) if row["error"]]
    assert errors == [0, 7, 8, 9, 10, 11, 16, 24, 32]  # those of 0.1 s are too short
    assert len({row["p_murmur"] for row in alone}) > 15


def test_of_no_recordings_there_are_no_rows(bundle: Bundle) -> None:
    assert classify.several([], bundle) == []


def test_few_files_are_open_at_a_time_and_none_is_left(
    bundle: Bundle, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_now, most, longest_s = set(), 0, 0.0
    begin, close, blocks = FileSource.__init__, FileSource.close, FileSource.blocks

    def counted(source: FileSource, *given: object, **more: object) -> None:
        nonlocal most
        begin(source, *given, **more)  # type: ignore[arg-type]
        open_now.add(source)
        most = max(most, len(open_now))

    def measured(source: FileSource) -> Iterator[object]:
        nonlocal longest_s
        for block in blocks(source):
            longest_s = max(longest_s, len(block.samples) / block.rate_hz)
            yield block

    monkeypatch.setattr(FileSource, "__init__", counted)
    monkeypatch.setattr(FileSource, "close", lambda source: (open_now.discard(source), close(source))[1])
    monkeypatch.setattr(FileSource, "blocks", measured)
    rows = classify.heard(paths, bundle)
    next(rows)
    assert len(open_now) > 1
    rows.close()
    assert not open_now
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    classify.several(paths, bundle)
    assert not open_now
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert 16 < most <= 32
    assert longest_s == 7


def test_rows_that_wait_for_a_long_recording_are_few(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classify, "_AHEAD", 20)
    asked = []
    for n in range(60):
        soundfile.write(tmp_path / f"{n}.wav", heart(60 if n == 0 else 0.1), 4000, "PCM_16")

    def given() -> Iterator[Path]:
        for n in range(60):
            asked.append(n)
            yield tmp_path / f"{n}.wav"

    rows = classify.heard(given(), bundle)
    assert Path(next(rows)["path"]).name == "0.wav"
    assert max(asked) == 19
    assert [Path(row["path"]).name for row in rows] == [f"{n}.wav" for n in range(1, 60)]


@pytest.mark.parametrize("jobs", [2, 3])
def test_processes_answer_as_one_does(bundle: Bundle, paths: list[Path], jobs: int) -> None:
    assert list(classify.rows(paths, bundle, None, jobs)) == classify.several(paths, bundle)


def test_answers_that_wait_are_few_and_in_order() -> None:
    """The first item takes long; the others answer at once, but few of them are handed out meanwhile."""
    asked = []

    def items() -> Iterator[int]:
        for n in range(50):
            asked.append(n)
            yield n

    answers = workers.mapped(slow_first, (0.5,), items(), 3, ahead=7)
    assert next(answers) == (0, 0)
    assert max(asked) == 6
    assert list(answers) == [(n, k) for n in range(50) for k in range(n % 3 or n == 0)][1:]
    assert max(asked) == 49


def slow_first(seconds: float) -> Callable[[int], Iterator[tuple[int, int]]]:
    """A worker: n % 3 answers to n, one to 0."""

    def answered(n: int) -> Iterator[tuple[int, int]]:
        for k in range(n % 3 or n == 0):
            time.sleep(seconds * (n == 0))
            yield n, k

    return answered


@pytest.mark.parametrize("jobs", [2, 5])
@pytest.mark.parametrize("count", [1, 2, 17, 1000])
def test_chunks_hold_every_file_once_and_leave_nobody_idle(tmp_path: Path, count: int, jobs: int) -> None:
    small = tmp_path / "a"
    small.touch()
    found = list(classify.chunks([small] * count, jobs))
    lengths = [len(chunk) for chunk in found]
    assert sum(lengths) == count
    assert max(lengths) <= 64
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] == 1
    assert len(found) >= min(jobs, count)


def test_a_chunk_ends_where_files_are_large(tmp_path: Path) -> None:
    large, small = tmp_path / "large", tmp_path / "small"
    small.touch()
    with large.open("wb") as file:
        file.truncate(2**30)
    given = [small, small, large, small, large, large, *[small] * 30, tmp_path / "missing"]
    found = [list(chunk) for chunk in classify.chunks(given, 2)]
    assert found[:4] == [[small, small, large], [small, large], [large], [small] * 8]
    assert [path for chunk in found for path in chunk] == given
