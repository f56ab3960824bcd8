"""What a decision is called. The screen and the plain lines both take their words from here."""

from __future__ import annotations

import math
from collections.abc import Sequence

from models.classes import WORDS
from models.decide import Decision
from stream.monitor.newest import remembered


def sounds_like(label: str) -> str:
    """A class as something heard, never as a diagnosis; artifact as the absence of heart sound."""
    if label == "artifact":
        return "no heart sound heard (artifact)"
    if label == "normal":
        return "sounds like normal heart sounds"
    return f"sounds like {WORDS[label]}"


def kind(decision: Decision | None) -> str:
    """The label where there is one, otherwise the status."""
    if decision is None:
        return "listening"
    return decision.label or decision.status


def no_heart(name: str) -> bool:
    """Whether a kind of decision says that no heart is heard: what was found there must not look like beats."""
    return name in {"artifact", "poor_signal"}


def headline(decision: Decision | None) -> str:
    """The rolling decision in words; None is the time before the first."""
    if decision is not None and decision.label is not None:
        return sounds_like(decision.label)
    status = kind(decision)
    if decision is not None and status == "poor_signal":
        return f"poor signal: {decision.quality_reason}" if decision.quality_reason else "poor signal"
    return {
        "uncertain": "uncertain: no class stands out",
        "gap": "gap: audio was lost, listening again",
    }.get(status, "listening… (window filling)")


_LARGE = {
    "artifact": "no heart sound",
    "uncertain": "uncertain",
    "poor_signal": "poor signal",
    "gap": "audio lost",
    "listening": "listening",
}
_LARGE_DEVICE = {
    "paused": "paused",
    "stalled": "no audio",
    "lost": "device away",
    "reconnecting": "device away",
    "gone": "device gone",
}


def large_words(decision: Decision | None, condition: str) -> tuple[str, str]:
    """The headline in as few words as can be, in capitals, for large letters: what may stand small above, and the rest.

    A class alone would read as a finding: "sounds like" always stands with it.
    """
    name = kind(decision)
    alone = _LARGE_DEVICE.get(condition) or _LARGE.get(name)
    if alone:
        return "", alone.upper()
    return "SOUNDS LIKE", WORDS[name].split(" (", maxsplit=1)[0].upper()


#: What a screen says in place of the decision while the device gives nothing.
_DEVICE = {
    "stalled": "no audio comes from the device",
    "lost": "the device is away: waiting for it",
    "reconnecting": "the device is away: reconnecting",
    "gone": "the device is gone",
}


def device(condition: str) -> str:
    """What became of the device, one of `block.CONDITIONS`; empty while it is heard."""
    return _DEVICE.get(condition, "")


def held_s(decision: Decision, history: Sequence[Decision]) -> float:
    """For how long the decision has been the same, in seconds of the stream."""
    if history and history[-1].t_s > decision.t_s:  # it is looked back at
        history = tuple(d for d in history if d.t_s <= decision.t_s)
    return decision.t_s - min(decision.t_s, _since_s(history, kind(decision)))


@remembered
def _since_s(history: Sequence[Decision], name: str) -> float:
    """When the newest unbroken run of a kind began; infinite where the newest decision is of another."""
    since_s = math.inf
    for earlier in reversed(history):
        if kind(earlier) != name:
            break
        since_s = earlier.t_s
    return since_s


def clock(t_s: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, seconds = divmod(int(max(0.0, t_s)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def span_words(span_s: int) -> str:
    """A round length of time in its largest whole unit."""
    for unit, seconds in (("h", 3600), ("min", 60)):
        if span_s % seconds == 0:
            return f"{span_s // seconds} {unit}"
    return f"{span_s} s"
