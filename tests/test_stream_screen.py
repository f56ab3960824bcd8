"""What the screen writes: read back by a terminal of our own, which knows each cell that is written."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from stream.monitor.palette import ThemeName
from stream.monitor.screen import Screen
from stream.snapshot import Snapshot
from tests import monitor_case as case
from tests.test_stream_monitor import ODD, shown

SIZES = [(60, 16), (80, 24), (120, 40), (200, 60)]
PART = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|(.)", re.DOTALL)


class Terminal:
    """As much of a terminal as the screen needs; refuses everything else."""

    def __init__(self, width: int, height: int) -> None:
        self.stream = io.StringIO()
        self.size = (width, height)
        self.cells: dict[tuple[int, int], tuple[str, str]] = {}
        self.rewritten: list[tuple[int, int]] = []  # cells that were written as they were
        self.written: list[tuple[int, int]] = []
        self.modes: list[str] = []
        self._at, self._style = (0, 0), "0"

    def read(self) -> str:
        """Take in what was written since the last time; that."""
        text = self.stream.getvalue()
        self.stream.seek(0)
        self.stream.truncate()
        self.rewritten, self.written = [], []
        for codes, command, character in PART.findall(text):
            if character:
                self._write(character)
            else:
                self._obey(codes, command)
        return text

    def _obey(self, codes: str, command: str) -> None:
        if command == "H":
            row, column = map(int, codes.split(";"))
            self._at = (row - 1, column - 1)
        elif command == "m":
            assert codes.split(";", maxsplit=1)[0] == "0", "each style begins anew"
            self._style = codes
        elif command == "J":
            assert codes == "2"
            self.cells = {}
        else:
            assert command in "hl"
            self.modes.append(codes + command)

    def _write(self, character: str) -> None:
        assert character.isprintable()
        (row, column), width = self._at, cell_len(character)
        if not width:
            return
        assert column + width <= self.size[0]
        assert row < self.size[1]
        if self.cells.get(self._at) == (character, self._style):
            self.rewritten.append(self._at)
        self.written.append(self._at)
        self.cells[self._at] = (character, self._style)
        for beyond in range(1, width):
            self.cells[row, column + beyond] = ("", self._style)
        self._at = (row, column + width)

    @property
    def lines(self) -> list[str]:
        width, height = self.size
        return ["".join(self.cells.get((row, n), (" ", ""))[0] for n in range(width)) for row in range(height)]


def opened(size: tuple[int, int], theme: ThemeName = ThemeName.DARK, **settings: object) -> tuple[Terminal, Screen]:
    terminal = Terminal(*size)
    settings = {"color_system": "truecolor", "no_color": False, **settings}
    console = Console(file=terminal.stream, width=size[0], height=size[1], force_terminal=True, **settings)
    screen = Screen(console, theme)
    screen.enter()
    return terminal, screen


def steps() -> list[Snapshot]:
    """Frames as they follow each other, and sudden changes."""
    moving = [replace(case.murmur(), trace=case.heart(96.3 + i / 8), trace_end_s=96.3 + i / 8) for i in range(8)]
    return [*moving, *ODD.values(), *moving[:2]]


@pytest.mark.parametrize("size", SIZES)
def test_the_terminal_shows_each_frame_and_no_cell_is_written_as_it_was(size: tuple[int, int]):
    terminal, screen = opened(size, ThemeName.AUTO)
    for number, snapshot in enumerate(steps()):
        screen.draw(snapshot)
        terminal.read()
        assert terminal.lines == shown(snapshot, size).splitlines()
        assert not terminal.rewritten or number == 0
    assert terminal.written


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ThemeName)
def test_nothing_is_written_for_the_same_snapshot(size: tuple[int, int], theme: ThemeName):
    terminal, screen = opened(size, theme)
    screen.draw(case.murmur())
    assert terminal.read()
    screen.draw(replace(case.murmur()))
    assert terminal.read() == ""


@pytest.mark.parametrize("size", SIZES)
def test_of_a_number_that_changes_its_digits_alone_are_written(size: tuple[int, int]):
    terminal, screen = opened(size)
    screen.draw(case.murmur())
    terminal.read()
    screen.draw(replace(case.murmur(), latency_s=0.39))
    text = terminal.read()
    assert "".join(character for *_, character in PART.findall(text)) == "39"
    assert len(terminal.written) == 2
    assert "latency 0.39 s" in "\n".join(terminal.lines)
    assert len(text) < 100


def test_a_frame_appears_as_one():
    terminal, screen = opened((80, 24))
    terminal.read()
    screen.draw(case.murmur())
    text = terminal.read()
    assert text.startswith("\x1b[?2026h")
    assert text.endswith("\x1b[?2026l")


def test_after_a_resize_everything_is_written():
    terminal, screen = opened((80, 24), ThemeName.AUTO)
    screen.draw(case.murmur())
    terminal.read()
    for size in ((120, 40), (50, 12), (80, 24)):
        terminal.size = size
        screen._console.size = size  # as rich finds it by asking the terminal
        screen.draw(case.murmur())
        assert "\x1b[2J" in terminal.read()
        assert len(terminal.cells) == size[0] * size[1]
        wanted = [line.ljust(size[0]) for line in shown(case.murmur(), size).splitlines()]
        assert terminal.lines[: len(wanted)] == wanted
        assert not "".join(terminal.lines[len(wanted) :]).strip()


def test_entering_and_leaving_count_once_and_what_comes_back_is_drawn_whole():
    terminal, screen = opened((80, 24))
    screen.enter()
    assert terminal.read() == "\x1b[?1049h\x1b[?25l"
    screen.draw(case.murmur())
    terminal.read()
    screen.leave()
    screen.leave()
    screen.draw(replace(case.murmur(), notice="unseen"))
    assert terminal.read() == "\x1b[?25h\x1b[?1049l"
    screen.enter()
    screen.draw(case.murmur())
    assert "\x1b[2J" in terminal.read()
    assert len(terminal.written) == 80 * 24


@pytest.mark.parametrize("width", range(60, 90))
def test_wide_characters_move_without_a_trace(width: int):
    terminal, screen = opened((width, 24), ThemeName.AUTO)
    for source in ("心音 a", "a心音", "aa心音 ab", "é" + "心" * 60, "e\u0301 x", "mic"):
        snapshot = replace(case.murmur(), source=source, synthetic=False)
        screen.draw(snapshot)
        terminal.read()
        assert {cell_len(line) for line in terminal.lines} == {width}
        if "\u0301" not in source:
            assert terminal.lines == shown(snapshot, (width, 24)).splitlines()


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        ({"no_color": True}, set("0127")),
        ({"color_system": None}, set("0127")),
        (
            {"color_system": "standard"},
            set("0127") | {str(n) for n in (*range(30, 38), *range(90, 98)) if n % 60 != 31},
        ),
    ],
)
def test_terminals_with_few_colours_or_none_keep_their_own(settings: dict[str, object], allowed: set[str]):
    terminal, screen = opened((120, 40), **settings)
    for snapshot in ODD.values():
        screen.draw(snapshot)
        codes = {n for codes, command, _ in PART.findall(terminal.read()) if command == "m" for n in codes.split(";")}
        assert codes <= allowed


def test_what_is_not_whole_is_not_drawn_as_sound():
    hot = replace(case.murmur(), trace=np.full(3000, np.nan, np.float32))
    terminal, screen = opened((120, 40))
    screen.draw(hot)
    terminal.read()
    assert "nothing heard" in "\n".join(terminal.lines)
