"""What a report says of the model: an excerpt of its card, if that very model is at hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from models.bundle import Bundle
from models.errors import printable

_TRUST = "## What to know before you trust it"
_LONGEST_CARD = 1 << 18
#: How far devices differ and what the network knows of them: the whole card has it.
_FOR_DEVELOPERS = frozenset({"cross-device", "leakage"})


class Figure(NamedTuple):
    """A figure of merit, as it was measured."""

    protocol: str
    name: str
    value: str  # with its 95 % interval


class Card(NamedTuple):
    """An excerpt of a model's card.

    Attributes:
        intended_use: a sentence.
        licence: of the model.
        figures: those whose protocol shares no patients with training.
        caveats: what to know before one trusts it.
    """

    intended_use: str
    licence: str
    figures: tuple[Figure, ...]
    caveats: tuple[str, ...]


def excerpt(bundle: Bundle) -> Card:
    """From the bundle's description, and from the card beside it, if there is one."""
    meta = bundle.meta
    try:
        figures = tuple(_figures(meta.get("figures") or []))
    except (KeyError, TypeError, ValueError, AttributeError):  # a foreign bundle may describe itself otherwise
        figures = ()
    return Card(str(meta.get("intended_use", "")), str(meta.get("licence", "")), figures, tuple(_caveats(bundle)))


def _figures(told: list[dict[str, object]]) -> Iterator[Figure]:
    for figure in told:
        headline = figure["headline"]
        if figure["leaky"] or figure["protocol"] in _FOR_DEVELOPERS or not isinstance(headline, dict):
            continue
        for name, score in headline.items():
            if score["low"] is not None:
                value = f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"
                yield Figure(printable(figure["protocol"]), printable(name), value)


def _caveats(bundle: Bundle) -> Iterator[str]:
    path = bundle.path.with_name("CARD.md")
    try:
        text = path.read_text(encoding="utf-8", errors="replace")[:_LONGEST_CARD]
    except OSError:
        return
    if text.startswith(f"# {bundle.id}\n") and _TRUST in text:
        for line in text.partition(_TRUST)[2].splitlines():
            if line.startswith("- "):
                yield line[2:].replace("`", "")
