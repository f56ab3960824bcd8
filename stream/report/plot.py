"""The session's strips as one picture, by matplotlib: the only module of `stream` that loads it, and only when asked.

Without windows or a global state: a figure on its own canvas.
"""

from __future__ import annotations

import importlib.util
import io
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from models.classes import CLASSES
from models.errors import SettingError
from stream.monitor.theme import LETTERS
from stream.report import facts, series, sound_strips, strips, style
from stream.report.axis import Axis
from stream.report.figures import Parts
from stream.report.heard import gap_end_s
from stream.report.pixels import RANGE_DB
from stream.report.sound import Sound

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INCHES, _DPI, _LINE = (13.0, 11.5), 130, 150
_INK, _TRACE, _EARLY = style.LIGHT["ink"], style.LIGHT["trace"], style.LIGHT["accent"]
_MOST_BEATS, _MOST_EDGES = 400, 40


def check() -> None:
    """Refuse where matplotlib is missing.

    Raises:
        SettingError: it is.
    """
    if not importlib.util.find_spec("matplotlib"):
        raise SettingError("a .png report needs matplotlib; run in the checkout: pip install -e '.[report]'")


def png(parts: Parts) -> bytes:
    """The picture as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawers = [_answers, *([_trace, _spectrogram] if parts.sound else []), _beats, _rate, _quality, _probabilities]
    heights = [1.5, *([1.6, 1.3] if parts.sound else []), 0.45, 1.0, 0.9, 1.9]
    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    canvas: Any = FigureCanvasAgg(figure)
    rows: Any = figure.subplots(len(drawers), 1, sharex=True, gridspec_kw={"height_ratios": heights})
    for row, draw in zip(rows, drawers, strict=True):
        draw(row, parts)
        _gaps_and_marks(row, parts)
        row.tick_params(labelsize=8)
    _number_marks(rows[0], parts)
    _times(rows[-1], parts)
    _words(figure, parts)
    out = io.BytesIO()
    canvas.print_png(out, metadata={"Title": _plain(facts.title(parts.heard)), "Software": "Laennec"})
    return out.getvalue()


def _plain(text: object) -> str:
    """Outside text: no mathematics, nothing invisible."""
    return "".join(c if c.isprintable() else "?" for c in str(text)[:200]).replace("$", r"\$")


def _words(figure: Any, parts: Parts) -> None:
    told, share = facts.answer(parts.spans)
    heard = parts.heard
    lines = [told, f"{share}.", f"{facts.title(heard)}, begun {facts.when(heard)}"]
    text = "\n".join(_plain(part) for line in lines for part in textwrap.wrap(line, _LINE))
    figure.suptitle(text, fontsize=10)
    model = _plain(heard.model.get("id", "unknown"))
    foot = f"Laennec, model {model}. Research and education; not a medical device."
    figure.supxlabel(f"time from the start, {Axis(0.0, heard.span_s).form}\n{foot}", fontsize=9)


def _times(row: Axes, parts: Parts) -> None:
    axis = Axis(0.0, parts.heard.span_s)
    ticks = list(axis.ticks())
    row.set_xlim(0, axis.span_s)
    row.set_xticks([t_s for t_s, _ in ticks], [label for _, label in ticks])


def _answers(row: Axes, parts: Parts) -> None:
    names = [name for name, _ in strips.LANES]
    for k, name in enumerate(names):
        own = [(span.start_s, span.length_s) for span in parts.spans if strips.lane(span.kind) == name]
        if own:
            # An edge for the short ones; where there are many, edges would hide the colour.
            width = 0.3 if len(own) <= _MOST_EDGES else 0.0
            row.broken_barh(own, (k - 0.4, 0.8), facecolors=style.KINDS[name], edgecolor=_INK, linewidth=width)
    row.set_yticks(range(len(names)), [f"{LETTERS[name]}  {strips.WORDS[name]}" for name in names])
    row.set_ylim(len(names) - 0.5, -0.5)
    row.set_title("Sounds like", loc="left", fontsize=9, fontweight="bold")


def _of(parts: Parts) -> Sound:
    assert parts.sound is not None  # only drawn where there is one
    return parts.sound


def _trace(row: Axes, parts: Parts) -> None:
    sound = _of(parts)
    full = sound_strips.full_scale(sound.low, sound.high)
    at_s = (np.arange(len(sound.low)) + 0.5) * sound.span_s / len(sound.low)
    row.fill_between(at_s, sound.low, sound.high, color=_TRACE, linewidth=0.4)
    row.set_ylim(-full, full)
    row.set_yticks([0])
    low_hz, high_hz = sound.band_hz
    row.set_title(
        f"Phonocardiogram, {low_hz:g}-{high_hz:g} Hz; amplitude is relative, {sound_strips.scale_words(full)}",
        loc="left",
        fontsize=9,
        fontweight="bold",
    )


def _spectrogram(row: Axes, parts: Parts) -> None:
    sound = _of(parts)
    shown = sound.spectrogram
    top = float(np.nanquantile(shown.db, 0.999)) if np.isfinite(shown.db).any() else 0.0
    row.imshow(
        shown.db,
        extent=(0.0, sound.span_s, shown.low_hz, shown.high_hz),
        origin="lower",
        aspect="auto",
        cmap="cividis",
        vmin=top - RANGE_DB,
        vmax=top,
    )
    row.set_ylabel("Hz", fontsize=8)
    row.set_title(f"Spectrogram; brighter is louder, over {RANGE_DB:g} dB", loc="left", fontsize=9, fontweight="bold")


def _beats(row: Axes, parts: Parts) -> None:
    if len(parts.beats) <= _MOST_BEATS:
        for sound, height, width in (("S1", 1.0, 1.2), ("S2", 0.55, 0.8)):
            row.vlines([b.t_s for b in parts.beats if b.sound == sound], 0, height, color=_INK, linewidth=width)
        title = "Heart sounds: S1 tall, S2 short, triangle: early"
    else:
        title = f"Heart sounds: {len(parts.beats)}, too many to be drawn one by one; triangle: early"
    early_s = [beat.t_s for beat in parts.early]
    row.plot(early_s, [1.25] * len(early_s), linestyle="", marker="v", color=_EARLY, markersize=5)
    row.set_ylim(0, 1.6)
    row.set_yticks([])
    row.set_title(title, loc="left", fontsize=9, fontweight="bold")


def _rate(row: Axes, parts: Parts) -> None:
    for times_s, values in series.lines(parts.heard, lambda d: d.heart_rate_bpm):
        row.plot(times_s, values, color=_TRACE, linewidth=1.3, marker="." if len(times_s) == 1 else "")
    row.set_ylim(*strips.rates_shown(parts.heard))
    row.set_title("Heart rate, beats per minute; blank: not known", loc="left", fontsize=9, fontweight="bold")


def _quality(row: Axes, parts: Parts) -> None:
    for times_s, values in series.lines(parts.heard, lambda d: d.quality):
        row.plot(times_s, values, color=_TRACE, linewidth=1.3, marker="." if len(times_s) == 1 else "")
    row.set_ylim(0, 1.02)
    row.set_yticks([0, 0.6, 1])
    row.set_title("Signal quality, 0 useless to 1 good", loc="left", fontsize=9, fontweight="bold")


def _probabilities(row: Axes, parts: Parts) -> None:
    """A lane for each class, filled to its probability."""
    for k, name in enumerate(CLASSES):
        base = len(CLASSES) - 1 - k
        for times_s, values in series.lines(parts.heard, series.probability(k)):
            row.fill_between(
                times_s, base, base + 0.9 * values, facecolor=style.KINDS[name], edgecolor=_INK, linewidth=0.4
            )
    row.set_yticks(
        [len(CLASSES) - 0.55 - k for k in range(len(CLASSES))],
        [f"{LETTERS[name]}  {strips.WORDS[name]}" for name in CLASSES],
    )
    row.set_ylim(0, len(CLASSES))
    row.set_title("Probabilities, each lane from 0 to 1", loc="left", fontsize=9, fontweight="bold")


def _gaps_and_marks(row: Axes, parts: Parts) -> None:
    heard = parts.heard
    row.grid(axis="x", color=style.LIGHT["grid"], linewidth=0.6)
    row.set_axisbelow(True)
    least_s = heard.span_s / 800  # else a short gap could not be seen
    lost = [(gap.t_s, max(gap_end_s(heard, gap) - gap.t_s, least_s)) for gap in heard.gaps]
    full_height = row.get_xaxis_transform()
    row.broken_barh(
        lost,
        (0, 1),
        transform=full_height,
        facecolor="white",
        edgecolor=style.LIGHT["hatch"],
        hatch="////",
        linewidth=0.5,
        zorder=3,
    )
    at_s = [mark.t_s for mark in heard.marks]
    row.vlines(at_s, 0, 1, transform=full_height, color=_INK, linestyle=":", linewidth=1, zorder=4)


def _number_marks(row: Axes, parts: Parts) -> None:
    """Numbers above the first strip; of marks too close to be told apart, the first one's."""
    edge_s = -1.0
    for k, mark in enumerate(parts.heard.marks, 1):
        if mark.t_s > edge_s:
            at = (mark.t_s, 1.0)
            row.annotate(str(k), at, xycoords=("data", "axes fraction"), va="bottom", ha="center", fontsize=8)
            edge_s = mark.t_s + parts.heard.span_s / 80
