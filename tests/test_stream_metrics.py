"""`--metrics`: what a scrape of a real session over HTTP says, and where the server is and is not."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import tiny_bundle
from program import LAENNEC, heart, refused, run, started, surroundings, write_wav
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from models import bundle as bundles
from models.bundle import Bundle
from models.classes import CLASSES
from models.decide import STATUSES, Decision
from models.errors import SettingError
from stream import options, outputs
from stream.block import CONDITIONS, Block, Condition
from stream.patient import Patient
from stream.session import Session
from stream.sinks import metrics_server
from stream.sinks.jsonl import JsonlSink
from stream.sinks.metrics import MetricsSink
from stream.sinks.metrics_server import MetricsServer, served
from stream.snapshot import Ledger
from stream.sources.simulated import SimulatedSource

Values = dict[tuple[str, ...], float]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle.write(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def bundle(model: Path) -> Bundle:
    return bundles.load(model)


def scrape(port: int, host: str = "127.0.0.1") -> Values:
    """A real scrape: values by name, status and label and the like, as the library's own parser reads them."""
    with urlopen(f"http://{host}:{port}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        text = answer.read().decode("utf-8")
    families = text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples]
    return {(s.name, *dict(sorted(s.labels.items(), reverse=True)).values()): s.value for s in samples}


def port_of(server: MetricsServer) -> int:
    return int(server.server_address[1])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def decided(values: Values) -> dict[tuple[str, ...], float]:
    return {key[1:]: count for key, count in values.items() if key[0] == "laennec_decisions_total"}


class Patchy:
    """A simulated patient through a device that comes and goes: conditions and losses between the blocks."""

    def __init__(self, age_s: float, waiting_s: float) -> None:
        self._patient = SimulatedSource(Patient("normal"), 12, block_samples=4000, speed=None)
        self.rate_hz = self._patient.rate_hz
        self.description = {"kind": "device", "name": "patchy", "rate_hz": self.rate_hz}
        self.captured_s_ago = lambda: age_s
        self.waiting_s = waiting_s

    def blocks(self) -> Iterator[Block | Condition]:
        shift = 0
        for block in self._patient.blocks():
            lost = 300 if block.start in (24_000, 32_000) else 0
            if lost:
                yield Condition("lost", block.start + shift, "unplugged")
                yield Condition("reconnecting", block.start + shift)
                shift += lost
                yield Condition("listening", block.start + shift)
            if block.start == 40_000:
                yield Condition("stalled", block.start + shift)
                yield Condition("listening", block.start + shift)
            yield Block(block.samples, block.start + shift, self.rate_hz, lost, "unplugged" if lost else "")

    def stop(self) -> None:
        self._patient.stop()

    def close(self) -> None:
        self._patient.close()


# What a scrape says


def test_a_scrape_says_what_the_log_says(bundle: Bundle) -> None:
    sink, stream, source = MetricsSink(), io.StringIO(), Patchy(age_s=0.25, waiting_s=0.125)
    session = Session(source, bundle, [JsonlSink(stream, "log", {}), sink])
    sink.watch(session.snapshot)
    seen: list[Values] = []
    newest: list[dict[str, Any] | None] = []

    def logged() -> list[dict[str, Any]]:
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    def look() -> None:
        seen.append(scrape(port_of(server)))
        newest.append(next((line for line in reversed(logged()) if line["type"] == "decision"), None))

    with served(sink, "127.0.0.1", 0) as server:
        session.run(after_block=look)
        after = scrape(port_of(server))
    log = logged()
    told = [line for line in log if line["type"] == "decision"]
    counted = {(d["status"], d["label"] or ""): 0 for d in told}
    for d in told:
        counted[d["status"], d["label"] or ""] += 1
    assert {key: count for key, count in decided(after).items() if count} == counted
    assert len(told) > 15
    for sound in ("S1", "S2"):
        assert after["laennec_beats_total", sound] == sum(line.get("sound") == sound for line in log)
    assert after["laennec_gaps_total",] == 2
    assert after["laennec_reconnects_total",] == 2  # a device that only stalled did not go away
    ledger = log[-1]["ledger"]
    assert ledger["dropped"] == 600
    for name, key in (("captured", "captured"), ("analysed", "analysed"), ("lost", "dropped"), ("discarded",) * 2):
        assert after[f"laennec_{name}_samples_total",] == ledger[key]
    captured = [values["laennec_captured_samples_total",] for values in seen]
    assert captured[0] == 4000
    assert captured == sorted(captured)
    # It is told while the device is heard, and not while it is away.
    states = [next(s for s in CONDITIONS if values["laennec_device_state", s] == 1) for values in seen]
    for state, values in zip(states, seen, strict=True):
        assert (values.get(("laennec_latency_seconds",), 0) > 0.25) == (state == "listening")
    assert "listening" in states
    for values, line, state in zip(seen, newest, states, strict=True):
        for key in ("quality", "heart_rate_bpm"):
            known = line[key] if line and state == "listening" else None
            assert values.get((f"laennec_{key}",)) == pytest.approx(known, abs=0.05)
    assert {values["laennec_ring_waiting_seconds",] for values in seen} == {0.125}
    for gauge in ("laennec_latency_seconds", "laennec_ring_waiting_seconds"):
        assert (gauge,) not in after


def test_a_scrape_knows_each_name_before_anything_happened() -> None:
    with served(MetricsSink(), "127.0.0.1", 0) as server:
        values = scrape(port_of(server))
    wanted = {("ok", label) for label in CLASSES} | {(status, "") for status in STATUSES if status != "ok"}
    assert decided(values) == dict.fromkeys(wanted, 0.0)
    for name in (
        *(f"{kind}_samples" for kind in ("captured", "analysed", "lost", "discarded")),
        *("gaps", "reconnects", "notices"),
    ):
        assert values[f"laennec_{name}_total",] == 0
    assert {key[1] for key in values if key[0] == "laennec_device_state"} == set(CONDITIONS)
    if sys.platform == "linux":
        assert values["process_resident_memory_bytes",] > 1e6


def test_what_is_unknown_has_no_sample() -> None:
    sink = MetricsSink()
    known = ("quality", "heart_rate_bpm", "latency_seconds", "ring_waiting_seconds")
    gauges = [(f"laennec_{name}",) for name in known]
    with served(sink, "127.0.0.1", 0) as server:
        assert not set(gauges) & set(scrape(port_of(server)))
        sink.decision(Decision(1.0, 4.0, None, "poor_signal", None, 0.05))
        values = scrape(port_of(server))
        assert values["laennec_quality",] == 0.05
        assert not set(gauges[1:]) & set(values)
        sink.decision(Decision(1.5, 4.0, "normal", "ok", None, 0.9, heart_rate_bpm=71.5))
        values = scrape(port_of(server))
        assert values["laennec_heart_rate_bpm",] == 71.5
        assert values["laennec_decisions_total", "ok", "normal"] == 1
        sink.end(Ledger(), "end of input")
        assert not set(gauges) & set(scrape(port_of(server)))


def test_exactly_one_state_is_the_device_s() -> None:
    sink = MetricsSink()
    with served(sink, "127.0.0.1", 0) as server:
        for state in CONDITIONS:
            sink.condition(0.0, state, "")
            values = scrape(port_of(server))
            states = {key[1]: value for key, value in values.items() if key[0] == "laennec_device_state"}
            assert states == {name: float(name == state) for name in CONDITIONS}


def test_counters_go_on_over_sessions(bundle: Bundle) -> None:
    sink = MetricsSink()
    seen: list[Values] = []
    with served(sink, "127.0.0.1", 0) as server:
        for _ in range(2):
            session = Session(SimulatedSource(Patient("normal"), 5, 4000, speed=None), bundle, [sink])
            sink.watch(session.snapshot)
            session.run(after_block=lambda: seen.append(scrape(port_of(server))))
            seen.append(scrape(port_of(server)))
    captured = [values["laennec_captured_samples_total",] for values in seen]
    assert captured == [*range(4000, 20_001, 4000), 20_000, *range(24_000, 40_001, 4000), 40_000]
    first, second = seen[5], seen[-1]
    assert first["laennec_captured_samples_total",] == 20_000
    assert second["laennec_captured_samples_total",] == second["laennec_analysed_samples_total",] == 40_000
    assert sum(decided(second).values()) == 2 * sum(decided(first).values()) > 0


def test_notices_are_counted() -> None:
    sink = MetricsSink()
    sink.notice(0.0, "something")
    with served(sink, "127.0.0.1", 0) as server:
        assert scrape(port_of(server))["laennec_notices_total",] == 1


def test_nothing_is_left_in_the_library_s_own_registry(bundle: Bundle) -> None:
    before = {family.name for family in REGISTRY.collect()}
    for _ in range(2):  # a second server in one process is no conflict
        with served(MetricsSink(), "127.0.0.1", 0) as server:
            scrape(port_of(server))
    assert {family.name for family in REGISTRY.collect()} == before


# Where it is served


def test_the_server_is_gone_after_the_session() -> None:
    threads = threading.active_count()
    with served(MetricsSink(), "127.0.0.1", 0) as server:
        port = port_of(server)
        scrape(port)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=2)
    deadline_s = time.monotonic() + 5
    while threading.active_count() > threads:
        assert time.monotonic() < deadline_s, threading.enumerate()
        time.sleep(0.01)


def test_clients_that_say_nothing_or_break_off_hold_up_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    began_s = time.monotonic()
    with served(MetricsSink(), "127.0.0.1", 0) as server, contextlib.ExitStack() as held:
        for _ in range(5):  # silent
            held.enter_context(socket.create_connection(("127.0.0.1", port_of(server))))
        for words in (b"GET", b"\xff\xfe\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):  # broken off with a reset
            client = socket.create_connection(("127.0.0.1", port_of(server)))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.sendall(words)
            client.close()
        assert scrape(port_of(server))["laennec_gaps_total",] == 0
        leaving_s = time.monotonic()
    assert time.monotonic() - leaving_s < 1.5
    assert leaving_s - began_s < 5
    assert capfd.readouterr() == ("", "")


def test_a_silent_client_is_let_go_of_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= metrics_server._Handler.timeout <= 60
    monkeypatch.setattr(metrics_server._Handler, "timeout", 0.2)
    threads = threading.active_count()
    with served(MetricsSink(), "127.0.0.1", 0) as server:
        with socket.create_connection(("127.0.0.1", port_of(server)), timeout=5) as silent:
            assert silent.recv(1) == b""
        deadline_s = time.monotonic() + 5
        while threading.active_count() > threads + 1:  # the server's own
            assert time.monotonic() < deadline_s, threading.enumerate()
            time.sleep(0.01)


def test_other_methods_are_refused() -> None:
    with served(MetricsSink(), "127.0.0.1", 0) as server:
        connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=5)
        connection.request("POST", "/metrics", b"x")
        assert connection.getresponse().status == 405
        connection.close()


def test_a_port_in_use_is_a_setting_that_cannot_be_used() -> None:
    with served(MetricsSink(), "127.0.0.1", 0) as server:
        port = port_of(server)
        refusal = pytest.raises(SettingError, match=f"--metrics {port}: can't be served at 127.0.0.1: Address already")
        with refusal, served(MetricsSink(), "127.0.0.1", port):
            pass


def test_an_address_with_ipv6_works_where_there_is_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        with pytest.raises(SettingError, match="can't be served at ::1"), served(MetricsSink(), "::1", 0):
            pass
        return
    with served(MetricsSink(), "::1", 0) as server:
        assert scrape(port_of(server), "[::1]")["laennec_gaps_total",] == 0


def listening_sockets(process: subprocess.Popen[str]) -> list[str]:
    """Addresses at which a process's TCP ports are open, in hexadecimal as the kernel prints them."""
    inodes = set()
    for fd in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(str(fd.readlink()).removeprefix("socket:[").rstrip("]"))
    found = []
    for table in ("tcp", "tcp6"):
        for row in (Path("/proc/net") / table).read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.append(fields[1])
    return found


def scrape_soon(process: subprocess.Popen[str], port: int) -> Values:
    deadline_s = time.monotonic() + 30
    while True:
        assert process.poll() is None, process.communicate()
        with contextlib.suppress(OSError):
            values = scrape(port)
            if sum(decided(values).values()) >= 2:
                return values
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def test_the_program_serves_this_computer_alone_until_ctrl_c(model: Path) -> None:
    port = free_port()
    with started("demo", "--model", model, "--metrics", port, "--quiet") as process:
        values = scrape_soon(process, port)
        assert values["laennec_captured_samples_total",] > 4000
        assert values["laennec_device_state", "listening"] == 1
        assert listening_sockets(process) == [f"0100007F:{port:04X}"]
        with socket.create_connection(("127.0.0.1", port)):  # a client that is still there holds up nothing
            asked_s = time.monotonic()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=10)
            assert time.monotonic() - asked_s < 5
    assert (process.returncode, out, err) == (0, "", "")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=2)


def test_replay_is_served_too_and_over_all_its_files(model: Path, tmp_path: Path) -> None:
    port, path = free_port(), write_wav(tmp_path / "a.wav", heart(3.0))
    with started("replay", path, "--loop", "--model", model, "--metrics", port, "--quiet", "--speed", 4) as process:
        while scrape_soon(process, port)["laennec_captured_samples_total",] < 30_000:
            time.sleep(0.05)
        assert not {("laennec_latency_seconds",), ("laennec_ring_waiting_seconds",)} & set(scrape(port))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    assert process.returncode == 0


def test_a_port_in_use_is_refused_before_anything_begins(model: Path, tmp_path: Path) -> None:
    log = tmp_path / "x.jsonl"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for command in (("demo",), ("replay", write_wav(tmp_path / "a.wav", heart(1.0)))):
            done = run(*command, "--model", model, "--metrics", port, "--log", log)
            refused(done, 2, f"--metrics {port}", "127.0.0.1", "in use", "another port")
    assert not log.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--metrics-host", "0.0.0.0"), ("give --metrics PORT too",)),
        (("--metrics", "9000", "--metrics-host", "no.such.host.invalid"), ("no.such.host.invalid", "--metrics-host")),
        (("--metrics", "9000", "--metrics-host", "203.0.113.1"), ("203.0.113.1", "--metrics-host")),
        (("--out", "x.wav", "--metrics", "9000"), ("--out runs no session", "--metrics")),
    ],
)
def test_addresses_that_can_not_be_used(model: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    more = () if "--out" in arguments else ("--model", model)
    refused(run("demo", *more, *arguments), 2, *words)


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_ports_that_are_none(port: str) -> None:
    assert run("demo", "--metrics", port).returncode == 2


WITHOUT_THE_PACKAGE = """
import sys
sys.modules["prometheus_client"] = None  # as where it is not installed: an import raises ImportError
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "prometheus_client" else real(name, *more)
import laennec
laennec.main()
"""


def test_a_missing_package_is_one_line_and_keeps_nothing_else_from_working(model: Path) -> None:
    def without(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [LAENNEC[0], "-c", WITHOUT_THE_PACKAGE, "demo", "--model", str(model), *map(str, arguments)]
        return subprocess.run(command, env=surroundings(), capture_output=True, text=True, timeout=60, check=False)

    refused(without("--metrics", 9000), 2, "prometheus_client", "pip install", "[metrics]")
    done = without("--seconds", 5, "--speed", "max", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


def test_addresses_as_the_options_have_them() -> None:
    assert options.address(None, None) is None
    assert options.address(9000, None) == ("127.0.0.1", 9000)
    assert options.address(9000, "0.0.0.0") == ("0.0.0.0", 9000)
    with outputs.metrics(None) as nothing:
        assert nothing is None
