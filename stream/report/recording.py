"""A session's recording: its files one after the other on the session's time, and whether they belong to its log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from models.errors import InputFileError
from stream import gaps
from stream.block import Block
from stream.report.axis import moment
from stream.report.heard import Heard, gap_end_s
from stream.sources.file import FileSource

_SUFFIXES = (".wav", ".flac")
#: Times in the log are rounded to a microsecond; and a killed recorder is short by half a second and a FLAC's frame.
_CLOSE_S, _END_S = 0.002, 1.0


class Lost(NamedTuple):
    """Where audio is missing, on the session's time."""

    start_s: float
    end_s: float


class Recording(NamedTuple):
    """Files that follow each other without a gap between them.

    Attributes:
        files: in the order in which they were recorded.
        channel: which to draw, from 1; None where there is only one.
        rate_hz: of all of them.
        span_s: of all of them, with their gaps; None where a file does not tell its length (a killed FLAC).
        lost: their gaps.
    """

    files: tuple[Path, ...]
    channel: int | None
    rate_hz: int
    span_s: float | None
    lost: tuple[Lost, ...]

    def blocks(self) -> Iterator[Block]:
        """All that was recorded, on the session's time.

        Raises:
            InputFileError: a file can't be read any further.
        """
        offset = 0
        for path in self.files:
            source = FileSource(path, self.channel)
            try:
                end = 0
                for block in source.blocks():
                    end = block.start + len(block.samples)
                    yield Block(block.samples, offset + block.start, block.rate_hz, block.lost, block.reason)
            finally:
                source.close()
            offset += end


def opened(files: list[Path], channel: int | None) -> Recording:
    """Look at a recording's files.

    Raises:
        InputFileError: one can't be read, or their rates differ.
    """
    offset_s: float | None = 0.0
    lost: list[Lost] = []
    rate_hz = 0
    for path in files:
        source = FileSource(path, channel)
        try:
            if rate_hz and source.rate_hz != rate_hz:
                raise InputFileError(
                    f"{path}: has {source.rate_hz} Hz, {files[0].name} {rate_hz} Hz: they are no one recording"
                )
            rate_hz, span_s = source.rate_hz, source.span_s
        finally:
            source.close()
        if offset_s is not None:
            lost += _lost(path, rate_hz, offset_s)
            offset_s = None if span_s is None else offset_s + span_s
    return Recording(tuple(files), channel, rate_hz, offset_s, tuple(lost))


def _lost(path: Path, rate_hz: int, offset_s: float) -> Iterator[Lost]:
    before = 0
    for loss in gaps.read(path, None):
        start = loss.at_sample + before
        before += loss.lost_samples
        yield Lost(offset_s + start / rate_hz, offset_s + (start + loss.lost_samples) / rate_hz)


def in_folder(folder: Path) -> list[Path]:
    """The recording's files in a session's folder, x.wav, x.2.wav, x.3.wav and so on; none if there is none."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")]
    return sorted(found, key=_turn)


def _turn(path: Path) -> tuple[str, int]:
    numbered = re.fullmatch(r"(.+)\.(\d{1,6})", path.stem)
    return (numbered[1], int(numbered[2])) if numbered else (path.stem, 1)


def mismatch(recording: Recording, heard: Heard, partial: bool) -> str:
    """Why a recording can't be that of a session; empty where nothing speaks against it.

    Args:
        recording: the files.
        heard: the session.
        partial: whether it may be shorter than the session, as one that a full disk ended.
    """
    if recording.rate_hz != heard.rate_hz:
        return f"it has {recording.rate_hz} Hz, the session {heard.rate_hz} Hz"
    if heard.ledger and recording.span_s is not None and recording.span_s > heard.span_s + _END_S:
        return _lengths(recording.span_s, heard)
    if not partial and recording.span_s is not None and recording.span_s < heard.span_s - _END_S:
        return _lengths(recording.span_s, heard)
    return _other_gaps(recording, heard)


def _lengths(recorded_s: float, heard: Heard) -> str:
    return f"it lasts {moment(recorded_s)}, the session {moment(heard.span_s)} (m:ss)"


def _other_gaps(recording: Recording, heard: Heard) -> str:
    last_s = min(heard.span_s, recording.span_s if recording.span_s is not None else heard.span_s) - _END_S
    logged = [Lost(gap.t_s, gap_end_s(heard, gap)) for gap in heard.gaps]
    for own, others, where in ((logged, recording.lost, "the log"), (recording.lost, logged, "the recording")):
        for lost in own:
            if lost.start_s < last_s and not any(_same(lost, other) for other in others):
                length_s = lost.end_s - lost.start_s
                return f"{where} alone has a gap of {length_s:.3g} s at {moment(lost.start_s)} (m:ss)"
    return ""


def _same(a: Lost, b: Lost) -> bool:
    return abs(a.start_s - b.start_s) < _CLOSE_S and abs(a.end_s - b.end_s) < _CLOSE_S
