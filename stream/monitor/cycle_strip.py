"""Cycle lengths as bars: a beat that came early stands out by a low bar, a mark, and the high bar after it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from rich.text import Text

from stream.monitor.line import fit
from stream.monitor.theme import NOTICE, TRACE
from stream.monitor.words import kind, no_heart
from stream.snapshot import Snapshot
from stream.tachogram import Cycle

#: What the highest bar stands for, in s.
_TOPS_S = (0.6, 0.8, 1.0, 1.2, 1.5, 2.0)
_ROOM = 1.35  # over the median: for the pause after an early beat
_BLOCKS, _ASCII = " ▁▂▃▄▅▆▇█", " __--==##"
_AIRY = 80  # cells from which there is a blank after each bar


def top_s(shown: Sequence[Cycle]) -> float:
    """The scale: bars begin at 0 and end here; in steps, so that it rarely moves."""
    if not shown:
        return 1.2
    median_s = float(np.median([cycle.length_s for cycle in shown]))
    return next((top for top in _TOPS_S if top >= _ROOM * median_s), _TOPS_S[-1])


def heard_cycles(snapshot: Snapshot) -> list[Cycle]:
    """The cycles of the time in which a heart was heard, oldest first; none while none is."""
    if no_heart(kind(snapshot.decision)):
        return []

    def told(cycle: Cycle) -> bool:
        after = bisect_left(snapshot.history, cycle.t_s, key=lambda made: made.t_s)
        return after >= len(snapshot.history) or not no_heart(kind(snapshot.history[after]))

    return [cycle for cycle in snapshot.cycles if told(cycle)]


def strip(shown: Sequence[Cycle], width: int, rows: int, ascii_only: bool) -> list[Text]:
    """The newest cycles that fit, the newest at the right; a blank where time between two is missing.

    Args:
        shown: cycles, oldest first.
        width: in cells.
        rows: lines, >= 1. In a single one the mark of an early beat stands in its bar's place, else on top of it.
        ascii_only: draw without characters beyond ASCII.
    """
    columns = _columns(shown)
    step = 2 if width >= _AIRY else 1
    columns = columns[-(width // step) :]
    top = top_s(shown)
    lines = [Text(" " * max(0, width - step * len(columns))) for _ in range(rows)]
    for cycle in columns:
        cells = _bar(cycle, top, rows, ascii_only)
        for line, (character, style) in zip(lines, cells, strict=True):
            line.append(character + " " * (step - 1), style)
    return [fit(line, width) for line in lines]


def _columns(shown: Sequence[Cycle]) -> list[Cycle | None]:
    columns: list[Cycle | None] = []
    for before, cycle in zip([None, *shown], shown, strict=False):
        if before is not None and not math.isclose(before.t_s, cycle.t_s - cycle.length_s, abs_tol=1e-6):
            columns.append(None)
        columns.append(cycle)
    return columns


def _bar(cycle: Cycle | None, top: float, rows: int, ascii_only: bool) -> list[tuple[str, str]]:
    """One column, top to bottom: characters and their styles."""
    if cycle is None:
        return [(" ", "")] * rows
    levels = _ASCII if ascii_only else _BLOCKS
    height = max(1, min(8 * rows, round(8 * rows * cycle.length_s / top)))
    style = f"bold {NOTICE}" if cycle.early else TRACE
    cells = [(levels[min(8, max(0, height - 8 * (rows - 1 - row)))], style) for row in range(rows)]
    if cycle.early:
        above = rows - 1 - math.ceil(height / 8)
        cells[max(0, above)] = ("!", style)
    return cells
