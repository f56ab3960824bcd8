"""One frame of the screen: what is shown at which size. A pure function of the snapshot and the size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.console import Group
from rich.text import Text

from stream.monitor import answer, footer, help_box, letters, marks, panels, timeline
from stream.monitor.line import clean, fit, rule, styled, wrapped
from stream.monitor.theme import NOTICE, to_ascii
from stream.monitor.words import span_words
from stream.snapshot import Snapshot

MIN_WIDTH, MIN_HEIGHT = 60, 16

_MIN_TRACE_ROWS = 2
#: The height from which on each is shown, in the order of their worth.
_RHYTHM, _TRACE_AXIS, _TWO_LINES, _RULE, _TIMELINE_AXIS = 18, 19, 20, 22, 23
_SPECTROGRAM, _LARGE, _TALL_RHYTHM, _LANES, _AIR, _LARGER = 30, 34, 36, 38, 46, 50
_LANE_LINES = 5  # lanes take six lines instead of one
_MOST_NOTICE_LINES = 3
_DECISION_TITLES = ("decision · bars: smoothed; ┃ the newest window alone", "decision")


@dataclass(frozen=True)
class Plan:
    """What a size has room for, beyond what is always shown."""

    trace_rows: int
    trace_axis: bool
    spectrogram_rows: int
    decision_rule: bool
    large: int  # scale of the decision's letters, with a blank line above and below; 0 for none
    two_line_decision: bool
    rhythm_rows: int
    air: bool  # a blank line above and below the cycles
    lanes: bool
    timeline_axis: bool


def plan(height: int, width: int = MIN_WIDTH, ascii_only: bool = False) -> Plan:
    """Deal out the lines above the least height: what explains, cycles, spectrogram, large words; the rest is trace."""
    spectrogram_rows = 0 if height < _SPECTROGRAM else min(12, max(3, (height - 24) // 4))
    # Half blocks, of which large letters are made, have no stand-in.
    large = 0 if height < _LARGE or ascii_only else 2 if height >= _LARGER and width >= 150 else 1
    two_lines, lanes = height >= _TWO_LINES and not large, height >= _LANES
    rhythm_rows = sum(height >= least for least in (_RHYTHM, _TALL_RHYTHM, _LARGER))
    axis, decision_rule, timeline_axis = (height >= least for least in (_TRACE_AXIS, _RULE, _TIMELINE_AXIS))
    lines = axis + decision_rule + timeline_axis + two_lines + rhythm_rows + lanes * _LANE_LINES
    air = height >= _AIR
    lines += 2 * air + (letters.LINES[large] + 2 if large else 0) + (spectrogram_rows + 1 if spectrogram_rows else 0)
    rows = _MIN_TRACE_ROWS + height - MIN_HEIGHT - lines
    return Plan(rows, axis, spectrogram_rows, decision_rule, large, two_lines, rhythm_rows, air, lanes, timeline_axis)


def render(snapshot: Snapshot, size: tuple[int, int], ascii_only: bool = False, ramp: Sequence[str] = ()) -> Group:
    """Draw a snapshot.

    Args:
        snapshot: what to show.
        size: (width, height) of the terminal in cells.
        ascii_only: draw without characters beyond ASCII.
        ramp: colours of the spectrogram; it is drawn by density of characters where there are none.

    Returns:
        Exactly `height` lines of `width` cells; below 60x16 one line that names the size it needs.
    """
    width, height = size
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return Group(too_small(width, height))
    snapshot = _printable(snapshot, ascii_only)
    # One cell of margin on either side keeps letters off the window's edge.
    lines = _lines(snapshot, size, ascii_only, ramp)
    if snapshot.view.help:
        lines = help_box.over(lines, width - 2)
    return Group(*(finish(line, width, ascii_only) for line in lines))


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


def _lines(snapshot: Snapshot, size: tuple[int, int], ascii_only: bool, ramp: Sequence[str]) -> list[Text]:
    width, height = size[0] - 2, size[1]
    said = panels.told(snapshot)
    # What must be known is told whole, at the cost of the trace.
    notice = wrapped(said, width, min(_MOST_NOTICE_LINES, height - MIN_HEIGHT)) if said else []
    has = plan(height - len(notice), size[0], ascii_only)
    air = [Text()] if has.air else []
    return [
        panels.title(snapshot, width),
        *panels.phonocardiogram(
            snapshot, width, has.trace_rows, has.trace_axis, ascii_only, has.spectrogram_rows, ramp
        ),
        *([rule(_DECISION_TITLES, width)] if has.decision_rule else []),
        *_decision(snapshot, has, width),
        *panels.bars_and_meters(snapshot, width, not has.rhythm_rows),
        *air,
        *(panels.rhythm(snapshot, width, has.rhythm_rows, ascii_only) if has.rhythm_rows else []),
        *air,
        *_timeline(snapshot, has, width),
        *(styled(text, NOTICE) for text in notice),
        panels.session(snapshot, width, "" if notice else said),
        panels.ledger(snapshot, width),
        footer.line(snapshot.view, width),
    ]


def _decision(snapshot: Snapshot, has: Plan, width: int) -> list[Text]:
    lines = answer.decision_lines(snapshot, width, has.two_line_decision)
    if not has.large:
        return lines
    return [*answer.large_decision(snapshot, width, has.large), *lines, Text()]


def _timeline(snapshot: Snapshot, has: Plan, width: int) -> list[Text]:
    indent = 2 if has.lanes else 0
    away = snapshot.paused or snapshot.condition in {"lost", "reconnecting", "gone"}
    elapsed_s = snapshot.ledger.captured / snapshot.rate_hz if away else None
    spans = timeline.count(snapshot.history, width - indent, elapsed_s)
    scale = f"1 column = {span_words(spans.span_s)}"
    titles = [*(f"timeline · {scale} · {text}" for text in timeline.legend()), f"{scale} · {timeline.legend()[-1]}"]
    head = marks.over(rule(titles, width), [indent + int(m.t_s // spans.span_s) for m in snapshot.marks])
    lines = [head, *(timeline.lanes(spans) if has.lanes else [timeline.strip(spans)])]
    if has.timeline_axis:
        lines.append(Text(" " * indent).append_text(timeline.marks(spans, width - indent)))
    return lines


def finish(line: Text, width: int, ascii_only: bool) -> Text:
    """A line of `width - 2` cells with its margins, in the characters that can be shown."""
    line = fit(Text(" ").append_text(fit(line, width - 2)), width)
    if ascii_only:
        line.plain = to_ascii(line.plain)
    return line


def too_small(width: int, height: int) -> Text:
    """One line in place of the screen."""
    need = f"{MIN_WIDTH}x{MIN_HEIGHT}"
    forms = (
        f"Laennec's screen needs {need} characters; this terminal has {width}x{height}. Listening goes on.",
        f"Laennec's screen needs {need} characters; this terminal has {width}x{height}.",
        f"needs {need}, has {width}x{height}; listening goes on",
        f"needs {need}, has {width}x{height}",
        f"needs {need}",
    )
    text = Text(next((f for f in forms if len(f) <= width), need[:width]))
    text.no_wrap = True
    return text
