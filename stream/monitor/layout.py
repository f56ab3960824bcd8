"""One frame of the screen: what is shown at which size. A pure function of the snapshot and the size."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rich.console import Group
from rich.text import Text

from stream.monitor import footer, help_box, marks, panels, timeline
from stream.monitor.line import clean, first_fit, fit, rule, styled
from stream.monitor.theme import FAINT, to_ascii
from stream.monitor.words import device, span_words
from stream.snapshot import Snapshot

MIN_WIDTH, MIN_HEIGHT = 60, 16

_MIN_TRACE_ROWS = 2
_LANE_ROWS = 5  # lanes take six lines instead of one


@dataclass(frozen=True)
class Plan:
    """What a height has room for, beyond what is always shown."""

    trace_rows: int
    trace_axis: bool
    two_line_decision: bool
    legend: bool
    decision_rule: bool
    timeline_axis: bool
    lanes: bool
    air: bool  # blank lines around the decision


def plan(height: int) -> Plan:
    """Deal out the lines above the least height: a third of trace, what explains, more trace, then lanes and air."""
    spare = height - MIN_HEIGHT
    explains = [spare > i + 1 for i in range(5)]
    lanes, air = height >= 34, height >= 30
    rows = _MIN_TRACE_ROWS + spare - sum(explains) - lanes * _LANE_ROWS - air * 3
    axis, two_lines, legend, decision_rule, timeline_axis = explains
    return Plan(rows, axis, two_lines, legend, decision_rule, timeline_axis, lanes, air)


def render(snapshot: Snapshot, size: tuple[int, int], ascii_only: bool = False) -> Group:
    """Draw a snapshot.

    Args:
        snapshot: what to show.
        size: (width, height) of the terminal in cells.
        ascii_only: draw without characters beyond ASCII.

    Returns:
        Exactly `height` lines of `width` cells; below 60x16 one line that names the size it needs.
    """
    width, height = size
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return Group(_too_small(width, height))
    snapshot = _printable(snapshot, ascii_only)
    # One cell of margin on either side keeps letters off the window's edge.
    lines = _lines(snapshot, plan(height), width - 2, ascii_only)
    if snapshot.view.help:
        lines = help_box.over(lines, width - 2)
    return Group(*(_finish(line, width, ascii_only) for line in lines))


def _printable(snapshot: Snapshot, ascii_only: bool) -> Snapshot:
    """Names from outside (of files, devices, bundles) without what could move the cursor or can't be shown."""
    return replace(
        snapshot,
        source=clean(snapshot.source, ascii_only),
        model=clean(snapshot.model, ascii_only),
        recording=clean(snapshot.recording, ascii_only),
        ended=clean(snapshot.ended, ascii_only),
        condition_detail=clean(snapshot.condition_detail, ascii_only),
        notice=clean(snapshot.notice, ascii_only),
        view=footer.printable(snapshot.view, ascii_only),
    )


def _lines(snapshot: Snapshot, has: Plan, width: int, ascii_only: bool) -> list[Text]:
    air = [Text()] if has.air else []
    return [
        panels.title(snapshot, width),
        *panels.phonocardiogram(snapshot, width, has.trace_rows, has.trace_axis, ascii_only),
        *([rule(["decision"], width)] if has.decision_rule else []),
        *air,
        *panels.decision_lines(snapshot, width, has.two_line_decision),
        *air,
        # What the last decision said must not stand there while nothing is heard.
        *panels.bars_and_meters(replace(snapshot, decision=None) if _unheard(snapshot) else snapshot, width),
        *air,
        *_timeline(snapshot, has, width),
        panels.session(snapshot, width),
        panels.ledger(snapshot, width),
        footer.line(snapshot.view, width),
    ]


def _unheard(snapshot: Snapshot) -> bool:
    """Whether nothing is heard now, and nothing else is looked back at."""
    return snapshot.view.frozen_at_s is None and (snapshot.paused or bool(device(snapshot.condition)))


def _timeline(snapshot: Snapshot, has: Plan, width: int) -> list[Text]:
    indent = 2 if has.lanes else 0
    spans = timeline.count(snapshot.history, width - indent)
    scale = f"1 column = {span_words(spans.span_s)}"
    titles = [f"timeline · {scale}" if has.legend else f"{scale} · {timeline.legend()[-1]}"]
    head = marks.over(rule(titles, width), [indent + int(m.t_s // spans.span_s) for m in snapshot.marks])
    lines = [head, *(timeline.lanes(spans) if has.lanes else [timeline.strip(spans)])]
    if has.timeline_axis:
        lines.append(Text(" " * indent).append_text(timeline.marks(spans, width - indent)))
    if has.legend:
        lines.append(styled(first_fit(width, timeline.legend()), FAINT))
    return lines


def _finish(line: Text, width: int, ascii_only: bool) -> Text:
    line = fit(Text(" ").append_text(fit(line, width - 2)), width)
    if ascii_only:
        line.plain = to_ascii(line.plain)
    return line


def _too_small(width: int, height: int) -> Text:
    need = f"{MIN_WIDTH}x{MIN_HEIGHT}"
    forms = (
        f"Laennec's screen needs {need} characters; this terminal has {width}x{height}.",
        f"needs {need}, has {width}x{height}",
        f"needs {need}",
    )
    text = Text(next((f for f in forms if len(f) <= width), need[:width]))
    text.no_wrap = True
    return text
