"""A session's summary in words, for one line of a list or a page of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from models.classes import CLASSES
from models.errors import printable
from stream.monitor.words import clock, sounds_like
from stream.sessions.summary import HeartRate, Summary

NOT_ENDED = "not ended: it was killed, or still runs"
_STATUSES = {
    "listening": "listening, too little heard",
    "uncertain": "uncertain",
    "poor_signal": "poor signal",
    "gap": "listening again after a gap",
}
#: Too little was heard for an answer: no share of the session is counted of that time.
TOO_SHORT = frozenset({"listening", "gap"})
#: An answer that stood for more than this share of the time with enough sound is what the session sounds like.
MOST_OF_IT = 0.5
#: A heart rate that was sure in fewer of the decisions does not stand for the session.
_OFTEN_SURE = 0.2


def when(summary: Summary) -> str:
    """When it began, in the time of this computer's place."""
    return f"{datetime.fromisoformat(summary['started']).astimezone():%Y-%m-%d %H:%M}"


def mostly(summary: Summary) -> str:
    """What was answered for the longest time, and for how much of the time with enough sound."""
    answers = _answers(summary)
    if not any(answers.values()):
        return "no answer"
    longest = max(answers, key=answers.__getitem__)
    changing = "" if answers[longest] / sum(answers.values()) > MOST_OF_IT else "changing, longest: "
    return f"{changing}{_with_share(longest, answers)}"


def heart_rate(rate: HeartRate | None) -> tuple[str, str]:
    """A session's heart rate, in a list's word or two, and what it rests on."""
    if rate is None:
        return "never sure", "no steady beats were found"
    told = f"{rate['median']:.0f} bpm"
    rests = f"{rate['lowest']:.0f} to {rate['highest']:.0f}; sure in {share(rate['sure_share'])} of the decisions"
    if rate["sure_share"] < _OFTEN_SURE:
        return "mostly not sure", f"{told} (median), {rests}"
    return told, f"median; {rests}"


def share(of_all: float) -> str:
    """In percent."""
    return "less than 1 %" if 0 < of_all < 0.01 else f"{100 * of_all:.0f} %"


def page(summary: Summary, marks: list[dict[str, Any]], files: list[tuple[str, int]]) -> str:
    """All of it, in lines.

    Args:
        summary: of the session.
        marks: the log's lines of that type.
        files: names and lengths (bytes) of what it keeps.
    """
    source = summary["source"]
    answers = _answers(summary)
    ended = summary["reason"] if summary["complete"] else NOT_ENDED
    rows = [
        ("began", f"{when(summary)} here, {summary['started']}"),
        ("lasted", f"{clock(summary['duration_s'])}; {printable(ended)}"),
        ("source", printable(f"{source['name']} ({source['kind']}, {source['rate_hz']} Hz)")),
        ("model", printable(summary["model"])),
        (
            "heard",
            f"{clock(sum(summary['time_s'].values()))}; with enough sound {clock(sum(answers.values()))}, of which",
        ),
        *(("", _with_share(kind, answers)) for kind, time_s in answers.items() if time_s),
        *(
            ("", f"{_STATUSES[kind]}, for {clock(time_s)}")
            for kind, time_s in summary["time_s"].items()
            if time_s and kind in TOO_SHORT
        ),
        ("heart rate", ", ".join(heart_rate(summary["heart_rate_bpm"]))),
        ("beats", f"{summary['beats']['S1']} S1, {summary['beats']['S2']} S2; {summary['early_beats']} early"),
        ("losses", f"{summary['lost_s']:.1f} s in {counted(summary['gaps'], 'gap')}" if summary["gaps"] else "none"),
        ("samples", _ledger(summary)),
        ("marks", str(summary["marks"])),
        *(("", printable(f"{clock(mark['t_s'])} {mark['note']}")) for mark in marks),
        ("files", f"{len(files)}, {megabytes(sum(length for _, length in files))}"),
        *(("", f"{printable(name)}, {megabytes(length)}") for name, length in files),
    ]
    return "\n".join(f"{name:<11}{said}" for name, said in rows)


def megabytes(length: int) -> str:
    """A number of bytes."""
    return f"{length / 1e6:.1f} MB" if length >= 1e5 else f"{length / 1e3:.1f} kB"


def counted(number: int, what: str) -> str:
    """So many of them."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def listed(names: list[str]) -> str:
    """Names of files, which may be anything, on one line."""
    return ", ".join(map(printable, names))


def _answers(summary: Summary) -> dict[str, float]:
    """How long each answer stood (s), of the time with enough sound for one."""
    return {kind: time_s for kind, time_s in summary["time_s"].items() if kind not in TOO_SHORT}


def _with_share(kind: str, answers: dict[str, float]) -> str:
    words = sounds_like(kind) if kind in CLASSES else _STATUSES[kind]
    return f"{words}, {share(answers[kind] / sum(answers.values()))}"


def _ledger(summary: Summary) -> str:
    ledger = summary["ledger"]
    if ledger is None:
        return "counted at the end only"
    parts = f"{ledger['analysed']} analysed + {ledger['dropped']} lost + {ledger['discarded']} discarded"
    return f"{ledger['captured']} captured = {parts}"
