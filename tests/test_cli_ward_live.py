"""`laennec listen --channels` through the real PortAudio: each channel is a stream, on one clock for all of them."""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from audio_servers import (
    alsa_environment,
    feeding,
    interface,
    mono_file_microphone,
    pulse_server,
    require_portaudio,
    require_pulseaudio,
)
from program import RATE_HZ, check_session, heart, lines, of_type, refused, run, succeed, wait_for_decisions
from test_cli_live import LOOP_S, finish, listening, states
from test_cli_ward import of_stream

CASES = ("murmur", "normal", "artifact")
#: `pulsemic` is PulseAudio's plug-in, which names 32 channels: what is there is chosen.
FOUR = ("--device", "pulsemic", "--channels", "1,2,3,4")


def sounds() -> np.ndarray:
    """(n, 4): three patients, and a channel that nothing is plugged into."""
    return np.stack([*(heart(LOOP_S, case) for case in CASES), np.zeros(round(LOOP_S * RATE_HZ), np.float32)], axis=1)


def endless() -> Iterator[np.ndarray]:
    """The same in chunks of 20 ms, over and over."""
    return itertools.cycle(np.split(sounds(), round(LOOP_S * 50)))


def beginning(captured: np.ndarray, known: np.ndarray) -> int:
    """Where in an endless sound a capture began, -1 where it is no part of it."""
    repeated = np.tile(known, 2 + len(captured) // len(known))
    starts = np.flatnonzero(known == captured[0])
    return next((int(at) for at in starts if np.array_equal(repeated[at : at + len(captured)], captured)), -1)


def test_each_channel_is_heard_bit_for_bit_and_at_the_same_time(tmp_path: Path) -> None:
    require_pulseaudio()
    log, kept = tmp_path / "ward.jsonl", tmp_path / "kept.wav"
    with pulse_server(tmp_path, RATE_HZ, channels=4) as server, feeding(server.fifo) as fed:
        fed.start(endless(), chunk_s=0.02)
        with listening(*FOUR, "--plain", "--log", log, "--record", kept, env=server.env) as process:
            wait_for_decisions(log, 44, process)
            process.send_signal(signal.SIGINT)
            code, out, err = finish(process, within_s=4.0)
    assert (code, err) == (0, "")
    found = lines(log)
    ends = [check_session(of_stream(f"ch{n}", found)) for n in (1, 2, 3, 4)]
    assert [end["ledger"] for end in ends] == [ends[0]["ledger"]] * 4
    began = []
    for k in range(3):
        captured, _ = soundfile.read(tmp_path / f"kept-ch{k + 1}.wav", dtype="float32")
        assert len(captured) == ends[k]["ledger"]["captured"]
        began.append(beginning(captured, sounds()[:, k]))
    assert began[0] >= 0, "what was heard is not, bit for bit, what was played"
    assert began == [began[0]] * 3
    silent, _ = soundfile.read(tmp_path / "kept-ch4.wav")
    assert not silent.any()
    zeros = {line["stream"]: line["detail"] for line in of_type("device", found)}
    assert zeros == {"ch4": "nothing but zeros: muted or unplugged"}
    assert "ch1  00:00:04.0  sounds like murmur" in out
    again = tmp_path / "again.jsonl"
    succeed("replay", tmp_path / "kept-ch1.wav", "--speed", "max", "--quiet", "--log", again)
    assert of_type("decision", of_stream("ch1", found)) == of_type("decision", lines(again))


def test_a_server_that_comes_back_is_one_gap_of_every_channel(tmp_path: Path) -> None:
    require_pulseaudio()
    parent = tmp_path / "sessions"
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(pulse_server(tmp_path, RATE_HZ, channels=4))
        stack.enter_context(feeding(server.fifo)).start(endless(), chunk_s=0.02)
        process = stack.enter_context(listening(*FOUR, "--quiet", "--session", parent, env=server.env))
        ward = wait_for_folder(parent)
        log = ward / "ch1" / "log.jsonl"
        wait_for_decisions(log, 3, process)
        server.kill()
        time.sleep(2.0)
        server.fifo.unlink()  # it makes its own, and refuses one that is there
        server.start()
        server.wait_until_ready()
        stack.enter_context(feeding(server.fifo)).start(endless(), chunk_s=0.02)
        wait_for_decisions(log, 8, process)
        process.send_signal(signal.SIGINT)
        code, _, err = finish(process, within_s=4.0)
    assert (code, err) == (0, "")
    logs = [lines(ward / f"ch{n}" / "log.jsonl") for n in (1, 2, 3, 4)]
    ends = [check_session(found)["ledger"] for found in logs]
    assert ends == [ends[0]] * 4
    assert ends[0]["dropped"] > 1.5 * RATE_HZ
    gaps = [of_type("gap", found) for found in logs]
    assert len(gaps[0]) == 1
    assert gaps == [gaps[0]] * 4
    for found in logs[:3]:
        assert [state for state in states(found) if state != "stalled"] == ["lost", "reconnecting", "listening"]


def wait_for_folder(parent: Path) -> Path:
    """The folder of a ward that begins."""
    deadline_s = time.monotonic() + 30
    while not (found := [path.parent.parent for path in parent.glob("*/ch4/log.jsonl")]):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    return found[0]


@pytest.mark.parametrize("channels", [1, 4])
def test_all_channels_of_an_interface_account_for_every_sample(channels: int, tmp_path: Path) -> None:
    # ALSA's file plugin delivers some 1000 times faster than real time: losses are certain, and the same in each.
    require_portaudio()
    raw, log = tmp_path / "interface.raw", tmp_path / "ward.jsonl"
    np.tile(sounds()[:, :channels], (100, 1)).tofile(raw)
    env = alsa_environment(tmp_path, interface("interface", raw, channels))
    with listening("--channels", "all", "--quiet", "--log", log, env=env) as process:
        wait_for_decisions(log, 20 * channels, process)
        process.send_signal(signal.SIGTERM)
        assert finish(process, within_s=10.0) == (0, "", "")
    found = lines(log)
    assert list(found[0]["streams"]) == [f"ch{n + 1}" for n in range(channels)]
    own = [of_stream(f"ch{n + 1}", found) for n in range(channels)]
    ends = [check_session(each)["ledger"] for each in own]
    assert ends == [ends[0]] * channels
    assert ends[0]["dropped"] > 0
    for each in own:
        assert of_type("gap", each) == of_type("gap", own[0])
        assert all("ring overrun" in gap["reason"] for gap in of_type("gap", each))


def test_a_channel_that_is_not_there_is_refused_with_4(tmp_path: Path) -> None:
    require_portaudio()
    raw = tmp_path / "microphone.raw"
    heart(1.0).tofile(raw)
    env: dict[str, Any] = alsa_environment(tmp_path, mono_file_microphone("microphone", raw))
    done = run("listen", "--rate", RATE_HZ, "--channels", "1,2", "--session", tmp_path / "kept", **env)
    refused(done, 4, "there is no channel 2")
    assert not (tmp_path / "kept").exists()
    listed = json.loads(run("devices", "--json", **env).stdout)
    assert listed, "the device is there all the same"
