"""Colours and the style sheet of the page. Light and dark from one table, so that contrasts can be computed."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

_SHEET = Path(__file__).with_name("page.css")

#: Names of colours, for a light and a dark page. No red: nothing here is an alarm.
LIGHT = MappingProxyType(
    {
        "page": "#ffffff",
        "panel": "#f4f5f2",
        "ink": "#1b1d1f",
        "soft": "#4c5257",
        "rule": "#c9cdc8",
        "grid": "#dfe2dd",
        "trace": "#1f4e79",
        "accent": "#8a4b00",
        "notice": "#fff3cf",
        "hatch": "#8b8f8a",
    }
)
DARK = MappingProxyType(
    {
        "page": "#15181b",
        "panel": "#1e2327",
        "ink": "#e8eaec",
        "soft": "#aeb6bd",
        "rule": "#4a5259",
        "grid": "#31383d",
        "trace": "#8ec7f5",
        "accent": "#f0b45a",
        "notice": "#3a3115",
        "hatch": "#7d868d",
    }
)
#: Text and what it stands on: each pair is to be told apart by people with weak eyes (WCAG 2.2, 1.4.3: 4.5 to 1).
TEXTS = (
    ("ink", "page"),
    ("soft", "page"),
    ("accent", "page"),
    ("ink", "panel"),
    ("soft", "panel"),
    ("accent", "panel"),
    ("ink", "notice"),
)
#: Fills of answers, with dark letters on them in both themes; hues after Okabe and Ito (2008), told apart by
#: colour-blind people, and each answer has a lane and a letter of its own besides.
KINDS = MappingProxyType(
    {
        "normal": "#57b894",
        "murmur": "#d78bbb",
        "extra_heart_sound": "#7fc3ee",
        "extrasystole": "#e8a33d",
        "artifact": "#b9b9b9",
        "uncertain": "#f2e58a",
        "poor_signal": "#d9d2c0",
        "listening": "#dfe6ea",
        "gap": "#dfe6ea",
    }
)
KIND_INK = "#16181a"


def _variables(colours: MappingProxyType[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in colours.items())


def css() -> str:
    """The style sheet: light, dark where the reader prefers it, light again on paper."""
    kinds = "\n".join(f".k-{name} {{ fill: {value}; background: {value}; }}" for name, value in KINDS.items())
    return f"""
:root {{ color-scheme: light dark; {_variables(LIGHT)} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}
{_SHEET.read_text(encoding="utf-8")}
{kinds}
.k-ink {{ fill: {KIND_INK}; color: {KIND_INK}; }}
"""
