"""Older logs and recordings keep names that sort in the order in which they were written. None is written over."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

#: How a put away file's time looks, as a regular expression.
STAMP = r"\d{4}-\d\d-\d\dT\d{6}\.\d{3}Z"
_STEP = timedelta(milliseconds=1)


def put_away(path: Path, now: datetime) -> Path:
    """Rename FILE.jsonl to FILE.2026-11-23T114500.123Z.jsonl: the time in UTC, at which it was put away.

    All stamps have one length and sort before an ending (jsonl, wav), so that the newest file, FILE.jsonl, is the last
    by name too. Where the clock was set back, or two files are put away in one millisecond, a stamp is one millisecond
    after the newest there is.

    Args:
        path: a file that nobody writes to at the moment.
        now: the wall clock, with its time zone.

    Returns:
        The new name.

    Raises:
        OSError: it can't be renamed; then it is where it was.
    """
    stamp = max([now.astimezone(UTC), *(older + _STEP for older in _stamps(path))])
    while (kept := _claimed(path.with_name(f"{path.stem}.{_text(stamp)}{path.suffix}"))) is None:
        stamp += _STEP
    try:
        return path.replace(kept)
    except OSError:
        kept.unlink()
        raise


def _claimed(name: Path) -> Path | None:
    """The name, made ours by an empty file: a rename alone would write over another program's."""
    try:
        name.touch(exist_ok=False)
    except FileExistsError:
        return None
    return name


def older(path: Path) -> list[Path]:
    """What was put away under that name, oldest first.

    Raises:
        OSError: the folder can't be read.
    """
    pattern = re.compile(re.escape(path.stem) + rf"\.{STAMP}" + re.escape(path.suffix))
    return sorted(sibling for sibling in path.parent.iterdir() if pattern.fullmatch(sibling.name))


def _stamps(path: Path) -> Iterator[datetime]:
    """When the older files of that name were put away."""
    for kept in older(path):
        stamp = kept.stem.removeprefix(f"{path.stem}.")
        with contextlib.suppress(ValueError):  # no such day
            yield datetime.strptime(stamp, "%Y-%m-%dT%H%M%S.%fZ").replace(tzinfo=UTC)


def _text(stamp: datetime) -> str:
    return f"{stamp:%Y-%m-%dT%H%M%S}.{stamp.microsecond // 1000:03}Z"
