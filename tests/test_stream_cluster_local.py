"""A Ray cluster that the command starts on this machine: the rows of one process, and nothing left behind."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray_nodes
import soundfile
from program import refused, run, started, surroundings

from stream.patient import Patient
from stream.simulate import render

ray_nodes.needed("ray", "pyarrow", "fsspec")

#: A worker of Ray dies of this recording, whatever it is asked: as where a decoder crashes.
DEADLY = """
import os, sys

def deadly(event, arguments):
    if event == "open" and "deadly" in str(arguments[0]) and "default_worker" in " ".join(sys.orig_argv):
        os._exit(1)

sys.addaudithook(deadly)
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    sound = render(Patient("murmur", seed=3, rate_hz=2000), 100)
    for index in range(24):
        soundfile.write(folder / f"{index:03d}.wav", sound[400 * index :][:120_000], 2000, "PCM_16")
    (folder / "005.wav").rename(folder / "005-deadly.wav")
    (folder / "bad.wav").write_bytes(b"no sound")
    return folder


@pytest.fixture(scope="module")
def alone(archive: Path) -> list[str]:
    """The table of one process, by lines."""
    done = run("classify", archive, "--jobs", 1)
    refused_line = "laennec: 1 of 25 recordings can't be used; see the column 'error'"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (3, refused_line)
    return done.stdout.splitlines()


def env(folder: Path) -> dict[str, str]:
    """Temporary files in a folder of the test's own, whose name is short enough for Ray's sockets."""
    return {"TMPDIR": str(folder)}


@pytest.fixture
def short() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="laennec-test-", dir="/tmp") as folder:
        yield Path(folder)


def test_rows_are_those_of_one_process_but_for_a_recording_that_kills_its_worker(
    archive: Path, alone: list[str], short: Path, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(DEADLY)
    path = os.pathsep.join([str(tmp_path), surroundings()["PYTHONPATH"]])
    done = run("classify", archive, "--engine", "ray", "--jobs", 2, timeout_s=110, PYTHONPATH=path, **env(short))
    rows, deadly = done.stdout.splitlines(), archive / "005-deadly.wav"
    at = next(index for index, row in enumerate(alone) if str(deadly) in row)
    assert rows[:at] + rows[at + 1 :] == alone[:at] + alone[at + 1 :]
    assert rows[at].startswith(f"{deadly},,")
    assert f"{deadly}: can't be heard: its worker was killed" in rows[at]
    refused(done, 3, "2 of 25 recordings")
    ray_nodes.until(lambda: not list(short.glob("laennec*")))


def test_ctrl_c_ends_at_once_and_any_engine_goes_on(
    archive: Path, alone: list[str], short: Path, tmp_path: Path
) -> None:
    out = tmp_path / "x.csv"
    arguments = ("classify", archive, "--engine", "ray", "--jobs", 2, "--out", out)
    with started(*arguments, env=env(short)) as process:
        ray_nodes.until(lambda: out.exists() and out.read_text().count("\n") > 1)
        before = mine(process.pid)
        assert any("raylet" in line for line in before.values())
        process.send_signal(signal.SIGINT)
        said, complaints = process.communicate(timeout=5)
    written = out.read_text().splitlines()
    assert written == alone[: len(written)]
    assert (process.returncode, said) == (130, "")
    assert f"laennec: ended by SIGINT; {len(written) - 1} " in complaints
    ray_nodes.until(lambda: not any(runs(pid) for pid in before), 20)
    ray_nodes.until(lambda: not list(short.glob("laennec*")))
    assert run("classify", archive, "--out", out, "--resume").returncode == 3
    assert out.read_text().splitlines() == alone


def mine(pid: int) -> dict[int, str]:
    """The processes below one, and their command lines; those that have ended are left out."""
    found: dict[int, str] = {}
    for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        found[child] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
        found |= mine(child)
    return found


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
