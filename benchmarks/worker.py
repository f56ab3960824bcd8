"""A process of its own for each that is measured, so that imports and thread pools don't mix: on one core, one thread.

python -m benchmarks.worker MODULE FOLDER SETTINGS-AS-JSON

Lines of JSON on standard output; what a library prints goes to standard error. A module with `prepare` says that it is
ready, or why it can't be, and then answers each line on standard input with what a round of passes took. A module with
`measure` tells what it found, and ends.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from benchmarks.contender import Contender, MissingError

#: Set before any library is loaded.
ONE_THREAD = {
    f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "NUMBA", "VECLIB_MAXIMUM")
}


def spend(contender: Contender, passes: int) -> dict[str, float]:
    """CPU of all threads and wall time of some passes, s, and seconds of audio heard in them."""
    began_s, cpu_s = time.perf_counter(), time.process_time()
    answers = sum(contender.hear() for _ in range(passes))
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - began_s
    return {"cpu_s": cpu_s, "wall_s": wall_s, "audio_s": passes * contender.seconds, "answers": answers}


def passes_a_round(contender: Contender, least_s: float) -> int:
    """How many take so long; found after the warm-up."""
    spend(contender, contender.warm)
    passes = 1
    while (took_s := spend(contender, passes)["cpu_s"]) < least_s / 2:
        passes *= 2
    return max(1, round(passes * least_s / took_s))


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Of packages that are installed."""
    return {package: importlib.metadata.version(package) for package in packages}


def rounds(module: Any, contender: Contender, least_s: float, out: TextIO) -> None:
    """Warm up, then a round for each line that comes in."""
    passes = passes_a_round(contender, least_s)
    ready = {"what": module.WHAT, "versions": versions(module.PACKAGES), "passes": passes}
    print(json.dumps({"ready": ready}), file=out, flush=True)
    for _ in sys.stdin:
        print(json.dumps(spend(contender, passes)), file=out, flush=True)


def end_with_parent() -> None:
    """However that ends; also where it ends before it knows that this process has begun."""
    prctl, parent_death_signal = ctypes.CDLL(None).prctl, 1
    prctl(parent_death_signal, signal.SIGKILL)


def main(name: str, folder: Path, settings: dict[str, Any]) -> None:
    """Serve, until nobody asks any more."""
    if not hasattr(os, "sched_setaffinity"):
        raise SystemExit("error: processes are pinned to a core and end with their parent: run the benchmarks on Linux")
    end_with_parent()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.sched_setaffinity(0, {settings.pop("core")})
    least_s = settings.pop("least_s")
    try:
        module = importlib.import_module(name)
        if hasattr(module, "measure"):
            print(json.dumps({"found": module.measure(folder, **settings)}), file=out, flush=True)
            return
        contender = module.prepare(folder, **settings)
    except MissingError as missing:
        print(json.dumps({"skipped": str(missing)}), file=out, flush=True)
    except ImportError as error:
        reason = f"{error}: pip install -c constraints.txt '.[peers]'"
        print(json.dumps({"skipped": reason}), file=out, flush=True)
    else:
        rounds(module, contender, least_s, out)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]))
