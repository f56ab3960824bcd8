"""A session's log, read back: its lines as one `Heard`. A killed session is read as far as it goes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from models.classes import CLASSES
from models.decide import STATUSES, Decision
from models.errors import InputFileError, in_words, printable
from models.regularity import Premature, Regularity
from models.rhythm import Beat
from stream.pipeline import Gap
from stream.report.heard import Heard, Mark, Said
from stream.sinks.jsonl import SCHEMA
from stream.snapshot import Ledger

#: Ten years: no stream is longer, and no time on paper is either.
_LATEST_S = 3.2e8
_LONGEST_LINE = 1 << 20
_RATES_HZ = (1, 10_000_000)


@dataclass
class _Reading:
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


def read(path: Path) -> list[Heard]:
    """The sessions of a log, with those of its earlier files where it goes on from them.

    Raises:
        InputFileError: no log, a damaged line, or nothing in it.
    """
    return read_files(_with_earlier(path))


def read_files(paths: list[Path]) -> list[Heard]:
    """The sessions of a log that lies in one or more files, given in the order in which they were written."""
    sessions: list[_Reading] = []
    for path in paths:
        for number, line, whole in _lines(path):
            try:
                _take(json.loads(line, parse_constant=_no_number), sessions)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
                if not whole and sessions:
                    sessions[-1].caveats.append("The log's last line was cut off, and is left out.")
                    break
                raise _damaged(path, number, error, started=bool(sessions)) from error
    if not sessions:
        raise InputFileError(f"{paths[-1]}: is empty; give the log of a session that was heard")
    return [_heard(session) for session in sessions]


def is_log(path: Path) -> bool:
    """Whether a file begins as a session's log does."""
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline(_LONGEST_LINE))
        return isinstance(first, dict) and first.get("type") == "session"
    except (OSError, ValueError, RecursionError):
        return False


def _with_earlier(path: Path) -> list[Path]:
    """A log's file and, where it goes on from older ones, those, oldest first."""
    stamped = re.compile(re.escape(path.stem) + r"\.\d{4}-\d\d-\d\dT\d{6}\.\d{3}Z" + re.escape(path.suffix))
    older = sorted(p for p in path.parent.iterdir() if stamped.fullmatch(p.name)) if path.parent.is_dir() else []
    files = [path]
    while older and _goes_on(files[0]):
        files.insert(0, older.pop())
    return files


def _goes_on(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return json.loads(file.readline(_LONGEST_LINE)).get("continued") is True
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


def _lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Numbered lines, and whether each is whole: ended by a line feed."""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_LONGEST_LINE):
                number += 1
                yield number, line, line.endswith(b"\n")
    except OSError as error:
        raise InputFileError(f"{path}: can't be read: {error.strerror}; check its name and permissions") from error


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _damaged(path: Path, number: int, error: Exception, started: bool) -> InputFileError:
    if not started:
        return InputFileError(f"{path}: is no session log ({in_words(error)}); give a log, a session folder or a sound")
    return InputFileError(f"{path}: line {number} is damaged: {in_words(error)}; mend the line or take it out")


def _take(line: Any, sessions: list[_Reading]) -> None:
    """Take in one line; a session that goes on in a new file is the one before."""
    if not isinstance(line, dict):
        raise ValueError("it is no JSON object")
    if line.get("type") == "session":
        if not (line.get("continued") is True and sessions and sessions[-1].ledger is None):
            sessions.append(_Reading(_checked(line)))
        return
    if not sessions:
        raise ValueError("it does not begin with a session's line")
    reader = _READERS.get(str(line.get("type")))
    if reader:
        reader(line, sessions[-1])


def _checked(head: dict[str, Any]) -> dict[str, Any]:
    if head.get("schema") != SCHEMA:
        raise ValueError(f"its schema is {printable(head.get('schema'))}, this version reads {SCHEMA}")
    rate_hz = head["source"]["rate_hz"]
    if isinstance(rate_hz, bool) or not isinstance(rate_hz, int) or not _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1]:
        raise ValueError(f"no sample rate is {printable(rate_hz)}")
    if not isinstance(head["model"], dict):
        raise ValueError("its model is no object")
    return head


def _number(value: Any, low: float, high: float, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{what} is no number")
    if not low <= value <= high:
        raise ValueError(f"{what} is {value:g}, which can't be")
    return float(value)


def _maybe(value: Any, low: float, high: float, what: str) -> float | None:
    return None if value is None else _number(value, low, high, what)


def _time_s(line: dict[str, Any]) -> float:
    return _number(line["t_s"], 0, _LATEST_S, "t_s")


def _decision(line: dict[str, Any], into: _Reading) -> None:
    label, status = line["label"], line["status"]
    if status not in STATUSES or (label is not None and label not in CLASSES) or (label is None) == (status == "ok"):
        raise ValueError("label and status do not fit together")
    named, t_s = line["probabilities"], _time_s(line)
    shares = None if named is None else tuple(_number(named[name], 0, 1, "a probability") for name in CLASSES)
    rate_bpm = _maybe(line["heart_rate_bpm"], 0, 1000, "heart_rate_bpm")
    into.decisions.append(
        Decision(
            t_s=t_s,
            window_s=_number(line["window_s"], 0, 3600, "window_s"),
            label=label,
            status=status,
            probabilities=shares,
            quality=_maybe(line["quality"], 0, 1, "quality"),
            quality_reason=str(line.get("quality_reason", "")),
            heart_rate_bpm=rate_bpm,
            regularity=_regularity(line.get("rhythm"), rate_bpm),
        )
    )


def _regularity(rhythm: dict[str, Any] | None, rate_bpm: float | None) -> Regularity | None:
    if rhythm is None:
        return None
    early = tuple(Premature(_time_s(p), _number(p["coupling_s"], 0, 60, "coupling_s")) for p in rhythm["premature"])
    variation, shortest = (_maybe(rhythm[name], 0, 1e3, name) for name in ("variation", "shortest"))
    return Regularity(rate_bpm, _number(rhythm["confidence"], 0, 1, "confidence"), variation, shortest, early)


def _beat(line: dict[str, Any], into: _Reading) -> None:
    if line["sound"] not in {"S1", "S2"}:
        raise ValueError("sound is neither S1 nor S2")
    into.beats.append(Beat(_time_s(line), line["sound"], _number(line["confidence"], 0, 1, "confidence")))


def _gap(line: dict[str, Any], into: _Reading) -> None:
    rate_hz = into.head["source"]["rate_hz"]
    lost = int(_number(line["lost_samples"], 1, _LATEST_S * rate_hz, "lost_samples"))
    into.gaps.append(Gap(_time_s(line), lost, str(line["reason"])))


def _end(line: dict[str, Any], into: _Reading) -> None:
    counts = line["ledger"]
    most = _LATEST_S * into.head["source"]["rate_hz"]
    names = ("captured", "analysed", "dropped", "discarded")
    into.ledger = Ledger(*(int(_number(counts[name], 0, most, name)) for name in names))
    into.ended = str(line["reason"])


def _device(line: dict[str, Any], into: _Reading) -> None:
    text = ": ".join(str(line[name]) for name in ("state", "detail") if line[name])
    into.said.append(Said(_time_s(line), f"device {text}"))


#: Lines of other types are for others.
_READERS: dict[str, Callable[[dict[str, Any], _Reading], None]] = {
    "decision": _decision,
    "beat": _beat,
    "gap": _gap,
    "end": _end,
    "device": _device,
    "mark": lambda line, into: into.marks.append(Mark(_time_s(line), str(line.get("note") or ""))),
    "notice": lambda line, into: into.said.append(Said(_time_s(line), str(line["text"]))),
}


def _heard(session: _Reading) -> Heard:
    head = session.head
    found = Heard(
        source=head["source"],
        model=head["model"],
        started=str(head.get("started", "")),
        version=str(head.get("laennec", "")),
        decisions=tuple(sorted(session.decisions, key=lambda d: d.t_s)),
        beats=tuple(sorted(session.beats)),
        gaps=tuple(sorted(session.gaps, key=lambda g: g.t_s)),
        marks=tuple(sorted(session.marks)),
        said=tuple(sorted(session.said)),
        ledger=session.ledger,
        ended=session.ended,
        caveats=tuple(session.caveats),
    )
    if session.ledger is None:
        no_end = (
            "The log has no end: the session was broken off, or is still going on. It is reported as far as it goes."
        )
        return replace(found, caveats=(no_end, *found.caveats))
    return found
