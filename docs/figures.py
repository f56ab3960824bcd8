"""Write docs/evaluation.md and the README's table of figures from docs/results/*.json: `make figures`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from train.report import interval, protocol_text

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
ORDER = ("pascal-grouped", "circor-patients", "seed-split")
_MARKED = re.compile(r"(<!-- figures -->\n).*?(<!-- end of figures -->)", re.DOTALL)

INTRODUCTION = """# Evaluation

Written by `make figures` from the files in `docs/results/`, which `make results` makes from the recordings. Each
protocol is one command:

```
laennec evaluate --protocol NAME --data pascal=DIR --data circor=DIR --data noise=DIR --json docs/results/NAME.json
```

- A fold's network learns from the other folds of the tested data set and from all of the others; the settings are the
  defaults of `train/config.py`, the same for every fold and for the shipped model.
- No epoch is chosen: the last averaged weights count. The answer is the likeliest class; nothing is abstained here.
- **What was chosen by looking:** the settings were compared on folds of these same PASCAL and CirCor recordings, and
  `docs/decisions.md` lists every comparison. So both protocols are optimistic, by an amount that they can't tell
  themselves; a nested choice, made anew inside each fold, is still to be done. The final settings were fixed before
  their own figures here were seen, and not changed after.
- Of CirCor only the first 16 s of a recording are used: in our copy recordings without a murmur are cut there, and
  length alone would tell most murmurs. *Nuisance only* shows what is left of such help.
- Intervals are 95 % percentile intervals of a bootstrap over groups (patients, days), 2,000 resamples (500 for AUROC).
  With several seeds a score is the mean over them.
- Balanced accuracy and macro-F1 run over the classes that occur in the truth.
- *Nuisance only* is a forest that sees duration, sample rate, level, peak, DC and clipping of a file, and nothing of
  its sound: what it scores is what the way of recording gives away.

What the figures can't say: PASCAL's recordings of `artifact` and `extra_heart_sound` all come from set A's phone app,
those of `extrasystole` from set B's stethoscope. A network that knows the device knows part of the label.
"""


def evaluation() -> str:
    """The text of docs/evaluation.md."""
    return "\n".join([INTRODUCTION, *(protocol_text(r) for r in _results())])


def readme(text: str) -> str:
    """The README with its table of figures made anew."""
    rows = [_row(r) for r in _results()]
    head = "| protocol | accuracy | balanced accuracy | macro-F1 | n |\n|---|---|---|---|---|\n"
    areas = [_area(r) for r in _results() if r["protocol"] == "circor-patients"]
    table = head + "\n".join([*rows, "", *areas]) + "\n"
    return _MARKED.sub(lambda m: m[1] + table + m[2], text)


def _results() -> list[dict[str, Any]]:
    return [json.loads((DOCS / "results" / f"{name}.json").read_text()) for name in ORDER]


def _row(r: dict[str, Any]) -> str:
    name = f"`{r['protocol']}`" + (f", {r['leaky']}" if r["leaky"] else "")
    scores = " | ".join(interval(r[key]) for key in ("accuracy", "balanced_accuracy", "macro_f1"))
    return f"| {name} | {scores} | {r['n']} |"


def _area(r: dict[str, Any]) -> str:
    area = interval(r["auroc"]["murmur present vs absent"])
    return f"Murmur present against absent, CirCor patients that were not learned from: AUROC {area}."


if __name__ == "__main__":
    (DOCS / "evaluation.md").write_text(evaluation(), encoding="utf-8")
    README.write_text(readme(README.read_text(encoding="utf-8")), encoding="utf-8")
