"""`laennec listen` through the real PortAudio: decisions, ledger, log, and the end, whatever happens to the device."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from audio_servers import (
    alsa_environment,
    feeding,
    mono_file_microphone,
    pulse_server,
    require_portaudio,
    require_pulseaudio,
)
from program import RATE_HZ, check_session, heart, lines, of_type, refused, run, started, succeed, wait_for_decisions

LOOP_S = 20.0


def endless_heart() -> Iterator[np.ndarray]:
    """A known heart sound in chunks of 20 ms, over and over."""
    return itertools.cycle(np.split(heart(LOOP_S), round(LOOP_S * 50)))


def listening(*options: object, env: dict[str, str]) -> Any:
    return started("listen", "--rate", RATE_HZ, *options, env=env)


def states(log: list[dict[str, Any]]) -> list[str]:
    """What became of the device, each once: a state is told again with another detail."""
    return [state for state, _ in itertools.groupby(line["state"] for line in of_type("device", log))]


def finish(process: subprocess.Popen[str], within_s: float) -> tuple[int, str, str]:
    """Wait for the program to end by itself; exit code and outputs."""
    began_s = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - began_s < within_s
    return process.returncode, out, err


def place_in_known_sound(captured: np.ndarray) -> int:
    """Where in the endless sound a capture began, -1 where it is no part of it."""
    known = np.tile(heart(LOOP_S), 2 + len(captured) // len(heart(LOOP_S)))
    starts = np.flatnonzero(known[: len(heart(LOOP_S))] == captured[0])
    return next((int(at) for at in starts if np.array_equal(known[at : at + len(captured)], captured)), -1)


def test_live_capture_is_decided_as_the_same_samples_from_a_file(tmp_path: Path) -> None:
    require_pulseaudio()
    log, kept, again = tmp_path / "live.jsonl", tmp_path / "kept.wav", tmp_path / "again.jsonl"
    with pulse_server(tmp_path, RATE_HZ) as server, feeding(server.fifo) as fed:
        fed.start(endless_heart(), chunk_s=0.02)
        with listening("--device", "pulsemic", "--plain", "--log", log, "--record", kept, env=server.env) as process:
            wait_for_decisions(log, 8, process)
            process.send_signal(signal.SIGINT)
            code, out, err = finish(process, within_s=3.0)
    assert (code, err) == (0, "")
    live = lines(log)
    end = check_session(live)
    assert end["reason"] == "stopped"
    assert of_type("gap", live) == []
    captured, _ = soundfile.read(kept, dtype="float32")
    assert len(captured) == end["ledger"]["captured"] == end["ledger"]["analysed"]
    assert place_in_known_sound(captured) >= 0, "what was heard is not, bit for bit, what was played"
    succeed("replay", kept, "--speed", "max", "--quiet", "--log", again)
    decisions = of_type("decision", live)
    assert decisions == of_type("decision", lines(again))
    assert {"ok", "uncertain"} & {line["status"] for line in decisions}
    assert decisions[-1]["heart_rate_bpm"] is None or 60 < decisions[-1]["heart_rate_bpm"] < 90
    assert live[0]["source"]["name"] == "pulsemic"
    assert out.startswith("00:00:01.0  listening\n")


def test_capture_faster_than_it_can_be_heard_accounts_for_every_sample(tmp_path: Path) -> None:
    # ALSA's file plugin delivers some 1000 times faster than real time: losses are certain, silence about them is not.
    require_portaudio()
    raw, log = tmp_path / "microphone.raw", tmp_path / "log.jsonl"
    np.tile(heart(LOOP_S), 200).tofile(raw)
    env = alsa_environment(tmp_path, mono_file_microphone("microphone", raw))
    with listening("--device", "microphone", "--quiet", "--log", log, env=env) as process:
        wait_for_decisions(log, 40, process)
        process.send_signal(signal.SIGTERM)
        assert finish(process, within_s=5.0) == (0, "", "")
    found = lines(log)
    ledger = check_session(found)["ledger"]
    assert ledger["dropped"] > 0
    assert all("ring overrun" in gap["reason"] for gap in of_type("gap", found))


def test_paced_microphone_is_decided_upon_in_real_time(tmp_path: Path) -> None:
    require_portaudio()
    log = tmp_path / "log.jsonl"
    with feeding(tmp_path / "microphone.fifo") as fed:
        env = alsa_environment(tmp_path, mono_file_microphone("microphone", fed.fifo))
        with listening("--json", "--log", log, env=env) as process:  # the only device is the default
            fed.start(endless_heart(), chunk_s=0.02)
            began_s = time.monotonic()
            wait_for_decisions(log, 4, process)
            assert 1.5 < time.monotonic() - began_s < 10.0
            process.send_signal(signal.SIGINT)
            code, out, err = finish(process, within_s=5.0)
    assert (code, err) == (0, "")
    check_session(lines(log))
    assert out == log.read_text()


def lost(log: Path, process: subprocess.Popen[str], within_s: float) -> str:
    """The program after its device died: exit code 4, one line, a whole log with the reason; the line."""
    code, out, err = finish(process, within_s)
    assert (code, out) == (4, "")
    (line,) = err.splitlines()
    found = lines(log)
    assert line == f"laennec: {check_session(found)['reason']}"
    assert len(of_type("decision", found)) >= 2
    return line


def test_sound_server_that_dies_ends_the_session_with_4_and_a_whole_log_where_no_gap_is_wanted(tmp_path: Path) -> None:
    require_pulseaudio()
    log = tmp_path / "log.jsonl"
    with pulse_server(tmp_path, RATE_HZ) as server, feeding(server.fifo) as fed:
        fed.start(endless_heart(), chunk_s=0.02)
        with listening("--device", "pulsemic", "--quiet", "--log", log, "--max-gap", 0, env=server.env) as process:
            wait_for_decisions(log, 2, process)
            server.kill()
            line = lost(log, process, within_s=4.0)
    assert "'pulsemic' went away: reconnect it" in line
    assert states(lines(log)) == ["lost", "gone"]


def test_a_sound_server_that_comes_back_is_heard_again_and_the_recording_replays_the_session(tmp_path: Path) -> None:
    require_pulseaudio()
    log, kept, again = tmp_path / "live.jsonl", tmp_path / "kept.wav", tmp_path / "again.jsonl"
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(pulse_server(tmp_path, RATE_HZ))
        stack.enter_context(feeding(server.fifo)).start(endless_heart(), chunk_s=0.02)
        options = ("--device", "pulsemic", "--quiet", "--log", log, "--record", kept)
        process = stack.enter_context(listening(*options, env=server.env))
        wait_for_decisions(log, 6, process)
        server.kill()
        time.sleep(2.0)
        server.fifo.unlink()  # it makes its own, and refuses one that is there
        server.start()
        server.wait_until_ready()
        stack.enter_context(feeding(server.fifo)).start(endless_heart(), chunk_s=0.02)
        wait_for_decisions(log, 14, process)
        process.send_signal(signal.SIGINT)
        assert finish(process, within_s=5.0) == (0, "", "")
    live = lines(log)
    check_session(live)
    assert states(live) == ["lost", "reconnecting", "listening"]
    (gap,) = of_type("gap", live)
    assert gap["reason"] == "the device was away"
    assert gap["lost_samples"] > 1.5 * RATE_HZ
    succeed("replay", kept, "--speed", "max", "--quiet", "--log", again)
    for kind in ("decision", "beat", "gap"):
        assert of_type(kind, lines(again)) == of_type(kind, live)
    assert lines(again)[-1]["ledger"] == live[-1]["ledger"]


def test_ctrl_c_ends_a_session_whose_device_is_away(tmp_path: Path) -> None:
    require_pulseaudio()
    log = tmp_path / "log.jsonl"
    with pulse_server(tmp_path, RATE_HZ) as server, feeding(server.fifo) as fed:
        fed.start(endless_heart(), chunk_s=0.02)
        with listening("--device", "pulsemic", "--quiet", "--log", log, env=server.env) as process:
            wait_for_decisions(log, 2, process)
            server.kill()
            time.sleep(1.5)
            process.send_signal(signal.SIGINT)
            assert finish(process, within_s=2.0) == (0, "", "")
    found = lines(log)
    assert check_session(found)["reason"] == "stopped"
    assert states(found) == ["lost", "reconnecting"]


def test_a_sound_server_that_hangs_from_the_start_is_one_line_and_ctrl_c_is_heard(tmp_path: Path) -> None:
    require_pulseaudio()
    with pulse_server(tmp_path, RATE_HZ) as server:
        os.kill(server.process.pid, signal.SIGSTOP)
        with listening("--device", "pulsemic", "--quiet", env=server.env) as process:
            time.sleep(3.0)
            process.send_signal(signal.SIGINT)
            assert finish(process, within_s=2.0) == (130, "", "")
        refused(run("listen", "--device", "pulsemic", "--quiet", **server.env), 4, "does not answer", "restart it")


def test_a_sound_server_that_hangs_is_told_by_devices_and_doctor(tmp_path: Path) -> None:
    require_pulseaudio()
    with pulse_server(tmp_path, RATE_HZ) as server:
        os.kill(server.process.pid, signal.SIGSTOP)
        refused(run("devices", **server.env), 4, "does not answer", "restart it")
        assert "notice  audio input     the sound system does not answer\n" in succeed("doctor", **server.env)


def test_ctrl_c_pressed_again_while_the_driver_hangs_leaves_at_once(tmp_path: Path) -> None:
    """And the sound system, awake again, finds nobody to shut it down twice."""
    require_pulseaudio()
    log = tmp_path / "log.jsonl"
    with pulse_server(tmp_path, RATE_HZ) as server, feeding(server.fifo) as fed:
        fed.start(endless_heart(), chunk_s=0.02)
        with listening("--device", "pulsemic", "--quiet", "--log", log, env=server.env) as process:
            wait_for_decisions(log, 1, process)
            os.kill(server.process.pid, signal.SIGSTOP)
            time.sleep(1.0)
            process.send_signal(signal.SIGINT)
            time.sleep(0.6)
            process.send_signal(signal.SIGINT)
            assert finish(process, within_s=1.0) == (130, "", "")
        os.kill(server.process.pid, signal.SIGCONT)
    assert check_session(lines(log))["reason"] == "stopped"


def test_a_device_is_remembered_only_when_asked(tmp_path: Path) -> None:
    require_pulseaudio()
    with pulse_server(tmp_path, RATE_HZ) as server, feeding(server.fifo) as fed:
        fed.start(endless_heart(), chunk_s=0.02)
        env = server.env | {"XDG_CONFIG_HOME": str(tmp_path / "settings")}
        kept = tmp_path / "settings" / "laennec" / "device.json"
        for options, written in ((("--device", "pulsemic"), False), (("--device", "pulsemic", "--remember"), True)):
            log = tmp_path / f"{written}.jsonl"
            with listening(*options, "--quiet", "--log", log, env=env) as process:
                wait_for_decisions(log, 1, process)
                process.send_signal(signal.SIGINT)
                assert finish(process, within_s=5.0) == (0, "", "")
            assert kept.exists() == written
        kept.write_text(kept.read_text().replace("pulsemic", "another"))
        refused(run("listen", "--quiet", **env), 4, "no input device matches 'alsa:another'")
        kept.write_text("nothing")
        refused(run("listen", "--quiet", **env), 2, "device.json", "delete it")


def test_microphone_that_falls_silent_and_a_driver_that_hangs_do_not_hang_the_program(tmp_path: Path) -> None:
    require_portaudio()
    log, kept = tmp_path / "log.jsonl", tmp_path / "kept.wav"
    with feeding(tmp_path / "microphone.fifo") as fed:
        env = alsa_environment(tmp_path, mono_file_microphone("microphone", fed.fifo))
        with listening("--quiet", "--log", log, "--record", kept, "--max-gap", 0, env=env) as process:
            fed.start(itertools.islice(endless_heart(), 110), chunk_s=0.02)
            wait_for_decisions(log, 2, process)
            # The end of 2.2 s of sound, 3.5 s of silence, and 2 s in which the driver is asked to let go.
            line = lost(log, process, within_s=12.0)
    assert "gives no more audio" in line
    assert states(lines(log)) == ["stalled", "lost", "gone"]
    assert "reconnect it" in line
    ledger = lines(log)[-1]["ledger"]
    assert soundfile.info(kept).frames == ledger["captured"] - ledger["dropped"]
    assert ledger["dropped"] > 3 * RATE_HZ  # the silence is counted


def test_ctrl_c_ends_a_session_whose_driver_hangs(tmp_path: Path) -> None:
    require_portaudio()
    log = tmp_path / "log.jsonl"
    with feeding(tmp_path / "microphone.fifo") as fed:
        env = alsa_environment(tmp_path, mono_file_microphone("microphone", fed.fifo))
        with listening("--quiet", "--log", log, env=env) as process:
            fed.start(itertools.islice(endless_heart(), 110), chunk_s=0.0)
            wait_for_decisions(log, 1, process)
            process.send_signal(signal.SIGINT)
            assert finish(process, within_s=5.0) == (0, "", "")
    assert check_session(lines(log))["reason"] == "stopped"
