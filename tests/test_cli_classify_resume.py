"""`laennec classify` killed in mid-run, or with more to do: `--resume` gives the table of one undisturbed run."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_bundle
from program import LAENNEC, heart, refused, run, started, succeed, surroundings, wait_for_rows, write_wav

from stream.tables import parquet


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle.write(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred recordings, one of which can't be used."""
    made = tmp_path_factory.mktemp("many")
    for n in range(100):
        write_wav(made / f"{n:02}.wav", heart(2.0 + n % 5))
    (made / "01.wav").write_text("no sound")
    return made


@pytest.mark.parametrize(("name", "jobs"), [("rows.csv", 1), ("rows.jsonl", 2), ("rows.parquet", 2)])
def test_killed_and_resumed_it_is_the_table_of_one_run(
    tmp_path: Path, folder: Path, model: Path, name: str, jobs: int
) -> None:
    path, at_once = tmp_path / name, tmp_path / f"at-once{Path(name).suffix}"
    command = ["classify", folder, "--jobs", jobs, "--model", model, "--out"]
    growing = tmp_path / "rows.parquet.part.jsonl" if path.suffix == ".parquet" else path
    for _ in range(2):
        held = growing.read_bytes().count(b"\n") if growing.exists() else 0
        with started(*command, path, "--resume") as process:
            wait_for_rows(growing, held + 3, process)
            process.kill()
        assert path == growing or not path.exists()
        with growing.open("ab") as file:
            file.write(growing.read_bytes().splitlines()[-1][:30])  # as far as the killed one came with its next row
    done = run(*command, path, "--resume")
    refused(done, 3, "1 of 100 recordings can't be used")
    refused(run(*command, at_once), 3, "1 of 100 recordings can't be used")
    if path.suffix == ".parquet":
        assert list(parquet.rows(path)) == list(parquet.rows(at_once))
        assert not growing.exists()
    else:
        assert path.read_bytes() == at_once.read_bytes()


def test_what_failed_is_tried_again_in_its_place_and_another_model_is_refused(tmp_path: Path, model: Path) -> None:
    names = [tmp_path / f"{name}.wav" for name in "abc"]
    for path in names[::2]:
        write_wav(path, heart(2.0))
    command = ["classify", *names, "--out", tmp_path / "rows.csv", "--resume"]
    refused(run(*command, "--model", model), 3, "1 of 3 recordings")
    assert "no such file" in (tmp_path / "rows.csv").read_text()
    write_wav(names[1], heart(3.0))
    refused(run(*command), 2, "rows.csv: was made with another model", "give another --out, or leave out --resume")
    assert succeed(*command, "--model", model) == ""
    found = (tmp_path / "rows.csv").read_bytes()
    succeed("classify", *names, "--out", tmp_path / "rows.csv", "--model", model)
    assert (tmp_path / "rows.csv").read_bytes() == found
    assert re.findall(rb"/(.)\.wav,", found) == [b"a", b"b", b"c"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--resume"], ["--resume goes on with a table", "--out"]),
        (["--out", "rows.txt"], ["can't write .txt", ".parquet"]),
        (["--out", "."], ["a name without ending"]),
    ],
)
def test_what_can_not_be_written_is_refused_before_anything_is_heard(
    tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    refused(run("classify", "missing.wav", "--model", "missing.onnx", *arguments, cwd=tmp_path), 2, *words)


WITHOUT_PYARROW = """
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "pyarrow" else real(name, *more)
import laennec
laennec.main()
"""


def test_without_pyarrow_parquet_is_refused_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_PYARROW, "classify", "x.wav", "--out", str(tmp_path / "rows.parquet")]
    done = subprocess.run(command, env=surroundings(), capture_output=True, text=True, timeout=60, check=False)
    refused(done, 2, "--out FILE.parquet needs pyarrow", "pip install -e '.[parquet]'")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_terminal_shows_progress_and_gets_its_cursor_back(
    tmp_path: Path, folder: Path, model: Path, interrupted: bool
) -> None:
    ours, theirs = pty.openpty()
    command = [*LAENNEC, "classify", str(folder), "--model", str(model), "--out", str(tmp_path / "rows.csv")]
    env = surroundings(TERM="xterm", COLUMNS="100", NO_COLOR="1")
    process = subprocess.Popen(command, env=env, stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    shown = ""
    while select.select([ours], [], [], 60)[0]:
        try:
            shown += os.read(ours, 4096).decode("utf-8", "replace")
        except OSError:  # the other end is closed
            break
        if interrupted and re.search(r"[1-9]\d*/100", shown) and process.poll() is None:
            process.send_signal(signal.SIGINT)
    os.close(ours)
    assert process.wait(30) == (130 if interrupted else 3)
    assert re.search(r" [1-9]\d*/100 files, [\d,]+ x real time, left ", shown)
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l") >= 0
    assert ("--resume goes on" in shown) == interrupted


def test_where_rows_go_to_the_terminal_they_alone_are_shown(folder: Path, model: Path) -> None:
    """And nothing is shown of the progress where standard error is no terminal."""
    done = run("classify", folder / "00.wav", folder / "02.wav", "--model", model)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 3)
