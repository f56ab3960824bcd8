"""One frame of the ward's screen: a row a stream. A pure function of the snapshot and the size."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from stream.monitor import help_box, layout, panels
from stream.monitor.line import clean, first_fit, fit, shorten, spread, styled
from stream.monitor.meters import signed
from stream.monitor.theme import FAINT, NOTICE
from stream.monitor.words import clock
from stream.ward import rows
from stream.ward.snapshot import WardSnapshot
from stream.ward.view import Room, within

#: Title, totals, heads; notice or place, footer.
_OTHER_LINES = 5
_KEYS = (
    ("↑ ↓  j k", "one stream up, down"),
    ("PgUp PgDn", "a screen up, down"),
    ("Home End", "the first, the last stream"),
    ("space m r", "only where one heart alone is heard"),
    ("N  M  A", "normal, murmur, artifact"),
    ("S  P", "extra heart sound, extrasystole"),
    ("?  ~  x", "uncertain, poor signal, no audio"),
    ("quality !", "below 60%; a larger window says why"),
    ("for", "how long the answer has stood"),
    ("?  Esc", "close this"),
    ("q", "quit, as Ctrl-C"),
)
_CAUTION = "research and education, not a medical device"
_FOOTERS = (
    f"? help  q quit  ↑↓ PgUp PgDn Home End scroll · {_CAUTION}",
    "? help  q quit  ↑↓ PgUp PgDn scroll · not a medical device",
    "? help  q quit  ↑↓ scroll · not a medical device",
)


def render(snapshot: WardSnapshot, size: tuple[int, int], ascii_only: bool = False, ramp: Sequence[str] = ()) -> Group:  # noqa: ARG001 - as `monitor.layout.render`
    """Draw a snapshot: exactly `height` lines of `width` cells; below 60x16 one line that names the size it needs."""
    width, height = size
    if width < layout.MIN_WIDTH or height < layout.MIN_HEIGHT:
        return Group(layout.too_small(width, height))
    lines = _lines(snapshot, width - 2, height, ascii_only)
    if snapshot.view.help:
        lines = help_box.over(lines, width - 2, _KEYS)
    return Group(*(layout.finish(line, width, ascii_only) for line in lines))


def room(count: int, size: tuple[int, int]) -> Room:
    """How many of so many streams are shown at a size: two lines each where all have room for that."""
    lines = max(1, size[1] - _OTHER_LINES)
    return Room(count if 2 * count <= lines else min(count, lines), count)


def _lines(snapshot: WardSnapshot, width: int, height: int, ascii_only: bool) -> list[Text]:
    fits = room(len(snapshot.rows), (width, height))
    top = within(snapshot.view, fits).top
    plan = rows.plan(snapshot.rows, width, tall=2 * fits.rows <= height - _OTHER_LINES, ascii_only=ascii_only)
    shown = snapshot.rows[top : top + fits.shown]
    told = [line for row in shown for line in rows.lines(row, plan)]
    blank = [Text()] * (height - _OTHER_LINES - len(told))
    return [
        _title(snapshot, width, ascii_only),
        _totals(snapshot, width),
        rows.heads(plan),
        *told,
        *blank,
        _said(snapshot, top, fits, width, ascii_only),
        _footer(snapshot, width),
    ]


def _title(snapshot: WardSnapshot, width: int, ascii_only: bool) -> Text:
    right = f"elapsed {clock(snapshot.elapsed_s)}"
    model = f" · model {clean(snapshot.model, ascii_only)}"
    source = shorten(clean(snapshot.source, ascii_only), max(8, width - len("Laennec    ") - len(model) - len(right)))
    return spread(styled("Laennec", "bold").append(f"  {source}{model}"), Text(right), width)


def _totals(snapshot: WardSnapshot, width: int) -> Text:
    """Of all streams: how many, of how many a heart is heard, what was lost."""
    states = [rows.state(row) for row in snapshot.rows]
    lost, lost_s = sum(row.ledger.dropped for row in snapshot.rows), sum(row.lost_s for row in snapshot.rows)
    counted = {name: states.count(name) for name in ("heart", "away", "ended")}
    facts = [
        f"{len(states)} stream{'s' * (len(states) != 1)}",
        f"heart sounds in {counted['heart']}",
        *([f"{counted['away']} not heard"] if counted["away"] else []),
        *([f"{counted['ended']} ended"] if counted["ended"] else []),
    ]
    more = [f"latency {snapshot.latency_s:.2f} s"] if snapshot.latency_s is not None else []
    more += [f"clock {signed(snapshot.drift_ppm)} ppm"] if snapshot.drift_ppm is not None else []
    loss = f"lost {lost:,} samples ({rows.seconds(lost_s)})" if lost else "lost 0 samples"
    line = Text(" · ".join(facts)).append(" · ").append(loss, NOTICE if lost else "")
    for fact in more:
        if line.cell_len + len(fact) + 3 <= width:
            line.append(f" · {fact}")
    return fit(line, width)


def _said(snapshot: WardSnapshot, top: int, fits: Room, width: int, ascii_only: bool) -> Text:
    """What must be known of any stream, and where among the rows one is."""
    notice = next((f"{row.name}: {row.notice}" for row in snapshot.rows if row.notice and not row.ended), "")
    place = f"streams {top + 1}–{top + fits.shown} of {fits.rows}" if fits.shown < fits.rows else ""
    left = styled(f"notice: {clean(notice, ascii_only)}", NOTICE) if notice else Text()
    return spread(left, styled(place, FAINT), width)


def _footer(snapshot: WardSnapshot, width: int) -> Text:
    view = snapshot.view
    if view.said:
        return fit(Text.assemble((view.said, "bold"), (" · ? help", FAINT)), width)
    return fit(styled(first_fit(width, _FOOTERS), FAINT), width) if view.keyboard else panels.footer(width)
