"""A stream as a row of the ward: what it sounds like, how sure, heart rate, quality with its remedy, losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from models.classes import CLASSES
from models.decide import Decision
from stream.monitor.bars import percent
from stream.monitor.line import clean, first_fit, fit, shorten, styled
from stream.monitor.theme import FAINT, LETTERS, NOTICE, STYLES
from stream.monitor.words import clock, device, headline, kind, no_heart
from stream.ward.names import fitting
from stream.ward.snapshot import Row

#: Below this the decision comes with a remedy.
_LOW = 0.6
#: Cells of what stands at the right of the answer, each with a blank before it.
_NUMBERS = (("sure", 6), ("bpm", 5), ("quality", 8), ("lost", 8), ("for", 8))
_SHORT = (("sure", 5), ("bpm", 4), ("qual", 5), ("lost", 6), ("for", 6))
_LEAST_ANSWER, _MOST_ANSWER = 22, 42
_REMARK = 30  # as wide as this it has a column of its own


class Plan(NamedTuple):
    """How wide each column is, in cells; the remark's is 0 where it has none.

    Attributes:
        names: what stands for each stream's name.
        tall: the remark stands in a line of its own.
        ascii_only: names have nothing beyond ASCII.
    """

    width: int
    names: Mapping[str, str]
    name: int
    answer: int
    remark: int
    numbers: tuple[tuple[str, int], ...]
    tall: bool
    ascii_only: bool


def plan(rows: Sequence[Row], width: int, tall: bool, ascii_only: bool) -> Plan:
    """The columns at a width; they depend on the streams' names, and on nothing that changes."""
    numbers = _NUMBERS if width >= 76 else _SHORT
    taken = sum(cells for _, cells in numbers) + len("M ") + 1
    longest = max((cell_len(row.name) for row in rows), default=0)
    name = max(len("stream"), min(longest, max(12, width // 5), width - taken - _LEAST_ANSWER))
    left = width - taken - name
    remark = 0 if tall or left - _MOST_ANSWER - 2 < _REMARK else left - _MOST_ANSWER - 2
    names = fitting(tuple(row.name for row in rows), name, ascii_only)
    return Plan(width, names, name, left - remark - 2 * bool(remark), remark, numbers, tall, ascii_only)


def heads(plan: Plan) -> Text:
    """What the columns are."""
    line = fit(styled("stream", FAINT), plan.name + 3).append_text(fit(styled("answer", FAINT), plan.answer))
    for name, cells in plan.numbers:
        line.append(f"{name:>{cells}}", FAINT)
    if plan.remark:
        line.append("  what to know, what to do", FAINT)
    return fit(line, plan.width)


def state(row: Row) -> str:
    """In a word, for counting: "ended", "away" (nothing comes), "heart" (heart sounds are heard), or "none"."""
    if row.ended:
        return "ended"
    if device(row.condition):
        return "away"
    name = kind(row.decision)
    return "none" if no_heart(name) or name in {"gap", "listening"} else "heart"


def lines(row: Row, plan: Plan) -> list[Text]:
    """One line, or two."""
    now = state(row)
    quiet = FAINT if now == "ended" else ""
    told = None if now == "away" else row.decision
    name = fit(styled(plan.names[row.name], quiet or "bold"), plan.name + 1)
    letter = "x" if now == "away" else LETTERS[kind(told)]
    looks = quiet or f"bold {NOTICE if now == 'away' else STYLES[kind(told)]}"
    line = name.append(f"{letter} ", looks).append_text(fit(styled(_answer(row, now, plan), looks), plan.answer))
    for (_, cells), (text, style) in zip(plan.numbers, _cells(row, told, now), strict=True):
        shown = text if plan.numbers is _NUMBERS else text.replace(" ", "")
        line.append(f"{shown:>{cells}}", quiet or style)
    remark = clean(_remark(row, now), plan.ascii_only)
    said = quiet or NOTICE
    if plan.remark:
        line.append("  ").append(shorten(remark, plan.remark), said)
    below = Text(" " * (plan.name + 3)).append(shorten(remark, plan.width - plan.name - 3), said)
    return [fit(line, plan.width), *([fit(below, plan.width)] if plan.tall else [])]


def seconds(lost_s: float) -> str:
    """Of a loss, short."""
    return f"{lost_s:.1f} s" if lost_s < 999 else clock(lost_s)


def _answer(row: Row, now: str, plan: Plan) -> str:
    if now == "away":
        return shorten(device(row.condition), plan.answer)
    own_place = plan.tall or plan.remark  # the reason stands there
    if row.detail and not own_place and (row.decision is None or row.decision.status == "poor_signal"):
        return first_fit(plan.answer, [row.detail, row.detail.split(":")[0]])
    said = headline(row.decision)
    if row.decision and row.decision.status == "poor_signal" and own_place:
        said = "poor signal"
    return brief(said, plan.answer)


def brief(said: str, width: int) -> str:
    """An answer in at most `width` cells: of a poor signal with its cause as long as there is room."""
    forms = [said, said.split(" (", maxsplit=1)[0], said.replace(" heart sounds", ""), ":".join(said.split(":")[:2])]
    return first_fit(width, [form for form in (*forms, said.split(":", maxsplit=1)[0]) if form.split(" (")[0]])


def _cells(row: Row, told: Decision | None, now: str) -> list[tuple[str, str]]:
    """Numbers and their styles, in the order of the columns."""
    sure = rate = quality = held = ""
    low = False
    if told:
        p = told.probabilities[CLASSES.index(told.label)] if told.label and told.probabilities else None
        sure, held = percent(p), clock(row.held_s)
        rate = "–" if told.heart_rate_bpm is None else f"{told.heart_rate_bpm:.0f}"
        low = told.quality is not None and told.quality < _LOW
        quality = percent(told.quality) + "!" * low
    return [
        (sure, "bold"),
        (rate, "bold"),
        (quality, NOTICE if low else ""),
        (seconds(row.lost_s) if row.ledger.dropped else "–", NOTICE if row.ledger.dropped else ""),
        ("ended" if now == "ended" else held, ""),
    ]


def _remark(row: Row, now: str) -> str:
    """What must be known of a stream, or what to do for a better signal."""
    if now == "ended":
        return f"ended: {row.ended}"
    if now == "away" or row.detail:
        return row.detail
    if row.decision and row.decision.quality_reason:
        return row.decision.quality_reason
    return row.notice
