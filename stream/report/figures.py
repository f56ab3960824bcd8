"""The page's figures: all strips of the session above each other, and some seconds large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.rhythm import Beat
from stream.report import sound as sounds
from stream.report import sound_strips, strips, svg
from stream.report.axis import LEFT, PLOT, WIDTH, Axis, moment
from stream.report.heard import Early, Heard, Span
from stream.report.moments import Moment
from stream.report.sound import Cut, Sound

_FLAGS, _BETWEEN = 16.0, 12.0
_CUT_COLUMNS = 1700
_MOST_LINES = 16


class Parts(NamedTuple):
    """What figures are drawn from.

    Attributes:
        heard: the session.
        spans: its answers.
        beats: those that may be shown.
        early: those of them that came early.
        moments: what is to be shown large.
        sound: the recording; None where none was kept.
    """

    heard: Heard
    spans: Sequence[Span]
    beats: Sequence[Beat]
    early: Sequence[Early]
    moments: Sequence[Moment]
    sound: Sound | None


class _Stack:
    """Strips from the top down."""

    def __init__(self, axis: Axis, top: float) -> None:
        self.axis, self.begin, self.top = axis, top, top
        self.drawn: list[str] = []

    def add(self, strip: strips.Strip, *names: str) -> None:
        self.drawn.append(strips.head(self.top, *names) if names else "")
        self.drawn.append(strip.body)
        self.top += strip.height + _BETWEEN


def whole(parts: Parts) -> str:
    """All strips of the session."""
    heard, axis = parts.heard, Axis(0.0, parts.heard.span_s)
    stack = _Stack(axis, _FLAGS)
    stack.drawn.append(svg.text(8, _FLAGS - 5, "Sounds like", "name"))
    stack.add(strips.answers(parts.spans, axis, stack.top))
    if parts.sound:
        _add_sound(stack, parts, parts.sound)
    stack.add(strips.beats(parts.beats, parts.early, axis, stack.top), "Heart sounds", "S1 tall, S2 short, ▼ early")
    low, high = strips.rates_shown(heard)
    levels = [(bpm, f"{bpm:g}") for bpm in _levels(low, high)]
    rate = strips.curve(heard, "heart_rate_bpm", low, high, levels, axis, stack.top)
    stack.add(rate, "Heart rate", "beats per minute", "blank: not known")
    judged = strips.curve(heard, "quality", 0, 1, [(0, "0"), (0.6, "0.6"), (1, "1")], axis, stack.top)
    stack.add(judged, "Signal quality", "0 useless to 1 good", "below 0.6: see remedy")
    stack.top += _FLAGS - _BETWEEN + 4
    stack.drawn.append(svg.text(8, stack.top - 4, "Probabilities", "name"))
    stack.add(strips.probabilities(heard, axis, stack.top))
    bottom = stack.top - _BETWEEN
    over = [strips.gaps(heard, axis, _FLAGS, bottom), strips.marks(heard.marks, axis, 1, bottom)]
    stack.add(strips.time_marks(axis, bottom))
    words = f"Strips over {moment(heard.span_s)} with one time axis; the tables below hold the same in words."
    return svg.figure(stack.top - _BETWEEN, "whole", "The whole session", words, [*stack.drawn, *over], WIDTH)


def _levels(low: float, high: float) -> list[float]:
    step = 20 if high - low <= 80 else 40
    return list(np.arange(low, high + 1, step))


def _add_sound(stack: _Stack, parts: Parts, sound: Sound) -> None:
    axis, columns = stack.axis, len(sound.low)
    xs = LEFT + PLOT * (np.arange(columns) + 0.5) / columns
    full = sound_strips.full_scale(sound.low, sound.high)
    trace = sound_strips.phonocardiogram(xs, sound.low, sound.high, axis, stack.top, 104, full)
    stack.add(trace, "Phonocardiogram", *_scale(sound, full))
    stack.drawn.append(_onsets(stack, parts, 104))
    image = sound_strips.spectrogram(sound.spectrogram, 0.0, sound.span_s, axis, stack.top, 84)
    stack.add(image, "Spectrogram", "brighter: louder", "over 45 dB")


def _scale(sound: Sound, full: float) -> tuple[str, ...]:
    low_hz, high_hz = sound.band_hz
    return f"{low_hz:g}-{high_hz:g} Hz", "amplitude: relative,", sound_strips.scale_words(full)


def close(parts: Parts, sound: Sound, number: int) -> str:
    """One moment large: beats, phonocardiogram, spectrogram."""
    cut, axis = sound.cuts[number], Axis(*parts.moments[number].window)
    stack = _Stack(axis, _FLAGS)
    stack.add(strips.beats(parts.beats, parts.early, axis, stack.top), "Heart sounds", "S1 tall, S2 short")
    xs, low, high = _columns(cut)
    full = sound_strips.full_scale(low, high)
    stack.add(
        sound_strips.phonocardiogram(xs, low, high, axis, stack.top, 120, full), "Phonocardiogram", *_scale(sound, full)
    )
    stack.drawn.append(_onsets(stack, parts, 120))
    spectrum = sounds.of_cut(cut, sound.band_hz)
    stack.add(sound_strips.spectrogram(spectrum, *cut.window, axis, stack.top, 84), "Spectrogram", "brighter: louder")
    bottom = stack.top - _BETWEEN
    over = [strips.gaps(parts.heard, axis, _FLAGS, bottom), strips.marks(parts.heard.marks, axis, 1, bottom)]
    stack.add(strips.time_marks(axis, bottom))
    title = f"{moment(axis.start_s)} to {moment(axis.end_s)}: {'; '.join(parts.moments[number].reasons)}"
    words = "Heart sounds, phonocardiogram and spectrogram of some seconds with one time axis."
    name = f"moment-{number + 1}"
    return svg.figure(stack.top - _BETWEEN, name, title, words, [*stack.drawn, *over], WIDTH)


def _onsets(stack: _Stack, parts: Parts, height: float) -> str:
    """A line down through the strip above at each S1, where they can be told apart."""
    shown = [stack.axis.x(b.t_s) for b in parts.beats if stack.axis.holds(b.t_s) and b.sound == "S1"]
    bottom = stack.top - _BETWEEN
    return svg.uprights(shown, bottom - height, bottom, "onset") if len(shown) <= _MOST_LINES else ""


def _columns(cut: Cut) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Extremes of each column, and where it is."""
    n = len(cut.samples)
    edges = np.unique(np.linspace(0, n, min(n, _CUT_COLUMNS), endpoint=False).astype(np.int64))
    low, high = (extreme.reduceat(cut.samples, edges) for extreme in (np.minimum, np.maximum))
    return LEFT + PLOT * (edges + 0.5) / n, low, high
