"""How fast `laennec classify` goes through a folder of recordings: the whole command, WAV decoding included."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.contender import audio
from benchmarks.ours.streams import RATE_HZ
from benchmarks.rounds import ROOT, FailedError

_EACH_S = 20.0  # about as long as CirCor's recordings, and at their rate


def measure(folder: Path, seconds: float, rounds: int, jobs: tuple[int, ...]) -> dict[int, list[float]]:
    """Seconds of recordings for a second of wall time, by jobs and round; numbers of jobs take turns.

    Args:
        folder: of the audio; the recordings are written into it.
        seconds: of recordings, about.
        rounds: how many.
        jobs: numbers of processes; each has as many cores, as far as there are.

    Raises:
        FailedError: the command did.
    """
    recordings = folder / "recordings"
    recordings.mkdir()
    count = max(4, round(seconds / _EACH_S))
    heard = np.tile(audio(folder, RATE_HZ), 3)
    length = round(_EACH_S * RATE_HZ)
    for number in range(count):
        start = number * 7919 % (len(heard) // 3)
        soundfile.write(recordings / f"{number:06}.wav", heard[start : start + length], RATE_HZ, subtype="PCM_16")
    rates: dict[int, list[float]] = {n: [] for n in jobs}
    for _ in range(rounds):
        for n in jobs:
            rates[n].append(count * _EACH_S / _classified_s(recordings, folder / "rows.csv", n, count))
    return rates


def _classified_s(recordings: Path, out: Path, jobs: int, count: int) -> float:
    """Wall time of a run, start of the process and all."""
    out.unlink(missing_ok=True)
    cores = sorted(os.sched_getaffinity(0))[-jobs:]
    words = ["classify", str(recordings), "--out", str(out), "--jobs", str(jobs)]
    began_s = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "laennec", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        capture_output=True,
        text=True,
        check=False,
    )
    took_s = time.perf_counter() - began_s
    if done.returncode or len(out.read_text(encoding="utf-8").splitlines()) != count + 1:
        raise FailedError(f"classify --jobs {jobs} ended with exit code {done.returncode}: {done.stderr[-200:]}")
    return took_s
