"""The sessions of a folder: found, listed, and named by their ids."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, NamedTuple

from models.errors import InputFileError, printable
from stream.monitor.words import clock
from stream.sessions import folder, words
from stream.sessions.summary import Summary

_COLUMNS = ("id", "began", "lasted", "mostly", "lost", "sound", "marks", "source")
_MOST_NAMED = 12  # streams in a message
_WIDEST = 30  # of a source's name, which may be anything


class Row(NamedTuple):
    """A session in the list: its summary, or why there is none."""

    path: Path
    summary: Summary | None
    error: str = ""


def rows(parent: Path) -> list[Row]:
    """A row per session, newest first.

    Links are not followed. Nothing is read but the summaries, and the logs of sessions without one.

    Raises:
        InputFileError: the folder can't be read.
    """
    try:
        with os.scandir(parent) as entries:
            found = [entry.name for entry in entries if folder.order(entry.name) and _is_folder(Path(entry.path))]
    except OSError as error:
        raise InputFileError(f"{parent}: can't be read: {error.strerror}; name a folder of sessions") from error
    ordered = sorted(found, key=lambda name: folder.order(name) or ("", 0), reverse=True)
    told = (_row(path) for name in ordered for path in [parent / name, *_streams(parent / name)])
    return [row for row in told if row]


def is_id(text: str) -> bool:
    """Whether a text looks like a session's id: of several streams heard at once with the stream's name, ID/NAME."""
    return bool(folder.order(text.partition("/")[0]))


def id_of(path: Path) -> str:
    """The id of the session that a folder holds."""
    whole = path.parent.name  # looked at first: a stream's own name may be like a session's
    return f"{whole}/{path.name}" if folder.order(whole) else path.name


def _streams(path: Path) -> list[Path]:
    """The folders of several streams that were heard at once, in the one of them all; what can't be read has none."""
    with contextlib.suppress(OSError):
        return sorted(each for each in path.iterdir() if _is_folder(each) and _is_kept_in(each))
    return []


def _is_kept_in(path: Path) -> bool:
    return any((path / name).is_file() for name in (folder.LOG, folder.SUMMARY))


def text(found: list[Row]) -> str:
    """The same for people: a line each."""
    cells = [_COLUMNS, *(_cells(id_of(row.path), row.summary) for row in found if row.summary)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_line(widths, cells[0])]
    told = iter(cells[1:])
    for row in found:
        lines.append(_line(widths, next(told)) if row.summary else f"{id_of(row.path)}  {row.error}")
    return "\n".join(lines)


def as_json(found: list[Row]) -> list[dict[str, Any]]:
    """The same for programs: id, path, and the summary's keys or `error`."""
    return [{"id": id_of(row.path), "path": str(row.path), **(row.summary or {"error": row.error})} for row in found]


def at(named: str, parent: Path) -> Path:
    """The folder of a session.

    Args:
        named: its id, or else a path.
        parent: where ids are looked for.

    Raises:
        InputFileError: there is none of ours: no such folder, a link, another name than a session's, or nothing that
            Laennec wrote in it. Or it holds the sessions of several streams.
    """
    path, *more = all_at(named, parent)
    if path == _found(named, parent):
        return path
    names = [each.name for each in (path, *more)]
    rest = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    raise InputFileError(
        f"{named}: holds the sessions of {words.counted(len(names), 'stream')}: choose one, as "
        f"{Path(named) / names[0]}; there are {words.listed(names[:_MOST_NAMED])}{rest}"
    )


def all_at(named: str, parent: Path) -> list[Path]:
    """As `at`; of several streams that were heard at once the folder of each, if the one of them all is named."""
    path = _found(named, parent)
    if _is_named(path) and _is_folder(path):
        if folder.is_ours(path):
            return [path]
        streams = _streams(path) if folder.order(path.name) else []
        if ours := [each for each in streams if folder.is_ours(each)]:
            return ours
    raise InputFileError(f"{named}: is no session's folder; see `laennec sessions`")


def _found(named: str, parent: Path) -> Path:
    own = parent / named
    path = own if is_id(named) and os.path.lexists(own) else Path(named).absolute()
    if not os.path.lexists(path):
        raise InputFileError(f"{named}: there is no such session in {parent}; see `laennec sessions`, or give its path")
    return path


def _is_named(path: Path) -> bool:
    """As a session's folder is, or as that of a stream in one of several streams."""
    return bool(folder.order(path.name) or (folder.order(path.parent.name) and _is_folder(path.parent)))


def _row(path: Path) -> Row | None:
    try:
        if not {folder.LOG, folder.SUMMARY} & {file.name for file in path.iterdir()}:
            return None  # what was left of it is not a session's
        return Row(path, folder.summary_of(path))
    except OSError as error:
        return Row(path, None, f"{path}: can't be read: {error.strerror}; check its permissions")
    except InputFileError as error:
        return Row(path, None, str(error))


def _line(widths: list[int], cells: tuple[str, ...]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _cells(name: str, summary: Summary) -> tuple[str, ...]:
    lasted = clock(summary["duration_s"])
    return (
        name,
        words.when(summary),
        lasted if summary["complete"] else f"{lasted}, not ended",
        words.mostly(summary),
        f"{summary['lost_s']:.1f} s" if summary["gaps"] else "none",
        "kept" if summary["recordings"] else "no",
        str(summary["marks"]),
        printable(summary["source"]["name"])[:_WIDEST],
    )


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
