"""A session's summary in words, for one line of a list or a page of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from models.classes import CLASSES
from models.errors import printable
from stream.monitor.words import clock, sounds_like
from stream.sessions.summary import Summary

NOT_ENDED = "not ended: it was killed, or still runs"
_STATUSES = {
    "listening": "listening, too little heard",
    "uncertain": "uncertain",
    "poor_signal": "poor signal",
    "gap": "listening again after a gap",
}
_NO_ANSWER = ("listening", "gap")


def when(summary: Summary) -> str:
    """When it began, in the time of this computer's place."""
    return f"{datetime.fromisoformat(summary['started']).astimezone():%Y-%m-%d %H:%M}"


def mostly(summary: Summary) -> str:
    """What was answered for the longest time."""
    answers = {kind: time_s for kind, time_s in summary["time_s"].items() if kind not in _NO_ANSWER}
    if not any(answers.values()):
        return "no answer"
    return _with_share(max(answers, key=answers.__getitem__), summary)


def page(summary: Summary, marks: list[dict[str, Any]], files: list[tuple[str, int]]) -> str:
    """All of it, in lines.

    Args:
        summary: of the session.
        marks: the log's lines of that type.
        files: names and lengths (bytes) of what it keeps.
    """
    source = summary["source"]
    ended = summary["reason"] if summary["complete"] else NOT_ENDED
    rows = [
        ("began", f"{when(summary)} here, {summary['started']}"),
        ("lasted", f"{clock(summary['duration_s'])}; {printable(ended)}"),
        ("source", printable(f"{source['name']} ({source['kind']}, {source['rate_hz']} Hz)")),
        ("model", printable(summary["model"])),
        ("heard", f"{clock(sum(summary['time_s'].values()))}, of which"),
        *(("", _with_share(kind, summary)) for kind, time_s in summary["time_s"].items() if time_s),
        ("heart rate", _heart_rate(summary)),
        ("beats", f"{summary['beats']['S1']} S1, {summary['beats']['S2']} S2; {summary['early_beats']} early"),
        ("losses", f"{summary['lost_s']:.1f} s in {summary['gaps']} gaps" if summary["gaps"] else "none"),
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


def listed(names: list[str]) -> str:
    """Names of files, which may be anything, on one line."""
    return ", ".join(map(printable, names))


def _with_share(kind: str, summary: Summary) -> str:
    words = sounds_like(kind) if kind in CLASSES else _STATUSES[kind]
    return f"{words}, {100 * summary['time_s'][kind] / sum(summary['time_s'].values()):.0f} %"


def _heart_rate(summary: Summary) -> str:
    rate = summary["heart_rate_bpm"]
    if rate is None:
        return "never sure"
    spread = f"{rate['lowest']:.0f} to {rate['highest']:.0f}"
    return f"{rate['median']:.0f} bpm (median), {spread}; sure in {100 * rate['sure_share']:.0f} % of the decisions"


def _ledger(summary: Summary) -> str:
    ledger = summary["ledger"]
    if ledger is None:
        return "counted at the end only"
    parts = f"{ledger['analysed']} analysed + {ledger['dropped']} lost + {ledger['discarded']} discarded"
    return f"{ledger['captured']} captured = {parts}"
