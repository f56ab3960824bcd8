"""Whether a value that was read, which may be damaged or anybody's, is what it has to be; and if not, why.

A check takes a value and tells what is wrong with it, in words that follow its name: "t_s" + " can't be -1". Where
nothing is wrong they are empty. In an object or a list the place comes first: "rhythm" + ".premature[0] is missing".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from models.errors import printable

Check = Callable[[Any], str]
#: Beyond this no number in a log or summary has a meaning: samples of a thousand years.
_MOST = 1e15
_MISSING = object()


def unusable(x: Any) -> str:
    """That a value can't be used, or is not there."""
    if x is _MISSING:
        return " is missing"
    if isinstance(x, dict | list):
        return f" can't be {'an object' if isinstance(x, dict) else 'a list'}"
    return f" can't be {printable(json.dumps(x))[:60]}"


def number(low: float = 0, high: float = _MOST) -> Check:
    """A finite number in a range, both ends included. True is not 1."""
    return lambda x: "" if type(x) in (int, float) and low <= x <= high else unusable(x)


def count(low: int = 0, high: int = int(_MOST)) -> Check:
    """A whole number in a range, both ends included."""
    return lambda x: "" if type(x) is int and low <= x <= high else unusable(x)


def text(x: Any) -> str:
    """A text, perhaps empty."""
    return "" if isinstance(x, str) else unusable(x)


def instant(x: Any) -> str:
    """A point in time with its zone, in ISO 8601, in a year that every time zone can tell."""
    try:
        found = datetime.fromisoformat(x)
    except (ValueError, TypeError):
        return unusable(x)
    return "" if found.tzinfo is not None and 1970 < found.year < 9999 else unusable(x)


def maybe(check: Check) -> Check:
    """The same, or null; but not missing."""
    return lambda x: "" if x is None else check(x)


def optional(check: Check) -> Check:
    """The same, or missing."""
    return lambda x: "" if x is _MISSING else check(x)


def one_of(*allowed: object) -> Check:
    """One of these, of the same type: True is not 1."""
    return lambda x: "" if any(type(x) is type(a) and x == a for a in allowed) else unusable(x)


def list_of(check: Check) -> Check:
    """A list of such."""

    def wrong(x: Any) -> str:
        if not isinstance(x, list):
            return unusable(x)
        return next((f"[{k}]{why}" for k, value in enumerate(x) if (why := check(value))), "")

    return wrong


def holding(checks: Mapping[str, Check]) -> Check:
    """An object with at least these. What else it holds is not looked at."""

    def wrong(x: Any) -> str:
        if not isinstance(x, dict):
            return unusable(x)
        return next((f".{key}{why}" for key, check in checks.items() if (why := check(x.get(key, _MISSING)))), "")

    return wrong


def keyed(key: Check, value: Check) -> Check:
    """An object whose keys and values are all such."""

    def wrong(x: Any) -> str:
        if not isinstance(x, dict):
            return unusable(x)
        return next((why for k, v in x.items() if (why := key(k) or value(v))), "")

    return wrong
