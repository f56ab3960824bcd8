"""Draw docs/beats.png: what the stream finds in three recordings, beside their annotations. `make plots`.

The shipped network learned S1 and S2 from CirCor, so its two panels show how answers look, not how good they are;
docs/evaluation.md has the figures. It learned no timing from PASCAL.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models import bundle
from models.rhythm import Beat
from stream.pipeline import Pipeline
from stream.sources.file import FileSource
from train import timings

DOCS = Path(__file__).parent
#: Title, data set, name, and from where to where in seconds.
SHOWN = (
    ("normal (CirCor)", "circor", "audio/50216_MV.flac", 4.0),
    ("murmur (CirCor)", "circor", "audio/14241_AV.flac", 9.0),
    ("extrasystole (PASCAL set B, no annotated beats)", "pascal", "set_b/extrastole__138_1306762146980_B.wav", 0.0),
)
_SPAN_S = 7.0
_COLOURS = {"S1": "#0b6e8a", "S2": "#c4622d"}


def draw(data: Path) -> Figure:
    """The figure.

    Args:
        data: folder that holds the data sets, each under the name of its kind.
    """
    figure = Figure(figsize=(11, 6.6), layout="constrained")
    panels = figure.subplots(len(SHOWN), 1)
    for axes, (title, kind, name, begin_s) in zip(panels, SHOWN, strict=True):
        annotated = {timed.name: timed for timed in timings.read(kind, data / kind)}
        _panel(axes, data / kind / name, annotated.get(name), begin_s)
        axes.set_title(title, loc="left", fontsize=10)
    panels[-1].set_xlabel("time, s")
    figure.suptitle(
        "Solid: found by the stream (height: confidence). Dotted, above: annotated. Blue S1, orange S2.", fontsize=10
    )
    return figure


def _panel(axes: Axes, path: Path, annotated: timings.Timed | None, begin_s: float) -> None:
    source = FileSource(path, None)
    pipeline = Pipeline(bundle.load(), source.rate_hz)
    blocks = list(source.blocks())
    source.close()
    beats = [e for block in blocks for e in pipeline.process(block)] + pipeline.flush()
    samples = np.concatenate([block.samples for block in blocks])
    t_s = np.arange(len(samples)) / source.rate_hz
    shown = (t_s >= begin_s) & (t_s < begin_s + _SPAN_S)
    top = float(np.abs(samples[shown]).max())
    axes.plot(t_s[shown], samples[shown] / top, color="#9aa5ad", linewidth=0.5)
    for beat in beats:
        if isinstance(beat, Beat):
            axes.vlines(beat.t_s, 0, beat.confidence, color=_COLOURS[beat.sound], linewidth=1.8)
    for sound, colour in _COLOURS.items():
        if annotated is not None:
            axes.vlines(annotated.onsets(sound), 1.05, 1.4, color=colour, linestyle=":", linewidth=1.8)
    axes.set(xlim=(begin_s, begin_s + _SPAN_S), ylim=(-1.1, 1.45), yticks=[0, 1], ylabel="relative amplitude")


if __name__ == "__main__":
    draw(Path(sys.argv[1])).savefig(DOCS / "beats.png", dpi=110)
