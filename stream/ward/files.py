"""Recordings that are heard at the same time, each at its own rate and for as long as it is, on one clock."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from models.errors import LaennecError
from stream.block import Block
from stream.sources.file import FileSource
from stream.sources.opening import check_name
from stream.sources.pace import Pacer
from stream.ward.descriptors import make_room
from stream.ward.feed import Member, Over, Round, unique

#: Rounds in a second of audio, of which each stream gives a block or so: in real time, and as fast as it goes.
_PACED, _UNPACED = 10, 2


class Files:
    """One that ends, or can't be read any further, is over; the others go on.

    Args:
        files: the recordings; one may be there several times.
        channels: which of each file's is heard, as for `FileSource`; several of one are streams of their own.
            Empty for all that it has.
        speed: as for `Pacer`.

    Raises:
        InputFileError: one of them can't be heard; none is left open.
    """

    def __init__(self, files: Sequence[Path], channels: Sequence[int | None], speed: float | None) -> None:
        self._stopped = threading.Event()
        self._rounds_per_s = _PACED if speed else _UNPACED
        self._pacer = Pacer(self._rounds_per_s, speed)
        self._sources: list[FileSource] = []
        names: list[str] = []
        for path in files:  # before the first of a thousand is opened
            check_name(path)
        heard = [channels or range(1, channels_of(path) + 1) for path in files]
        make_room(sum(map(len, heard)))
        try:
            for path, wanted in zip(files, heard, strict=True):
                self._open(path, wanted, names)
        except LaennecError:
            self.close()
            raise
        self.reads = frozenset(path.resolve() for path in files)
        self.name = files[0].name if len(files) == 1 else f"{len(files)} recordings"
        found = zip(unique(names), self._sources, strict=True)
        self.members = tuple(Member(name, source.rate_hz, source.description) for name, source in found)

    def _open(self, path: Path, wanted: Sequence[int | None], names: list[str]) -> None:
        for channel in wanted:
            source = FileSource(path, channel)
            self._sources.append(source)
            source.block_samples = min(source.block_samples, max(1, source.rate_hz // self._rounds_per_s))
            names.append(path.stem if len(wanted) == 1 else f"{path.stem}-ch{channel}")

    def rounds(self) -> Iterator[Round]:
        """See `Feed`. A block comes once its last sample is due."""
        playing = {index: Playing(source) for index, source in enumerate(self._sources)}
        for number in itertools.count(1):
            self._pacer.wait(number, self._stopped.is_set)
            while not self._stopped.is_set():
                due = [(k, each.next) for k, each in playing.items() if each.due_s <= number / self._rounds_per_s]
                if not due:
                    break
                yield due
                for index, given in due:
                    if isinstance(given, Over):
                        playing.pop(index).close()
                    else:
                        playing[index].advance()
            if self._stopped.is_set() or not playing:
                return

    def stop(self) -> None:
        """See `Feed`."""
        self._stopped.set()

    def close(self) -> None:
        """See `Feed`."""
        for source in self._sources:
            source.close()


class Playing:
    """A recording that is being heard.

    Attributes:
        next: what it gives next.
        due_s: when, in seconds of its own time.
    """

    def __init__(self, source: FileSource) -> None:
        self._source = source
        self._blocks = source.blocks()
        self.next: Block | Over = Over("end of input")
        self.due_s = 0.0
        self.advance()

    def advance(self) -> None:
        """Read on."""
        try:
            block = next(self._blocks, None)
        except LaennecError as error:
            self.next = Over(str(error), error)
            return
        if block is None:
            self.next = Over("end of input")
        else:
            self.next = block
            self.due_s = (block.start + len(block.samples)) / block.rate_hz

    def close(self) -> None:
        """It is over."""
        self._source.close()


def channels_of(path: Path) -> int:
    """How many a recording has.

    Raises:
        InputFileError: it can't be heard.
    """
    first = FileSource(path, 1)
    first.close()
    channels = first.description["channels"]
    assert isinstance(channels, int)
    return channels
