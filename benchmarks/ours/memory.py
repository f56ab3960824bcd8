"""Memory of a process that hears so many streams."""

from __future__ import annotations

from pathlib import Path

from benchmarks.ours.streams import BLOCK_S, Ward


def measure(folder: Path, streams: int, seconds: float) -> dict[str, float]:
    """Megabytes (2^20) held before the streams, half-way and at the end, and the most ever held."""
    ward = Ward(folder, streams)
    found = {"streams": float(streams), "seconds": seconds, "before_mb": held_mb("VmRSS")}
    blocks = max(2, round(seconds / BLOCK_S))
    for number in range(blocks):
        ward.hear()
        if number + 1 == blocks // 2:
            found["half_way_mb"] = held_mb("VmRSS")
    return found | {"end_mb": held_mb("VmRSS"), "most_mb": held_mb("VmHWM")}


def held_mb(what: str) -> float:
    """Of this process: what it holds now ("VmRSS"), or held at most ("VmHWM")."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{what}:"))) / 1024
