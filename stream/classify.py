"""One row per recording: what the whole of it sounds like. A bad file gets a row with its error; the rest go on."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from models import bundle as bundles
from models.bundle import Bundle
from models.errors import InputFileError
from stream import together, workers
from stream.block import Block
from stream.pipeline import Pipeline
from stream.sources.file import FileSource, audio_files
from stream.whole import COLUMNS, Row, Whole, unusable

__all__ = ["COLUMNS", "Row", "chunks", "classify", "expand", "heard", "rows", "several"]

_GIVE = "give WAV, FLAC or OGG files, or a folder of them"
#: Files that are heard at a time, and of each at most so much in one go: together they bound the memory.
_TOGETHER, _BLOCK_S = 32, 7.0
#: A file is opened at most so many after the one whose row is next: so many rows may wait for it.
_AHEAD = 1024
#: A chunk for a worker process: minutes of audio, so that handing it out costs nothing. So many are waited for at most.
_CHUNK_FILES, _CHUNK_BYTES, _CHUNKS_AHEAD = 64, 16 * 2**20, 64


def expand(paths: Sequence[Path]) -> list[Path]:
    """Files as given, and the sound files of folders; in that order. What holds none stays, for `classify` to refuse.

    Raises:
        InputFileError: there is no file at all.
    """
    found = [file for path in paths for file in (audio_files(path) if _is_folder(path) else []) or [path]]
    if not any(os.path.exists(path) and not _is_folder(path) for path in found):  # noqa: PTH110 - as in `_is_folder`
        reason, remedy = _unheard(found[0]) or ("no such file", _GIVE)
        others = f" (nor is there one in the other {len(paths) - 1})" if len(paths) > 1 else ""
        raise InputFileError(f"{found[0]}: {reason}{others}; {remedy}")
    return found


def _unheard(path: Path) -> tuple[str, str] | None:
    """Why what no file is opened for can't be heard, and what to do; None for all else."""
    if os.path.islink(path) and not os.path.exists(path):  # noqa: PTH110, PTH114 - as in `_is_folder`
        return "is a link that leads nowhere", "make it anew, or remove it"
    if not _is_folder(path):
        return None
    try:
        os.scandir(path).close()
    except OSError as error:
        return f"can't be opened: {error.strerror}", "check its permissions"
    return "holds no sound file", _GIVE


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - never raises, as Path's does


def classify(path: Path, model: Bundle, channel: int | None = None) -> Row:
    """Hear a recording as a stream, as fast as it goes, and answer for the whole of it (see `Whole`).

    Args:
        path: a sound file; a folder is one that holds none.
        model: the model.
        channel: from 1; may be left out only for mono.

    Returns:
        Values by `COLUMNS`; None where unknown. Where the file can't be used, only path and error are known.
    """
    return several([path], model, channel)[0]


def several(paths: Sequence[Path], model: Bundle, channel: int | None = None) -> list[Row]:
    """The rows of several recordings, heard together in this process: equal to the bit to those of `classify`.

    Args:
        paths: as for `classify`; any number of them.
        model: the model.
        channel: as for `classify`.

    Returns:
        A row each, in the order given.
    """
    return list(heard(paths, model, channel))


def heard(paths: Iterable[Path], model: Bundle, channel: int | None = None) -> Generator[Row, None, None]:
    """As `several`, each row once it and those before it are known.

    Memory does not grow with the number of recordings, and with the lengths of those that are open by no more than some
    130 bytes for each second (see `Whole`).

    A few files are open at a time, and their pipelines are stepped together; where one ends the next takes its place.
    """
    left = enumerate(paths)
    busy: list[_Hearing] = []
    done: dict[int, Row] = {}
    told = 0
    try:
        while True:
            room = min(_TOGETHER, _AHEAD - len(done)) - len(busy)
            busy += _opened(islice(left, max(0, room)), model, channel, done)
            if not (busy or done):
                return
            busy = _step(busy, done)
            while told in done:
                yield done.pop(told)
                told += 1
    finally:
        for hearing in busy:
            hearing.source.close()


@dataclass(frozen=True)
class _Hearing:
    """A recording that is being heard."""

    index: int
    path: Path
    source: FileSource
    blocks: Iterator[Block]
    pipeline: Pipeline
    whole: Whole


def _opened(
    paths: Iterable[tuple[int, Path]], model: Bundle, channel: int | None, done: dict[int, Row]
) -> list[_Hearing]:
    """Those that can be heard; the rows of the others are done."""
    opened = []
    for index, path in paths:
        try:
            if why := _unheard(path):
                raise InputFileError(f"{path}: {'; '.join(why)}")
            source = FileSource(path, channel, unpaced_s=_BLOCK_S)
        except InputFileError as error:
            done[index] = unusable(path, error)
        else:
            pipeline = Pipeline(model, source.rate_hz)
            opened.append(_Hearing(index, path, source, source.blocks(), pipeline, Whole(path, model)))
    return opened


def _step(busy: list[_Hearing], done: dict[int, Row]) -> list[_Hearing]:
    """Hear a block of each; those that go on. The rows of the others are done."""
    going, blocks, ended = [], [], []
    for hearing in busy:
        try:
            block = next(hearing.blocks, None)
        except InputFileError as error:
            hearing.source.close()
            done[hearing.index] = unusable(hearing.path, error)
            continue
        if block is None:
            ended.append(hearing)
        else:
            going.append(hearing)
            blocks.append(block)
    for hearing, events in zip(going, together.process([h.pipeline for h in going], blocks), strict=True):
        hearing.whole.hear(events)
    for hearing, events in zip(ended, together.flush([h.pipeline for h in ended]), strict=True):
        hearing.source.close()
        hearing.whole.hear(events)
        done[hearing.index] = hearing.whole.row(hearing.source.duration_s)
    return going


def rows(paths: Sequence[Path], model: Bundle, channel: int | None, jobs: int) -> Generator[Row, None, None]:
    """A row per file, in the order given.

    Args:
        paths: sound files.
        model: the model.
        channel: as for `classify`.
        jobs: worker processes; 1 works in this one.
    """
    if jobs == 1 or len(paths) < 2:
        yield from heard(paths, model, channel)
        return
    jobs = min(jobs, len(paths))
    yield from workers.mapped(_loaded, (model.path, channel), chunks(paths, jobs), jobs, _CHUNKS_AHEAD)


def chunks(paths: Sequence[Path], jobs: int) -> Iterator[Sequence[Path]]:
    """Neighbouring files to be handed to whoever of so many is free: fewer where they are large, and towards the end.

    So neither one of a few huge files nor many tiny ones keep a single process busy while the others have ended.
    """
    at = 0
    while at < len(paths):
        end, most, size = at, min(_CHUNK_FILES, 1 + (len(paths) - at) // (2 * jobs)), 0
        while end < min(at + most, len(paths)) and size < _CHUNK_BYTES:
            size += _size(paths[end])
            end += 1
        yield paths[at:end]
        at = end


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - as in `_is_folder`
    except (OSError, ValueError):
        return 0  # `heard` says why


def _loaded(path: Path, channel: int | None) -> Callable[[Sequence[Path]], Iterator[Row]]:
    """`heard` in a worker process: a session can't be sent between processes."""
    model = bundles.load(path)
    return lambda recordings: heard(recordings, model, channel)
