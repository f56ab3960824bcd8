"""Everything Laennec refuses, as exceptions with one clear line each.

    LaennecError            exit code 1
    ├── SettingError        2   an option or configuration that can't be used
    ├── InputFileError      3   a recording that can't be read, or a data folder that isn't one
    ├── DeviceError         4   an audio device that is missing, refuses, or went away
    └── ModelError          5   a bundle that is missing, damaged, foreign or inconsistent

A message names the cause and the fix, and is printed alone, without a traceback.
"""

from __future__ import annotations

import json


class LaennecError(Exception):
    """The root; its message is for people."""

    exit_code = 1


class SettingError(LaennecError):
    """An option or configuration value that can't be used."""

    exit_code = 2


class InputFileError(LaennecError):
    """A recording or data folder that can't be read."""

    exit_code = 3


class DeviceError(LaennecError):
    """An audio device that is missing, refuses its settings, or went away."""

    exit_code = 4


class ModelError(LaennecError):
    """A model bundle that is missing, damaged, foreign or inconsistent."""

    exit_code = 5


def printable(text: object) -> str:
    """What a damaged file or another's error says, as a part of one line that does not move the cursor."""
    return "".join(c if c.isprintable() else "?" for c in str(text)[:200])


def in_words(error: Exception) -> str:
    """Why a damaged file's contents can't be used, as a part of one line.

    Python's own words for it ("'utf-8' codec can't decode ...", "'NoneType' object is not subscriptable") say nothing
    to people. A ValueError is taken to be worded by us.
    """
    if isinstance(error, KeyError):
        return printable(f"{error.args[0]} is missing")
    return next((words for kinds, words in _WORDS if isinstance(error, kinds)), printable(error))


_WORDS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (UnicodeError, "it holds bytes that are no UTF-8 text"),
    (json.JSONDecodeError, "it is no whole JSON"),
    (RecursionError, "it is nested without end"),
    ((TypeError, AttributeError, IndexError, OverflowError), "a value in it is of the wrong kind"),
)
