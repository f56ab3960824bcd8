"""The page's tables: what the figures show, in words and numbers; all of it for screen readers and paper."""

from __future__ import annotations

from collections.abc import Sequence

from stream.monitor.theme import LETTERS
from stream.report.axis import moment
from stream.report.card import Card
from stream.report.figures import Parts
from stream.report.heard import Heard, gap_end_s, seconds
from stream.report.strips import WORDS
from stream.report.svg import clean

#: More rows than these would fill pages of paper; what the listener wrote is never left out.
_MOST_ROWS, _MOST_MARKS = 26, 1000
_TIMES = frozenset({"time", "first", "longest", "value"})


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[object]], left_out: int = 0) -> str:
    """A table; heads that end in a unit in brackets are of numbers. Cells may be `Markup`."""
    kinds = ["n" if head.endswith(")") else "t" if head in _TIMES else "" for head in heads]
    head = "".join(f'<th scope="col"{_kind(kind)}>{clean(h)}</th>' for h, kind in zip(heads, kinds, strict=True))
    short = ' class="short"' if len(rows) <= _MOST_ROWS else ""
    body = "".join(
        "<tr>" + "".join(f"<td{_kind(kind)}>{_cell(c)}</td>" for c, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in rows
    )
    more = f". {left_out} more are not listed; a .csv report has all." if left_out else ""
    top = f"<caption>{clean(caption)}{more}</caption><thead><tr>{head}</tr></thead>"
    return f"<table{short}>{top}<tbody>{body}</tbody></table>"


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def _kind(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _cell(value: object) -> str:
    return value if isinstance(value, Markup) else clean(value)


def key(kind: str) -> Markup:
    """An answer's letter in its colour, and its name."""
    return Markup(f'<span class="key k-{kind} k-ink" aria-hidden="true">{LETTERS[kind]}</span>{clean(WORDS[kind])}')


def answers(parts: Parts) -> str:
    """How long each answer stood."""
    stood = seconds(list(parts.spans))
    total_s = sum(stood.values())
    rows = []
    for kind, length_s in stood.items():
        own = [span for span in parts.spans if span.kind == kind]
        longest = max(own, key=lambda span: span.length_s)
        rows.append(
            (
                key(kind),
                f"{length_s:.1f}",
                f"{100 * length_s / total_s:.0f}",
                len(own),
                f"{moment(own[0].start_s)}",
                f"{moment(longest.start_s)} to {moment(longest.end_s)}",
            )
        )
    heads = ("answer", "stood (s)", "share (%)", "times (n)", "first", "longest")
    return table("Answers, each for the time since the one before it", heads, rows)


def marks(heard: Heard) -> str:
    """What the listener marked."""
    rows = [(k, moment(mark.t_s), mark.note) for k, mark in enumerate(heard.marks, 1)]
    return _some("Marks", ("number", "time", "note"), rows, _MOST_MARKS)


def gaps(heard: Heard) -> str:
    """What was lost."""
    rows = [
        (moment(gap.t_s), f"{gap_end_s(heard, gap) - gap.t_s:.3f}", gap.lost_samples, gap.reason) for gap in heard.gaps
    ]
    return _some("Lost audio: nothing was heard there", ("time", "length (s)", "lost (samples)", "reason"), rows)


def said(heard: Heard) -> str:
    """What became of the device, and notices."""
    return _some("Device and notices", ("time", "what"), [(moment(said.t_s), said.text) for said in heard.said])


def early(parts: Parts) -> str:
    """Beats that came early."""
    rows = [(moment(beat.t_s), f"{beat.coupling_s:.2f}") for beat in parts.early]
    return _some("Beats that came early", ("time", "after the beat before (s)"), rows)


def remedies(heard: Heard) -> str:
    """Why the signal was poor, and for how many decisions."""
    told: dict[str, int] = {}
    for made in heard.decisions:
        if made.quality_reason:
            told[made.quality_reason] = told.get(made.quality_reason, 0) + 1
    rows = sorted(((reason, count) for reason, count in told.items()), key=lambda row: -row[1])
    return _some("What lowered the signal quality", ("reason and remedy", "decisions (n)"), rows)


def _some(caption: str, heads: Sequence[str], rows: Sequence[Sequence[object]], most: int = _MOST_ROWS) -> str:
    """A table of so many rows as a page bears; nothing where there is nothing."""
    return table(caption, heads, rows[:most], max(0, len(rows) - most)) if rows else ""


def ledger(heard: Heard) -> str:
    """Where every sample went."""
    if heard.ledger is None:
        return "<p>The session has no ledger: its log has no end.</p>"
    names = ("captured", "analysed", "dropped", "discarded")
    counts = [getattr(heard.ledger, name) for name in names]
    rows = [(name, f"{count:,}", f"{count / heard.rate_hz:.3f}") for name, count in zip(names, counts, strict=True)]
    caption = "Ledger: captured = analysed + dropped + discarded; discarded: of stretches too short for an answer"
    return table(caption, ("samples", "count (n)", "time (s)"), rows)


def card(of: Card) -> str:
    """Figures of merit with their intervals."""
    rows = [(figure.protocol, figure.name, figure.value) for figure in of.figures]
    caption = "How it does on recordings of people it did not learn from; values with 95 % intervals"
    caveats = "".join(f"<li>{clean(caveat)}</li>" for caveat in of.caveats)
    trust = f"<h3>What to know before you trust it</h3><ul>{caveats}</ul>" if caveats else ""
    use = f"<p>Intended use: {clean(of.intended_use)}. Licence: {clean(of.licence)}.</p>"
    return use + trust + (table(caption, ("protocol", "measure", "value"), rows) if rows else "")
