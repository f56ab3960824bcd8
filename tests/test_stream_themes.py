"""Contrast of what is text, in each theme, as WCAG 2.1 computes it: 4.5 to 1 at least."""

from __future__ import annotations

import pytest
from rich.color import Color, ColorSystem
from rich.style import Style
from rich.text import Text

from stream.monitor import theme as names
from stream.monitor.layout import render
from stream.monitor.paint import _STYLES
from stream.monitor.palette import THEMES, Theme, ThemeName, themed
from tests.test_stream_monitor import ODD

OWN = [name for name in ThemeName if name != ThemeName.AUTO]
LEAST = 4.5


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, 0 to 1."""
    shares = [value / 255 for value in bytes.fromhex(colour[1:])]
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_contrast_of_black_and_white_is_21_and_of_wcags_example_4_54():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)


@pytest.mark.parametrize("name", OWN)
def test_every_colour_that_panels_name_stands_out(name: ThemeName):
    theme = THEMES[name]
    used = {style for style in (*names.STYLES.values(), names.NOTICE, names.TRACE) if style not in ("", names.FAINT)}
    assert used == set(theme.colours)
    for colour in (theme.foreground, theme.faint, *theme.colours.values()):
        assert contrast(colour, theme.background) >= (7 if name == ThemeName.CONTRAST else LEAST), colour


@pytest.mark.parametrize("name", OWN)
def test_they_do_where_there_are_256_colours_too(name: ThemeName):
    theme = THEMES[name]

    def nearest(colour: str) -> str:
        return Color.parse(colour).downgrade(ColorSystem.EIGHT_BIT).get_truecolor().hex

    for colour in (theme.foreground, theme.faint, *theme.colours.values()):
        assert contrast(nearest(colour), nearest(theme.background)) >= LEAST, colour


def texts(theme: Theme) -> set[tuple[str, str]]:
    """Colour and background of every character that is text, on all screens."""
    found = set()
    for snapshot in ODD.values():
        for line in render(snapshot, (120, 40), ramp=theme.ramp).renderables:
            assert isinstance(line, Text)
            for text, style, _ in line.render(_STYLES):
                shown = themed(style or Style.null(), theme)
                if any(c.isprintable() and c not in " ▀▄█▆▃▁▂▅▇" for c in text):
                    assert shown.color
                    assert shown.bgcolor
                    found.add((shown.color.name, shown.bgcolor.name))
    return found


@pytest.mark.parametrize("name", OWN)
def test_every_character_on_every_screen_stands_out(name: ThemeName):
    found = texts(THEMES[name])
    assert len(found) > 5
    assert min(contrast(*pair) for pair in found) >= LEAST


@pytest.mark.parametrize("name", OWN)
def test_the_ramp_leads_from_the_background_ever_further_away(name: ThemeName):
    theme = THEMES[name]
    assert theme.ramp[0] == theme.background
    away = [contrast(colour, theme.background) for colour in theme.ramp]
    assert away == sorted(away)
    assert len(set(away)) == len(away)
    assert away[-1] > 12


def test_auto_leaves_everything_to_the_terminal():
    for style in ("bold reverse yellow", "dim", "cyan", ""):
        assert themed(Style.parse(style), THEMES[ThemeName.AUTO]) == Style.parse(style)


def test_bold_reverse_and_faint_in_a_theme():
    theme = THEMES[ThemeName.DARK]
    badge = themed(Style.parse("bold reverse yellow"), theme)
    assert badge.bold
    assert badge.reverse
    assert badge.color == Color.parse(theme.colours["yellow"])
    faint = themed(Style.parse("dim"), theme)
    assert not faint.dim
    assert faint.color == Color.parse(theme.faint)
