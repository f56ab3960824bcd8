"""One stream out of a log of several (`"stream"` in its lines), as if it had been heard alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.errors import InputFileError, printable

_MOST_NAMED = 12


class Chosen:
    """Goes through a log's lines, and knows what the session says whose lines they are.

    Args:
        path: of the log, for messages.
        name: of the stream that is wanted; None where there is but one.
    """

    def __init__(self, path: Path, name: str | None) -> None:
        self._path = path
        self._name = name
        self._sources: dict[str | None, dict[str, Any]] = {}

    def knows(self, line: dict[str, Any]) -> bool:
        """Whether the line is of a stream that its session names."""
        name = line.get("stream")
        return (name is None or isinstance(name, str)) and name in self._sources

    def rate_hz(self, line: dict[str, Any]) -> int:
        """Of the line's stream; of no meaning for a session's own line."""
        return int(self._sources[line.get("stream")]["rate_hz"]) if line["type"] != "session" else 0

    def line(self, line: dict[str, Any]) -> dict[str, Any] | None:
        """The line as it would stand in a log of the wanted stream alone; None where it is another's.

        Raises:
            InputFileError: a session of several streams without a choice, or without the one that is wanted.
        """
        if line["type"] == "session":
            return self._begin(line)
        if line.get("stream") != self._name:
            return None
        return {key: value for key, value in line.items() if key != "stream"}

    def _begin(self, line: dict[str, Any]) -> dict[str, Any]:
        streams = line.get("streams")
        self._sources = dict(streams) if streams else {None: line["source"]}
        if self._name in self._sources:
            rest = {key: value for key, value in line.items() if key != "streams"}
            return rest | {"source": self._sources[self._name]}
        if not streams:
            raise InputFileError(f"{self._path}: holds one stream, none of that name; leave --stream out")
        names = [printable(name) for name in streams]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        wanted = "" if self._name is None else f", none called {printable(self._name)}"
        raise InputFileError(
            f"{self._path}: holds {len(names)} streams{wanted}; choose one with --stream: "
            f"{', '.join(names[:_MOST_NAMED])}{more}"
        )
