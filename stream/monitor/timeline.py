"""All decisions of the session on one width: each column is a span, and spans lengthen as the session grows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from rich.text import Text

from models.classes import CLASSES
from models.decide import Decision
from stream.monitor.line import styled
from stream.monitor.newest import remembered
from stream.monitor.theme import FAINT, LETTERS, STYLES
from stream.monitor.words import clock, kind

_KINDS = tuple(LETTERS)
_INDEX = {name: i for i, name in enumerate(_KINDS)}
#: Ten columns of each make a round time: 10 s, 20 s, 30 s, 1 min, ... 10 h.
_SPANS_S = (1, 2, 3, 6, 12, 30, 60, 120, 180, 360, 720, 1800, 3600)
_MARK_COLUMNS = 10
#: The first decision comes after 1 s, and what a resampler holds back.
_FIRST_S = 1.6


class Spans(NamedTuple):
    """Decisions counted by column and kind."""

    span_s: int
    counts: np.ndarray  # (columns, 9) int, kinds in the order of `LETTERS`


def _span_candidates() -> Iterator[int]:
    yield from _SPANS_S
    yield from (_SPANS_S[-1] * 2**i for i in itertools.count(1))


@remembered
def count(history: Sequence[Decision], width: int, lost_until_s: float | None = None) -> Spans:
    """Decisions in at most `width` columns; column k covers [k, k + 1) spans of stream time.

    The span is the shortest one that holds the whole session and leaves no regular holes between decisions, so that a
    column without any is lost time, and counts as a gap.

    Args:
        history: oldest first.
        width: columns, > 0.
        lost_until_s: what came after the last decision is lost up to there; None where nothing is.
    """
    if not history and not lost_until_s:
        return Spans(_SPANS_S[0], np.zeros((0, len(_KINDS)), dtype=np.int64))
    times_s = np.array([d.t_s for d in history])
    hop_s = (times_s[-1] - times_s[0]) / (len(times_s) - 1) if len(times_s) > 1 else 0.0
    end_s = max(times_s.max(initial=0.0), lost_until_s or 0.0)
    span_s = next(s for s in _span_candidates() if s >= hop_s and end_s < s * width)
    columns = np.maximum(times_s, 0).astype(np.int64) // span_s
    counts = np.zeros((int(end_s) // span_s + 1, len(_KINDS)), dtype=np.int64)
    np.add.at(counts, (columns, [_INDEX[kind(d)] for d in history]), 1)
    counts[~counts.any(axis=1), _INDEX["gap"]] = 1
    if len(times_s) and times_s[0] <= _FIRST_S:  # nothing is lost before the first decision of an unbroken beginning
        counts[: columns[0], :] = 0
        counts[: columns[0], _INDEX["listening"]] = 1
    return Spans(span_s, counts)


def strip(spans: Spans) -> Text:
    """One line: each column's most frequent decision as a letter; a blank where there was none."""
    line = Text()
    for counts in spans.counts:
        name = _KINDS[int(counts.argmax())]
        line.append(*((LETTERS[name], STYLES[name]) if counts.any() else (" ", "")))
    return line


def lanes(spans: Spans) -> list[Text]:
    """Six lines: one for each class, its height the share of the span, and one for the time without a label."""
    total = np.maximum(spans.counts.sum(axis=1), 1)
    lines = []
    for index, name in enumerate(CLASSES):
        # Rounded up: a rare beat type must stay visible however long the session is.
        levels = np.ceil(3 * spans.counts[:, index] / total).astype(int)
        lines.append(styled(f"{LETTERS[name]} " + "".join(" ▃▆█"[i] for i in levels), STYLES[name]))
    unlabelled = spans.counts.copy()
    unlabelled[:, : len(CLASSES)] = 0
    return [*lines, Text("  ").append_text(strip(Spans(spans.span_s, unlabelled)))]


def marks(spans: Spans, width: int) -> Text:
    """Times under every tenth column."""
    cells = [
        clock(column * spans.span_s).ljust(_MARK_COLUMNS)
        for column in range(0, max(1, width - _MARK_COLUMNS + 1), _MARK_COLUMNS)
    ]
    return styled("".join(cells), FAINT)


def legend() -> tuple[str, str, str]:
    """What the letters mean, long to short; the letters of the classes stand also before the probability bars."""
    unlabelled = "? uncertain  ~ poor signal  x gap  · listening"
    return (
        f"N normal  M murmur  S extra heart sound  P extrasystole  A no heart sound  {unlabelled}",
        f"N M S P A as above  {unlabelled}",
        "? uncertain ~ poor x gap · listening",
    )
