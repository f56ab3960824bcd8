"""Where recordings lie, for `--engine ray`: paths, and URLs of whatever fsspec reaches (s3://, gs://, hf://, https://).

A URL is looked up here once, where it may be a folder; it is fetched by the worker that hears it (`fetch`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from models.errors import InputFileError, LaennecError, SettingError, printable
from stream import classify
from stream.sources.file import SUFFIXES

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def protocol(place: str) -> str | None:
    """The protocol of a URL; None for a path."""
    found = _URL.match(place)
    return found[1].lower() if found else None


def protocols(places: Iterable[str]) -> list[str]:
    """Those that occur, sorted."""
    return sorted({name for name in map(protocol, places) if name})


def expand(places: Sequence[str]) -> list[str]:
    """Files as given, and the sound files of folders and prefixes; in that order. What holds none stays.

    Raises:
        InputFileError: there is no file at all, or a URL that may be a folder can't be looked up.
        SettingError: a protocol is unknown, or its package is missing.
    """
    for name in protocols(places):
        check(name)
    found: list[str] = []
    for far, group in groupby(places, lambda place: protocol(place) is not None):
        given = list(group)
        found += [file for url in given for file in _walked(url)] if far else _near(given, len(given) == len(places))
    return found


def check(name: str) -> None:
    """Refuse a protocol that fsspec can't speak here.

    Raises:
        SettingError: it is unknown, or its package, or fsspec itself, is missing.
    """
    try:
        from fsspec import get_filesystem_class

        get_filesystem_class(name)
    except ModuleNotFoundError as error:
        if error.name == "fsspec":
            raise SettingError(
                f"{name}:// needs fsspec; run in the checkout: pip install -e '.[cluster]', here and on every node"
            ) from error
        raise _package_missing(name, error) from error
    except ImportError as error:
        raise _package_missing(name, error) from error
    except ValueError as error:
        raise SettingError(
            f"{name}://: unknown; give a path, or a URL of a kind that fsspec knows (s3, gs, hf ...)"
        ) from error


def _package_missing(name: str, error: ImportError) -> LaennecError:
    return SettingError(f"{name}:// needs one more package, here and on every node: {printable(error)}")


def _near(given: Sequence[str], alone: bool) -> list[str]:
    paths = [Path(place) for place in given]
    try:
        return [str(path) for path in classify.expand(paths)]
    except InputFileError:
        if alone:
            raise
        return [str(path) for path in paths]  # each gets its row with the reason


def _walked(url: str) -> list[str]:
    """The sound files at and below a URL, in the order in which a folder's are; itself where there are none."""
    if PurePosixPath(url).suffix.lower() in SUFFIXES:
        return [url]  # not asked for: each question is a request
    from fsspec.core import url_to_fs

    try:
        system, root = url_to_fs(url)
        if not system.isdir(root):
            return [url]
        names: list[Any] = system.find(root)
    except Exception as error:  # whatever the protocol's package raises
        raise InputFileError(
            f"{url}: can't be looked up: {printable(error)}; check it and your access to it"
        ) from error
    below = {name: PurePosixPath(name).relative_to(PurePosixPath(root)) for name in names}
    heard = [name for name, path in below.items() if path.suffix.lower() in SUFFIXES]
    shown = [name for name in heard if not any(part.startswith(".") for part in below[name].parts)]
    return [system.unstrip_protocol(name) for name in sorted(shown, key=below.__getitem__)] or [url]
