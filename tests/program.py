"""The program as a user runs it: in a process of its own, its exit code, both outputs and its log looked at."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from conftest import ROOT

from stream.simulate import Patient, init_state, step

LAENNEC = [sys.executable, "-m", "laennec"]
RATE_HZ = 4000
HEAD = "path,label,p_normal,p_murmur,p_extra_heart_sound,p_extrasystole,p_artifact,status,quality,heart_rate_bpm"
HEADER = f"{HEAD},duration_s,error"
STATUSES = {"listening", "ok", "uncertain", "poor_signal", "gap"}


def surroundings(**more: str) -> dict[str, str]:
    """Variables for the program: the checkout's modules, whatever folder it runs in."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def run(
    *arguments: object, cwd: Path | None = None, timeout_s: float = 60, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    command = [*LAENNEC, *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=cwd,
        env=surroundings(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def succeed(*arguments: object, cwd: Path | None = None, **env: str) -> str:
    """Run the program, which is to succeed and to say nothing on standard error; its standard output."""
    done = run(*arguments, cwd=cwd, **env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refused(done: subprocess.CompletedProcess[str], code: int, *words: object) -> str:
    """The one line with which the program refused: on standard error, naming what it should."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stderr.endswith("\n")
    (line,) = done.stderr.splitlines()
    assert line.startswith("laennec: ")
    for word in words:
        assert str(word) in line
    return line


@contextlib.contextmanager
def started(*arguments: object, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """The program while it runs."""
    process = subprocess.Popen(
        [*LAENNEC, *map(str, arguments)],
        env=surroundings(**(env or {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def lines(log: Path) -> list[dict[str, Any]]:
    """A log's lines; every one of them is whole."""
    return parsed(log.read_text(encoding="utf-8"))


def parsed(text: str) -> list[dict[str, Any]]:
    """JSON lines; NaN and Infinity, which are not JSON, are refused."""
    assert text.endswith("\n")
    return [json.loads(line, parse_constant=_refuse_constant) for line in text.splitlines()]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def of_type(kind: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines of a type."""
    return [line for line in found if line["type"] == kind]


def wait_for_decisions(log: Path, count: int, process: subprocess.Popen[str], timeout_s: float = 30.0) -> None:
    """Wait until the log of a running program holds so many decisions."""
    deadline_s = time.monotonic() + timeout_s
    while not log.exists() or log.read_text(encoding="utf-8").count('"decision"') < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s, log.read_text(encoding="utf-8") if log.exists() else "no log"
        time.sleep(0.02)


def wait_for_rows(out: Path, count: int, process: subprocess.Popen[Any], timeout_s: float = 60.0) -> None:
    """Wait until the table of a running program holds so many lines."""
    deadline_s = time.monotonic() + timeout_s
    while not out.exists() or out.read_bytes().count(b"\n") < count:
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < deadline_s
        time.sleep(0.002)


def check_session(found: list[dict[str, Any]]) -> dict[str, Any]:
    """A whole session as the contract has it, from its first line to its last; the last."""
    first, *middle, last = found
    assert list(first) == ["type", "schema", "laennec", "model", "source", "settings", "started"]
    assert (first["type"], first["schema"], set(first["model"])) == ("session", 1, {"id", "sha256"})
    decisions, beats, gaps = (of_type(kind, middle) for kind in ("decision", "beat", "gap"))
    keys = {"device": ("state", "detail"), "notice": ("text",), "mark": ("note",)}
    others = [line for line in middle if line["type"] in keys]
    assert len(decisions) + len(beats) + len(gaps) + len(others) == len(middle)
    for line in others:
        assert list(line) == ["type", "t_s", *keys[line["type"]]]
    for decision in decisions:
        check_decision(decision)
    for beat in beats:
        check_beat(beat)
    for told in (decisions, beats):
        times = [line["t_s"] for line in told]
        assert times == sorted(times)
    check_end(last)
    assert last["ledger"]["dropped"] == sum(gap["lost_samples"] for gap in gaps)
    return last


def check_decision(line: dict[str, Any]) -> None:
    """One decision's line: the keys, and what must hold between them."""
    keys = "type t_s window_s label status probabilities quality quality_reason heart_rate_bpm rhythm"
    assert list(line) == keys.split()
    assert line["status"] in STATUSES
    assert bool(line["quality_reason"]) == (line["quality"] is not None and line["quality"] < 0.6)
    assert (line["label"] is not None) == (line["status"] == "ok")
    probabilities = line["probabilities"]
    if probabilities is not None:
        assert list(probabilities) == ["normal", "murmur", "extra_heart_sound", "extrasystole", "artifact"]
        assert abs(sum(probabilities.values()) - 1) < 1e-5
        assert line["label"] is None or line["label"] in probabilities
    if line["label"] == "artifact" or line["status"] in {"poor_signal", "gap"}:
        assert line["heart_rate_bpm"] is None
    check_rhythm(line["rhythm"], line["t_s"])


def check_rhythm(rhythm: dict[str, Any], t_s: float) -> None:
    """What a decision at a time says of the beats before it."""
    assert list(rhythm) == ["confidence", "variation", "shortest", "premature"]
    assert 0 <= rhythm["confidence"] <= 1
    assert (rhythm["variation"] is None) == (rhythm["shortest"] is None)
    for early in rhythm["premature"]:
        assert list(early) == ["t_s", "coupling_s"]
        assert 0 < early["coupling_s"] < early["t_s"] <= t_s


def check_beat(line: dict[str, Any]) -> None:
    """One heart sound's line."""
    assert list(line) == ["type", "t_s", "sound", "confidence"]
    assert line["sound"] in {"S1", "S2"}
    assert line["t_s"] >= 0
    assert 0 < line["confidence"] <= 1


def check_end(line: dict[str, Any]) -> None:
    """The last line: the ledger adds up, and says why it ended."""
    assert list(line) == ["type", "ledger", "reason"]
    assert line["type"] == "end"
    assert line["reason"]
    ledger = line["ledger"]
    assert ledger["captured"] == ledger["analysed"] + ledger["dropped"] + ledger["discarded"]


@functools.cache
def heart(duration_s: float, case: str = "murmur", rate_hz: int = RATE_HZ) -> np.ndarray:
    """A simulated heart, float32."""
    patient = Patient(case, rate_hz=rate_hz)
    samples, _ = step(patient, round(duration_s * rate_hz), init_state(patient))
    return samples


def write_wav(path: Path, samples: np.ndarray, rate_hz: int = RATE_HZ, subtype: str = "FLOAT") -> Path:
    """A sound file of samples (n,) or (n, channels)."""
    soundfile.write(path, samples, rate_hz, subtype)
    return path
