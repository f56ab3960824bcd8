"""S1 and S2 over the trace, each at the column of its onset; a beat that came early bears an exclamation mark."""

from __future__ import annotations

from itertools import pairwise

from rich.text import Text

from stream.monitor.line import fit
from stream.monitor.marks import over
from stream.monitor.theme import NOTICE
from stream.monitor.trace import Extremes, column
from stream.monitor.words import kind, no_heart
from stream.snapshot import Snapshot


def ticks(snapshot: Snapshot, shown: Extremes, width: int) -> Text:
    """One line of `width` cells: `S1`, `S2`, and `S1!` for a premature beat; `1` and `2` where beats crowd.

    Over them the listener's marks. No beats while no heart is heard: what was found there must not look like beats.
    """
    line = Text()
    marked = [column(shown, width, m.t_s) for m in snapshot.marks]
    if no_heart(kind(snapshot.decision)):
        return over(fit(line, width), marked)
    marks = _marks(snapshot, shown, width)
    neighbours = list(pairwise([*sorted(marks), width + 3]))
    roomy = all(end - at > 2 for at, end in neighbours)
    for at, end in neighbours:
        sound, early = marks[at]
        label = sound if roomy else sound[-1]
        if early:
            label = f"{label}!" if len(label) < end - at else "!"
        line.append(" " * (at - line.cell_len)).append(label, f"bold {NOTICE}" if early else "bold")
    return over(fit(line, width), marked)


def _marks(snapshot: Snapshot, shown: Extremes, width: int) -> dict[int, tuple[str, bool]]:
    """Sound and earliness of the beats that can be seen, by column."""
    heard_from_s = snapshot.trace_end_s - len(snapshot.trace) / snapshot.trace_rate_hz
    judged = snapshot.decision.regularity if snapshot.decision else None
    early_s = {beat.t_s for beat in judged.premature} if judged else set()
    found = {
        column(shown, width, beat.t_s): (beat.sound, beat.sound == "S1" and beat.t_s in early_s)
        for beat in snapshot.beats
        if beat.t_s >= heard_from_s
    }
    return {at: mark for at, mark in found.items() if 0 <= at < width}
