"""Which sound files of a session's folder belong to a session, and at what time each begins.

A recording that the listener began with a key starts in mid-session: the log's notice `recording begins: NAME` has its
time. A name that was used again was put away, so the files of a name are in the order of its notices. What no notice
names began with a session.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from stream.put_away import STAMP
from stream.report.heard import Heard
from stream.report.recording import Piece
from stream.sinks.recording import BEGINS

_SUFFIXES = (".wav", ".flac")
_STAMPED = re.compile(rf"(.+)\.{STAMP}")
_NUMBERED = re.compile(r"(.+)\.(\d{1,6})")


class Take(NamedTuple):
    """Files recorded in one go: x.wav, x.2.wav and so on."""

    files: tuple[Path, ...]

    def pieces(self, start_s: float) -> list[Piece]:
        """As parts of a recording."""
        return [Piece(path, None if k else start_s) for k, path in enumerate(self.files)]


class Takes(NamedTuple):
    """What was recorded in a session.

    Attributes:
        placed: the parts whose time is known, in order.
        unplaced: takes that began with a session, nobody wrote down which.
    """

    placed: list[Piece]
    unplaced: list[Take]


def given(files: Sequence[Path], heard: Heard) -> list[Piece]:
    """Files that somebody names: each where a notice says that it began, else the first at 0, the others in a row."""
    begun = {s.text.removeprefix(BEGINS): s.t_s for s in heard.said if s.text.startswith(BEGINS)}
    return [Piece(path, begun.get(path.name, None if k else 0.0)) for k, path in enumerate(files)]


def in_folder(folder: Path, sessions: Sequence[Heard], number: int) -> Takes:
    """The takes of the session with that index in the folder's log."""
    begun: dict[str, list[tuple[int, float]]] = {}
    for k, heard in enumerate(sessions):
        for said in heard.said:
            if said.text.startswith(BEGINS):
                begun.setdefault(said.text.removeprefix(BEGINS), []).append((k, said.t_s))
    placed: list[tuple[float, Take]] = []
    unplaced: list[Take] = []
    for name, takes in _by_name(folder).items():
        times = begun.get(name, [])[-len(takes) :]
        unplaced += takes[: len(takes) - len(times)]
        pairs = zip(takes[len(takes) - len(times) :], times, strict=True)
        placed += [(start_s, take) for take, (k, start_s) in pairs if k == number]
    return Takes([piece for start_s, take in sorted(placed) for piece in take.pieces(start_s)], unplaced)


def _by_name(folder: Path) -> dict[str, list[Take]]:
    """Takes by the name that they were recorded to, oldest first."""
    found = [p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES and not p.name.startswith(".")]
    names = {p.name for p in found}
    takes: dict[str, list[Take]] = {}
    for path in sorted(found, key=_age):
        stamped, numbered = _STAMPED.fullmatch(path.stem), _NUMBERED.fullmatch(path.stem)
        first = f"{numbered[1]}{path.suffix}" if numbered else ""
        if numbered and first in names:
            takes[first][-1] = Take((*takes[first][-1].files, path))
        else:
            takes.setdefault(f"{stamped[1]}{path.suffix}" if stamped else path.name, []).append(Take((path,)))
    return takes


def _age(path: Path) -> tuple[int, int, str]:
    """Put away by their stamps, then the newest of each name, then what it goes on in."""
    numbered = _NUMBERED.fullmatch(path.stem)
    if _STAMPED.fullmatch(path.stem):
        return 0, 0, path.name
    return (2, int(numbered[2]), path.name) if numbered else (1, 0, path.name)
