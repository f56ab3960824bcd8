"""What the screen costs: CPU of `laennec demo` in a real terminal (tmux), and the bytes that it writes there.

python benchmarks/screen_cost.py [--size 80x24]... [--seconds 30] [--case murmur] [--json]

The whole program is measured, the simulated patient, the analysis and ONNX Runtime included; the main thread is the one
that draws. `--plain` runs the same without a screen, for comparison. What comes before `_WARM_S` is left out. Needs
Linux and tmux.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from live_cost import ROOT, cost

_WARM_S = 10.0


def measure(case: str, size: str, seconds: float, plain: bool) -> dict[str, object]:
    """CPU, memory and written bytes a second of a demo in a window of that size."""
    with tempfile.TemporaryDirectory() as folder:
        tmux = ["tmux", "-u", "-f", os.devnull, "-S", f"{folder}/tmux"]
        width, height = size.split("x")
        command = f"exec {sys.executable} -m laennec demo {case} {'--plain' * plain}"
        surroundings = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "COLORTERM": "truecolor"}
        subprocess.run([*tmux, "new-session", "-d", "-x", width, "-y", height, command], env=surroundings, check=True)
        try:
            shown = [*tmux, "display-message", "-p", "#{pane_pid}"]
            pid = int(subprocess.run(shown, check=True, capture_output=True, text=True).stdout)
            time.sleep(_WARM_S)
            before = written(pid)
            spent = cost(pid, seconds)
            return {"size": size, "plain": plain, **spent, "bytes_a_s": (written(pid) - before) / seconds}
        finally:
            subprocess.run([*tmux, "kill-server"], check=False)


def written(pid: int) -> int:
    """Bytes that a process has written so far, to whatever."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("wchar")))


def main() -> None:
    """Print what was found."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--size", action="append", help="repeatable; 80x24 and 160x50 if not given")
    asked.add_argument("--seconds", type=float, default=30.0)
    asked.add_argument("--case", default="murmur")
    asked.add_argument("--plain", action="store_true")
    asked.add_argument("--json", action="store_true")
    wanted = asked.parse_args()
    for size in wanted.size or ("80x24", "160x50"):
        found = measure(wanted.case, size, wanted.seconds, wanted.plain)
        print(json.dumps(found) if wanted.json else text(found), flush=True)


def text(found: dict[str, object]) -> str:
    """The same in words."""
    parts = "{size}: main thread {main_percent:.1f} % of a core, others {others_percent:.1f} %; {rss_mb:.0f} MB; "
    return (parts + "{bytes_a_s:.0f} bytes a second").format(**found)


if __name__ == "__main__":
    main()
