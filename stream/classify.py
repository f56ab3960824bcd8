"""One row per recording: what the whole of it sounds like. A bad file gets a row with its error; the rest go on."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models import bundle as bundles
from models import decide
from models.bundle import Bundle
from models.classes import CLASSES
from models.decide import Decision
from models.errors import InputFileError, LaennecError
from stream import workers
from stream.pipeline import Pipeline
from stream.sources.file import FileSource, audio_files

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
_GIVE = "give WAV, FLAC or OGG files, or a folder of them"


def expand(paths: Sequence[Path]) -> list[Path]:
    """Files as given, and the sound files of folders; in that order. What holds none stays, for `classify` to refuse.

    Raises:
        InputFileError: there is no file at all.
    """
    found = [file for path in paths for file in (audio_files(path) if _is_folder(path) else []) or [path]]
    if not any(os.path.exists(path) and not _is_folder(path) for path in found):  # noqa: PTH110 - as in `_is_folder`
        reason = "holds no sound file" if _is_folder(paths[0]) else "no such file"
        others = f" (nor is there one in the other {len(paths) - 1})" if len(paths) > 1 else ""
        raise InputFileError(f"{paths[0]}: {reason}{others}; {_GIVE}")
    return found


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - never raises, as Path's does


def classify(path: Path, model: Bundle, channel: int | None = None) -> Row:
    """Hear a recording as a stream, as fast as it goes, and answer for the whole of it.

    The answer is the calibrated mean over the windows that speak for the recording (`windows.recording_ends`), and
    early beats at any of these moments count; the quality is their median, the heart rate the median of those known;
    it is withheld where no heart is heard.

    Args:
        path: a sound file; a folder is one that holds none.
        model: the model.
        channel: from 1; may be left out only for mono.

    Returns:
        Values by `COLUMNS`; None where unknown. Where the file can't be used, only path and error are known.
    """
    try:
        if _is_folder(path):
            raise InputFileError(f"{path}: holds no sound file; {_GIVE}")
        source = FileSource(path, channel)
    except InputFileError as error:
        return _bad(path, error)
    try:
        pipeline = Pipeline(model, source.rate_hz)
        heard = [event for block in source.blocks() for event in pipeline.process(block)] + pipeline.flush()
    except InputFileError as error:
        return _bad(path, error)
    finally:
        source.close()
    return _row(path, model, [e for e in heard if isinstance(e, Decision)], source.duration_s)


def _row(path: Path, model: Bundle, decisions: Sequence[Decision], duration_s: float) -> Row:
    row: Row = dict.fromkeys(COLUMNS) | {"path": str(path), "status": "listening", "duration_s": round(duration_s, 4)}
    speaking = [d for d in decisions if d.status not in {"listening", "gap"}] or list(decisions[-1:])
    if not speaking:
        return row | {"error": _too_short(path, model)}
    probabilities = decide.whole(speaking)
    quality = float(np.median([d.quality for d in speaking if d.quality is not None]))
    rates = [d.heart_rate_bpm for d in decisions if d.heart_rate_bpm is not None]
    row |= {f"p_{name}": round(float(p), 6) for name, p in zip(CLASSES, probabilities, strict=True)}
    row["quality"] = round(quality, 4)
    row["status"] = _status(model, speaking[-1].status, probabilities, quality)
    if row["status"] == "ok":
        row["label"] = CLASSES[int(probabilities.argmax())]
    if rates and row["status"] != "poor_signal" and row["label"] != "artifact":
        row["heart_rate_bpm"] = round(float(np.median(rates)), 1)
    return row


def _status(model: Bundle, last: str, probabilities: np.ndarray, quality: float) -> str:
    if last in {"listening", "gap"}:
        return "listening"
    sure = float(probabilities.max()) >= model.decide.threshold
    if decide.withheld(model.decide, quality, int(probabilities.argmax()) if sure else None):
        return "poor_signal"
    return "ok" if sure else "uncertain"


def _too_short(path: Path, model: Bundle) -> str:
    spec = model.front_end.spec
    least_s = spec.span_samples(model.window.least_frames) / spec.rate_hz
    return f"{path}: too short, or gaps throughout: it takes {least_s:.1f} s of sound in a row; give a longer recording"


def _bad(path: Path, error: LaennecError) -> Row:
    return dict.fromkeys(COLUMNS) | {"path": str(path), "error": str(error)}


def rows(paths: Sequence[Path], model: Bundle, channel: int | None, jobs: int) -> Generator[Row, None, None]:
    """A row per file, in the order given.

    Args:
        paths: sound files.
        model: the model.
        channel: as for `classify`.
        jobs: worker processes; 1 works in this one.
    """
    if jobs == 1 or len(paths) < 2:
        yield from (classify(path, model, channel) for path in paths)
        return
    yield from workers.mapped(_loaded, (model.path, channel), paths, jobs)


def _loaded(path: Path, channel: int | None) -> Callable[[Path], Row]:
    """`classify` in a worker process: a session can't be sent between processes."""
    model = bundles.load(path)
    return lambda recording: classify(recording, model, channel)
