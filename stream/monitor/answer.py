"""The rolling decision in words, large where there is room, and how long it has held."""

from __future__ import annotations

from itertools import zip_longest

from rich.text import Text

from models.classes import CLASSES, WORDS
from stream.monitor import held, letters
from stream.monitor.bars import known, percent
from stream.monitor.line import by_commas, first_fit, fit, shorten, spread, styled
from stream.monitor.meters import large_rate
from stream.monitor.theme import STYLES
from stream.monitor.words import clock, headline, held_s, kind, large_words
from stream.snapshot import Snapshot


def _looks(snapshot: Snapshot) -> str:
    """Colour of the decision's words."""
    return f"bold {STYLES['gap' if held.unheard(snapshot) else kind(snapshot.decision)]}"


def large_decision(snapshot: Snapshot, width: int, scale: int) -> list[Text]:
    """A line, and the decision in letters as large as fit, of `scale` at most; at their right the heart rate.

    Where "sounds like" is too long for large letters it stands in the line above, else that is blank.
    """
    above, word = large_words(snapshot.decision, _condition(snapshot))
    rate = "" if held.unheard(snapshot) else large_rate(snapshot.decision)
    sizes = range(scale, 0, -1)
    left = next((fits for size in sizes if (fits := _fitting(f"{above} {word}".strip(), size, width))), None)
    caption = Text() if left or not above else styled(above, _looks(snapshot))
    left = left or next((fits for size in sizes if (fits := _fitting(word, size, width))), [""])
    right = _fitting(rate, 2 if len(left) == letters.LINES[2] else 1, width - len(left[0]) - 4) if rate else []
    lines = zip_longest(left, right, range(letters.LINES[scale]), fillvalue="")
    return [
        fit(caption, width),
        *(spread(styled(str(part), _looks(snapshot)), styled(str(beside), "bold"), width) for part, beside, _ in lines),
    ]


def _condition(snapshot: Snapshot) -> str:
    """Of what is shown."""
    if snapshot.view.frozen_at_s is not None:
        return "listening"
    return "paused" if snapshot.paused else snapshot.condition


def _fitting(word: str, scale: int, width: int) -> list[str]:
    """The word in large letters, or nothing where they are too wide."""
    lines = letters.large(word, scale)
    return lines if len(lines[0]) <= width else []


def decision_lines(snapshot: Snapshot, width: int, roomy: bool) -> list[Text]:
    """The rolling decision, prominent, and how sure and how long: in two lines, or in one where room is short."""
    badge = f"reverse {_looks(snapshot)}"
    words = held.words(snapshot) or held.away(snapshot) or headline(snapshot.decision)
    facts = held.facts(snapshot) or _standing(snapshot)
    if roomy:
        return [styled(f" {first_fit(width - 2, by_commas(words))} ", badge), Text(shorten(" · ".join(facts), width))]
    room = width - len(words) - 4
    told = (" · ".join(facts[:count]) for count in range(len(facts), 0, -1))
    beside = next((text for text in told if len(text) <= room), facts[0])
    words = first_fit(width - len(beside) - 4, by_commas(words))
    return [spread(styled(f" {words} ", badge), Text(beside), width)]


def _standing(snapshot: Snapshot) -> list[str]:
    if held.away(snapshot):
        return ["waiting" if snapshot.condition == "stalled" else "counted as lost"]
    decision = snapshot.decision
    if decision is None:
        return ["nothing decided yet"]
    facts = [f"for {clock(held_s(decision, snapshot.history))}"]
    if decision.label is not None and decision.probabilities is not None:
        facts.append(f"p {percent(known(decision.probabilities[CLASSES.index(decision.label)]))}")
    elif decision.status == "uncertain" and decision.probabilities is not None:
        likeliest = max(range(len(CLASSES)), key=decision.probabilities.__getitem__)
        name = WORDS[CLASSES[likeliest]].split(" (", maxsplit=1)[0]
        facts.append(f"likeliest {name}, {percent(known(decision.probabilities[likeliest]))}: too little")
    facts.append(f"last {decision.window_s:.1f} s heard")
    early = len(decision.regularity.premature) if decision.regularity else 0
    return [*facts, f"{early} early beat{'s' * (early > 1)} in 10 s, marked !"] if early else facts
