"""The parts of the screen, each a list of lines of a given width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np
from rich.cells import cell_len
from rich.text import Text

from stream.monitor import cycle_strip, spectrogram
from stream.monitor.bars import bars, known
from stream.monitor.held import unheard
from stream.monitor.line import first_fit, fit, rule, shorten, spread, styled, wrapped
from stream.monitor.meters import heart_rate, meters, signed
from stream.monitor.theme import FAINT, NOTICE, TRACE
from stream.monitor.ticks import ticks
from stream.monitor.trace import Extremes, ascii_art, braille, division_marks, extremes, scale_db
from stream.monitor.words import clock
from stream.snapshot import Level, Snapshot

_METER_WIDTHS = (22, 28, 40)
_TIMES_S = (1, 2, 4, 10, 30)  # apart
_LABELLED = 70  # from here on there is room to call cycles cycles


def title(snapshot: Snapshot, width: int) -> Text:
    """Name, source and model; and in plain words where no real heart is heard."""
    warning = ("SYNTHETIC" if width < 70 else "SYNTHETIC, no real heart") if snapshot.synthetic else ""
    model = f" · model {snapshot.model}"
    room = width - len("Laennec    ") - cell_len(model) - len(warning)
    source = shorten(snapshot.source, max(8, room))
    return spread(styled("Laennec", "bold").append(f"  {source}{model}"), styled(warning, f"bold {NOTICE}"), width)


def phonocardiogram(
    snapshot: Snapshot,
    width: int,
    rows: int,
    axis: bool,
    ascii_only: bool,
    spectrogram_rows: int = 0,
    ramp: Sequence[str] = (),
) -> list[Text]:
    """Caption, ticks of the heart sounds, trace on a time grid and, on request, its time marks and a spectrogram."""
    dots = width if ascii_only else 2 * width
    shown = extremes(snapshot.trace, snapshot.trace_rate_hz, snapshot.trace_end_s, dots, snapshot.span_s)
    shown = shown._replace(edge_db=snapshot.view.edge_db)
    trace = ascii_art(shown, rows) if ascii_only else braille(shown, rows)
    columns = [column for column, _ in division_marks(shown, width)]
    lines = [rule(_trace_captions(snapshot, shown), width), ticks(snapshot, shown, width)]
    lines += [fit(_on_grid(line, columns), width) for line in trace]
    if axis:
        lines.append(_time_marks(shown, width))
    if spectrogram_rows:
        edge_db = scale_db(shown)
        lines.append(rule(_spectrogram_captions(snapshot, edge_db), width))
        lines += spectrogram.lines(snapshot, shown, edge_db, width, spectrogram_rows, ramp, ascii_only)
    return lines


def _on_grid(trace: str, columns: Sequence[int]) -> Text:
    """A line of the trace; where it leaves room, time divisions show."""
    cells = list(trace)
    marks = [column for column in columns if cells[column] == " "]
    for column in marks:
        cells[column] = "┊"
    line = styled("".join(cells), TRACE)
    for column in marks:
        line.stylize(FAINT, column, column + 1)
    return line


def _trace_captions(snapshot: Snapshot, shown: Extremes) -> tuple[str, str, str]:
    low, high = snapshot.band_hz
    db = scale_db(shown)
    nothing = "nothing heard" if np.isnan(shown.low).all() else "silence"
    edge = nothing if db is None else f"edge {signed(db)} dBFS{' fixed' * (shown.edge_db is not None)}"
    name = "" if snapshot.view.sound == "wide" else f"{snapshot.view.sound} "
    facts = f"{shown.division_s:g} s/div · {name}{low:g}–{high:g} Hz"
    return (
        f"phonocardiogram · {facts} · amplitude relative, {edge}",
        f"{facts} · amplitude relative, {edge}",
        f"{facts} · relative, {edge}",
    )


def _spectrogram_captions(snapshot: Snapshot, edge_db: float | None) -> tuple[str, str]:
    low, high = snapshot.band_hz
    top = spectrogram.top_db(edge_db)
    heights = f"{high:g} Hz above, {low:g} Hz below"
    return (
        f"spectrogram · {heights} · {signed(top - spectrogram.RANGE_DB)} to {signed(top)} dBFS",
        f"spectrogram · {heights}",
    )


def _time_marks(shown: Extremes, width: int) -> Text:
    """A tick for each division, and the time at whole seconds, as many as there is room for."""
    marks = division_marks(shown, width)
    cells = [" "] * width
    for column, _ in marks:
        cells[column] = "╵"
    room = width / shown.span_s
    for column, t_s in marks:
        time = clock(t_s)
        every_s = next((s for s in _TIMES_S if len(time) + 2 < room * s), math.inf)
        if t_s % every_s == 0 and column + len(time) < width:
            cells[column + 1 : column + 1 + len(time)] = time
    return styled("".join(cells), FAINT)


def bars_and_meters(snapshot: Snapshot, width: int, with_rate: bool = True) -> list[Text]:
    """Five lines: the probabilities on the left, level, quality and, on request, heart rate on the right."""
    away = unheard(snapshot)
    if away:  # what was heard last must not stand there while nothing is heard
        snapshot = replace(snapshot, decision=None, level=snapshot.level if snapshot.paused else Level())
    right_width = _METER_WIDTHS[sum(width >= least for least in (76, 110))]
    left_width = width - right_width - 3
    left = _why_away(snapshot, left_width) if away else bars(snapshot.decision, left_width)
    right = meters(snapshot, right_width, with_rate)
    return [
        fit(fit(beside, left_width).append("   ").append_text(fit(meter, right_width)), width)
        for beside, meter in zip(left, right, strict=True)
    ]


def _why_away(snapshot: Snapshot, width: int) -> list[Text]:
    """In the place of probabilities: why nothing is heard, and what to do, whole."""
    told = [styled(text, NOTICE) for text in wrapped(snapshot.condition_detail, width, 5)]
    return [*told, *[Text()] * (5 - len(told))]


def rhythm(snapshot: Snapshot, width: int, rows: int, ascii_only: bool) -> list[Text]:
    """Heart rate and cycle lengths in `rows` lines, at their right the newest length."""
    if unheard(snapshot):
        snapshot = replace(snapshot, decision=None, cycles=())
    shown = cycle_strip.heard_cycles(snapshot)
    left = [Text("heart rate ").append(f"{heart_rate(snapshot.decision, 15):15}", "bold")]
    if rows == 1 and width >= _LABELLED:
        left[0].append("cycles ", FAINT)
    elif rows > 1:
        left.append(styled(f"cycles, 0 to {cycle_strip.top_s(shown):g} s, ! early", FAINT))
    newest = [f"{shown[-1].length_s:.2f} s" if shown else "–"]
    room = max(line.cell_len for line in left) + 1
    bars = cycle_strip.strip(shown, width - room - 7, rows, ascii_only)
    return [
        fit(Text.assemble(fit(before, room), bar, f"{length:>7}"), width)
        for before, bar, length in zip_longest(left, bars, [""] * (rows - 1) + newest, fillvalue=Text())
    ]


def told(snapshot: Snapshot) -> str:
    """What must be known before all else: the end, a fault of disk or device; empty where nothing is."""
    if snapshot.ended:
        return f"ended: {snapshot.ended}"
    said = snapshot.notice or (snapshot.condition_detail if snapshot.condition == "listening" else "")
    return f"notice: {said}" if said else ""


def session(snapshot: Snapshot, width: int, notice: str = "") -> Text:
    """Elapsed stream time, rate, latency, recording, the device's clock; and before them what must be known."""
    live = known(snapshot.latency_s)
    facts = [
        f"elapsed {clock(snapshot.ledger.captured / snapshot.rate_hz)}",
        "latency – (not live)" if live is None else f"latency {live:.2f} s",
        f"recording {snapshot.recording}" if snapshot.recording else "not recording",
        *([f"clock {signed(snapshot.drift_ppm)} ppm"] if snapshot.drift_ppm is not None else []),
        f"{snapshot.rate_hz / 1000:g} kHz",
    ]
    before = f"{notice} · " if notice else ""
    said = first_fit(width - cell_len(before), (" · ".join(facts[:count]) for count in range(len(facts), 2, -1)))
    return fit(styled(before, NOTICE).append(said), width)


def ledger(snapshot: Snapshot, width: int) -> Text:
    """Where every sample went; lost ones in the colour of a notice."""
    samples = snapshot.ledger
    numbers = (samples.captured, samples.analysed, samples.dropped, samples.discarded)
    forms = (
        "captured {} = analysed {} + lost {} + discarded {} samples",
        "captured {} = analysed {} + lost {} + discarded {}",
        "captured {0} · lost {2} · discarded {3}",
    )
    return fit(styled(first_fit(width, (f.format(*numbers) for f in forms)), NOTICE if samples.dropped else ""), width)


def footer(width: int) -> Text:
    """How to end, and what this is not."""
    return fit(styled("Ctrl-C ends · research and education, not a medical device", FAINT), width)
