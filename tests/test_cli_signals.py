"""How sessions end from outside: signals, a reader that goes away, a closed terminal. Soon, with a whole log."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tiny_bundle
from audio_servers import alsa_environment, feeding, mono_file_microphone, require_portaudio
from program import LAENNEC, RATE_HZ, check_session, heart, lines, surroundings, wait_for_decisions, write_wav

WITHIN_S = 2.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Running(NamedTuple):
    """A session in a process of its own, in the state its end is waited for."""

    process: subprocess.Popen[str]
    log: Path
    errors: Path
    terminal: int | None  # our end of the terminal that it is shown in


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle.write(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture
def command(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A session in real time, that would go on for a minute or more."""
    if request.param == "demo":
        yield ["demo"]
    elif request.param == "replay":
        yield ["replay", str(write_wav(tmp_path / "long.wav", np.tile(heart(10.0), 9)))]
    else:
        require_portaudio()
        with feeding(tmp_path / "microphone.fifo") as fed:
            for name, value in alsa_environment(tmp_path, mono_file_microphone("microphone", fed.fifo)).items():
                monkeypatch.setenv(name, value)
            fed.start(endless(), chunk_s=0.02)
            yield ["listen", "--device", "microphone", "--rate", str(RATE_HZ)]


def endless() -> Iterator[np.ndarray]:
    while True:
        yield from np.split(heart(10.0), 500)


@contextlib.contextmanager
def session(folder: Path, command: list[str], model: Path, *options: str, shown: str = "pipe") -> Iterator[Running]:
    """A session that has decided once.

    Args:
        folder: for its files.
        command: what to run, and on what.
        model: the bundle.
        options: further ones.
        shown: where its standard output goes: "pipe"; "terminal", whose closing the session is told of; or "other
            terminal", that of somebody else, as of a program left in the background.
    """
    log, errors = folder / "log.jsonl", folder / "errors"
    line = [*LAENNEC, *command, "--model", str(model), "--log", str(log), *options]
    ours, theirs = _terminal() if shown != "pipe" else (None, subprocess.PIPE)
    own = shown == "terminal"
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            line,
            env=surroundings(TERM="xterm"),
            stdin=theirs if own else subprocess.DEVNULL,
            stdout=theirs,
            stderr=stderr,
            text=True,
            start_new_session=True,
            preexec_fn=_take_terminal if own else _hear_ctrl_c,  # noqa: PLW1509 - no thread of ours holds a lock there
        )
    if ours is not None:
        os.close(theirs)
    running = Running(process, log, errors, ours)
    try:
        wait_for_decisions(log, 1, process)
        yield running
    finally:
        process.kill()
        process.wait()
        close_reader(running)
        if ours is not None:
            with contextlib.suppress(OSError):
                os.close(ours)


def _terminal() -> tuple[int, int]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.set_blocking(ours, False)
    return ours, theirs


def _take_terminal() -> None:
    _hear_ctrl_c()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _hear_ctrl_c() -> None:
    """A suite that a shell runs in the background hands ignored signals on."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def seen(terminal: int) -> str:
    """What the terminal was sent so far."""
    text = b""
    while select.select([terminal], [], [], 0)[0]:
        text += os.read(terminal, 65_536)
    return text.decode()


def check_end(running: Running, end: Callable[[Running], None], *reasons: str) -> None:
    """End it: soon, without a word of complaint, with a whole log."""
    began_s = time.monotonic()
    end(running)
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.process.wait(timeout=20)
    taken_s = time.monotonic() - began_s
    assert (running.process.returncode, running.errors.read_text()) == (0, "")
    assert check_session(lines(running.log))["reason"] in reasons
    assert taken_s < WITHIN_S


def close_terminal(running: Running) -> None:
    assert running.terminal is not None
    os.close(running.terminal)


def close_reader(running: Running) -> None:
    if running.process.stdout is not None:
        running.process.stdout.close()


everything = pytest.mark.parametrize("command", ["demo", "replay", "listen"], indirect=True)
demo_alone = pytest.mark.parametrize("command", ["demo"], indirect=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("command", ["replay", "listen"], indirect=True)  # `demo` is in test_cli_commands.py
def test_signal_ends_a_session(tmp_path: Path, model: Path, command: list[str], number: int) -> None:
    with session(tmp_path, command, model, "--plain") as running:
        check_end(running, lambda r: r.process.send_signal(number), "stopped")


@pytest.mark.parametrize("later_s", [0.0, 0.02])
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@demo_alone
def test_signal_that_is_sent_twice_at_once_is_one(
    tmp_path: Path, model: Path, command: list[str], number: int, later_s: float
) -> None:
    """As where kernel and shell both tell that a terminal is closed."""

    def end(running: Running) -> None:
        running.process.send_signal(number)
        time.sleep(later_s)
        running.process.send_signal(number)

    with session(tmp_path, command, model, "--plain") as running:
        check_end(running, end, "stopped")


@everything
def test_reader_that_goes_away_ends_a_session_also_where_there_is_nothing_to_write(
    tmp_path: Path, model: Path, command: list[str]
) -> None:
    with session(tmp_path, command, model, "--plain") as running:
        check_end(running, close_reader, "output closed")


@demo_alone
def test_reader_of_json_lines_that_goes_away_ends_a_session(tmp_path: Path, model: Path, command: list[str]) -> None:
    with session(tmp_path, command, model, "--json") as running:
        check_end(running, close_reader, "output closed")


def check_closed_terminal(running: Running) -> None:
    """Whichever comes first: the signal, or that a line can't be written."""
    check_end(running, close_terminal, "stopped", "output closed")


@everything
def test_terminal_that_is_closed_under_the_screen_ends_a_session(
    tmp_path: Path, model: Path, command: list[str]
) -> None:
    with session(tmp_path, command, model, shown="terminal") as running:
        assert running.terminal is not None
        assert "\x1b[?1049h" in seen(running.terminal), "no full screen"
        check_closed_terminal(running)


@demo_alone
@pytest.mark.parametrize("option", ["--plain", "--json"])
def test_terminal_that_is_closed_under_lines_ends_a_session(
    tmp_path: Path, model: Path, command: list[str], option: str
) -> None:
    with session(tmp_path, command, model, option, shown="terminal") as running:
        check_closed_terminal(running)


@demo_alone
@pytest.mark.parametrize("option", ["--plain", "--json"])
def test_closed_terminal_of_somebody_else_is_a_reader_that_goes_away(
    tmp_path: Path, model: Path, command: list[str], option: str
) -> None:
    """No signal tells a program that was left in the background of another session."""
    with session(tmp_path, command, model, option, shown="other terminal") as running:
        check_end(running, close_terminal, "output closed")
