"""The report's page, opened in a real browser; what its markup promises; and that it stays small."""

from __future__ import annotations

import itertools
import re
import time
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import browser
import numpy as np
import pytest
import report_case
from program import RATE_HZ, heart, refused, run, succeed, write_wav
from report_case import MARKS, decision, end, session_line, write_log

from models import bundle as bundles
from stream.report import inputs, making, style

MODEL = bundles.load()
VOID = {"meta", "path", "rect", "image", "img", "br", "link"}


class Page(HTMLParser):
    """A page's elements, and the text in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such element."""
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        """What is read: no style sheet."""
        return " ".join(text for tag, text in self.texts if tag != "style")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report_case.folder(tmp_path_factory.mktemp("sessions") / "20261123T140509Z")


@pytest.fixture(scope="module")
def made(folder: Path) -> Path:
    out = folder.parent / "report.html"
    succeed("report", folder, "--out", out)
    return out


@pytest.fixture(scope="module")
def page(made: Path) -> Page:
    return Page(made.read_text(encoding="utf-8"))


# --- in a browser


def test_a_browser_opens_it_without_a_complaint_or_a_request(made: Path, tmp_path: Path) -> None:
    seen = browser.opened(made, tmp_path)
    assert seen.console == []
    assert seen.requests == []
    drawn = Page(seen.dom)
    assert len(drawn.all("svg")) > 4
    assert not drawn.all("script")
    assert MARKS[0][1] in drawn.words


def test_a_page_that_complains_and_asks_would_be_noticed(tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text('<!DOCTYPE html><img src="http://example.test/a.png"><script>null.x</script>', encoding="utf-8")
    seen = browser.opened(bad, tmp_path)
    assert any("TypeError" in line for line in seen.console)
    assert any("example.test/a.png" in line for line in seen.requests)


@pytest.mark.parametrize(("options", "ground"), [((), "page"), (("--force-dark-mode",), "page")])
def test_it_is_drawn_light_and_dark(made: Path, tmp_path: Path, options: tuple[str, ...], ground: str) -> None:
    from matplotlib.image import imread

    colours = style.DARK if options else style.LIGHT
    seen = np.round(imread(BytesIO(browser.pictured(made, tmp_path, *options)))[:, :, :3] * 255).astype(int)
    corner = [int(colours[ground][k : k + 2], 16) for k in (1, 3, 5)]
    assert seen[2, 2].tolist() == corner
    trace = [int(colours["trace"][k : k + 2], 16) for k in (1, 3, 5)]
    assert (np.abs(seen - trace).max(axis=2) < 4).sum() > 2000  # the phonocardiogram
    for name in ("murmur", "extrasystole"):
        fill = [int(style.KINDS[name][k : k + 2], 16) for k in (1, 3, 5)]
        assert (np.abs(seen - fill).max(axis=2) < 4).sum() > 500


def test_it_is_printed_on_some_sheets(made: Path, tmp_path: Path) -> None:
    pdf = browser.printed(made, tmp_path)
    assert pdf.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type /Page\b", pdf)) <= 12


# --- its markup


def test_nothing_in_it_comes_from_elsewhere_or_runs(made: Path, page: Page) -> None:
    text = made.read_text(encoding="utf-8")
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "data"):
            assert (attributes.get(name) or "data:").startswith("data:")
        assert not [name for name in attributes if name.startswith("on")]
    assert not page.all("script") + page.all("iframe") + page.all("object") + page.all("link")
    assert not re.search(r"@import|url\((?!#)", text)
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy
    assert policy.startswith("default-src 'none'")


def test_outside_text_stays_text(page: Page, tmp_path: Path) -> None:
    assert MARKS[0][1] in page.words
    assert not page.all("b") + page.all("script") + page.all("img")
    evil = '"><script>x()</script>\u202e\x1b[31m&'
    log = write_log(
        tmp_path / "s.jsonl",
        session_line(
            source={"kind": evil, "name": evil, "rate_hz": 4000}, model={"id": evil, "sha256": evil}, laennec=evil
        ),
        decision(5.0, quality_reason=evil),
        {"type": "gap", "t_s": 1.0, "lost_samples": 40, "reason": evil},
        {"type": "mark", "t_s": 2.0, "note": evil},
        {"type": "device", "t_s": 2.0, "state": evil, "detail": evil},
        {"type": "notice", "t_s": 2.0, "text": evil},
        {**end(40_000), "reason": evil},
    )
    out = tmp_path / "x.html"
    succeed("report", log, "--out", out)
    text = out.read_text(encoding="utf-8")
    shown = Page(text)
    assert not shown.all("script")
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert shown.words.count("<script>x()</script>") > 6


def test_it_says_what_it_is_and_what_it_is_not(page: Page) -> None:
    words = page.words
    for told in (
        "Research and education; not a medical device.",
        "sounds like",
        "amplitude: relative",
        "25-400 Hz",
        "time from the start, m:ss",
        "captured",
        "AUROC, murmur present vs absent",
        "0.932 [0.897, 0.959]",
        "one stethoscope alone",
        "tab�here, line�there",
        "the device was away",
    ):
        assert told in words
    assert "leaky" not in words
    assert not re.search(r"\b(patient|heart) has\b|suffers|diagnosed", words)


def test_screen_readers_are_told_everything(page: Page) -> None:
    assert page.all("html")[0]["lang"] == "en"
    assert next(text for tag, text in page.texts if tag == "title").startswith("Laennec: heart.wav")
    figures = [a for a in page.all("svg") if a.get("aria-hidden") != "true"]
    ids = {a["id"] for _, a in page.elements if "id" in a}
    for figure in figures:
        assert figure["role"] == "img"
        assert set((figure["aria-labelledby"] or "").split()) <= ids
    assert len(ids) == sum("id" in a for _, a in page.elements)
    assert all(a.get("scope") == "col" for a in page.all("th"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))


def test_all_strips_stand_on_one_axis(page: Page) -> None:
    """Every panel, image and hatched gap of a figure begins and ends within the same edges."""
    for panel in (a for a in page.all("rect") if a.get("class") == "panel"):
        assert (panel["x"], panel["width"]) == ("158", "830")
    spans = {(a["x"], a["width"]) for a in page.all("image")}
    assert spans == {("158", "830")}
    hatched = {(a["x"], a["width"]) for a in page.all("rect") if a.get("class") == "gapfill"}
    assert hatched


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(a: str, b: str) -> float:
    """Contrast of two colours (WCAG 2.2)."""
    lighter, darker = sorted((luminance(a), luminance(b)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_computed_as_the_standard_has_it() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("colours", [style.LIGHT, style.DARK], ids=["light", "dark"])
def test_all_text_stands_out(colours: dict[str, str]) -> None:
    for text, ground in style.TEXTS:
        assert contrast(colours[text], colours[ground]) >= 4.5, f"{text} on {ground}"
    for kind, fill in style.KINDS.items():
        assert contrast(style.KIND_INK, fill) >= 4.5, kind
    assert contrast(colours["trace"], colours["panel"]) >= 3  # what is no text (WCAG 2.2, 1.4.11)


def test_text_has_no_colours_but_those_that_were_computed() -> None:
    sheet = style.css()
    used = set(re.findall(r"(?<![-\w])color: var\(--(\w+)\)", sheet))
    of_svg = set(re.findall(r"svg (?:text|\.soft|\.early|\.flagtext)[^}]*fill: var\(--(\w+)\)", sheet))
    assert used == {"ink", "soft"}
    assert of_svg == {"ink", "soft", "accent", "page"}
    assert used | of_svg <= {name for pair in style.TEXTS for name in pair}


# --- long and real


def hour(folder: Path, seconds: int) -> Path:
    """A session of that length as its log and recording: a decision every half second, two sounds a beat."""
    folder.mkdir()
    names = ("normal", "murmur", None, "extrasystole")
    told = [
        decision(0.5 * k, names[k // 7 % 4], "ok" if names[k // 7 % 4] else "uncertain") for k in range(2, 2 * seconds)
    ]
    sounds = [
        {"type": "beat", "t_s": round(0.8 * k + after_s, 6), "sound": name, "confidence": 0.9}
        for k in range(int(seconds / 0.8))
        for name, after_s in (("S1", 0.1), ("S2", 0.4))
    ]
    marks = [{"type": "mark", "t_s": 60.0 * k, "note": f"mark {k}"} for k in range(seconds // 60)]
    write_log(folder / "log.jsonl", session_line(), *told, *sounds, *marks, end(seconds * RATE_HZ))
    return folder


def test_an_hour_is_reported_within_ten_seconds_and_five_megabytes(tmp_path: Path) -> None:
    session = hour(tmp_path / "session", 3600)
    write_wav(session / "recording.wav", np.tile(heart(60.0, "murmur"), 60))
    out, began_s = tmp_path / "x.html", time.monotonic()
    succeed("report", session, "--out", out)
    assert time.monotonic() - began_s < 10
    assert 200_000 < out.stat().st_size < 5_000_000


def test_a_day_is_no_larger_than_an_hour_allows(tmp_path: Path) -> None:
    session = hour(tmp_path / "session", 6 * 3600)  # a quarter of a day's lines; what is drawn is bounded by columns
    given = inputs.read(session, [], None, None, MODEL)
    page = making.MAKERS[".html"](given, MODEL)
    assert len(page) < 2_000_000


def test_real_recordings_are_reported_and_opened(shared_data: Path, tmp_path: Path) -> None:
    sets = [shared_data / "pascal" / "set_a", shared_data / "pascal" / "set_b", shared_data / "circor" / "audio"]
    for k, sounds in enumerate(sets):
        out = tmp_path / f"{k}.html"
        succeed("report", sorted(sounds.iterdir())[7], "--out", out)
        (tmp_path / str(k)).mkdir()
        seen = browser.opened(out, tmp_path / str(k))
        assert (seen.console, seen.requests) == ([], [])
        assert "Phonocardiogram" in seen.dom


def test_unknown_endings_are_told_before_anything_is_heard(tmp_path: Path) -> None:
    refused(run("report", tmp_path / "none.wav", "--out", tmp_path / "x.docx"), 2, "x.docx")
