"""A session as one table: decisions, beats, gaps and marks, told apart by the column `type`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from models.classes import CLASSES
from stream.report.heard import Heard, early_beats, gap_end_s

COLUMNS = (
    "type",
    "t_s",
    "end_s",
    "label",
    "status",
    *(f"p_{name}" for name in CLASSES),
    "quality",
    "quality_reason",
    "heart_rate_bpm",
    "sound",
    "confidence",
    "coupling_s",
    "lost_samples",
    "reason",
    "note",
)
_Row = dict[str, Any]


def text(heard: Heard) -> str:
    """CSV with a header, in the order of time; empty where a column is not of that type, or its value not known."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(_rows(heard), key=lambda row: (row["t_s"], row["type"])))
    return out.getvalue()


def _rows(heard: Heard) -> Iterator[_Row]:
    coupling_s = {round(early.t_s, 4): round(early.coupling_s, 6) for early in early_beats(heard)}
    for d in heard.decisions:
        row: _Row = {"type": "decision", "t_s": round(d.t_s, 6), "label": d.label, "status": d.status}
        shares = d.probabilities or (None,) * len(CLASSES)
        row |= {f"p_{name}": _short(p, 6) for name, p in zip(CLASSES, shares, strict=True)}
        row |= {"quality": _short(d.quality, 4), "quality_reason": d.quality_reason}
        yield row | {"heart_rate_bpm": _short(d.heart_rate_bpm, 1)}
    for beat in heard.beats:
        row = {"type": "beat", "t_s": round(beat.t_s, 6), "sound": beat.sound, "confidence": round(beat.confidence, 4)}
        early = coupling_s.get(round(beat.t_s, 4)) if beat.sound == "S1" else None
        yield row | {"coupling_s": early}
    for gap in heard.gaps:
        end_s = round(gap_end_s(heard, gap), 6)
        yield {
            "type": "gap",
            "t_s": round(gap.t_s, 6),
            "end_s": end_s,
            "lost_samples": gap.lost_samples,
            "reason": gap.reason,
        }
    for mark in heard.marks:
        yield {"type": "mark", "t_s": round(mark.t_s, 6), "note": mark.note}


def _short(x: float | None, digits: int) -> float | None:
    return None if x is None else round(x, digits)
