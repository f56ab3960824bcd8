"""What each line of a session log has to hold (docs/formats.md), in kind and range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.classes import CLASSES
from models.decide import STATUSES
from stream.log.checks import (
    Check,
    count,
    holding,
    instant,
    keyed,
    list_of,
    maybe,
    number,
    one_of,
    optional,
    text,
    unusable,
)

SCHEMA = 1
#: Ten years: no stream is longer, and no time on paper is either.
_LONGEST_S = 3.2e8
_COUNTS = ("captured", "analysed", "dropped", "discarded")

_TIME = number(0, _LONGEST_S)
_SHARE = number(0, 1)
_RATIO = number(0, 1e3)
LEDGER = holding(dict.fromkeys(_COUNTS, count()))
SOURCE = holding({"kind": text, "name": text, "rate_hz": count(1, 10_000_000)})
_RHYTHM = holding(
    {
        "confidence": _SHARE,
        "variation": maybe(_RATIO),
        "shortest": maybe(_RATIO),
        "premature": list_of(holding({"t_s": _TIME, "coupling_s": number(0, 60)})),
    }
)

#: By type. A key that may be unknown is null, and there all the same.
_LINES: Mapping[str, Check] = {
    "session": holding(
        {
            "schema": one_of(SCHEMA),
            "laennec": text,
            "model": holding({"id": text}),
            "source": optional(SOURCE),
            "streams": optional(keyed(text, SOURCE)),
            "started": instant,
            "continued": optional(one_of(True)),
        }
    ),
    "decision": holding(
        {
            "t_s": _TIME,
            "window_s": number(0, 3600),
            "label": maybe(one_of(*CLASSES)),
            "status": one_of(*STATUSES),
            "probabilities": maybe(holding(dict.fromkeys(CLASSES, _SHARE))),
            "quality": maybe(_SHARE),
            "quality_reason": text,
            "heart_rate_bpm": maybe(number(0, 1000)),
            "rhythm": maybe(_RHYTHM),
        }
    ),
    "beat": holding({"t_s": _TIME, "sound": one_of("S1", "S2"), "confidence": _SHARE}),
    "gap": holding({"t_s": _TIME, "lost_samples": count(1), "reason": text}),
    "device": holding({"t_s": _TIME, "state": text, "detail": text}),
    "notice": holding({"t_s": _TIME, "text": text}),
    "mark": holding({"t_s": _TIME, "note": text}),
    "end": holding({"ledger": LEDGER, "reason": text}),
}


def fault(line: Mapping[str, Any], rate_hz: int) -> str:
    """What is wrong with a line, in words; empty where nothing is, or where its type is not known.

    Args:
        line: an object with a `type`, a text.
        rate_hz: of its session's source; of no meaning for a session's own line.
    """
    check = _LINES.get(line["type"])
    if check is None:
        return ""
    return check(line).removeprefix(".") or _across(line, _LONGEST_S * rate_hz)


def _across(line: Mapping[str, Any], most_samples: float) -> str:
    """What is wrong between values that are right each by itself."""
    if line["type"] == "session" and ("source" in line) == bool(line.get("streams")):
        return "it names neither a source nor several streams, or both"
    if line["type"] == "decision" and (line["label"] is None) == (line["status"] == "ok"):
        return "label and status do not fit together"
    if line["type"] == "gap" and line["lost_samples"] > most_samples:
        return f"lost_samples{unusable(line['lost_samples'])}"
    if line["type"] == "end":
        counts = line["ledger"]
        return next((f"ledger.{key}{unusable(counts[key])}" for key in _COUNTS if counts[key] > most_samples), "")
    return ""
