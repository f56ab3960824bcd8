"""A session's recording: its files one after the other on the session's time, and whether they belong to its log."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from models.errors import InputFileError
from stream import gaps
from stream.block import Block
from stream.report.axis import moment
from stream.report.heard import Heard, gap_end_s
from stream.sources.file import FileSource

#: Times in the log are rounded to a microsecond; and a killed recorder is short by half a second and a FLAC's frame.
_CLOSE_S, _END_S = 0.002, 1.0


class Stretch(NamedTuple):
    """A stretch on the session's time, of which audio is missing, or which a file covers."""

    start_s: float
    end_s: float


class Piece(NamedTuple):
    """A file of a recording, and when it begins: None where the one before ended."""

    path: Path
    start_s: float | None


class Recording(NamedTuple):
    """Files on the session's time.

    Attributes:
        pieces: in the order in which they were recorded.
        channel: which to draw, from 1; None where there is only one.
        rate_hz: of all of them.
        covered: what each holds, its gaps included; a file that does not tell its length (a killed FLAC) covers all
            that follows.
        lost: gaps in them.
    """

    pieces: tuple[Piece, ...]
    channel: int | None
    rate_hz: int
    covered: tuple[Stretch, ...]
    lost: tuple[Stretch, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the files."""
        return tuple(piece.path.name for piece in self.pieces)

    @property
    def end_s(self) -> float | None:
        """Where the last file ends, if that is known."""
        return self.covered[-1].end_s if math.isfinite(self.covered[-1].end_s) else None

    def blocks(self) -> Iterator[Block]:
        """All that was recorded, on the session's time.

        Raises:
            InputFileError: a file can't be read any further.
        """
        end = 0
        for path, start_s in self.pieces:
            offset = end if start_s is None else round(start_s * self.rate_hz)
            source = FileSource(path, self.channel)
            try:
                for block in source.blocks():
                    end = offset + block.start + len(block.samples)
                    yield Block(block.samples, offset + block.start, block.rate_hz, block.lost, block.reason)
            finally:
                source.close()


def opened(pieces: list[Piece], channel: int | None) -> Recording:
    """Look at a recording's files.

    Raises:
        InputFileError: one can't be read, or their rates differ.
    """
    covered: list[Stretch] = []
    lost: list[Stretch] = []
    rate_hz = 0
    for path, start_s in pieces:
        source = FileSource(path, channel)
        try:
            if rate_hz and source.rate_hz != rate_hz:
                raise InputFileError(
                    f"{path}: has {source.rate_hz} Hz, {pieces[0].path.name} {rate_hz} Hz: they are no one recording"
                )
            rate_hz, span_s = source.rate_hz, source.span_s
        finally:
            source.close()
        begin_s = start_s if start_s is not None else covered[-1].end_s if covered else 0.0
        covered.append(Stretch(begin_s, math.inf if span_s is None else begin_s + span_s))
        lost += _lost(path, rate_hz, begin_s)
    return Recording(tuple(pieces), channel, rate_hz, tuple(covered), tuple(lost))


def of_files(files: list[Path]) -> list[Piece]:
    """Files that follow each other from the session's beginning."""
    return [Piece(path, None) for path in files]


def _lost(path: Path, rate_hz: int, offset_s: float) -> Iterator[Stretch]:
    before = 0
    for loss in gaps.read(path, None):
        start = loss.at_sample + before
        before += loss.lost_samples
        yield Stretch(offset_s + start / rate_hz, offset_s + (start + loss.lost_samples) / rate_hz)


def mismatch(recording: Recording, heard: Heard, partial: bool) -> str:
    """Why a recording can't be that of a session; empty where nothing speaks against it.

    Args:
        recording: the files.
        heard: the session.
        partial: whether it may be shorter than the session, as one that a full disk ended.
    """
    if recording.rate_hz != heard.rate_hz:
        return f"it has {recording.rate_hz} Hz, the session {heard.rate_hz} Hz"
    end_s = recording.end_s
    if end_s is not None and heard.ledger and end_s > heard.span_s + _END_S:
        return _lengths(end_s, heard)
    if end_s is not None and not partial and end_s < heard.span_s - _END_S:
        return _lengths(end_s, heard)
    return _other_gaps(recording, heard)


def _lengths(recorded_s: float, heard: Heard) -> str:
    return f"it lasts {moment(recorded_s)}, the session {moment(heard.span_s)} (m:ss)"


def _other_gaps(recording: Recording, heard: Heard) -> str:
    """A gap that one of them alone has; near the end of a file, of what was recorded last, nothing is expected."""
    logged = [Stretch(gap.t_s, gap_end_s(heard, gap)) for gap in heard.gaps]
    for file in recording.covered:
        sure_until_s = min(file.end_s, heard.span_s) - _END_S
        ours, theirs = _within(file, logged), _within(file, recording.lost)
        for own, others, where in ((ours, theirs, "the log"), (theirs, ours, "the recording")):
            for lost in own:
                expected = file.start_s < lost.start_s < sure_until_s
                if expected and not any(_same(lost, other) for other in others):
                    length_s = lost.end_s - lost.start_s
                    return f"{where} alone has a gap of {length_s:.3g} s at {moment(lost.start_s)} (m:ss)"
    return ""


def _within(file: Stretch, lost: Iterable[Stretch]) -> list[Stretch]:
    """What of the gaps a file covers: the listener may end a recording, or begin one, while the session is paused."""
    cut = (Stretch(max(gap.start_s, file.start_s), min(gap.end_s, file.end_s)) for gap in lost)
    return [gap for gap in cut if gap.start_s < gap.end_s]


def _same(a: Stretch, b: Stretch) -> bool:
    return abs(a.start_s - b.start_s) < _CLOSE_S and abs(a.end_s - b.end_s) < _CLOSE_S
