"""Draw docs/plots/*.png from docs/results/*.json: `make plots`. `make figures` puts them into docs/evaluation.md."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import circor_plots
import matplotlib as mpl
import numpy as np
import pascal_plots
from matplotlib.figure import Figure
from plot_parts import COLOURS, STYLE, panels

from train.device_report import NORMALS, SOURCES

DOCS = Path(__file__).parent
#: Of the answers to normals: the name in a result, as people read it, colour, hatch.
_ANSWERS = (
    ("normal", "normal", "#8fb8c6", ""),
    ("uncertain", "uncertain", "#d5dade", ""),
    ("murmur", "murmur", COLOURS[1], "//"),
    ("extra_heart_sound", "extra sound", COLOURS[2], "\\\\"),
    ("extrasystole", "extrasystole", COLOURS[3], "xx"),
    ("artifact", "artifact", COLOURS[4], ".."),
)
_ON_BAR: dict[str, Any] = {
    "color": "black",
    "bbox": {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.2},
}


def new_device(result: dict[str, Any]) -> Figure:
    """What normals are called, a bar per source left out and kind of normals."""
    rows = {
        f"{SOURCES[source]}, {shown} ({told[key]['n']})": told[key]
        for source, told in result["sources"].items()
        for key, shown in NORMALS.items()
    }
    figure, (axes,) = panels(9, 0.8 + 0.5 * len(rows), 1)
    begin = np.zeros(len(rows))
    for name, shown, colour, hatch in _ANSWERS:
        shares = np.array([100 * (row[name]["value"] or 0.0) for row in rows.values()])
        bars = axes.barh(
            list(rows), shares, left=begin, height=0.7, color=colour, hatch=hatch, edgecolor="white", label=shown
        )
        axes.bar_label(bars, [f"{x:.0f}" if x >= 4 else "" for x in shares], label_type="center", **_ON_BAR)
        begin += shares
    axes.grid(visible=False)
    axes.invert_yaxis()
    axes.set(title="what normals of a source that was left out are called", xlabel="% of the recordings", xlim=(0, 100))
    figure.legend(loc="outside lower center", ncols=len(_ANSWERS))
    return figure


#: File name -> the protocol that it is drawn from, and how.
_DRAWN: dict[str, tuple[str, Callable[[dict[str, Any]], Figure]]] = {
    "pascal-confusion": ("pascal-grouped", pascal_plots.confusion),
    "pascal-curves": ("pascal-grouped", pascal_plots.curves),
    "pascal-sureness": ("pascal-grouped", pascal_plots.sureness),
    "pascal-seconds": ("pascal-grouped", pascal_plots.seconds),
    "circor-confusion": ("circor-patients", circor_plots.confusion),
    "circor-ranking": ("circor-patients", circor_plots.ranking),
    "new-device": ("new-device", new_device),
}


def draw(results: Path = DOCS / "results") -> dict[str, Figure]:
    """Every plot by the name of its file.

    Args:
        results: folder of the result files.
    """
    held = {protocol: json.loads((results / f"{protocol}.json").read_text()) for protocol, _ in _DRAWN.values()}
    with mpl.rc_context(STYLE):
        return {name: drawn(held[protocol]) for name, (protocol, drawn) in _DRAWN.items()}


if __name__ == "__main__":
    (DOCS / "plots").mkdir(exist_ok=True)
    for name, figure in draw().items():
        figure.savefig(DOCS / "plots" / f"{name}.png", dpi=150)
