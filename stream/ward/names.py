"""Streams' names where there is little room: shortened in their middle, and never two of them alike."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from rich.cells import cell_len, set_cell_size

from stream.monitor.line import clean, shorten


@lru_cache(maxsize=4)
def fitting(names: tuple[str, ...], width: int, ascii_only: bool) -> Mapping[str, str]:
    """What stands for each name in at most `width` cells; where two would look the same all are numbered as well.

    Args:
        names: of all streams, in their order, no two the same.
        width: at least 6, and enough for the number of streams.
        ascii_only: nothing beyond ASCII.
    """
    found = [cut(clean(name, ascii_only), width) for name in names]
    if len(set(found)) < len(found):
        digits = len(str(len(names)))
        found = [f"{k:{digits}} {cut(clean(n, ascii_only), width - digits - 1)}" for k, n in enumerate(names, 1)]
    return dict(zip(names, found, strict=True))


def cut(name: str, width: int) -> str:
    """At most `width` cells of a name: its beginning, an ellipsis, its end, in which files mostly differ."""
    if cell_len(name) <= width:
        return name
    if width < 3:
        return shorten(name, width)
    tail = (width - 1) // 2
    end = name[-tail:]
    while cell_len(end) > tail:  # wide characters
        end = end[1:]
    return f"{set_cell_size(name, width - 1 - cell_len(end)).rstrip()}…{end}"
