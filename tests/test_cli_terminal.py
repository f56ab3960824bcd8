"""The screen in a real terminal (tmux): what it shows, at which sizes, and what it leaves behind."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ROOT, skip_or_fail
from program import check_session, lines

LAENNEC = f"{shlex.quote(sys.executable)} -m laennec"


class Terminal:
    """A shell in a tmux pane of its own server."""

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        self._tmux = ["tmux", "-u", "-f", os.devnull, "-S", str(folder / "tmux")]
        # os.environ is given, since importing readline sets LINES and COLUMNS behind its back, in C.
        self._env = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "PS1": "$ ", "HISTFILE": ""}
        for name in ("TMUX", "NO_COLOR", "FORCE_COLOR", "LINES", "COLUMNS"):
            self._env.pop(name, None)
        width, height = map(str, size)
        self._do("new-session", "-d", "-x", width, "-y", height, "sh")
        self.type("cd", folder)

    def _do(self, *command: str) -> str:
        command_line = [*self._tmux, *command]
        return subprocess.run(command_line, env=self._env, check=True, capture_output=True, text=True).stdout

    def type(self, *words: object) -> None:
        """Type a command and press Enter."""
        self.send(" ".join(map(str, words)))
        self._do("send-keys", "Enter")

    def send(self, text: str) -> None:
        """Type a text."""
        self._do("send-keys", "-l", text)

    def paste(self, text: str) -> None:
        """Paste a text, framed where the program asked for it."""
        self._do("set-buffer", text)
        self._do("paste-buffer", "-p")

    def press(self, key: str) -> None:
        self._do("send-keys", key)

    def resize(self, width: int, height: int) -> None:
        self._do("resize-window", "-x", str(width), "-y", str(height))

    def close_window(self) -> None:
        self._do("kill-pane")

    def shown(self, *options: str) -> str:
        """What the pane shows."""
        return self._do("capture-pane", "-p", *options)

    def size(self) -> tuple[int, int]:
        """Of the window, in characters."""
        width, height = self._do("display-message", "-p", "#{window_width} #{window_height}").split()
        return int(width), int(height)

    def state(self) -> str:
        """Whether the alternate screen is on, and whether the cursor is seen."""
        return self._do("display-message", "-p", "#{alternate_on} #{cursor_flag}").strip()

    def wait(self, ready: Callable[[str], object], *options: str) -> str:
        """Wait until what is shown is so; it."""
        deadline_s = time.monotonic() + 30.0
        while not ready(shown := self.shown(*options)):
            assert time.monotonic() < deadline_s, shown
            time.sleep(0.05)
        return shown

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], env=self._env, check=False, capture_output=True)


@pytest.fixture
def terminal(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    yield from made_terminal(tmp_path, getattr(request, "param", (80, 24)))


def made_terminal(folder: Path, size: tuple[int, int]) -> Iterator[Terminal]:
    """A terminal, closed at the end."""
    if shutil.which("tmux") is None:
        skip_or_fail("tmux is missing: apt install tmux")
    made = Terminal(folder, size)
    try:
        yield made
    finally:
        made.close()


def has(*words: str) -> Callable[[str], bool]:
    return lambda shown: all(word in shown for word in words)


def test_screen_shows_resizes_and_leaves_the_terminal_as_it_was(terminal: Terminal, tmp_path: Path) -> None:
    terminal.type("stty -a > before; echo 'what was' here; ", LAENNEC, "demo murmur --log log.jsonl; echo code $?")
    small = terminal.wait(has("SYNTHETIC", "dBFS", "q quit"))
    assert terminal.state() == "1 0", "the screen is the alternate one, without a cursor"
    assert "what was here" not in small
    for words in ("murmur", "s/div", "not a medical device", "listening"):
        assert words in small
    decided = terminal.wait(lambda shown: re.search(r"sounds like|uncertain: no class|sound heard", shown))
    rows = decided.splitlines()
    assert len(rows) <= 24
    assert max(map(len, rows)) <= 80
    terminal.resize(120, 40)
    large = terminal.wait(lambda shown: len(shown.rstrip().splitlines()) == 40)
    assert "q quit" in large.rstrip().splitlines()[-1]
    assert max(map(len, large.splitlines())) > 100
    terminal.press("C-c")
    after = terminal.wait(has("code 0"))
    assert terminal.state() == "0 1"
    assert "what was here" in after, "the lines from before are back"
    assert re.search(r"^end: stopped; \d+ samples captured = \d+ analysed", after, re.M)
    assert "Traceback" not in after
    terminal.type("stty -a > after; echo writ''" + "ten")
    terminal.wait(has("written"))
    assert settings(tmp_path / "after") == settings(tmp_path / "before")
    assert check_session(lines(tmp_path / "log.jsonl"))["reason"] == "stopped"


def settings(file: Path) -> str:
    """The terminal's modes, without its size, which the test changes."""
    return re.sub(r"(rows|columns) \d+", "", file.read_text())


def test_sigterm_gives_the_terminal_back(terminal: Terminal, tmp_path: Path) -> None:
    terminal.type("echo 'what was' here; sh -c 'echo $$ > pid; exec", LAENNEC, "demo --theme light'; echo code $?")
    terminal.wait(has("SYNTHETIC", "q quit"))
    assert terminal.state() == "1 0"
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
    after = terminal.wait(has("code 0"))
    assert terminal.state() == "0 1"
    assert "what was here" in after


@pytest.mark.parametrize("terminal", [(50, 12)], indirect=True)
def test_too_small_a_terminal_says_so_and_recovers(terminal: Terminal) -> None:
    terminal.type("clear;", LAENNEC, "demo; echo code $?")
    terminal.wait(has("needs 60x16", "50x12"))
    terminal.resize(80, 24)
    terminal.wait(has("SYNTHETIC", "q quit"))
    terminal.press("C-c")
    terminal.wait(has("code 0"))


COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;\d+)*m")


def test_no_color_holds_and_decision_is_in_words_all_the_same(terminal: Terminal) -> None:
    terminal.type("clear;", LAENNEC, "demo --seed 1")
    coloured = terminal.wait(has("SYNTHETIC", "listening"), "-e")
    assert COLOUR.search(coloured), "without NO_COLOR there is colour: else this test shows nothing"
    terminal.press("C-c")
    terminal.wait(has("end: stopped"))
    terminal.type("clear; NO_COLOR=1", LAENNEC, "demo --seed 1")
    plain = terminal.wait(lambda shown: re.search(r"sounds like|uncertain: no class|sound heard", shown), "-e")
    assert not COLOUR.search(plain)


def test_plain_option_holds_in_a_terminal_too(terminal: Terminal) -> None:
    terminal.type("clear;", LAENNEC, "demo --plain --seconds 5 --speed max; echo code $?")
    shown = terminal.wait(has("code 0"))
    assert re.search(r"^00:00:01\.0 +listening", shown, re.M)
    assert terminal.state() == "0 1"


def test_refusal_is_seen_after_the_screen_has_gone(terminal: Terminal) -> None:
    terminal.type("clear;", LAENNEC, "replay missing.wav; echo code $?")
    shown = terminal.wait(has("code 3"))
    assert "laennec: missing.wav: no such file" in shown
    assert terminal.state() == "0 1"


def wait_for(log: Path, text: str, count: int = 1) -> None:
    """Wait until a log holds a text so many times."""
    deadline_s = time.monotonic() + 30.0
    while not log.exists() or log.read_text().count(text) < count:
        assert time.monotonic() < deadline_s, log.read_text()[-300:] if log.exists() else "no log"
        time.sleep(0.05)


@pytest.mark.parametrize("outlives", [False, True])
def test_log_is_whole_after_the_terminal_window_is_closed(terminal: Terminal, tmp_path: Path, outlives: bool) -> None:
    log = tmp_path / "log.jsonl"
    terminal.type("trap '' HUP;" if outlives else "", "echo $$ > pid; exec", LAENNEC, "demo --log log.jsonl 2> errors")
    wait_for(log, '"decision"')
    process = int((tmp_path / "pid").read_text())
    terminal.close_window()
    if outlives:  # as asked for by ignoring SIGHUP, it goes on without its screen
        wait_for(log, '"decision"', count=log.read_text().count('"decision"') + 3)
        os.kill(process, signal.SIGTERM)
    wait_for(log, '"end"')
    assert check_session(lines(log))["reason"] == "stopped"
    assert "Traceback" not in (tmp_path / "errors").read_text()
