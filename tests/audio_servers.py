"""Real capture without a sound card: ALSA's file plugin, FIFOs that pace it, and a private PulseAudio.

PortAudio reads its surroundings once, when it is first loaded. So the process under test is always a fresh one, and
the tests' own never loads PortAudio.
"""

from __future__ import annotations

import ctypes.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, skip_or_fail

FULL_SCALE = 1 << 23  # samples count up in steps of 2^-23: exact in float32, and each says its own index

PRELUDE = f"""
import json, sys, time
import numpy as np
from models.errors import DeviceError, LaennecError
from stream.block import Block, Condition
from stream.sources.capture import CaptureSpec
from stream.sources.device import DeviceSource
from stream.sources.live import LiveSource
from stream.sources.portaudio import list_devices

def counts(samples):
    return (samples.astype(np.float64) * {FULL_SCALE}).astype(int)

def blocks_of(source):
    return (heard for heard in source.blocks() if isinstance(heard, Block))

def take(source, count):
    blocks, total = [], 0
    for block in blocks_of(source):
        blocks.append(block)
        total += len(block.samples)
        if total >= count:
            return blocks

def report(**facts):
    print(json.dumps(facts), flush=True)
"""


def require_portaudio() -> None:
    if ctypes.util.find_library("portaudio") is None:
        skip_or_fail("PortAudio is missing: apt install libportaudio2")
    if not Path("/usr/share/alsa/alsa.conf").exists():
        skip_or_fail("ALSA's configuration is missing: apt install libasound2-data")


def require_pulseaudio() -> None:
    require_portaudio()
    if shutil.which("pulseaudio") is None or shutil.which("pactl") is None:
        skip_or_fail("PulseAudio is missing: apt install pulseaudio pulseaudio-utils")
    if not any(Path("/usr/lib").glob("**/alsa-lib/libasound_module_pcm_pulse.so")):
        skip_or_fail("ALSA's PulseAudio plugin is missing: apt install libasound2-plugins")


def ramp(start: int, count: int) -> np.ndarray:
    """Samples whose values are their own indices (modulo FULL_SCALE), in steps of 2^-23."""
    return (np.arange(start, start + count) % FULL_SCALE / FULL_SCALE).astype(np.float32)


class Driver:
    """A script that may use what PRELUDE offers, running in a process of its own."""

    def __init__(self, script: str, env: dict[str, str], *arguments: int) -> None:
        command = [sys.executable, "-W", "error", "-c", PRELUDE + script, *map(str, arguments)]
        surroundings = {**os.environ, "PYTHONPATH": str(ROOT), **env}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, env=surroundings, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)

    def next_report(self) -> dict[str, object]:
        """Wait for one report while the script goes on."""
        line = self._process.stdout.readline()
        return json.loads(line) if line else pytest.fail(self._process.communicate()[1])

    def finish(self, timeout_s: float = 30.0) -> list[dict[str, object]]:
        """Wait for the script to end by itself; the reports not yet seen."""
        out, err = self._process.communicate(timeout=timeout_s)
        assert self._process.returncode == 0, err
        return [json.loads(line) for line in out.splitlines()]

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def driving(script: str, env: dict[str, str], *arguments: int) -> Iterator[Driver]:
    driver = Driver(script, env, *arguments)
    try:
        yield driver
    finally:
        driver.close()


def run_driver(script: str, env: dict[str, str], *arguments: int) -> list[dict[str, object]]:
    """Run a script to its end; its reports."""
    with driving(script, env, *arguments) as driver:
        return driver.finish()


def alsa_environment(folder: Path, configuration: str) -> dict[str, str]:
    """Variables under which ALSA knows only the given devices, and no sound server is found or started."""
    path = folder / "asound.conf"
    path.write_text(f"</usr/share/alsa/alsa.conf>\n{configuration}")
    return {"ALSA_CONFIG_PATH": str(path), "PULSE_SERVER": f"unix:{folder}/no-server"}


def file_microphone(name: str, infile: Path) -> str:
    """ALSA device with any number of channels (PortAudio says 128) that reads raw interleaved float32."""
    return f'pcm.{name} {{ type file slave.pcm "null" file "/dev/null" infile "{infile}" format "raw" }}\n'


def mono_file_microphone(name: str, infile: Path) -> str:
    """The same with one channel only."""
    return interface(name, infile, 1)


def interface(name: str, infile: Path, channels: int) -> str:
    """The same with so many channels."""
    bindings = " ".join(f"bindings.{k} {{ slave a channel {k} }}" for k in range(channels))
    slave = f'{{ type multi slaves.a.pcm "null" slaves.a.channels {channels} {bindings} }}'
    return f'pcm.{name} {{ type file slave.pcm {slave} file "/dev/null" infile "{infile}" format "raw" }}\n'


class Feeder:
    """Writes float32 into a FIFO from a thread, in real time or as fast as it is read.

    ALSA's file plugin counts what a short read did not bring as if it had come: behind it, a FIFO is good for pace
    and for wedging, not for exact values. Regular files and PulseAudio are exact.
    """

    def __init__(self, fifo: Path) -> None:
        self.fifo = fifo
        if not fifo.exists():
            os.mkfifo(fifo)
        # Open for both, before PortAudio enumerates: opening one end alone would wait for the other.
        self._descriptor = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.fed_last_s = 0.0  # monotonic time of the last write

    def start(self, chunks: Iterable[np.ndarray], chunk_s: float = 0.0) -> None:
        """Feed chunks, one every `chunk_s`; an empty chunk is a pause of that length."""
        self._thread = threading.Thread(target=self._feed, args=(chunks, chunk_s))
        self._thread.start()

    def _feed(self, chunks: Iterable[np.ndarray], chunk_s: float) -> None:
        began_s = time.monotonic()
        for index, chunk in enumerate(chunks):
            self._write(memoryview(np.ascontiguousarray(chunk, dtype=np.float32).tobytes()))
            if self._stopped.wait(max(0.0, began_s + (index + 1) * chunk_s - time.monotonic())):
                return

    def _write(self, data: memoryview) -> None:
        while data and not self._stopped.is_set():
            try:
                data = data[os.write(self._descriptor, data) :]
                self.fed_last_s = time.monotonic()
            except BlockingIOError:
                time.sleep(0.001)

    def close(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        os.close(self._descriptor)


@contextmanager
def feeding(fifo: Path) -> Iterator[Feeder]:
    made = Feeder(fifo)
    try:
        yield made
    finally:
        made.close()


def endless(chunk_samples: int, start: int = 0) -> Iterator[np.ndarray]:
    """A ramp in chunks, for ever."""
    while True:
        yield ramp(start, chunk_samples)
        start += chunk_samples


#: As ALSA names four channels: PulseAudio would mix those that are called otherwise.
_MAP = " channel_map=front-left,front-right,rear-left,rear-right"


class PulseServer:
    """A PulseAudio daemon of our own, whose only source reads a FIFO (made by it) in float32."""

    def __init__(self, folder: Path, rate_hz: int, channels: int = 1) -> None:
        self.fifo = folder / "pulse.fifo"
        socket = folder / "native"
        self.env = alsa_environment(folder, "pcm.pulsemic { type pulse }\n")
        self.env |= {
            "PULSE_SERVER": f"unix:{socket}",
            "PULSE_RUNTIME_PATH": str(folder),
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder}/no-bus",
        }
        options = ["-n", "-F", "/dev/null", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        modules = [
            f"--load=module-native-protocol-unix auth-anonymous=1 socket={socket}",
            f"--load=module-pipe-source source_name=mic file={self.fifo} format=float32le rate={rate_hz} "
            f"channels={channels}{_MAP if channels == 4 else ''}",
        ]
        self._command = ["pulseaudio", *options, *modules]
        self._log = folder / "pulse.log"
        self.start()

    def start(self) -> None:
        """Begin, also after `kill`."""
        with self._log.open("a") as log:
            self.process = subprocess.Popen(self._command, env={**os.environ, **self.env}, stderr=log)

    def wait_until_ready(self) -> None:
        deadline_s = time.monotonic() + 10.0
        while "mic" not in self.control("list", "short", "sources", check=False):
            if self.process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"PulseAudio did not start: {self._log.read_text()}")
            time.sleep(0.02)

    def control(self, *command: str, check: bool = True) -> str:
        surroundings = {**os.environ, **self.env}
        done = subprocess.run(["pactl", *command], env=surroundings, capture_output=True, text=True, check=check)
        return done.stdout

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def pulse_server(folder: Path, rate_hz: int, channels: int = 1) -> Iterator[PulseServer]:
    server = PulseServer(folder, rate_hz, channels)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.kill()
