"""The parts of the screen, each a list of lines of a given width."""

from __future__ import annotations

import math

from rich.cells import cell_len
from rich.text import Text

from models.classes import CLASSES, WORDS
from models.decide import Decision
from stream.monitor import held
from stream.monitor.line import bar, first_fit, fit, rule, shorten, spread, styled
from stream.monitor.theme import FAINT, LETTERS, NOTICE, STYLES, TRACE
from stream.monitor.ticks import ticks
from stream.monitor.trace import Extremes, ascii_art, braille, division_marks, extremes, scale_db
from stream.monitor.words import clock, device, headline, held_s, kind
from stream.snapshot import Level, Snapshot

_LEVEL_FLOOR_DB = -60.0
_METER_WIDTH = 28
#: From here on a heart rate is called sure.
_SURE = 0.75


def title(snapshot: Snapshot, width: int) -> Text:
    """Name, source and model; and in plain words where no real heart is heard."""
    warning = ("SYNTHETIC" if width < 70 else "SYNTHETIC, no real heart") if snapshot.synthetic else ""
    model = f" · model {snapshot.model}"
    room = width - len("Laennec    ") - cell_len(model) - len(warning)
    source = shorten(snapshot.source, max(8, room))
    return spread(styled("Laennec", "bold").append(f"  {source}{model}"), styled(warning, f"bold {NOTICE}"), width)


def phonocardiogram(snapshot: Snapshot, width: int, rows: int, axis: bool, ascii_only: bool) -> list[Text]:
    """Caption, ticks of the heart sounds, trace and, on request, its time marks."""
    dots = width if ascii_only else 2 * width
    shown = extremes(snapshot.trace, snapshot.trace_rate_hz, snapshot.trace_end_s, dots, snapshot.span_s)
    shown = shown._replace(edge_db=snapshot.view.edge_db)
    trace = ascii_art(shown, rows) if ascii_only else braille(shown, rows)
    head = [rule(_trace_captions(snapshot, shown), width), ticks(snapshot, shown, width)]
    lines = [*head, *(fit(styled(t, TRACE), width) for t in trace)]
    return [*lines, _time_marks(shown, width)] if axis else lines


def _trace_captions(snapshot: Snapshot, shown: Extremes) -> tuple[str, str, str]:
    low, high = snapshot.band_hz
    db = scale_db(shown)
    edge = "silence" if db is None else f"edge {_signed(db)} dBFS{' fixed' * (shown.edge_db is not None)}"
    name = "" if snapshot.view.sound == "wide" else f"{snapshot.view.sound} "
    facts = f"{shown.division_s:g} s/div · {name}{low:g}–{high:g} Hz"
    return (
        f"phonocardiogram · {facts} · amplitude relative, {edge}",
        f"{facts} · amplitude relative, {edge}",
        f"{facts} · relative, {edge}",
    )


def _time_marks(shown: Extremes, width: int) -> Text:
    """A tick for each division, the time at each whole second where there is room for it."""
    marks = division_marks(shown, width)
    cells = [" "] * width
    for column, _ in marks:
        cells[column] = "╵"
    room = width / shown.span_s
    for column, t_s in marks:
        time = clock(t_s)
        if t_s == int(t_s) and column + len(time) < width and len(time) + 2 < room:
            cells[column + 1 : column + 1 + len(time)] = time
    return styled("".join(cells), FAINT)


def decision_lines(snapshot: Snapshot, width: int, roomy: bool) -> list[Text]:
    """The rolling decision, prominent, and how sure and how long: in two lines, or in one where room is short."""
    away = "" if snapshot.view.frozen_at_s is not None else device(snapshot.condition)
    badge = f"bold reverse {STYLES['gap' if away or snapshot.paused else kind(snapshot.decision)]}"
    words = held.words(snapshot) or away or headline(snapshot.decision)
    lost = "waiting" if snapshot.condition == "stalled" else "counted as lost"
    facts = [lost, *filter(None, [snapshot.condition_detail])] if away else _standing(snapshot)
    facts = held.facts(snapshot) or facts
    if roomy:
        return [styled(f" {shorten(words, width - 2)} ", badge), Text(shorten(" · ".join(facts), width))]
    room = width - len(words) - 4
    beside = next((text for text in (" · ".join(facts[:2]), facts[0]) if len(text) <= room), facts[0])
    return [spread(styled(f" {shorten(words, width - len(beside) - 4)} ", badge), Text(beside), width)]


def _standing(snapshot: Snapshot) -> list[str]:
    decision = snapshot.decision
    if decision is None:
        return ["nothing decided yet"]
    facts = [f"for {clock(held_s(decision, snapshot.history))}"]
    if decision.label is not None and decision.probabilities is not None:
        facts.append(f"p {_percent(_known(decision.probabilities[CLASSES.index(decision.label)]))}")
    facts.append(f"last {decision.window_s:.1f} s heard")
    early = len(decision.regularity.premature) if decision.regularity else 0
    return [*facts, f"{early} early beat{'s' * (early > 1)} in 10 s, marked !"] if early else facts


def bars_and_meters(snapshot: Snapshot, width: int) -> list[Text]:
    """Five lines: the probabilities on the left, level, quality and heart rate on the right."""
    right_width = _METER_WIDTH if width >= 76 else 22
    left_width = width - right_width - 3
    left, right = _bars(snapshot.decision, left_width), _meters(snapshot, right_width)
    return [
        fit(fit(bar_line, left_width).append("   ").append_text(fit(meter, right_width)), width)
        for bar_line, meter in zip(left, right, strict=True)
    ]


def _bars(decision: Decision | None, width: int) -> list[Text]:
    probabilities = decision.probabilities if decision else None
    words = list(WORDS.values())
    if width - max(map(len, words)) < 18:  # too little left for a bar: leave out what stands in brackets
        words = [word.split(" (")[0] for word in words]
    name_width = max(map(len, words))
    unsure = decision is None or decision.label is None  # probabilities without a label must not look like an answer
    lines = []
    for index, (name, word) in enumerate(zip(CLASSES, words, strict=True)):
        p = _known(probabilities[index]) if probabilities is not None else None
        style = FAINT if unsure else STYLES[name]
        line = styled(f"{LETTERS[name]} ", STYLES[name]).append(f"{word:{name_width}} ")
        lines.append(line.append_text(bar(p, width - name_width - 9, style)).append(f"{_percent(p):>6}"))
    return lines


def _meters(snapshot: Snapshot, width: int) -> list[Text]:
    decision, level = snapshot.decision, snapshot.level
    quality = _known(decision.quality) if decision else None
    rms_db = decibels(level.rms)
    shares = (None if rms_db is None else 1 - rms_db / _LEVEL_FLOOR_DB, quality)
    silence = "–" if math.isnan(level.rms) else "silence"
    values = (silence if rms_db is None else f"{_signed(rms_db)} dBFS", "–" if quality is None else f"{quality:.2f}")
    level_line, quality_line = (
        Text(f"{name:8}").append_text(bar(share, width - 17, "")).append(f"{value:>9}")
        for name, share, value in zip(("level", "quality"), shares, values, strict=True)
    )
    # A poor signal's reason already stands in the headline.
    reason = decision.quality_reason if decision and decision.status != "poor_signal" else ""
    return [
        level_line,
        _peak(level, width),
        quality_line,
        styled(first_fit(width, _notices(reason)) if reason else "", NOTICE),
        Text("heart rate ").append(_heart_rate(decision, width - 11), "bold"),
    ]


def _notices(reason: str) -> tuple[str, ...]:
    """A fault and its remedy, long to short; where there is no room for both, the fault alone."""
    fault = reason.split(":", maxsplit=1)[0]
    return f"notice: {reason}", reason, f"notice: {fault}", fault


def _heart_rate(decision: Decision | None, width: int) -> str:
    """In words, with how sure it is where the model says so."""
    rate_bpm = _known(decision.heart_rate_bpm) if decision else None
    if decision is None or rate_bpm is None:
        return "not known"
    rate = f"{rate_bpm:.0f} bpm"
    if decision.regularity is None:
        return rate
    sure = decision.regularity.confidence >= _SURE
    return first_fit(width, (f"{rate}, {'sure' if sure else 'unsure'}", rate if sure else f"{rate} ?"))


def _peak(level: Level, width: int) -> Text:
    if level.clipped_share > 0:
        share = f"{max(0.1, 100 * level.clipped_share):.1f} %"
        return styled(first_fit(width, (f"notice: clipping {share}", f"clipping {share}")), NOTICE)
    peak_db = decibels(level.peak)
    return styled("" if peak_db is None else f"        peak {_signed(peak_db)} dBFS", FAINT)


def session(snapshot: Snapshot, width: int) -> Text:
    """Elapsed stream time, latency, recording, the device's clock; and before them what must be known."""
    live = _known(snapshot.latency_s)
    facts = [
        f"elapsed {clock(snapshot.ledger.captured / snapshot.rate_hz)}",
        "latency – (not live)" if live is None else f"latency {live:.2f} s",
        f"recording {snapshot.recording}" if snapshot.recording else "not recording",
        *([f"clock {_signed(snapshot.drift_ppm)} ppm"] if snapshot.drift_ppm is not None else []),
    ]
    told = _told(snapshot)
    return fit(styled(told, NOTICE).append((" · " if told else "") + " · ".join(facts)), width)


def _told(snapshot: Snapshot) -> str:
    """What must be known before all else: the end, a fault of disk or device; empty where nothing is."""
    if snapshot.ended:
        return f"ended: {snapshot.ended}"
    told = snapshot.notice or (snapshot.condition_detail if snapshot.condition == "listening" else "")
    return f"notice: {told}" if told else ""


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


def decibels(amplitude: float) -> float | None:
    """Level of an amplitude in dB re full scale, or None where nothing sounds or nothing is known."""
    return 20 * math.log10(amplitude) if math.isfinite(amplitude) and amplitude > 1e-6 else None


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def _signed(db: float) -> str:
    return f"{db:.0f}".replace("-", "−")
