"""How the program is ended while it imports, and `classify` while it works: soon, quietly, with nothing left behind."""

from __future__ import annotations

import contextlib
import csv
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import tiny_bundle
from program import HEADER, LAENNEC, heart, surroundings, write_wav

WITHIN_S = 2.0
RECORDINGS = 4000  # minutes of work


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle.write(tmp_path_factory.mktemp("model") / "tiny.onnx")


@contextlib.contextmanager
def started(*arguments: object, stdout: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
    """The program in a session of its own, all of which is killed at the end."""
    process = subprocess.Popen(
        [*LAENNEC, *map(str, arguments)],
        env=surroundings(),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A suite that a shell runs in the background hands an ignored SIGINT on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    )
    try:
        yield process
    finally:
        for pid in [process.pid, *others_of(process)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


def others_of(process: subprocess.Popen[str]) -> list[int]:
    """Living processes of its session beside itself."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(session) == process.pid != int(folder.name) and state not in "ZX":
                found.append(int(folder.name))
    return found


def wait_until(true: object, timeout_s: float = 30.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline_s
        time.sleep(0.001)


def rows_in(out: Path) -> int:
    return max(0, out.read_text().count("\n") - 1) if out.exists() else 0


def check_ended(process: subprocess.Popen[str], signals: Sequence[int], gap_s: float, whole_group: bool) -> str:
    """Signal it; it ends soon, with the first signal's exit code and nothing left. Its one line."""
    asked_s = time.monotonic()
    for number in signals:
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if whole_group else os.kill)(process.pid, number)
        time.sleep(gap_s)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + signals[0], err
    wait_until(lambda: not others_of(process), asked_s + WITHIN_S - time.monotonic())
    (line,) = err.splitlines()
    assert line.startswith(f"laennec: ended by {signal.Signals(signals[0]).name}; ")
    return line


def classifying(recording: Path, out: Path, model: Path, jobs: int) -> list[object]:
    return ["classify", *[recording] * RECORDINGS, "--jobs", jobs, "--out", out, "--model", model]


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("signals", "gap_s", "whole_group"),
    [
        ([signal.SIGINT], 0.0, True),
        ([signal.SIGINT] * 2, 0.0, True),
        ([signal.SIGINT] * 2, 0.1, True),
        ([signal.SIGINT] * 9, 0.01, False),
        ([signal.SIGTERM], 0.0, False),
        ([signal.SIGTERM, signal.SIGINT], 0.01, True),
    ],
)
def test_classify_ends_at_a_signal_and_the_rows_written_stay(
    tmp_path: Path, model: Path, jobs: int, signals: list[int], gap_s: float, whole_group: bool
) -> None:
    recording, out = write_wav(tmp_path / "a.wav", heart(8.0)), tmp_path / "rows.csv"
    with started(*classifying(recording, out, model, jobs)) as process:
        wait_until(lambda: rows_in(out) >= 3)
        line = check_ended(process, signals, gap_s, whole_group)
    rows = list(csv.reader(out.read_text().splitlines()))
    assert {len(row) for row in rows} == {len(HEADER.split(","))}
    assert all(row[0] == str(recording) and not row[-1] for row in rows[1:])
    told = re.search(
        rf"; (\d+)(?: or (\d+))? of {RECORDINGS} rows were written; the same command with --resume goes on$", line
    )
    assert told
    assert str(len(rows) - 1) in told.groups()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("later_s", [0.0, 0.02, 0.1, 0.3, 0.6])
def test_classify_ends_while_its_workers_start(tmp_path: Path, model: Path, number: int, later_s: float) -> None:
    recording, out = write_wav(tmp_path / "a.wav", heart(1.0)), tmp_path / "rows.csv"
    with started(*classifying(recording, out, model, 2)) as process:
        wait_until(out.exists)
        time.sleep(later_s)
        check_ended(process, [number] * 2, 0.005, whole_group=True)


def test_classify_ends_also_where_nobody_reads_its_rows(tmp_path: Path, model: Path) -> None:
    recording = write_wav(tmp_path / "a.wav", heart(0.1))
    command = ["classify", *[recording] * RECORDINGS, "--model", model]
    with started(*command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        wait_until(lambda: "pipe" in Path(f"/proc/{process.pid}/wchan").read_text())
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(WITHIN_S) == 143


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_workers_do_not_outlive_the_program(tmp_path: Path, model: Path, number: int) -> None:
    recording, out = write_wav(tmp_path / "a.wav", heart(1.0)), tmp_path / "rows.csv"
    with started(*classifying(recording, out, model, 2)) as process:
        wait_until(lambda: rows_in(out) >= 3)
        assert len(others_of(process)) >= 2
        os.kill(process.pid, number)
        _, err = process.communicate(timeout=30)
        assert err == ""
        wait_until(lambda: not others_of(process), WITHIN_S)


# While Python imports


def hears_sigint(process: subprocess.Popen[str]) -> bool:
    """Whether it has a handler for it."""
    caught = (Path(f"/proc/{process.pid}/status").read_text().partition("SigCgt:")[2] or "0").split()[0]
    return bool(int(caught, 16) >> (signal.SIGINT - 1) & 1)


def imports_still(process: subprocess.Popen[str]) -> bool:
    """Whether it is not so far yet that it could do anything."""
    with contextlib.suppress(OSError):
        return process.poll() is None and "numpy" not in Path(f"/proc/{process.pid}/maps").read_text()
    return False


@pytest.mark.parametrize("arguments", [("--help",), ("devices",)])
def test_ctrl_c_at_any_moment_of_the_start_prints_no_traceback(arguments: tuple[str, ...]) -> None:
    """From `laennec.py`'s first lines on: what the interpreter prints before, in its first 20 ms, is not ours."""
    rng, tried = random.Random(1), 0
    for _ in range(25):
        with started(*arguments) as process:
            wait_until(lambda: hears_sigint(process))
            wait_until(lambda: not hears_sigint(process))
            if not imports_still(process):
                continue  # seen too late, on a busy computer; or it heard Ctrl-C until its end
            tried += 1
            time.sleep(rng.uniform(0.0, 0.4))
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
            assert process.returncode in {-signal.SIGINT, 130, 0}
            assert err == ""
    assert tried > 10, "it does not leave Ctrl-C to the system while it imports"
