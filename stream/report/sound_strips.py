"""The strips that show the recording itself, as `strips` has the others."""

from __future__ import annotations

import math

import numpy as np

from stream.report import pixels, svg
from stream.report.axis import LEFT, PLOT, Axis
from stream.report.spectrum import Spectrogram
from stream.report.strips import Strip, grid, panel

Array = np.ndarray


def phonocardiogram(xs: Array, low: Array, high: Array, axis: Axis, top: float, height: float, full: float) -> Strip:
    """Extremes by column; `full` is the amplitude of the edges, beyond which they are cut off."""
    middle, gain = top + height / 2, (height / 2 - 2) / full
    tops, bottoms = (middle - np.clip(gain * each, -height / 2, height / 2) for each in (high, low))
    drawn = panel(top, height) + grid(axis, top, top + height)
    line = svg.segment(LEFT, middle, LEFT + PLOT, middle, "rule")
    return Strip(height, drawn + line + svg.outline(xs, tops, bottoms, "trace"))


def full_scale(low: Array, high: Array) -> float:
    """The amplitude, relative to full scale, that a phonocardiogram's edge stands for.

    A little above what is usual, so that one knock does not flatten the rest.
    """
    peaks = np.maximum(np.abs(low), np.abs(high))
    peaks = peaks[np.isfinite(peaks)]
    if not len(peaks) or not peaks.max() > 0:
        return 1.0
    return float(min(peaks.max(), 2 * np.quantile(peaks, 0.98)) * 1.05) or float(peaks.max())


def scale_words(full: float) -> str:
    """What a phonocardiogram's edge stands for, in words."""
    return f"edge {20 * math.log10(full):.0f} dB re full scale"


def spectrogram(of: Spectrogram, start_s: float, end_s: float, axis: Axis, top: float, height: float) -> Strip:
    """An image, and the frequencies at its left edge."""
    left, right = axis.x(start_s), axis.x(end_s)
    at = (
        f'x="{svg.number(left)}" y="{svg.number(top)}" width="{svg.number(right - left)}" height="{svg.number(height)}"'
    )
    drawn = [panel(top, height), f'<image {at} preserveAspectRatio="none" href="{pixels.data_uri(of.db)}"/>']
    for hz in range(100, int(of.high_hz) + 1, 100):
        y = top + height * (of.high_hz - hz) / (of.high_hz - of.low_hz)
        if y > top + 6:
            drawn += [svg.text(LEFT - 6, y + 4, f"{hz} Hz", "soft right"), svg.segment(LEFT - 4, y, LEFT, y, "rule")]
    return Strip(height, "".join(drawn))
