"""Several streams by the program as a user runs it: what it prints, writes, refuses, and how it ends."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import failing_model
import numpy as np
import pytest
import soundfile
from program import (
    LAENNEC,
    check_session,
    heart,
    lines,
    of_type,
    parsed,
    refused,
    run,
    started,
    succeed,
    surroundings,
    write_wav,
)
from typer.testing import CliRunner

from laennec import app
from models.errors import LaennecError


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Of unequal length and rate."""
    return [
        write_wav(tmp_path / "murmur.wav", heart(9.0)),
        write_wav(tmp_path / "normal.wav", heart(6.0, "normal", 11025), 11025),
        write_wav(tmp_path / "bed 3.wav", heart(7.0, "artifact", 2000), 2000),
    ]


NAMES = ["murmur", "normal", "bed 3"]


def of_stream(name: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A ward's log as that of one of its streams."""
    head = {**found[0], "source": found[0]["streams"][name]}
    order = ["type", "schema", "laennec", "model", "source", "settings", "started"]
    return [{key: head[key] for key in order}] + [
        {key: value for key, value in line.items() if key != "stream"} for line in found[1:] if line["stream"] == name
    ]


def refused_here(*arguments: object, code: int, words: tuple[str, ...]) -> None:
    """Run the command in this process, which has not to start first: it is to refuse, and to print nothing."""
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert isinstance(done.exception, LaennecError)
    assert (done.exception.exit_code, done.output) == (code, "")
    for word in words:
        assert word in str(done.exception)


def told(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return found[1:]


def test_a_stream_of_one_log_is_that_which_its_file_has_alone(files: list[Path], tmp_path: Path) -> None:
    log, alone, out = tmp_path / "ward.jsonl", tmp_path / "alone.jsonl", tmp_path / "x.csv"
    assert succeed("replay", *files, "--together", "--speed", "max", "--json", "--log", log) == log.read_text()
    found = lines(log)
    assert list(found[0]) == ["type", "schema", "laennec", "model", "streams", "settings", "started"]
    assert list(found[0]["streams"]) == NAMES
    assert all(list(line)[:2] == ["type", "stream"] for line in found[1:])
    for name in NAMES:
        check_session(of_stream(name, found))
    succeed("replay", files[2], "--speed", "max", "--quiet", "--log", alone)
    own = of_stream("bed 3", found)
    assert told(own) == told(lines(alone))
    assert own[0]["source"] == lines(alone)[0]["source"]
    refused(run("report", log, "--out", out), 3, "3 streams", "--stream", "murmur, normal, bed 3")
    assert not out.exists()
    succeed("report", log, "--out", out, "--stream", "bed 3")
    refused_here("report", alone, "--stream", "bed 3", "--out", out, code=3, words=("leave --stream out",))
    succeed("report", alone, "--out", tmp_path / "y.csv")
    assert out.read_text() == (tmp_path / "y.csv").read_text()


def test_lines_begin_with_the_streams_name(files: list[Path]) -> None:
    out = succeed("replay", *files, "--together", "--speed", "max", "--plain")
    *streams, total = out.splitlines()
    for line in streams:
        assert re.match(r"(murmur|normal|bed 3)  (\d\d:\d\d:\d\d\.\d  \S|end: end of input; )", line)
    assert "murmur  00:00:04.0  sounds like murmur" in out
    samples = 36_000 + 66_150 + 14_000
    assert total == f"total of 3 streams: {samples} samples captured = {samples} analysed + 0 lost + 0 discarded"


def test_a_folder_for_each_stream_is_a_session_of_its_own(files: list[Path], tmp_path: Path) -> None:
    parent, (murmur, bed) = tmp_path / "kept", (files[0], files[2])
    options = ("--together", "--speed", "max", "--plain", "--session", parent, "--record", "heart.wav")
    out = succeed("replay", murmur, bed, *options)
    (ward,) = parent.iterdir()
    assert out.splitlines()[-1] == f"kept in {ward}"
    assert sorted(folder.name for folder in ward.iterdir()) == ["bed 3", "murmur"]
    for file in (murmur, bed):
        own = ward / file.stem
        assert sorted(each.name for each in own.iterdir()) == ["heart.wav", "log.jsonl", "summary.json"]
        check_session(lines(own / "log.jsonl"))
        np.testing.assert_array_equal(soundfile.read(own / "heart.wav")[0], soundfile.read(file)[0])
    listed = json.loads(succeed("sessions", parent, "--json"))
    assert [row["id"] for row in listed] == [f"{ward.name}/bed 3", f"{ward.name}/murmur"]
    assert f"{ward.name}/murmur" in succeed("session", "show", f"{ward.name}/murmur", "--in", parent)
    report = tmp_path / "by-id.csv"
    succeed("report", f"{ward.name}/bed 3", "--in", parent, "--out", report)
    assert report.exists()
    refused(run("report", ward, "--out", tmp_path / "x.txt"), 3, "2 streams", ward / "bed 3")
    for name in ("murmur", "bed 3"):
        succeed("session", "rm", f"{ward.name}/{name}", "--in", parent, "--yes")
    assert list(parent.iterdir()) == [], "the folder of all goes with the last"


def test_a_ward_is_deleted_as_a_whole_and_shown_by_its_streams(files: list[Path], tmp_path: Path) -> None:
    parent = tmp_path / "kept"
    for _ in range(2):
        succeed("replay", files[1], files[2], "--together", "--speed", "max", "--quiet", "--session", parent)
    first, second = sorted(parent.iterdir())
    for named in (first, second.name):
        refused(run("session", "show", named, "--in", parent), 3, "2 streams", Path(named) / "bed 3", "bed 3, normal")
    refused(run("session", "rm", first), 2, "--yes")
    held = os.open(first / "normal", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    refused(run("session", "rm", first, "--yes"), 1, first / "normal", "still being kept")
    os.close(held)
    assert len(list(parent.glob("*/*/log.jsonl"))) == 4, "nothing of it was deleted"
    out = succeed("session", "rm", first, "--yes").splitlines()
    assert [line.split(": deleted 2 files")[0] for line in out] == [str(first / "bed 3"), str(first / "normal")]
    assert list(parent.iterdir()) == [second]
    (second / "notes.txt").touch()
    assert succeed("session", "rm", second.name, "--in", parent, "--yes").splitlines()[-1] == (
        f"{second}: left, as not the sessions': notes.txt"
    )
    assert [path.name for path in parent.rglob("*")] == [second.name, "notes.txt"]
    refused(run("session", "rm", second, "--yes"), 3, "is no session's folder")


def test_each_stream_is_recorded_in_a_file_of_its_own(tmp_path: Path) -> None:
    sounds = np.stack([heart(5.0), heart(5.0, "normal"), heart(5.0, "artifact")], axis=1)
    path, kept = write_wav(tmp_path / "three.wav", sounds), tmp_path / "kept.wav"
    succeed("replay", path, "--channels", "1,3", "--speed", "max", "--quiet", "--record", kept)
    for number in (1, 3):
        again, rate_hz = soundfile.read(tmp_path / f"kept-three-ch{number}.wav", dtype="float32")
        np.testing.assert_array_equal(again, sounds[:, number - 1])
        assert rate_hz == 4000
    assert not (tmp_path / "kept-three-ch2.wav").exists()


def test_the_readmes_lines_work_one_after_the_other(tmp_path: Path) -> None:
    write_wav(tmp_path / "eight-channels.wav", np.stack([heart(5.0)] * 8, axis=1))
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    written = re.findall(r"^laennec (replay eight.*|report ward.*)$", text, re.M)
    first, second = (shlex.split(line, comments=True) for line in written)
    succeed(*first, "--speed", "max", "--quiet", cwd=tmp_path)
    assert len(list(tmp_path.glob("heart-eight-channels-ch?.wav"))) == 8
    assert succeed(*second, cwd=tmp_path).startswith("ch3.html: 5.0 s reported")
    assert "Phonocardiogram" in (tmp_path / "ch3.html").read_text(encoding="utf-8")
    other = [word.replace("heart-eight-channels-ch3", "heart-eight-channels-ch4") for word in second]
    refused(run(*other, cwd=tmp_path), 3, "is by its name the recording of the stream eight-channels-ch4, not of")
    (tmp_path / "heart-eight-channels-ch3.wav").rename(tmp_path / "renamed.wav")
    succeed(*(word.replace("heart-eight-channels-ch3", "renamed") for word in second), cwd=tmp_path)


@pytest.mark.parametrize("name", ["text.wav", "missing.wav"])
def test_a_bad_file_is_refused_before_anything_starts(name: str, files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    before = sorted(tmp_path.iterdir())
    kept = {"text.wav": ("--log", "ward.jsonl"), "missing.wav": ("--session", "sessions")}[name]
    done = run("replay", *files, tmp_path / name, "--together", *kept, "--record", "kept.wav", cwd=tmp_path)
    refused(done, 3, tmp_path / name)
    assert done.stdout == ""
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_is_spoilt_inside_ends_alone_with_code_3(files: list[Path], tmp_path: Path) -> None:
    samples = heart(6.0).copy()
    samples[20_000] = np.nan
    spoilt, log = write_wav(tmp_path / "spoilt.wav", samples), tmp_path / "ward.jsonl"
    done = run("replay", spoilt, *files, "--together", "--speed", "max", "--quiet", "--log", log)
    refused(done, 3, spoilt, "NaN")
    ends = {line["stream"]: line for line in of_type("end", lines(log))}
    assert "NaN" in ends["spoilt"]["reason"]
    assert [ends[name]["reason"] for name in NAMES] == ["end of input"] * 3
    assert ends["murmur"]["ledger"]["captured"] == 36_000


def test_a_signal_ends_every_stream_in_good_order(files: list[Path], tmp_path: Path) -> None:
    log, kept = tmp_path / "ward.jsonl", tmp_path / "kept.wav"
    with started("replay", *files, "--together", "--plain", "--log", log, "--record", kept) as process:
        for _ in range(3):
            assert process.stdout is not None
            assert "listening" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")
    found = lines(log)
    for name in NAMES:
        end = check_session(of_stream(name, found))
        assert end["reason"] == "stopped"
        assert soundfile.info(tmp_path / f"kept-{name}.wav").frames == end["ledger"]["captured"] > 0
        assert f"{name}  end: stopped; " in out
    assert "total of 3 streams" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--together", "--loop"), ("--loop",)),
        (("--together", "--fault", "drop=1@1"), ("--fault",)),
        (("--together", "--metrics", "9184"), ("--metrics",)),
        (("--channels", "all"), ("--together",)),
        (("--together", "--channels", "1", "--channel", "1"), ("--channel ", "--channels")),
        (("--together", "--channels", "1,1"), ("twice",)),
        (("--together", "--channels", "0"), ("--channels 0",)),
        (("--together", "--record", "kept.mp3"), (".wav or .flac",)),
        (("--together", "--session", "s", "--log", "x.jsonl"), ("--session",)),
    ],
)
def test_options_that_make_no_sense_together_are_refused(
    options: tuple[str, ...],
    words: tuple[str, ...],
    files: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = sorted(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    refused_here("replay", *files, *options, code=2, words=words)
    assert sorted(tmp_path.iterdir()) == before


def test_nothing_that_is_heard_is_written_over(files: list[Path], tmp_path: Path) -> None:
    write_wav(tmp_path / "kept-murmur.wav", heart(5.0))
    heard = {path: path.read_bytes() for path in tmp_path.iterdir()}
    done = run("replay", *files, tmp_path / "kept-murmur.wav", "--together", "--record", tmp_path / "kept.wav")
    refused(done, 2, "kept-murmur.wav", "overwrite")
    refused_here("replay", *files, "--together", "--log", files[0], code=2, words=("murmur.wav", "overwrite"))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == heard


def test_a_reader_that_goes_away_ends_it(files: list[Path]) -> None:
    with started("replay", *files, "--together", "--speed", "4", "--json") as process:
        assert process.stdout is not None
        assert '"streams"' in process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=10) == 0


def test_a_killed_wards_log_is_whole_up_to_its_last_line(files: list[Path], tmp_path: Path) -> None:
    log = tmp_path / "ward.jsonl"
    with started("replay", *files, "--together", "--plain", "--log", log) as process:
        assert process.stdout is not None
        assert "listening" in process.stdout.readline()
        process.kill()
        process.wait()
    found = parsed(log.read_text())
    assert {line["stream"] for line in found[1:]} <= set(NAMES)
    out = tmp_path / "x.csv"
    succeed("report", log, "--stream", found[1]["stream"], "--out", out)
    assert out.exists()


@pytest.mark.parametrize("gap", [False, True])
def test_a_model_that_fails_at_an_end_is_one_line_and_code_5(gap: bool, files: list[Path], tmp_path: Path) -> None:
    log, kept = tmp_path / "x.jsonl", tmp_path / "kept.wav"
    how = ("--fault", "drop=1@4") if gap else ("--together", "--record", kept)
    arguments = ("replay", *files[: 1 if gap else 3], *how, "--speed", "max", "--plain", "--log", log)
    done = subprocess.run(
        [sys.executable, failing_model.__file__, *map(str, arguments)],
        env=surroundings(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused(done, 5) == f"laennec: {failing_model.SAID}"
    for found in [lines(log)] if gap else [of_stream(name, lines(log)) for name in NAMES]:
        assert check_session(found)["reason"] == failing_model.SAID
    assert done.stdout.count(f"end: {failing_model.SAID}; ") == (1 if gap else 3)


def limited(limit: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the program with a limit of open files, as ulimit sets it."""
    pytest.importorskip("resource", reason="Windows has no such limit")
    return subprocess.run(
        ["sh", "-c", f'ulimit {limit} && exec "$@"', "sh", *LAENNEC, *map(str, arguments)],
        env=surroundings(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_more_streams_than_files_may_be_open_at_first(tmp_path: Path) -> None:
    """A soft limit of 64 open files, as some systems have 256 and people hundreds of recordings, of many channels."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == resource.RLIM_INFINITY or hard > 1000, "the machine itself allows too few: nothing would be shown"
    path = write_wav(tmp_path / "heart.wav", np.stack([heart(1.2)] * 50, axis=1))
    names = [path, shutil.copy(path, tmp_path / "other.wav")]
    options = ("--together", "--channels", "all", "--speed", "max", "--plain")
    out = limited("-S -n 64", "replay", *names, *options, "--session", tmp_path / "kept", "--record", "heart.wav")
    assert (out.returncode, out.stderr) == (0, "")
    assert "total of 100 streams" in out.stdout
    assert len(list((tmp_path / "kept").glob("*/*-ch*/summary.json"))) == 100
    refused(limited("-n 64", "replay", *names, *options), 3, "other.wav", "too many files are open")
    kept = ("--session", tmp_path / "more", "--record", "heart.wav")
    for number in (160, 260, 400):  # of folders, recordings and logs one can't be opened
        refused(limited(f"-n {number}", "replay", *names, *options, *kept), 2, "more files open at once", "ulimit")
        assert not list((tmp_path / "more").iterdir())


def test_classify_tells_too_many_open_files_from_a_bad_file(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "heart.wav", heart(1.2))
    names = [path, *(shutil.copy(path, tmp_path / f"{number}.wav") for number in range(31))]
    done = limited("-n 24", "classify", *names, "--out", tmp_path / "x.csv")
    refused(done, 3, "of 32 recordings can't be used")
    assert {"too many files" in line for line in (tmp_path / "x.csv").read_text().splitlines()[1:]} == {True, False}
