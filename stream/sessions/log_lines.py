"""A session log read back: every file of it, line by line, each looked at before anybody relies on it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from models.errors import InputFileError, in_words
from stream.sessions import checks
from stream.sinks.put_away import STAMP, older

_LONGEST_LINE = 1 << 20  # bytes


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log, oldest first.

    A log that went on in new files is read from its first one, and without the session lines that only repeat
    (`"continued"`), so that it reads as if it were one file. It may hold several sessions. A last line without its
    end, as a power cut leaves it, is left out. Nothing is held in memory but the line.

    Args:
        path: the log's newest file, FILE.jsonl; or one that was put away, with which it ends then.

    Yields:
        Objects as docs/formats.md has them, with a `type`. Those of a known type hold what the format promises, of the
        right kind and finite, but for keys that may be null, which may be missing too: use `get`. Ignore other types.

    Raises:
        InputFileError: it can't be read, is no log of Laennec's, or a line is damaged; names the file and the line.
    """
    begun: str | None = None  # when the session that is being read started
    for file in files(path):
        for line in _lines_of(file):
            if line["type"] == "session":
                if line.get("continued") and line["started"] == begun:
                    continue
                begun = line["started"]
            yield line


def files(path: Path) -> list[Path]:
    """The files of the log that ends in `path`, oldest first: as far back as they go on from one another.

    Raises:
        InputFileError: one can't be read.
    """
    try:
        found = [path]
        for before in reversed(_before(path)):
            if not _goes_on(found[0]):
                break
            found.insert(0, before)
    except OSError as error:
        _unreadable(path, error)
    return found


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


def _goes_on(path: Path) -> bool:
    return _first(path).get("continued") is True


def _first(path: Path) -> dict[str, Any]:
    """The session's line that a log begins with, or nothing."""
    with path.open("rb") as file:
        first = file.readline(_LONGEST_LINE)
    try:
        line = json.loads(first)
    except (ValueError, RecursionError):
        return {}
    return line if isinstance(line, dict) and line.get("type") == "session" else {}


def _lines_of(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            number = 0
            while (raw := file.readline(_LONGEST_LINE)).endswith(b"\n"):
                number += 1
                yield _checked(path, number, raw)
            if len(raw) == _LONGEST_LINE:
                _damaged(path, number + 1, "it has no end")
            if not number:
                raise InputFileError(f"{path}: holds no whole line; give a log, or delete it")
    except OSError as error:
        _unreadable(path, error)


def _checked(path: Path, number: int, raw: bytes) -> dict[str, Any]:
    try:
        line = _JSON.decode(raw.decode())
    except (ValueError, RecursionError) as error:
        _damaged(path, number, in_words(error))
    kind = line.get("type") if isinstance(line, dict) else None
    if number == 1 and kind != "session":
        raise InputFileError(f"{path}: is no log of Laennec's; give what --log or --session wrote")
    if kind == "session" and line.get("schema") != checks.SCHEMA:
        raise InputFileError(f"{path}: its schema is not {checks.SCHEMA}; use the Laennec that wrote it")
    if not isinstance(kind, str):
        _damaged(path, number, "it has no type")
    if key := checks.wrong(line, checks.LINES.get(kind, {})):
        _damaged(path, number, f"it holds no usable {key}")
    return dict(line)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}, which is no number")


#: Made once: `json.loads` would make one a line.
_JSON = json.JSONDecoder(parse_constant=_refuse_constant)


def _damaged(path: Path, number: int, why: str) -> NoReturn:
    raise InputFileError(f"{path}: line {number} is damaged: {why}; take the line out, or copy the file again")


def _unreadable(path: Path, error: OSError) -> NoReturn:
    raise InputFileError(f"{path}: can't be read: {error.strerror}; check the name and the permissions") from error
