"""The spectrogram under the trace, over the same time: how loud each frequency of the band was."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from rich.text import Span, Text

from stream.monitor.line import fit, styled
from stream.monitor.theme import TRACE
from stream.monitor.trace import Extremes
from stream.snapshot import Snapshot

_WINDOW_S = 0.064
#: The loudest shade begins so far below the trace's edge: a sound of 0.1 s is spread over frequencies.
_BELOW_EDGE_DB = 6.0
RANGE_DB = 36.0
_SILENCE_DB = -120.0
SHADES, ASCII_SHADES = " ░▒▓█", " .:-=+*#%@"

Array = np.ndarray


def levels_db(snapshot: Snapshot, shown: Extremes, columns: int, bands: int) -> Array:
    """Level of each band in each column, (bands, columns), highest band first; NaN where nothing was heard.

    A sine of full scale is 0 dB. The columns are cut at fixed times since the stream began, as those of the trace, so
    that they stay as they are while they move over the screen.

    Args:
        snapshot: whose trace it is.
        shown: the same as it is drawn above.
        columns: characters across it.
        bands: of equal width over the snapshot's band.
    """
    rate_hz, samples = snapshot.trace_rate_hz, snapshot.trace
    size = max(8, round(max(_WINDOW_S, shown.span_s / columns) * rate_hz))
    column_samples = shown.span_s * rate_hz / columns
    after = round(snapshot.trace_end_s * rate_hz)
    newest = shown.end * columns // len(shown.low)
    middles = np.round((np.arange(newest - columns, newest) + 0.5) * column_samples).astype(np.int64)
    begins = middles - (after - len(samples))  # in padded samples: half a window is put before the first
    heard = (begins >= 0) & (begins < len(samples))
    padded = np.pad(np.nan_to_num(samples, posinf=0.0, neginf=0.0), (size // 2, size))
    frames = padded[np.clip(begins, 0, len(samples))[:, np.newaxis] + np.arange(size)]
    window = np.hanning(size)
    points = 4 * size
    power = np.abs(np.fft.rfft(frames * window, points)) ** 2 * (2 / window.sum()) ** 2
    return np.where(heard, _banded(power.T, rate_hz / points, snapshot.band_hz, bands), np.nan)


def _banded(power: Array, step_hz: float, band_hz: tuple[float, float], bands: int) -> Array:
    """Highest power within each band in dB, (bands, columns); NaN for bands beyond half the sample rate."""
    edges = np.linspace(*band_hz, bands + 1) / step_hz
    rows = np.full((bands, power.shape[1]), np.nan)
    for band, (low, high) in enumerate(zip(np.ceil(edges[:-1]), np.ceil(edges[1:]), strict=True)):
        if int(low) < min(int(high), len(power)):
            rows[bands - 1 - band] = power[int(low) : int(high)].max(axis=0)
    floor = 10 ** (_SILENCE_DB / 10)
    with np.errstate(invalid="ignore"):
        return np.asarray(10 * np.log10(np.maximum(rows, floor)))


def top_db(edge_db: float | None) -> float:
    """Level from which on the loudest shade stands, for the trace's edge."""
    return (0.0 if edge_db is None else edge_db) - _BELOW_EDGE_DB


def shades(db: Array, top: float, count: int) -> Array:
    """Shade of each level, 0 (nothing) to `count` - 1, in equal steps over `RANGE_DB`."""
    steps = np.floor((np.nan_to_num(db, nan=-np.inf) - top + RANGE_DB) / RANGE_DB * (count - 1) + 1)
    return np.asarray(np.clip(steps, 0, count - 1)).astype(int)


def draw(db: Array, top: float, ramp: Sequence[str], ascii_only: bool) -> list[Text]:
    """The levels as lines: with a ramp of colours two bands a line, without one band a line, by density."""
    if not ramp or ascii_only:
        characters = ASCII_SHADES if ascii_only else SHADES
        return [styled("".join(characters[i] for i in row), TRACE) for row in shades(db, top, len(characters))]
    found = shades(db, top, len(ramp))
    return [_half_blocks(upper, lower, ramp) for upper, lower in zip(found[::2], found[1::2], strict=True)]


def _half_blocks(upper: Array, lower: Array, ramp: Sequence[str]) -> Text:
    pairs = list(zip(upper.tolist(), lower.tolist(), strict=True))
    spans, end = [], 0
    for (over, under), run in groupby(pairs):
        begin, end = end, end + len(list(run))
        if over != under:
            spans.append(Span(begin, end, f"{ramp[over]} on {ramp[under]}"))
        elif over:
            spans.append(Span(begin, end, f"on {ramp[over]}"))
    return Text("".join(" " if over == under else "▀" for over, under in pairs), spans=spans)


def lines(
    snapshot: Snapshot,
    shown: Extremes,
    edge_db: float | None,
    width: int,
    rows: int,
    ramp: Sequence[str],
    ascii_only: bool,
) -> list[Text]:
    """`rows` lines of `width` cells."""
    bands = rows if not ramp or ascii_only else 2 * rows
    found = levels_db(snapshot, shown, width, bands)
    return [fit(line, width) for line in draw(found, top_db(edge_db), ramp, ascii_only)]
