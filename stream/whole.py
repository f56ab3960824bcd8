"""What the whole of a recording sounds like, gathered from its decisions as they come: one row."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from models import decide, join
from models.bundle import Bundle
from models.classes import CLASSES
from models.decide import Decision
from models.errors import LaennecError
from models.join import Joined
from stream.pipeline import Event

COLUMNS = (
    "path",
    "label",
    *(f"p_{name}" for name in CLASSES),
    "status",
    "quality",
    "heart_rate_bpm",
    "duration_s",
    "error",
)
Row = dict[str, Any]
_SILENT = {"listening", "gap"}


class Whole:
    """The row of a recording.

    The answer is the calibrated mean over the windows that speak for the recording (`windows.recording_ends`), and
    early beats at any of these moments count; the quality is their median, the heart rate the median of those known;
    it is withheld where no heart is heard. Kept is what that takes, some 130 bytes per second of audio.

    Args:
        path: the recording.
        model: the model that hears it.
    """

    def __init__(self, path: Path, model: Bundle) -> None:
        self._path = path
        self._model = model
        self._logits, self._early, self._quality, self._rates = (array("d") for _ in range(4))
        self._status: str | None = None  # of the newest decision that speaks
        self._newest: Decision | None = None

    def hear(self, events: Iterable[Event]) -> None:
        """More of what the pipeline told, in its order."""
        for event in events:
            if isinstance(event, Decision):
                self._newest = event
                if event.heart_rate_bpm is not None:
                    self._rates.append(event.heart_rate_bpm)
                if event.status not in _SILENT:
                    self._speak(event)

    def _speak(self, decision: Decision) -> None:
        self._status = decision.status
        self._logits.extend(decision.logits)
        self._early.append(decision.early)
        if decision.quality is not None:
            self._quality.append(decision.quality)

    def row(self, duration_s: float) -> Row:
        """The recording is over; values by `COLUMNS`, None where unknown."""
        row = _empty(self._path) | {"status": "listening", "duration_s": round(duration_s, 4)}
        if self._status is None:
            if self._newest is None:
                return row | {"error": _too_short(self._path, self._model)}
            self._speak(self._newest)
        moments = Joined(np.array(self._logits).reshape(-1, len(CLASSES)), np.array(self._early))
        probabilities = join.probabilities(moments.whole().told)
        quality = float(np.median(self._quality))
        row |= {f"p_{name}": round(float(p), 6) for name, p in zip(CLASSES, probabilities, strict=True)}
        row["quality"] = round(quality, 4)
        row["status"] = self._judged(probabilities, quality)
        if row["status"] == "ok":
            row["label"] = CLASSES[int(probabilities.argmax())]
        if self._rates and row["status"] != "poor_signal" and row["label"] != "artifact":
            row["heart_rate_bpm"] = round(float(np.median(self._rates)), 1)
        return row

    def _judged(self, probabilities: np.ndarray, quality: float) -> str:
        if self._status in _SILENT:
            return "listening"
        spec = self._model.decide
        sure = float(probabilities.max()) >= spec.threshold
        if decide.withheld(spec, quality, int(probabilities.argmax()) if sure else None):
            return "poor_signal"
        return "ok" if sure else "uncertain"


def unusable(path: Path, error: LaennecError) -> Row:
    """The row of a recording that can't be used: only path and error are known."""
    return _empty(path) | {"error": str(error)}


def _empty(path: Path) -> Row:
    return dict.fromkeys(COLUMNS) | {"path": str(path)}


def _too_short(path: Path, model: Bundle) -> str:
    spec = model.front_end.spec
    least_s = spec.span_samples(model.window.least_frames) / spec.rate_hz
    return f"{path}: too short, or gaps throughout: it takes {least_s:.1f} s of sound in a row; give a longer recording"
