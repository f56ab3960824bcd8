"""Themes: what the plain ANSI colours, which the panels name, become on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from rich.color import Color
from rich.style import Style


class ThemeName(StrEnum):
    """What `--theme` takes."""

    DARK = "dark"
    LIGHT = "light"
    CONTRAST = "contrast"
    AUTO = "auto"


@dataclass(frozen=True, eq=False)
class Theme:
    """Colours as `#rrggbb`; what is text stands out from the background by 4.5 to 1, with 256 colours too.

    Attributes:
        background, foreground: empty for the terminal's own.
        faint: of what stands back; empty for the terminal's own faint style.
        colours: of each ANSI name that the panels use; a name that is missing stays the terminal's own.
        ramp: of the spectrogram, from nothing to loud; empty where density of characters stands for it.
    """

    background: str
    foreground: str
    faint: str
    colours: Mapping[str, str]
    ramp: tuple[str, ...]


def _colours(**colours: str) -> Mapping[str, str]:
    return MappingProxyType(colours)


#: The terminal's own colours, whatever they are.
AUTO = Theme("", "", "", _colours(), ())

THEMES: Mapping[ThemeName, Theme] = MappingProxyType(
    {
        ThemeName.AUTO: AUTO,
        ThemeName.DARK: Theme(
            "#121212",
            "#dadada",
            "#949494",
            _colours(green="#87d787", magenta="#d787ff", cyan="#5fd7d7", bright_blue="#87afff", yellow="#ffd75f"),
            (
                *("#121212", "#1d1538", "#341a63", "#55207d", "#7b2b83", "#a33680"),
                *("#cb4874", "#ec6a62", "#fb9565", "#fdc382", "#fcf3b8"),
            ),
        ),
        ThemeName.LIGHT: Theme(
            "#ffffff",
            "#1c1c1c",
            "#626262",
            _colours(green="#005f00", magenta="#87005f", cyan="#005f87", bright_blue="#0000d7", yellow="#875f00"),
            (
                *("#ffffff", "#fdf0cf", "#fdd79b", "#fdb573", "#f68d5f", "#e06262"),
                *("#bd4570", "#93357b", "#67277d", "#3b1a60", "#140b2e"),
            ),
        ),
        ThemeName.CONTRAST: Theme(
            "#000000",
            "#ffffff",
            "#d0d0d0",
            _colours(green="#87ff87", magenta="#ffafff", cyan="#5fffff", bright_blue="#afd7ff", yellow="#ffff00"),
            ("#000000", "#262626", "#4e4e4e", "#767676", "#9e9e9e", "#c6c6c6", "#eeeeee", "#ffffff"),
        ),
    }
)


def themed(style: Style, theme: Theme) -> Style:
    """The style in a theme's colours. Bold and reversed stay; faint becomes a colour, whose contrast is known."""
    faint = bool(style.dim and theme.faint)
    colour = theme.faint if faint else _hex(style.color, theme) or theme.foreground
    behind = _hex(style.bgcolor, theme) or theme.background
    return style + Style(color=colour or None, bgcolor=behind or None, dim=False if faint else None)


def _hex(colour: Color | None, theme: Theme) -> str:
    """What a theme has for a colour; empty where it has nothing to say."""
    if colour is None or colour.is_default:
        return ""
    return colour.name if colour.triplet else theme.colours.get(colour.name, "")
