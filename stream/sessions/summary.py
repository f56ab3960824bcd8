"""What a session came to, from the lines of its log alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, TypedDict, cast

from models.classes import CLASSES
from models.decide import STATUSES
from models.errors import InputFileError
from models.regularity import SURE
from stream.log.checks import count, holding, instant, keyed, list_of, maybe, number, one_of, text
from stream.log.format import LEDGER, SCHEMA, SOURCE


class HeartRate(TypedDict):
    """Of the decisions that were sure of it; `sure_share` is their share of all."""

    median: float
    lowest: float
    highest: float
    sure_share: float


class Summary(TypedDict):
    """As `summary.json` has it; docs/formats.md says what each is."""

    schema: int
    laennec: str
    started: str
    complete: bool
    duration_s: float
    source: dict[str, Any]
    model: str
    time_s: dict[str, float]
    heart_rate_bpm: HeartRate | None
    beats: dict[str, int]
    early_beats: int
    gaps: int
    lost_s: float
    marks: int
    recordings: list[str]
    ledger: dict[str, int] | None
    reason: str | None


_RATE = holding(dict.fromkeys(("median", "lowest", "highest", "sure_share"), number()))
_SUMMARY = holding(
    {
        "schema": one_of(SCHEMA),
        "laennec": text,
        "started": instant,
        "complete": one_of(True, False),
        "duration_s": number(),
        "source": SOURCE,
        "model": text,
        "time_s": keyed(one_of(*CLASSES, *STATUSES), number()),
        "heart_rate_bpm": maybe(_RATE),
        "beats": holding({"S1": count(), "S2": count()}),
        "early_beats": count(),
        "gaps": count(),
        "lost_s": number(),
        "marks": count(),
        "recordings": list_of(text),
        "ledger": maybe(LEDGER),
        "reason": maybe(text),
    }
)


def checked(found: Any) -> Summary | None:
    """What was read as a summary, or None where it is none that can be used."""
    return None if _SUMMARY(found) else cast("Summary", {key: found[key] for key in Summary.__annotations__})


def summarise(lines: Iterable[dict[str, Any]], recordings: Iterable[str] = ()) -> Summary:
    """A session's summary.

    Args:
        lines: of its log (`reading.read`); where the end is missing the session was killed, or still runs.
        recordings: names of its sound files.

    Raises:
        InputFileError: these are the lines of several sessions, or of none.
    """
    told = iter(lines)
    first = next(told, None)
    if first is None or first["type"] != "session":
        raise InputFileError("there is no session to sum up: a log begins with its session's line")
    tally = _Tally(first["source"]["rate_hz"])
    for line in told:
        tally.add(line)
    return {
        "schema": SCHEMA,
        "laennec": first["laennec"],
        "started": first["started"],
        "complete": bool(tally.end),
        "duration_s": round(tally.duration_s, 3),
        "source": {key: first["source"][key] for key in ("kind", "name", "rate_hz")},
        "model": first["model"]["id"],
        "time_s": {kind: round(time_s, 3) for kind, time_s in sorted(tally.time_s.items(), key=lambda item: -item[1])},
        "heart_rate_bpm": heart_rate(tally.rates_bpm, tally.decisions),
        "beats": tally.beats,
        "early_beats": len(tally.early),
        "gaps": tally.gaps,
        "lost_s": round(tally.lost_s, 3),
        "marks": tally.marks,
        "recordings": sorted(recordings),
        "ledger": tally.end.get("ledger"),
        "reason": tally.end.get("reason"),
    }


def heart_rate(rates_bpm: Sequence[float], decisions: int) -> HeartRate | None:
    """A session's heart rate; None where it was never sure.

    Args:
        rates_bpm: of the decisions that were sure of it.
        decisions: how many there were.
    """
    if not rates_bpm:
        return None
    sure_share = round(len(rates_bpm) / decisions, 4)
    middle_bpm = round(median(rates_bpm), 1)
    return {"median": middle_bpm, "lowest": min(rates_bpm), "highest": max(rates_bpm), "sure_share": sure_share}


class _Tally:
    """Counts a session's lines, in their order.

    A decision stands for what was heard since the one before it; what was heard at the end, or before a gap, without
    a decision of its own belongs to the decision before it. So all times and the lost ones add up to the duration.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._at_s = 0.0  # accounted for up to here
        self._kind = "listening"
        self.decisions = 0
        self.rates_bpm: list[float] = []  # the sure ones
        self.time_s: dict[str, float] = defaultdict(float)
        self.beats = {"S1": 0, "S2": 0}
        self.early: set[float] = set()
        self.gaps = self.marks = 0
        self.lost_s = 0.0
        self.end: dict[str, Any] = {}

    def add(self, line: dict[str, Any]) -> None:
        """Count a line; unknown ones are passed over."""
        kind = line["type"]
        if kind == "decision":
            self._decision(line)
        elif kind == "beat":
            self.beats[line["sound"]] += 1
        elif kind == "gap":
            self._gap(line)
        elif kind == "mark":
            self.marks += 1
        elif kind == "end":
            self._heard_until(line["ledger"]["captured"] / self._rate_hz)
            self.end = line
        elif kind == "session":
            raise InputFileError("the log holds several sessions: there is one summary to each")

    @property
    def duration_s(self) -> float:
        """How long it was listened for, losses included."""
        return self._at_s

    def _decision(self, line: dict[str, Any]) -> None:
        self._kind = line["label"] or line["status"]
        self._heard_until(line["t_s"])
        self.decisions += 1
        rhythm = line["rhythm"]
        if rhythm is None:
            return
        self.early.update(early["t_s"] for early in rhythm["premature"])
        if line["heart_rate_bpm"] is not None and rhythm["confidence"] >= SURE:
            self.rates_bpm.append(line["heart_rate_bpm"])

    def _gap(self, line: dict[str, Any]) -> None:
        self._heard_until(line["t_s"])
        self.gaps += 1
        self.lost_s += line["lost_samples"] / self._rate_hz
        self._at_s = max(self._at_s, line["t_s"] + line["lost_samples"] / self._rate_hz)
        self._kind = "gap"

    def _heard_until(self, t_s: float) -> None:
        self.time_s[self._kind] += max(0.0, t_s - self._at_s)
        self._at_s = max(self._at_s, t_s)
