"""Measure everything and write it down: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.plan import FULL, QUICK
from benchmarks.rounds import ROOT, FailedError
from models import bundle

DOCUMENT, RESULTS = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "results" / "benchmarks.json"
README = ROOT / "README.md"
_OURS = ("numpy", "onnxruntime", "soxr", "soundfile")


def main() -> int:
    """Measure, or only write anew; the exit code."""
    wanted = _asked()
    out, kept = wanted.out or DOCUMENT, wanted.results or RESULTS
    wrong = _unusable(wanted, out, kept)
    if wrong:
        print(f"error: {wrong}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what was started, too
    try:
        if not wanted.write_only:
            kept.write_text(json.dumps(_measured(wanted.quick), indent=1) + "\n", encoding="utf-8")
        _write(json.loads(kept.read_text(encoding="utf-8")), out)
    except FailedError as error:
        print(f"error: {error}; nothing was written", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    return 0


def _unusable(wanted: argparse.Namespace, out: Path, kept: Path) -> str:
    """What is wrong with what was asked for, and what to do; empty where nothing is."""
    if wanted.quick and (out == DOCUMENT or kept == RESULTS):
        return "--quick measures nothing worth keeping: say where it goes with --out FILE.md --results FILE.json"
    if wanted.write_only and not kept.is_file():
        return f"{kept}: there are no results yet; measure first"
    if not hasattr(os, "sched_setaffinity"):
        return "processes are pinned to a core and looked at in /proc: run the benchmarks on Linux"
    missing = [path for path in (out, kept) if not path.parent.is_dir()]
    return f"{missing[0]}: there is no folder {missing[0].parent}; make it first" if missing else ""


def _asked() -> argparse.Namespace:
    asked = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    asked.add_argument(
        "--quick", action="store_true", help="about a minute, only to see that all works; needs --out, --results"
    )
    asked.add_argument("--write-only", action="store_true", help="measure nothing: write from the kept results")
    asked.add_argument("--out", type=Path, help="default: docs/benchmarks.md; only then the README is written too")
    asked.add_argument("--results", type=Path, help="default: docs/results/benchmarks.json")
    return asked.parse_args()


def _measured(quick: bool) -> dict[str, Any]:
    from benchmarks.measuring import everything

    core = max(os.sched_getaffinity(0))
    made, began_s = _made(quick, core), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = everything(QUICK if quick else FULL, Path(folder), core, _say)
    for row in found["costs"]:
        made["versions"] |= row.pop("versions")
    passed_s = time.monotonic() - began_s
    return {"made": {**made, "took": f"{passed_s / 60:.1f} minutes"}, **found}


def _made(quick: bool, core: int) -> dict[str, Any]:
    """When, where, and with what."""
    processor = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    cores, load = os.cpu_count(), os.getloadavg()[0]
    return {
        "quick": quick,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{processor}, {cores} cores, of which number {core} is used; load before the start {load:.1f}",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "model": bundle.load().id,
        "commit": _commit(),
        "versions": {name: importlib.metadata.version(name) for name in _OURS},
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()


def _commit() -> str:
    """Of the checkout; says where it was changed since."""
    asked = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude", "*"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _write(results: dict[str, Any], out: Path) -> None:
    out.write_text(report.document(results), encoding="utf-8")
    if out == DOCUMENT:
        README.write_text(report.readme(README.read_text(encoding="utf-8"), results), encoding="utf-8")


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
