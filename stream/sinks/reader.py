"""Whether anybody can still read what is written."""

from __future__ import annotations

import select
from typing import Any


def gone(stream: Any) -> bool:
    """Whether the other end of a stream is closed: of a pipe its reader (`| head`), or the terminal's window.

    Writing to a closed terminal fails like a damaged disk, and a pipe tells nothing until something is written. False
    where that can't be known: in memory, or without `poll` (Windows).
    """
    try:
        asked = select.poll()
        asked.register(stream.fileno(), 0)
        return bool(asked.poll(0))
    except (AttributeError, OSError, ValueError):
        return False
