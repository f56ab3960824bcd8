"""Recovery through the real PortAudio: a private PulseAudio dies, stops, is suspended or muted, and comes back."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from audio_servers import PulseServer, driving, endless, feeding, pulse_server, require_pulseaudio

RATE_HZ = 4000
#: What PulseAudio may hold back at the beginning and the end.
CLOCK_S = 0.5

#: Reports every condition when it is told, and at the end whether the ledger is whole and the device was let go.
LIVE = """
seconds, most_gap_s = map(float, sys.argv[1:])
source = LiveSource("pulsemic", CaptureSpec(4000), most_gap_s if most_gap_s >= 0 else None)
following, whole, lost, since_back, backs, stopped_s = 0, True, 0, 0, 0, 0.0
report(state="opened", at_s=time.monotonic())
try:
    for heard in source.blocks():
        if isinstance(heard, Condition):
            report(state=heard.state, detail=heard.detail, at_s=time.monotonic())
            backs += heard.state == "listening" and not heard.detail
            since_back = 0
        else:
            whole = whole and heard.start - heard.lost == following
            following, lost = heard.start + len(heard.samples), lost + heard.lost
            since_back += len(heard.samples)
        if backs and since_back > seconds * 4000 and not stopped_s:
            source.stop()
            stopped_s = time.monotonic()
except DeviceError as error:
    report(state="error", detail=str(error), at_s=time.monotonic())
began_s = time.monotonic()
source.close()
report(
    state="closed", whole=whole, lost_s=lost / 4000, stream_s=following / 4000, clean=source.closed_cleanly,
    close_s=time.monotonic() - began_s, at_s=time.monotonic(), stopped_s=stopped_s,
)
"""

Report = dict[str, object]


def session(
    folder: Path, harm: Callable[[PulseServer], object], mend: Callable[[PulseServer], object], away_s: float
) -> tuple[float, list[Report]]:
    """Hear a device for a second, harm it, mend it, and hear it for a second more; when it was harmed, and reports."""
    with pulse_server(folder, RATE_HZ) as server, feeding(server.fifo) as fed:
        fed.start(endless(RATE_HZ // 50, start=1), chunk_s=0.02)
        with driving(LIVE, server.env, 1, -1) as driver:
            opened = driver.next_report()
            time.sleep(1.0)
            harmed_s = time.monotonic()
            harm(server)
            time.sleep(away_s)
            mend(server)
            return harmed_s, [opened, *driver.finish(timeout_s=40)]


def check(harmed_s: float, reports: list[Report]) -> list[str]:
    """Detected within 2 s, recovered, the ledger whole and as long as it took."""
    opened, *told, closed = reports
    assert told, "nothing was told"
    assert float(str(told[0]["at_s"])) - harmed_s < 2.0
    assert closed["state"] == "closed"
    assert closed["whole"]
    took_s = float(str(closed["stopped_s"])) - float(str(opened["at_s"]))
    assert abs(float(str(closed["stream_s"])) - took_s) < CLOCK_S, (closed, took_s)
    return states(told)


def states(told: list[Report]) -> list[str]:
    """Each once: a state is told again with another detail."""
    return [state for state, _ in itertools.groupby(str(report["state"]) for report in told)]


def test_a_sound_server_that_is_killed_and_comes_back_is_heard_again(tmp_path: Path) -> None:
    require_pulseaudio()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(pulse_server(tmp_path, RATE_HZ))
        stack.enter_context(feeding(server.fifo)).start(endless(RATE_HZ // 50, start=1), chunk_s=0.02)
        driver = stack.enter_context(driving(LIVE, server.env, 1, -1))
        opened = driver.next_report()
        time.sleep(1.0)
        harmed_s = time.monotonic()
        server.kill()
        time.sleep(3.0)
        server.fifo.unlink()  # it makes its own, and refuses one that is there
        server.start()
        server.wait_until_ready()
        stack.enter_context(feeding(server.fifo)).start(endless(RATE_HZ // 50, start=1), chunk_s=0.02)
        reports = [opened, *driver.finish(timeout_s=40)]
    assert check(harmed_s, reports) == ["lost", "reconnecting", "listening"]
    assert "went away" in str(reports[1]["detail"])
    assert float(str(reports[-1]["lost_s"])) > 2.5
    assert reports[-1]["clean"]


def test_a_suspended_source_is_told_at_once_and_heard_again(tmp_path: Path) -> None:
    require_pulseaudio()
    harmed_s, reports = session(
        tmp_path,
        lambda server: server.control("suspend-source", "mic", "1"),
        lambda server: server.control("suspend-source", "mic", "0"),
        1.5,
    )
    assert check(harmed_s, reports)[0] == "stalled"


def test_a_sound_server_that_hangs_is_told_and_heard_again(tmp_path: Path) -> None:
    """SIGSTOP for longer than it takes to give the device up: letting go of it hangs as well."""
    require_pulseaudio()
    harmed_s, reports = session(
        tmp_path,
        lambda server: os.kill(server.process.pid, signal.SIGSTOP),
        lambda server: os.kill(server.process.pid, signal.SIGCONT),
        5.0,
    )
    told = check(harmed_s, reports)
    assert told[:3] == ["stalled", "lost", "reconnecting"]
    assert told[-1] == "listening"


def test_a_stall_of_three_seconds_is_no_loss_of_the_device(tmp_path: Path) -> None:
    require_pulseaudio()
    harmed_s, reports = session(
        tmp_path,
        lambda server: os.kill(server.process.pid, signal.SIGSTOP),
        lambda server: os.kill(server.process.pid, signal.SIGCONT),
        3.0,
    )
    assert check(harmed_s, reports) == ["stalled", "listening"]


def test_a_muted_source_is_told(tmp_path: Path) -> None:
    require_pulseaudio()
    harmed_s, reports = session(
        tmp_path,
        lambda server: server.control("set-source-mute", "mic", "1"),
        lambda server: server.control("set-source-mute", "mic", "0"),
        2.5,
    )
    check(harmed_s, reports)
    assert [report["state"] for report in reports[1:-1]] == ["listening", "listening"]
    assert "zeros" in str(reports[1]["detail"])
    assert reports[-1]["lost_s"] == 0


def test_a_device_that_stays_away_ends_the_session_where_that_is_asked_for(tmp_path: Path) -> None:
    require_pulseaudio()
    with pulse_server(tmp_path, RATE_HZ) as server, feeding(server.fifo) as fed:
        fed.start(endless(RATE_HZ // 50, start=1), chunk_s=0.02)
        with driving(LIVE, server.env, 1, 2) as driver:
            driver.next_report()
            time.sleep(1.0)
            server.kill()
            *told, closed = driver.finish(timeout_s=20)
    assert states(told) == ["lost", "reconnecting", "gone", "error"]
    assert "--max-gap 2" in str(told[-1]["detail"])
    assert float(str(closed["close_s"])) < 3.0


def test_a_source_that_is_removed_while_another_exists_is_told(tmp_path: Path) -> None:
    require_pulseaudio()

    def remove(server: PulseServer) -> None:
        modules = server.control("list", "short", "modules").splitlines()
        (number,) = [line.split()[0] for line in modules if "module-pipe-source" in line]
        server.control("unload-module", number)

    with pulse_server(tmp_path, RATE_HZ) as server, feeding(server.fifo) as fed:
        server.control("load-module", "module-null-sink", f"rate={RATE_HZ}", "channels=1")
        server.control("set-default-source", "mic")
        fed.start(endless(RATE_HZ // 50, start=1), chunk_s=0.02)
        with driving(LIVE, server.env, 1, -1) as driver:
            driver.next_report()
            time.sleep(1.0)
            harmed_s = time.monotonic()
            remove(server)
            first = driver.next_report()
            driver.close()
    assert float(str(first["at_s"])) - harmed_s < 2.0
    assert first["state"] in {"stalled", "lost"} or "zeros" in str(first["detail"])
