"""The ward in a real terminal (tmux): rows, keys, sizes, colours, and what it leaves behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from program import heart, of_type, parsed, write_wav
from test_cli_terminal import COLOUR, LAENNEC, Terminal, has, made_terminal, settings


@pytest.fixture
def terminal(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    yield from made_terminal(tmp_path, getattr(request, "param", (80, 24)))


def patients(folder: Path, count: int, seconds: float = 40.0) -> str:
    """So many recordings, two of them different; their names for a command line."""
    for number in range(count):
        write_wav(folder / f"bed{number:02}.wav", heart(seconds, "murmur" if number % 2 else "normal"))
    return "bed*.wav"


def test_rows_keys_and_the_terminal_afterwards(terminal: Terminal, tmp_path: Path) -> None:
    names = patients(tmp_path, 30)
    command = f"replay {names} --together --log log.jsonl"
    terminal.type("stty -a > before; echo 'what was' here; ", LAENNEC, f"{command}; echo code $?")
    shown = terminal.wait(has("30 streams", "M sounds like murmur", "streams 1–19 of 30", "q quit"))
    assert terminal.state() == "1 0", "the screen is the alternate one, without a cursor"
    rows = shown.splitlines()
    assert max(map(len, rows)) <= 80
    assert [row.split()[0] for row in rows if row.startswith(" bed")] == [f"bed{n:02}" for n in range(19)]
    terminal.press("NPage")
    terminal.wait(has("streams 12–30 of 30", "bed29"))
    terminal.press("k")
    terminal.wait(has("streams 11–29 of 30"))
    terminal.press("Home")
    terminal.press("Down")
    terminal.wait(has("streams 2–20 of 30"))
    terminal.send("?")
    terminal.wait(has("a screen up, down"))
    terminal.press("Escape")
    terminal.wait(lambda now: "a screen up, down" not in now)
    terminal.resize(160, 50)
    large = terminal.wait(lambda now: "bed29" in now and "bed00" in now)
    assert "research and education" in large
    terminal.resize(50, 10)
    terminal.wait(has("needs 60x16"))
    terminal.resize(100, 45)
    terminal.wait(has("bed29"))
    terminal.send("q")
    after = terminal.wait(has("code 0"))
    assert terminal.state() == "0 1"
    assert re.search(r"^total of 30 streams: \d+ samples captured", after, re.M)
    assert re.search(r"^bed29 +sounds like murmur +\d+ .*stopped$", after, re.M)
    assert "Traceback" not in after
    terminal.type("stty -a > after; echo writ''" + "ten")
    terminal.wait(has("written"))
    assert settings(tmp_path / "after") == settings(tmp_path / "before")
    ends = of_type("end", parsed((tmp_path / "log.jsonl").read_text()))
    assert len(ends) == 30
    assert {end["reason"] for end in ends} == {"stopped"}


def test_colour_only_where_it_is_wanted_and_streams_that_end_say_so(terminal: Terminal, tmp_path: Path) -> None:
    patients(tmp_path, 2, seconds=30.0)
    write_wav(tmp_path / "brief.wav", heart(5.0))
    terminal.type("clear;", LAENNEC, "replay bed*.wav brief.wav --together --speed 2")
    coloured = terminal.wait(has("sounds like murmur", "ended: end of input"), "-e")
    assert COLOUR.search(coloured)
    terminal.press("C-c")
    terminal.wait(has("total of 3 streams"))
    terminal.type("clear; NO_COLOR=1", LAENNEC, "replay bed*.wav brief.wav --together --speed 2")
    plain = terminal.wait(has("M sounds like murmur", "ended: end of input"), "-e")
    assert not COLOUR.search(plain)
    terminal.press("C-c")
