"""The report as one HTML page: no network, no scripts, readable on paper and by screen readers."""

from __future__ import annotations

from models.bundle import Bundle
from stream.report import card, facts, figures, rows, style, tables
from stream.report.figures import Parts
from stream.report.heard import Heard
from stream.report.svg import clean

#: Whatever should find its way into the page: nothing is fetched, nothing is run.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_NOT_MEDICAL = (
    "<strong>Research and education; not a medical device.</strong> What is written here says what sounds resemble, as "
    "a program hears them. It is no diagnosis, and it is wrong now and then."
)
_HATCH = (
    '<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>'
    '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path d="M0 0V6" class="hatchline"/></pattern></defs>'
    "</svg>"
)


def page(parts: Parts, model: Bundle) -> str:
    """The whole page.

    Args:
        parts: the session.
        model: at hand; told of only if it is the one that heard the session.
    """
    heard = parts.heard
    title = clean(f"Laennec: {facts.title(heard)}, {facts.when(heard)}")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{style.css()}</style>\n</head>\n<body>\n{_HATCH}\n"
        f"{_header(heard)}\n<main>\n{_short(parts)}\n{_whole(parts)}\n{_close(parts)}\n{_lines(parts)}\n{_lists(parts)}\n"
        f"{_model(heard, model)}\n{_reading()}\n</main>\n"
        f"<footer>Made by Laennec from {clean(facts.source(heard))}. "
        "Research and education; not a medical device.</footer>\n</body>\n</html>\n"
    )


def _header(heard: Heard) -> str:
    by = f"{clean(heard.model.get('id', 'unknown'))} (SHA-256 {clean(str(heard.model.get('sha256', ''))[:12])})"
    of = f", Laennec {clean(heard.version)}" if heard.version else ""
    ended = f" Ended: {clean(heard.ended)}." if heard.ended else ""
    return (
        f"<header><h1>What was heard: {clean(facts.title(heard))}</h1>"
        f'<p class="soft">Begun: {clean(facts.when(heard))}. Source: {clean(facts.source(heard))}. '
        f"Model: {by}{of}.{ended}</p>"
        f'<p class="not-medical">{_NOT_MEDICAL}</p></header>'
    )


def _short(parts: Parts) -> str:
    told, share = facts.answer(parts.spans)
    numbers = "".join(
        f"<div><dt>{clean(f.name)}</dt><dd>{clean(f.value)}<small>{clean(f.small)}</small></dd></div>"
        for f in facts.facts(parts.heard, parts.early)
    )
    caveats = "".join(f"<li>{clean(caveat)}</li>" for caveat in parts.heard.caveats)
    return (
        f'<section aria-label="In short"><p class="answer">{clean(told)}</p><p class="soft">{clean(share)}</p>'
        f'<dl class="facts">{numbers}</dl>{f"<ul>{caveats}</ul>" if caveats else ""}</section>'
    )


def _whole(parts: Parts) -> str:
    caption = (
        "All strips share one time axis. The answers stand in lanes of their own, with their letters; hatched is lost "
        "audio, where nothing was heard; where the phonocardiogram is blank nothing was recorded. Beats are not shown "
        "while no heart is heard. Numbered flags are marks."
    )
    return (
        f'<section><h2>The whole session</h2><figure class="whole">{figures.whole(parts)}'
        f"<figcaption>{caption}</figcaption></figure>"
        f"{tables.answers(parts)}</section>"
    )


def _close(parts: Parts) -> str:
    if not parts.sound or not parts.moments:
        return ""
    shown = "".join(
        f"<h3>{clean('; '.join(_capital(moment.reasons)))}</h3><figure>{figures.close(parts, parts.sound, k)}</figure>"
        for k, moment in enumerate(parts.moments)
    )
    return (
        "<section><h2>Closer</h2><p>Some seconds large: around marks, early beats and the first of each answer. Each "
        f"has its own scale of amplitude, told beside it.</p>{shown}</section>"
    )


def _lines(parts: Parts) -> str:
    if not parts.sound:
        return ""
    shown = "".join(f"<figure>{each}</figure>" for each in rows.figures(parts.heard, parts.early, parts.sound))
    if not shown:
        return ""
    words = (
        "The whole phonocardiogram, each line where the one above ends, all with one scale of amplitude. ▼ early beat."
    )
    return f"<section><h2>Line by line</h2><p>{words}</p>{shown}</section>"


def _capital(reasons: tuple[str, ...]) -> list[str]:
    return [reason[0].upper() + reason[1:] if k == 0 else reason for k, reason in enumerate(reasons)]


def _lists(parts: Parts) -> str:
    heard = parts.heard
    found = [
        tables.marks(heard),
        tables.early(parts),
        tables.gaps(heard),
        tables.said(heard),
        tables.remedies(heard),
        tables.ledger(heard),
    ]
    return f"<section><h2>In words and numbers</h2>{''.join(found)}</section>"


def _model(heard: Heard, model: Bundle) -> str:
    name = clean(heard.model.get("id", "unknown"))
    if heard.model.get("sha256") != model.sha256:
        told = f"<p>The session was heard by {name}, which is not at hand: give it with --model for its card.</p>"
    else:
        told = tables.card(card.excerpt(model))
    return f"<section><h2>The model, {name}</h2>{told}</section>"


def _reading() -> str:
    return (
        "<section><h2>How to read this</h2><ul>"
        "<li>Amplitude is relative: it depends on the device, its gain and where it was held. dB re full scale says "
        "where the loudest sample that fits would be; sounds beyond the edge are cut off in the picture.</li>"
        "<li>Phonocardiogram and spectrogram show the band that the model hears. Each column of the phonocardiogram "
        "goes from its smallest to its largest sample.</li>"
        "<li>An answer speaks of the seconds before it (the model's window), and is drawn over the time since the "
        "answer before it.</li>"
        "<li>Probabilities are smoothed over some answers; below the model's threshold the answer is withheld "
        "(&ldquo;uncertain&rdquo;).</li></ul></section>"
    )
