"""`--session`, `laennec sessions` and `laennec session`, as a user runs them."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from program import (
    LAENNEC,
    check_session,
    heart,
    lines,
    of_type,
    refused,
    run,
    started,
    succeed,
    surroundings,
    wait_for_decisions,
    write_wav,
)

from stream.sessions import folder
from stream.sessions.summary import summarise

QUICK = ("--speed", "max", "--quiet")


def summary(own: Path) -> dict[str, Any]:
    return dict(json.loads((own / "summary.json").read_text(encoding="utf-8")))


def only(parent: Path) -> Path:
    (own,) = parent.iterdir()
    return own


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session with a recording; copied before it is harmed."""
    parent = tmp_path_factory.mktemp("kept") / "sessions"
    succeed("demo", "murmur", "--seconds", 6, "--session", parent, "--record", "x.wav", *QUICK)
    return parent


@pytest.fixture
def parent(kept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept, tmp_path / "sessions"))


# ---------------------------------------------------------------------------------------------- keeping


def test_session_keeps_log_recording_and_summary_in_a_folder_of_its_own(kept: Path) -> None:
    own = only(kept)
    assert folder.order(own.name)
    assert sorted(file.name for file in own.iterdir()) == ["log.jsonl", "summary.json", "x.wav"]
    found = lines(own / "log.jsonl")
    end = check_session(found)
    begun = found[0]["started"].replace(":", "")
    assert own.name[:15] in {begun[:15], f"{begun[:13]}{int(begun[13:15]) - 1:02}"}, "a name is given just before"
    np.testing.assert_array_equal(soundfile.read(own / "x.wav", dtype="float32")[0], heart(6.0))
    told = summary(own)
    assert told == summarise(found, ["x.wav"])
    assert (told["complete"], told["duration_s"], told["ledger"]) == (True, 6.0, end["ledger"])
    assert own.stat().st_mode & 0o777 == kept.stat().st_mode & 0o777 == 0o700


def test_log_of_a_session_is_that_of_log(kept: Path, tmp_path: Path) -> None:
    succeed("demo", "murmur", "--seconds", 6, "--log", tmp_path / "log.jsonl", *QUICK)
    assert lines(tmp_path / "log.jsonl")[1:] == lines(only(kept) / "log.jsonl")[1:]


def test_each_replayed_file_has_a_folder(tmp_path: Path) -> None:
    a, b = write_wav(tmp_path / "a.wav", heart(5.0)), write_wav(tmp_path / "b.wav", heart(6.0))
    out = succeed("replay", a, b, "--session", "kept", "--record", "a.wav", "--speed", "max", "--plain", cwd=tmp_path)
    assert out.count("end: ") == 2
    first, second = sorted((tmp_path / "kept").iterdir(), key=lambda own: folder.order(own.name) or ("", 0))
    assert [summary(own)["source"]["name"] for own in (first, second)] == ["a.wav", "b.wav"]
    assert soundfile.info(second / "a.wav").frames == 24_000
    assert soundfile.info(a).frames == 20_000, "the recording of that name that was replayed is as it was"


def test_log_of_a_session_goes_on_in_new_files(tmp_path: Path) -> None:
    succeed("demo", "--seconds", 12, "--session", tmp_path, "--log-max-mb", 0.004, *QUICK)
    own = only(tmp_path)
    logs = sorted(own.glob("log*.jsonl"))
    assert len(logs) > 2
    assert all(log.stat().st_size <= 4000 for log in logs)
    told = summary(own)
    assert (told["complete"], told["duration_s"], sum(told["time_s"].values())) == (
        True,
        12.0,
        pytest.approx(12, abs=0.01),
    )
    done = json.loads(succeed("sessions", tmp_path, "--json"))
    assert [row["duration_s"] for row in done] == [12.0]
    assert succeed("session", "rm", own, "--yes").startswith(f"{own}: deleted {len(logs) + 1} files, ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_a_session_with_its_summary(tmp_path: Path, number: int) -> None:
    with started("demo", "--session", tmp_path, "--quiet") as process:
        wait_for_folder(tmp_path, process)
        process.send_signal(number)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 0
    told = summary(only(tmp_path))
    assert (told["complete"], told["reason"]) == (True, "stopped")


def wait_for_folder(parent: Path, process: subprocess.Popen[str]) -> Path:
    deadline_s = time.monotonic() + 30
    while not list(parent.glob("*/log.jsonl")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    own = only(parent)
    wait_for_decisions(own / "log.jsonl", 3, process)
    return own


def test_killed_session_is_told_from_its_log(tmp_path: Path) -> None:
    with started("demo", "--session", tmp_path, "--record", "x.flac", "--speed", 4, "--quiet") as process:
        own = wait_for_folder(tmp_path, process)
        process.kill()
        process.communicate()
    assert not (own / "summary.json").exists()
    (row,) = json.loads(succeed("sessions", tmp_path, "--json"))
    last = of_type("decision", lines(own / "log.jsonl"))[-1]
    assert (row["complete"], row["reason"], row["ledger"]) == (False, None, None)
    assert (row["duration_s"], row["recordings"]) == (last["t_s"], ["x.flac"])
    assert "not ended" in succeed("sessions", tmp_path)
    assert "it was killed, or still runs" in succeed("session", "show", own)


def test_full_disk_leaves_the_session_that_fitted(tmp_path: Path) -> None:
    # A limit to the length of a file stands in for a full disk: the log ends, the short summary fits.
    command = 'ulimit -f 8; exec "$0" -m laennec demo --seconds 20 --speed max --quiet --session "$1"'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, tmp_path],
        env=surroundings(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    refused(done, 1, "log.jsonl: can't be written any more", "free some space")
    told = summary(only(tmp_path))
    assert told == summarise(lines(only(tmp_path) / "log.jsonl"))
    assert not told["complete"]
    assert 0 < told["duration_s"] < 20


REFUSED: dict[str, tuple[tuple[object, ...], tuple[str, ...]]] = {
    "file": (("--session", "a.wav"), ("a.wav: is a file, no folder for sessions", "another --session")),
    "below a file": (("--session", "a.wav/below"), ("no folder can be made there: Not a directory",)),
    "unwritable": (("--session", "/proc/sessions"), ("no folder can be made there",)),
    "with --log": (("--session", "kept", "--log", "x.jsonl"), ("leave --log out",)),
    "recording elsewhere": (("--session", "kept", "--record", "there/x.wav"), ("give a name alone",)),
    "recording above": (("--session", "kept", "--record", "../x.wav"), ("give a name alone",)),
    "recording of no kind": (("--session", "kept", "--record", "x.mp3"), ("use .wav or .flac",)),
    "loop": (("--session", "kept", "--loop"), ("--loop never ends",)),
    "megabytes": (("--session", "kept", "--log-max-mb", -1), ("--log-max-mb -1",)),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_session_that_can_not_be_kept_is_one_line_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    arguments, words = REFUSED[kind]
    recording = write_wav(tmp_path / "a.wav", heart(2.0))
    refused(run("replay", recording, *arguments, *QUICK, cwd=tmp_path), 2, *words)
    assert list(tmp_path.glob("kept/*")) == []
    assert soundfile.info(recording).frames == 8000


def test_source_that_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_text("no sound")
    refused(run("replay", bad, "--session", tmp_path / "kept", *QUICK), 3, "is no sound file")
    assert list((tmp_path / "kept").iterdir()) == []


def test_demo_out_runs_no_session(tmp_path: Path) -> None:
    refused(run("demo", "--out", "x.wav", "--session", "kept", cwd=tmp_path), 2, "--session")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------- listing


def test_default_is_the_users_own_folder(tmp_path: Path) -> None:
    env = {"XDG_DATA_HOME": str(tmp_path / "data")}
    own = tmp_path / "data" / "laennec" / "sessions"
    assert succeed("sessions", **env) == f"no sessions in {own}; --session default keeps one\n"
    assert succeed("sessions", "--json", **env) == "[]\n"
    assert not own.exists(), "to look makes nothing"
    succeed("demo", "--seconds", 2, "--session", "default", *QUICK, cwd=tmp_path, **env)
    assert only(own).name in succeed("sessions", **env)
    assert succeed("session", "rm", only(own).name, "--yes", **env).startswith(str(own))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_list_names_each_session_and_goes_on_after_a_damaged_one(parent: Path) -> None:
    own = only(parent)
    damaged = parent / "2001-01-01T000000Z"
    damaged.mkdir()
    shutil.copy(own / "log.jsonl", damaged)
    with (damaged / "log.jsonl").open("a") as log:
        log.write("{oops\n")
    _, row, bad = succeed("sessions", parent, TZ="Asia/Kolkata").splitlines()
    assert row.startswith(f"{own.name}  ")
    for word in ("0:06", "sounds like", "none", "kept", "SYNTHETIC murmur"):
        assert word in row
    assert bad.startswith("2001-01-01T000000Z  ")
    assert "is damaged: it is no whole JSON" in bad
    utc = succeed("sessions", parent, TZ="UTC").splitlines()[1]
    assert row != utc, "times are local"
    found = json.loads(succeed("sessions", parent, "--json"))
    assert found[0] == {"id": own.name, "path": str(own), **summary(own)}
    assert set(found[1]) == {"id", "path", "error"}


def test_thousands_of_sessions_are_listed_quickly(kept: Path, tmp_path: Path) -> None:
    text = json.dumps(summary(only(kept)))
    for number in range(2, 3002):
        own = tmp_path / f"2026-11-23T152000Z-{number}"
        own.mkdir()
        (own / "summary.json").write_text(text)
        (own / "log.jsonl").write_text("not looked at")
    began_s = time.monotonic()
    rows = succeed("sessions", tmp_path).splitlines()
    assert time.monotonic() - began_s < 5
    assert len(rows) == 3001
    assert rows[1].startswith("2026-11-23T152000Z-3001 ")


@pytest.mark.parametrize("named", ["missing", "file"])
def test_list_of_what_is_no_folder_is_refused(tmp_path: Path, named: str) -> None:
    (tmp_path / "file").touch()
    refused(run("sessions", tmp_path / named), 3, named, "name a folder of sessions")


def test_show_says_it_in_words(parent: Path) -> None:
    own = only(parent)
    log = own / "log.jsonl"
    *most, last = log.read_text().splitlines(keepends=True)
    mark = json.dumps({"type": "mark", "t_s": 4.5, "note": "coughed"}) + "\n"
    log.write_text("".join([*most, mark, last]))
    (own / "summary.json").unlink()
    out = succeed("session", "show", own.name, "--in", parent)
    for said in (own.name, "0:06; end of input", "SYNTHETIC murmur", "0:04 coughed", "x.wav", "24000 captured", "S1"):
        assert said in out
    assert "sounds like" in out
    assert "not a medical device" in out
    told = json.loads(succeed("session", "show", own, "--json"))
    assert (told["id"], told["marks"]) == (own.name, 1)
    assert succeed("session", "show", own, PYTHONIOENCODING="ascii") == out


def test_show_of_none_points_to_the_list(parent: Path) -> None:
    refused(run("session", "show", "2001-01-01T000000Z", "--in", parent), 3, "no such session", "laennec sessions")
    refused(run("session", "show", parent), 3, "is no session's folder")


# ---------------------------------------------------------------------------------------------- deleting


def test_rm_deletes_nothing_where_nobody_can_be_asked(parent: Path) -> None:
    own = only(parent)
    refused(run("session", "rm", own), 2, "--yes")
    assert len(list(own.iterdir())) == 3


def test_rm_refuses_a_session_that_still_runs_and_takes_one_that_was_killed(tmp_path: Path) -> None:
    with started("demo", "--session", tmp_path, "--record", "x.wav", "--plain") as process:
        while not (list(tmp_path.glob("*/log.jsonl")) and only(tmp_path).joinpath("log.jsonl").stat().st_size):
            time.sleep(0.1)
        own = only(tmp_path)
        refused(run("session", "rm", own, "--yes"), 1, "still being kept", "end that one first")
        assert {file.name for file in own.iterdir()} == {"log.jsonl", "x.wav"}
        process.kill()
        process.communicate(timeout=10)
    succeed("session", "rm", own, "--yes")
    assert not own.exists()


def test_a_session_that_was_kept_is_reported_with_its_sound(kept: Path, tmp_path: Path) -> None:
    said = succeed("report", only(kept), "--out", tmp_path / "x.html")
    assert "6.0 s reported" in said
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "Phonocardiogram" in page
    assert "without sound" not in page


def test_a_report_is_asked_for_by_id(kept: Path, tmp_path: Path) -> None:
    own, out = only(kept), tmp_path / "x.csv"
    assert "6.0 s reported" in succeed("report", own.name, "--in", kept, "--out", out)
    refused(run("report", "2001-01-01T000000Z", "--in", kept, "--out", out), 3, "no such session", "laennec sessions")
    refused(run("report", kept, "--out", out), 3, "holds sessions", f"laennec sessions {kept}")
    refused(run("report", own / "summary.json", "--out", out), 3, "session's folder or its log.jsonl")


def test_rm_deletes_all_that_are_named_or_none(parent: Path) -> None:
    own = only(parent)
    refused(run("session", "rm", own.name, "2001-01-01T000000Z", "--in", parent, "--yes"), 3, "no such session")
    assert len(list(own.iterdir())) == 3
    other = Path(shutil.copytree(own, parent / "2001-01-01T000000Z"))
    (other / "notes.txt").touch()
    first, second = succeed("session", "rm", own.name, other.name, own, "--in", parent, "--yes").splitlines()
    assert first.startswith(f"{own}: deleted 3 files, 0.1 MB")
    assert second.endswith("left, as not the session's: notes.txt")
    assert [path.name for path in parent.rglob("*")] == [other.name, "notes.txt"]


@pytest.mark.parametrize(
    ("answer", "code", "stays"), [("y\n", 0, False), ("n\n", 0, True), ("\n", 0, True), ("\x03", 1, True)]
)
def test_rm_asks_on_a_terminal(parent: Path, answer: str, code: int, stays: bool) -> None:
    own = only(parent)
    with on_terminal("session", "rm", own) as (program, terminal):
        shown = said(terminal, "Delete for good?")
        assert "3 files, 0.1 MB" in shown
        os.write(terminal, answer.encode())
        shown += said(terminal, None)
        assert program.wait(timeout=20) == code
    assert own.exists() is stays
    assert "Traceback" not in shown
    assert ("deleted 3 files" in shown) is not stays


def test_folder_is_named_after_the_screen_has_gone(tmp_path: Path) -> None:
    with on_terminal("demo", "--seconds", 3, "--speed", "max", "--session", tmp_path) as (program, terminal):
        shown = said(terminal, None)
        assert program.wait(timeout=20) == 0
    last = shown.rpartition("\x1b[?1049l")[2]
    assert f"kept in {only(tmp_path)}" in last.replace("\r\n", "")


@contextlib.contextmanager
def on_terminal(*arguments: object) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The program on a terminal of its own, whose keys reach it; and the terminal's other end."""
    ours, theirs = pty.openpty()
    env = surroundings(TERM="xterm", COLUMNS="80", LINES="24")
    command = ["setsid", "--ctty", *LAENNEC, *map(str, arguments)]
    program = subprocess.Popen(command, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        yield program, ours
    finally:
        program.kill()
        program.wait()
        os.close(ours)


def said(terminal: int, until: str | None) -> str:
    """What a program writes to a terminal, up to some words or to its end."""
    shown, deadline_s = "", time.monotonic() + 20
    while until is None or until not in shown:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline_s - time.monotonic()))
        assert ready, shown
        try:
            data = os.read(terminal, 4096)
        except OSError:  # Linux: the last other end was closed
            return shown
        shown += data.decode(errors="replace")
    return shown
