"""Wall time from the start of the process to its first decision on a file, and of `--help`; medians of several runs.

python benchmarks/first_decision.py [RUNS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

_RATE_HZ = 4000


def first_line(command: list[str]) -> float:
    """Seconds until a command prints its first line with a decision, or ends."""
    began_s = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if '"decision"' in line:
                break
        took_s = time.perf_counter() - began_s
        process.kill()
    return took_s


def measure(runs: int) -> dict[str, list[float]]:
    """Seconds of each run, by what was asked for; they take turns."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.wav"
        soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 10 * _RATE_HZ), _RATE_HZ)
        asked = {
            "first decision on a file": ["replay", str(path), "--speed", "max", "--json"],
            "--help": ["--help"],
        }
        took_s: dict[str, list[float]] = {name: [] for name in asked}
        for _ in range(runs):
            for name, arguments in asked.items():
                took_s[name].append(first_line([sys.executable, "-m", "laennec", *arguments]))
    return took_s


def main(runs: int) -> None:
    """Print both medians."""
    for name, took_s in measure(runs).items():
        print(f"{name}: median {statistics.median(took_s):.2f} s of {runs} (worst {max(took_s):.2f} s)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
