"""A session's log as one `Heard`. A killed session is taken as far as it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from models.classes import CLASSES
from models.decide import Decision
from models.regularity import Premature, Regularity
from models.rhythm import Beat
from stream.log.reading import TORN
from stream.pipeline import Gap
from stream.report.heard import Heard, Mark, Said
from stream.snapshot import Ledger

_NO_END = "The log has no end: the session was broken off, or is still going on. It is reported as far as it goes."
_TORN = "The log's last line was cut off, and is left out."


@dataclass
class _Taken:
    """A session as its lines come in."""

    head: dict[str, Any]
    decisions: list[Decision] = field(default_factory=list)
    beats: list[Beat] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    ledger: Ledger | None = None
    ended: str = ""
    caveats: list[str] = field(default_factory=list)


def sessions(lines: Iterable[dict[str, Any]]) -> list[Heard]:
    """The sessions of a log, from its lines as `stream.log.reading` gives them."""
    found: list[_Taken] = []
    for line in lines:
        if line["type"] == "session":
            found.append(_Taken(line))
        elif line is TORN:
            found[-1].caveats.append(_TORN)
        elif take := _TAKERS.get(line["type"]):
            take(line, found[-1])
    return [_heard(taken) for taken in found]


def _decision(line: dict[str, Any], into: _Taken) -> None:
    named = line["probabilities"]
    into.decisions.append(
        Decision(
            t_s=line["t_s"],
            window_s=line["window_s"],
            label=line["label"],
            status=line["status"],
            probabilities=None if named is None else tuple(named[name] for name in CLASSES),
            quality=line["quality"],
            quality_reason=line["quality_reason"],
            heart_rate_bpm=line["heart_rate_bpm"],
            regularity=_regularity(line["rhythm"], line["heart_rate_bpm"]),
        )
    )


def _regularity(rhythm: dict[str, Any] | None, rate_bpm: float | None) -> Regularity | None:
    if rhythm is None:
        return None
    early = tuple(Premature(each["t_s"], each["coupling_s"]) for each in rhythm["premature"])
    return Regularity(rate_bpm, rhythm["confidence"], rhythm["variation"], rhythm["shortest"], early)


def _end(line: dict[str, Any], into: _Taken) -> None:
    counts = line["ledger"]
    into.ledger = Ledger(*(counts[name] for name in ("captured", "analysed", "dropped", "discarded")))
    into.ended = line["reason"]


def _device(line: dict[str, Any], into: _Taken) -> None:
    said = ": ".join(line[name] for name in ("state", "detail") if line[name])
    into.said.append(Said(line["t_s"], f"device {said}"))


#: Lines of other types are for others.
_TAKERS: dict[str, Callable[[dict[str, Any], _Taken], None]] = {
    "decision": _decision,
    "beat": lambda line, into: into.beats.append(Beat(line["t_s"], line["sound"], line["confidence"])),
    "gap": lambda line, into: into.gaps.append(Gap(line["t_s"], line["lost_samples"], line["reason"])),
    "end": _end,
    "device": _device,
    "mark": lambda line, into: into.marks.append(Mark(line["t_s"], line["note"])),
    "notice": lambda line, into: into.said.append(Said(line["t_s"], line["text"])),
}


def _heard(taken: _Taken) -> Heard:
    head = taken.head
    return Heard(
        source=head["source"],
        model=head["model"],
        started=head["started"],
        version=head["laennec"],
        decisions=tuple(sorted(taken.decisions, key=lambda d: d.t_s)),
        beats=tuple(sorted(taken.beats)),
        gaps=tuple(sorted(taken.gaps, key=lambda g: g.t_s)),
        marks=tuple(sorted(taken.marks)),
        said=tuple(sorted(taken.said)),
        ledger=taken.ledger,
        ended=taken.ended,
        caveats=(*([] if taken.ledger else [_NO_END]), *taken.caveats),
    )
