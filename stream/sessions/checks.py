"""Whether a log's line or a summary, which may be damaged or anybody's, holds what it has to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from models.classes import CLASSES
from models.decide import STATUSES

Check = Callable[[Any], bool]
#: Beyond this no number in a log has a meaning: samples of a thousand years.
_MOST = 1e15
SCHEMA = 1


def number(x: Any) -> bool:
    """A finite number, 0 or more."""
    return type(x) in (int, float) and 0 <= x <= _MOST


def count(x: Any) -> bool:
    """A whole number, 0 or more."""
    return type(x) is int and 0 <= x <= _MOST


def text(x: Any) -> bool:
    """A text, perhaps empty."""
    return isinstance(x, str)


def instant(x: Any) -> bool:
    """A point in time with its zone, in ISO 8601, in a year that every time zone can tell."""
    try:
        found = datetime.fromisoformat(x)
    except (ValueError, TypeError):
        return False
    return found.tzinfo is not None and 1970 < found.year < 9999


def maybe(check: Check) -> Check:
    """The same, or nothing at all."""
    return lambda x: x is None or check(x)


def one_of(*allowed: object) -> Check:
    """One of these, of the same type: True is not 1."""
    return lambda x: any(type(x) is type(a) and x == a for a in allowed)


def list_of(check: Check) -> Check:
    """A list of such."""
    return lambda x: isinstance(x, list) and all(map(check, x))


def holding(checks: Mapping[str, Check]) -> Check:
    """An object with at least these."""
    return lambda x: isinstance(x, dict) and wrong(x, checks) is None


def wrong(line: Mapping[str, Any], checks: Mapping[str, Check]) -> str | None:
    """The first key whose value can't be used, or None. What is not looked at is ignored."""
    for key, check in checks.items():
        if not check(line.get(key)):
            return key
    return None


LEDGER = holding(dict.fromkeys(("captured", "analysed", "dropped", "discarded"), count))
SOURCE = holding({"kind": text, "name": text, "rate_hz": lambda x: number(x) and x > 0})
_EARLY = holding({"t_s": number, "coupling_s": number})
_RHYTHM = holding(
    {"confidence": number, "variation": maybe(number), "shortest": maybe(number), "premature": list_of(_EARLY)}
)

#: What the lines of a log hold, by their type (docs/formats.md).
LINES: Mapping[str, Mapping[str, Check]] = {
    "session": {
        "schema": one_of(SCHEMA),
        "laennec": text,
        "model": holding({"id": text}),
        "source": SOURCE,
        "started": instant,
        "continued": maybe(one_of(True)),
    },
    "decision": {
        "t_s": number,
        "window_s": number,
        "label": maybe(one_of(*CLASSES)),
        "status": one_of(*STATUSES),
        "probabilities": maybe(holding(dict.fromkeys(CLASSES, number))),
        "quality": maybe(number),
        "quality_reason": maybe(text),
        "heart_rate_bpm": maybe(number),
        "rhythm": maybe(_RHYTHM),
    },
    "beat": {"t_s": number, "sound": one_of("S1", "S2"), "confidence": number},
    "gap": {"t_s": number, "lost_samples": count, "reason": text},
    "device": {"t_s": number, "state": text, "detail": text},
    "notice": {"t_s": number, "text": text},
    "mark": {"t_s": number, "note": text},
    "end": {"ledger": LEDGER, "reason": text},
}
