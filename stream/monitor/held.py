"""What the decision's place says while the listener paused, or looks back."""

from __future__ import annotations

from stream.monitor.words import clock, device, headline
from stream.snapshot import Snapshot


def words(snapshot: Snapshot) -> str:
    """In large; empty while what is shown is what is heard."""
    frozen_at_s = snapshot.view.frozen_at_s
    if frozen_at_s is not None:
        return f"FROZEN at {clock(frozen_at_s)}: {headline(snapshot.decision)}"
    return "PAUSED" if snapshot.paused else ""


def facts(snapshot: Snapshot) -> list[str]:
    """Beside it, the most important first; empty while what is shown is what is heard."""
    away = device(snapshot.condition)
    if snapshot.view.frozen_at_s is not None:
        now = "PAUSED" if snapshot.paused else away or headline(snapshot.history[-1] if snapshot.history else None)
        return ["f goes on", f"now: {now}"]
    if snapshot.paused:
        return ["counted as lost", *([away] if away else []), "space goes on"]
    return []


def away(snapshot: Snapshot) -> str:
    """What became of the device, where that is what is shown; empty while it is heard, or looked back at."""
    return "" if snapshot.view.frozen_at_s is not None else device(snapshot.condition)


def unheard(snapshot: Snapshot) -> bool:
    """Whether nothing is heard now, and nothing else is looked back at."""
    return snapshot.view.frozen_at_s is None and (snapshot.paused or bool(device(snapshot.condition)))
