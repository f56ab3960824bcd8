"""Damaged and hostile files by the hundred, and what the program makes of them in a process of its own."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import tiny_bundle
from conftest import ROOT, skip_or_fail
from onnx import helper
from program import surroundings

from models import bundle

Cases = dict[str, bytes]
MOST_MB = 500
MOST_S = 20.0
CLAIMS = [0, 1, 65_535, 2**31 - 1, 2**31, 2**32 - 1]


def outcomes(kind: str, good: Path, cases: Cases, folder: Path) -> dict[str, str]:
    """What is said of each case, "" for nothing; all of them in one process with a limit to its memory and time."""
    if not Path("/proc/self/statm").exists():
        skip_or_fail("memory is looked up in /proc: run this on Linux")
    tried = folder / "cases"
    tried.mkdir()
    for name, data in cases.items():
        (tried / name).write_bytes(data)
    command = [sys.executable, "-W", "error", ROOT / "tests" / "untrusted.py", kind, good, tried]
    done = subprocess.run(
        command, env=surroundings(), cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{told[-1:]}\n{done.stderr[-3000:]}"
    assert done.stderr == ""
    answers = {line["name"]: line for line in told}
    assert sorted(answers) == sorted(cases)
    for line in answers.values():
        assert "\n" not in line["said"]
        assert len(line["said"]) < 600 + len(str(folder))
        assert line["s"] < MOST_S, line
        assert line["grown_mb"] < MOST_MB, line
    return {name: line["said"] for name, line in answers.items()}


def mutants(data: bytes, count: int, seed: int, head: int = 100) -> Iterator[bytes]:
    """Damaged copies: cut short, bits flipped, numbers put elsewhere, parts lost, doubled, overwritten with noise."""
    rng = np.random.default_rng(seed)
    for k in range(count):
        changed = bytearray(data)
        near = min(len(data), head if rng.random() < 0.7 else len(data))
        at = int(rng.integers(near))
        length = int(rng.integers(1, 40))
        if k % 6 == 0:
            del changed[at:]
        elif k % 6 == 1:
            for place in rng.integers(near, size=rng.integers(1, 9)):
                changed[place] ^= 1 << int(rng.integers(8))
        elif k % 6 == 2:
            changed[at : at + 4] = struct.pack(rng.choice(["<I", ">I"]), CLAIMS[int(rng.integers(len(CLAIMS)))])
        elif k % 6 == 3:
            del changed[at : at + length]
        elif k % 6 == 4:
            changed[at:at] = changed[at : at + length]
        else:
            changed[at : at + length] = rng.bytes(length)
        yield bytes(changed)


def described(text: str, rhythm: str | None = None) -> bytes:
    """The tiny bundle with another description."""
    model = onnx.load_from_string(tiny_bundle.default_data())
    del model.metadata_props[:]
    rhythm = tiny_bundle.default_rhythm() if rhythm is None else rhythm
    helper.set_model_props(model, {bundle.METADATA_KEY: text, bundle.RHYTHM_KEY: rhythm})
    return bytes(model.SerializeToString())
