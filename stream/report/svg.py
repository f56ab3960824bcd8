"""The few shapes that figures are made of, as text; numbers are short and everything from outside is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable

import numpy as np

Array = np.ndarray

#: Longest text that a log may put on the page in one place.
_LONGEST = 2000


def clean(text: object) -> str:
    """Outside text for a page: nothing in it is markup, and no invisible character moves what stands beside it."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text)[:_LONGEST])
    return html.escape(shown, quote=True)


def number(x: float) -> str:
    """A coordinate with a tenth of a unit."""
    return f"{x:.1f}".removesuffix(".0")


def text(x: float, y: float, words: object, kind: str = "") -> str:
    """Words; `kind` is their class in the style sheet."""
    of = f' class="{kind}"' if kind else ""
    return f'<text x="{number(x)}" y="{number(y)}"{of}>{clean(words)}</text>'


def rect(x: float, y: float, width: float, height: float, kind: str, title: str = "") -> str:
    """A rectangle; its title is told when it is pointed at, and to screen readers."""
    told = f"><title>{clean(title)}</title></rect>" if title else "/>"
    at = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    return f'<rect {at} class="{kind}"{told}'


def segment(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return f'<path d="M{number(x1)} {number(y1)}L{number(x2)} {number(y2)}" class="{kind}"/>'


def uprights(xs: Iterable[float], top: float, bottom: float, kind: str) -> str:
    """Upright lines at each x, as one shape."""
    path = "".join(f"M{number(x)} {number(top)}V{number(bottom)}" for x in xs)
    return f'<path d="{path}" class="{kind}"/>' if path else ""


def polyline(xs: Array, ys: Array, kind: str, close_at: float | None = None) -> str:
    """A line through points; a single point is a short dash. With `close_at` the area down to that y."""
    if len(xs) == 1:
        xs, ys = np.array([xs[0] - 1, xs[0] + 1]), np.repeat(ys, 2)
    path = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in zip(xs, ys, strict=True))
    if close_at is not None:
        path += f"V{number(close_at)}H{number(xs[0])}Z"
    return f'<path d="{path}" class="{kind}"/>'


def outline(xs: Array, tops: Array, bottoms: Array, kind: str) -> str:
    """The area between two lines, a shape for each run without NaN."""
    known = np.isfinite(tops)
    shapes = []
    for run in np.split(np.arange(len(xs)), np.flatnonzero(np.diff(known)) + 1):
        if len(run) and known[run[0]]:
            there = [f"{number(xs[k])} {number(tops[k])}" for k in run]
            back = [f"{number(xs[k])} {number(bottoms[k])}" for k in run[::-1]]
            shapes.append("M" + "L".join([*there, *back]) + "Z")
    return f'<path d="{"".join(shapes)}" class="{kind}"/>' if shapes else ""


def figure(height: float, name: str, title: str, description: str, parts: Iterable[str], width: int) -> str:
    """A whole figure that says to screen readers what it shows; `name` is unique on the page."""
    return (
        f'<svg viewBox="0 0 {width} {number(height)}" role="img" aria-labelledby="{name}-t {name}-d" '
        f'xmlns="http://www.w3.org/2000/svg"><title id="{name}-t">{clean(title)}</title>'
        f'<desc id="{name}-d">{clean(description)}</desc>{"".join(parts)}</svg>'
    )
