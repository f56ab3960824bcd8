"""How loud and how good the signal is, what to do about it, and the heart rate."""

from __future__ import annotations

import math

from rich.text import Text

from models.decide import Decision
from models.regularity import SURE
from stream.monitor.bars import known
from stream.monitor.line import bar, by_commas, first_fit, styled, wrapped
from stream.monitor.theme import FAINT, NOTICE
from stream.snapshot import Level, Snapshot

_LEVEL_FLOOR_DB = -60.0


def meters(snapshot: Snapshot, width: int, with_rate: bool) -> list[Text]:
    """Five lines: level with its peak, quality, and its remedy in two lines, or in one and the heart rate."""
    decision, level = snapshot.decision, snapshot.level
    quality = known(decision.quality) if decision else None
    rms_db, peak_db = decibels(level.rms), decibels(level.peak)
    silence = "–" if math.isnan(level.rms) else "silence"
    values = (silence if rms_db is None else f"{signed(rms_db)} dBFS", "–" if quality is None else f"{quality:.2f}")
    # A poor signal's reason already stands in the headline.
    reason = decision.quality_reason if decision and decision.status != "poor_signal" else ""
    lines = [
        _meter("level", _share(rms_db), values[0], width, _share(peak_db)),
        _peak(level, width),
        _meter("quality", quality, values[1], width),
    ]
    if with_rate:
        said = first_fit(width, _notices(reason)) if reason else ""
        return [*lines, styled(said, NOTICE), Text("heart rate ").append(heart_rate(decision, width - 11), "bold")]
    told = _remedy(reason, width) if reason else []
    return [*lines, *(styled(text, NOTICE) for text in told), *[Text()] * (2 - len(told))]


def _meter(name: str, share: float | None, value: str, width: int, mark: float | None = None) -> Text:
    return Text(f"{name:8}").append_text(bar(share, width - 17, "", mark)).append(f"{value:>9}")


def _share(db: float | None) -> float | None:
    return None if db is None else 1 - db / _LEVEL_FLOOR_DB


def _notices(reason: str) -> tuple[str, ...]:
    """A fault and its remedy, long to short; where there is no room for both, the fault alone."""
    fault = reason.split(":", maxsplit=1)[0]
    return f"notice: {reason}", reason, f"notice: {fault}", fault


def _remedy(reason: str, width: int) -> list[str]:
    """A fault and as much of its remedy as two lines hold; where they hold none, the fault alone."""
    for text in [*by_commas(f"notice: {reason}"), reason]:
        lines = wrapped(text, width, 2)
        if not lines[-1].endswith("…"):
            return lines
    return [first_fit(width, _notices(reason))]


def heart_rate(decision: Decision | None, width: int) -> str:
    """In words, with how sure it is where the model says so."""
    rate_bpm = known(decision.heart_rate_bpm) if decision else None
    if decision is None or rate_bpm is None:
        return "not known"
    rate = f"{rate_bpm:.0f} bpm"
    if decision.regularity is None:
        return rate
    sure = decision.regularity.confidence >= SURE
    return first_fit(width, (f"{rate}, {'sure' if sure else 'unsure'}", rate if sure else f"{rate} ?"))


def large_rate(decision: Decision | None) -> str:
    """The same for large letters; empty where it is not known."""
    rate = heart_rate(decision, 9)
    return "" if rate == "not known" else rate.upper()


def _peak(level: Level, width: int) -> Text:
    if level.clipped_share > 0:
        share = f"{max(0.1, 100 * level.clipped_share):.1f} %"
        return styled(first_fit(width, (f"notice: clipping {share}", f"clipping {share}")), NOTICE)
    peak_db = decibels(level.peak)
    return styled("" if peak_db is None else f"        peak {signed(peak_db)} dBFS", FAINT)


def decibels(amplitude: float) -> float | None:
    """Level of an amplitude in dB re full scale, or None where nothing sounds or nothing is known."""
    return 20 * math.log10(amplitude) if math.isfinite(amplitude) and amplitude > 1e-6 else None


def signed(number: float) -> str:
    """A whole number with a true minus sign."""
    return f"{number:.0f}".replace("-", "−")
