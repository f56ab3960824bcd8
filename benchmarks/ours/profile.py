"""Where the time goes when streams are stepped together: cProfile's own time, by source file."""

from __future__ import annotations

import cProfile
import pstats
from collections import Counter
from pathlib import Path

from benchmarks.ours.streams import WARM, Ward
from benchmarks.rounds import ROOT

_SHOWN = 14


def measure(folder: Path, streams: int, blocks: int) -> list[dict[str, object]]:
    """Shares of the time, most first; functions in C by their own names, what is below the rest as one."""
    ward = Ward(folder, streams)
    for _ in range(WARM):
        ward.hear()
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(blocks):
        ward.hear()
    profile.disable()
    spent: Counter[str] = Counter()
    for (file, _, function), (_, _, own_s, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        spent[_place(file, function)] += own_s
    total = sum(spent.values())
    shown = spent.most_common(_SHOWN)
    rest = 1 - sum(seconds for _, seconds in shown) / total
    return [{"where": where, "share": seconds / total} for where, seconds in [*shown, ("the rest", rest * total)]]


def _place(file: str, function: str) -> str:
    """A source file, shortened; a function of C by its name."""
    path = Path(file)
    if not path.suffix:
        return function.removeprefix("<").removesuffix(">")
    if path.is_relative_to(ROOT) and "site-packages" not in path.parts:
        return path.relative_to(ROOT).as_posix()
    return "/".join(path.parts[path.parts.index("site-packages") + 1 :]) if "site-packages" in path.parts else path.name
