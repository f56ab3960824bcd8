"""One row per recording: what the whole of it sounds like. A bad file gets a row with its error; the rest go on."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, resource_tracker
from pathlib import Path
from typing import Any

import numpy as np

from models import bundle as bundles
from models import decide
from models.bundle import Bundle
from models.classes import CLASSES
from models.decide import Decision
from models.errors import InputFileError, LaennecError
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


def expand(paths: Iterable[Path]) -> list[Path]:
    """Files as given, and the sound files of folders; in that order.

    Raises:
        InputFileError: a folder without a sound file.
    """
    found: list[Path] = []
    for path in paths:
        inside = audio_files(path) if os.path.isdir(path) else [path]  # noqa: PTH112 - never raises, as Path's does
        if not inside:
            raise InputFileError(f"{path}: holds no sound file; give WAV, FLAC or OGG files, or a folder of them")
        found += inside
    return found


def classify(path: Path, model: Bundle, channel: int | None = None) -> Row:
    """Hear a recording as a stream, as fast as it goes, and answer for the whole of it.

    The answer is the calibrated mean over the windows that speak for the recording (`windows.recording_ends`), and
    early beats at any of these moments count; the quality is their median, the heart rate the median of those known;
    it is withheld where no heart is heard.

    Args:
        path: a sound file.
        model: the model.
        channel: from 1; may be left out only for mono.

    Returns:
        Values by `COLUMNS`; None where unknown. Where the file can't be used, only path and error are known.
    """
    try:
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
        return row  # shorter than the network can hear at all
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


def _bad(path: Path, error: LaennecError) -> Row:
    return dict.fromkeys(COLUMNS) | {"path": str(path), "error": str(error)}


def rows(paths: Sequence[Path], model: Bundle, channel: int | None, jobs: int) -> Iterator[Row]:
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
    # spawn: ONNX Runtime's session must not be inherited by a fork.
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _load_in_worker, (model.path, channel))
    try:
        with _interrupts_held():
            found = pool.map(_classify_in_worker, paths, chunksize=8)
        yield from found
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Processes started meanwhile never hear Ctrl-C: it is this one's to answer, and does so afterwards.

    Blocking it, which processes inherit, is not enough here: another thread, of a library, may get it.
    """
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    maskable = hasattr(signal, "pthread_sigmask")  # else: Windows, nothing is inherited
    if maskable:
        # Started with the first process otherwise, and it would unblock the signal for those after it.
        resource_tracker.ensure_running()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if maskable:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
    if heard:
        raise KeyboardInterrupt


_worker: dict[str, Any] = {}  # a worker process's model and channel: a session can't be sent between processes


def _load_in_worker(path: Path, channel: int | None) -> None:
    _worker.update(model=bundles.load(path), channel=channel)


def _classify_in_worker(path: Path) -> Row:
    return classify(path, _worker["model"], _worker["channel"])
