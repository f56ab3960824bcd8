"""A session log read back: every file of it, line by line, each looked at before anybody relies on it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from models.errors import InputFileError, in_words
from stream.log import format as formats
from stream.log import streams
from stream.log.checks import unusable
from stream.put_away import STAMP, older

#: Comes in place of a last line without its end, as a power cut leaves it. No file can hold this very object: use `is`.
TORN: dict[str, Any] = {"type": "torn"}
_LONGEST_LINE = 1 << 20  # bytes


def read(path: Path, stream: str | None = None) -> Iterator[dict[str, Any]]:
    """The lines of a log with those of the files that it goes on from, oldest first, as `read_files` gives them.

    Args:
        path: the log's newest file, FILE.jsonl; or one that was put away, with which it ends then.
        stream: as for `read_files`.
    """
    return read_files(files(path), stream)


def read_files(paths: Sequence[Path], stream: str | None = None) -> Iterator[dict[str, Any]]:
    """The lines of a log, as if it were one file: without the session lines that only repeat (`"continued"`).

    It may hold several sessions. Nothing is held in memory but the line.

    Args:
        paths: its files, in the order in which they were written.
        stream: which one, by its name, of a log of several streams: it is given as if it had been heard alone.

    Yields:
        Objects as docs/formats.md has them, with a `type`; a session's line comes first. Those of a known type hold
        what the format promises, of the right kind and in its range. Ignore other types. Or `TORN`.

    Raises:
        InputFileError: a file can't be read or is no log of Laennec's, a line is damaged, or there is none; names the
            file and the line. Or it holds several streams and none of them is chosen, or one that is not there.
    """
    started: str | None = None  # of the session that is being read
    for path in paths:
        whole = False
        for line in _lines_of(path, stream):
            whole = whole or line is not TORN
            if line["type"] == "session":
                if line.get("continued") and line["started"] == started:
                    continue
                started = line["started"]
            if started:
                yield line
        if not whole and not (started and path == paths[-1]):  # the power may go when a new file has just been made
            raise InputFileError(f"{path}: holds no whole line; give the log of a session that was heard, or delete it")


def files(path: Path) -> list[Path]:
    """The files of the log that ends in `path`, oldest first: as far back as they go on from one another.

    Raises:
        InputFileError: one can't be read.
    """
    try:
        found = [path]
        for before in reversed(_before(path)):
            if _first(found[0]).get("continued") is not True:
                break
            found.insert(0, before)
    except OSError as error:
        raise _unreadable(path, error) from error
    return found


def every_file(path: Path) -> list[Path]:
    """What was ever written to a log of that name, oldest first, whether or not one file goes on from the other.

    Raises:
        InputFileError: the folder can't be read.
    """
    try:
        return [*_before(path), path]
    except OSError as error:
        raise _unreadable(path, error) from error


def is_log(path: Path) -> bool:
    """Whether a file begins as a session log does; not whether all of it is whole.

    Raises:
        OSError: it can't be read.
    """
    return "laennec" in _first(path)


def _before(path: Path) -> list[Path]:
    stem = re.sub(rf"\.{STAMP}$", "", path.stem)
    put_away = [file for file in older(path.with_name(stem + path.suffix)) if file.is_file()]
    return [file for file in put_away if file.name < path.name] if stem != path.stem else put_away


def _first(path: Path) -> dict[str, Any]:
    """The session's line that a log begins with, or nothing."""
    with path.open("rb") as file:
        first = file.readline(_LONGEST_LINE)
    try:
        line = json.loads(first)
    except (ValueError, RecursionError):
        return {}
    return line if isinstance(line, dict) and line.get("type") == "session" else {}


def _lines_of(path: Path, stream: str | None) -> Iterator[dict[str, Any]]:
    chosen = streams.Chosen(path, stream)
    for number, raw in _numbered(path):
        try:
            line = _decoded(raw)
        except (ValueError, RecursionError) as error:
            if _torn(raw):
                yield TORN
                return
            raise (_damaged if number > 1 else _no_log)(path, number, in_words(error)) from error
        _check(path, number, line, chosen)
        if found := chosen.line(line):
            yield found


def _numbered(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            yield from enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), 1)
    except OSError as error:
        raise _unreadable(path, error) from error


def _torn(raw: bytes) -> bool:
    """Whether the file ends within the line."""
    return len(raw) < _LONGEST_LINE and not raw.endswith(b"\n")


def _decoded(raw: bytes) -> dict[str, Any]:
    if len(raw) == _LONGEST_LINE and not raw.endswith(b"\n"):
        raise ValueError("it has no end")
    line = _JSON.decode(raw.decode())
    if not isinstance(line, dict):
        raise ValueError("it is no JSON object")
    return line


def _check(path: Path, number: int, line: dict[str, Any], chosen: streams.Chosen) -> None:
    kind = line.get("type")
    if number == 1 and kind != "session":
        raise _no_log(path, number, "it is no session's")
    if not isinstance(kind, str):
        raise _damaged(path, number, "it has no type")
    if kind == "session" and line.get("schema") != formats.SCHEMA:
        schema = f"its schema{unusable(line.get('schema'))}: this Laennec reads {formats.SCHEMA}"
        raise InputFileError(f"{path}: line {number}: {schema}; use the Laennec that wrote it")
    if kind != "session" and not chosen.knows(line):
        raise _damaged(path, number, "it is of no stream that its session names")
    if why := formats.fault(line, chosen.rate_hz(line)):
        raise _damaged(path, number, why)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


#: Made once: `json.loads` would make one a line.
_JSON = json.JSONDecoder(parse_constant=_refuse_constant)


def _damaged(path: Path, number: int, why: str) -> InputFileError:
    return InputFileError(f"{path}: line {number} is damaged: {why}; take the line out, or copy the file again")


def _no_log(path: Path, number: int, why: str) -> InputFileError:
    return InputFileError(f"{path}: is no log of Laennec's: line {number}: {why}; give what --log or --session wrote")


def _unreadable(path: Path, error: OSError) -> InputFileError:
    return InputFileError(f"{path}: can't be read: {error.strerror}; check the name and the permissions")
