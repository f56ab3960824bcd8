"""How many seconds of recordings `laennec classify` hears in a second, alone and with two jobs; memory of a process.

python benchmarks/archive_rate.py [FOLDER] [--rounds 5] [--json]

Without a folder, simulated patients are written to a temporary one. The commands take turns, in an order that turns
round from round to round, so that whatever else the machine does falls on all alike. Each is measured as a user meets
it, from its start to its end; beside it stands the rate without the time that a single short file for each process
takes, which is the start. CPU time is that of all its processes, memory that of the largest. Needs Linux or macOS.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import soundfile

from stream.cases import CASES
from stream.classify import expand
from stream.patient import Patient
from stream.simulate import render

JOBS = (1, 2)
_ENV = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
RATE_HZ, PATIENTS, _COPIES, SECONDS = 4000, 8, 60, 30.0


class Run(NamedTuple):
    """One command, from its start to its end."""

    wall_s: float
    cpu_s: float
    rss_mb: float  # the most that any of its processes took


def simulate(folder: Path, copies: int = _COPIES, seconds: float = SECONDS) -> None:
    """Eight patients, each so many files long; as it stands four hours, in files of half a minute."""
    for n in range(PATIENTS):
        first = folder / f"{n}-000.wav"
        patient = Patient(sorted(CASES)[n % len(CASES)], seed=n, rate_hz=RATE_HZ)
        soundfile.write(first, render(patient, seconds), RATE_HZ, "PCM_16")
        for copy in range(1, copies):
            shutil.copyfile(first, folder / f"{n}-{copy:03}.wav")


def run(paths: list[Path], out: Path, jobs: int) -> Run:
    """Classify them; 3 is the exit code where some can't be used.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [sys.executable, "-m", "laennec", "classify", *map(str, paths), "--out", str(out), "--jobs", str(jobs)]
    began_s = time.perf_counter()
    process = subprocess.Popen(command, env=_ENV, stderr=subprocess.DEVNULL)
    try:
        _, status, used = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        raise
    wall_s = time.perf_counter() - began_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in {0, 3}:
        raise subprocess.CalledProcessError(process.returncode, command)
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return Run(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / unit)


def rounds_of(folder: Path, count: int) -> dict[int, list[tuple[Run, Run]]]:
    """By jobs, for each round: the run over all files, and the one over a short file for each process."""
    taken: dict[int, list[tuple[Run, Run]]] = {jobs: [] for jobs in JOBS}
    shortest = min(expand([folder]), key=lambda path: path.stat().st_size)
    with tempfile.TemporaryDirectory() as kept:
        run([folder], Path(kept) / "warm.csv", max(JOBS))  # the files are in the page cache from here on
        for number in range(count):
            for jobs in JOBS[:: -1 if number % 2 else 1]:
                out = Path(kept) / f"{number}-{jobs}.csv"
                taken[jobs].append((run([folder], out, jobs), run([shortest] * jobs, out.with_suffix(".jsonl"), jobs)))
    return taken


def measure(folder: Path | None = None, rounds: int = 5) -> dict[str, Any]:
    """The figures.

    Args:
        folder: of recordings; None writes simulated ones.
        rounds: runs of each command.

    Returns:
        `audio_s`, `files`; by jobs under `jobs_1`, `jobs_2` the medians `x_real_time` (of the whole command),
        `x_real_time_started` (without its start), `x_real_time_cpu` (by CPU time of all its processes), `rss_mb` (of
        the largest process); `speed_up` and `speed_up_started`, medians of the rounds' own ratios.
    """
    if folder is None:
        with tempfile.TemporaryDirectory() as made:
            simulate(Path(made))
            return measure(Path(made), rounds)
    files, audio_s = held(folder)
    taken = rounds_of(folder, rounds)
    told: dict[str, Any] = {"files": files, "audio_s": round(audio_s, 1), "rounds": rounds}
    for jobs, pairs in taken.items():
        whole_rates, started_rates = rates(audio_s, pairs)
        told[f"jobs_{jobs}"] = {
            "x_real_time": _median(whole_rates),
            "x_real_time_started": _median(started_rates),
            "x_real_time_cpu": _median(audio_s / whole.cpu_s for whole, _ in pairs),
            "rss_mb": _median(whole.rss_mb for whole, _ in pairs),
        }
    one, two = (taken[jobs] for jobs in JOBS)
    told["speed_up"] = _median(a[0].wall_s / b[0].wall_s for a, b in zip(one, two, strict=True))
    told["speed_up_started"] = _median(_started_s(*a) / _started_s(*b) for a, b in zip(one, two, strict=True))
    return told


def held(folder: Path) -> tuple[int, float]:
    """How many sound files a folder holds, and seconds of them."""
    count, seconds = 0, 0.0
    for path in expand([folder]):
        try:
            seconds += soundfile.info(path).duration
            count += 1
        except soundfile.LibsndfileError:
            continue
    return count, seconds


def rates(audio_s: float, pairs: list[tuple[Run, Run]]) -> tuple[list[float], list[float]]:
    """Seconds of recordings for a second, by round: of the whole command, and without its start."""
    return [audio_s / whole.wall_s for whole, _ in pairs], [audio_s / _started_s(*pair) for pair in pairs]


def _started_s(whole: Run, single: Run) -> float:
    return max(1e-3, whole.wall_s - single.wall_s)


def _median(values: Any) -> float:
    return round(statistics.median(values), 2)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    try:
        told = measure(given.folder, given.rounds)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{error}; run it by itself") from error
    if given.json:
        print(json.dumps(told, indent=2))
        return
    print(f"{told['files']} files, {told['audio_s'] / 3600:.1f} h; medians of {told['rounds']} rounds")
    for jobs in JOBS:
        found = told[f"jobs_{jobs}"]
        print(
            f"--jobs {jobs}: {found['x_real_time']:,.0f} x real time; {found['x_real_time_started']:,.0f} without the "
            f"start; {found['x_real_time_cpu']:,.0f} by CPU time; {found['rss_mb']:.0f} MB in the largest process"
        )
    print(f"2 jobs against 1: {told['speed_up']:.2f} x; {told['speed_up_started']:.2f} x without the start")


if __name__ == "__main__":
    main()
