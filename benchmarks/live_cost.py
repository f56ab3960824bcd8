"""What listening live costs: from capture to decision, and CPU and memory of the program.

python benchmarks/live_cost.py [--rate HZ]... [--seconds 60] [--json]

A simulated heart is written into the only microphone of a private PulseAudio, 10 ms at a time, as a sound card would.
Two processes listen to it through PortAudio, ALSA and PulseAudio, none of it simulated. What comes before `_WARM_S` is
left out. Needs Linux and what the tests of live capture need.

`laennec listen --plain` is the program itself. Its threads' CPU time and its memory are looked up in /proc: the main
thread reads the ring, analyses and writes; the others are those of PortAudio and PulseAudio, the callback included.

The other listens with the same parts, and notes the clock when a decision is told and its line, if any, flushed. What
it recorded is found, bit for bit, in what was written: so each sample's moment of capture is known, that at which its
10 ms were given to PulseAudio. The whole latency is from the capture of a window's last sample to that window's
decision, and the sum, decision by decision, of three parts:

    resampler   until the last sample was captured that had been heard by then: its filter looks ahead, and gives its
                output in bursts
    delivery    from there to PortAudio's last callback before the decision: PulseAudio's and PortAudio's buffers
    program     from there to the decision: waiting to be read, and analysis

Not in it: the half second between decisions, the 10 ms that a sound card gathers, drawing a screen. PulseAudio passes
the 10 ms on one by one; sound cards with longer periods are later, and wake the program less often.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))  # whose private PulseAudio it is

from audio_servers import PulseServer, feeding, pulse_server, require_pulseaudio
from conftest import ROOT

from models import bundle
from models.decide import Decision
from stream.patient import Patient
from stream.session import Session
from stream.simulate import render
from stream.sinks.plain import PlainSink
from stream.sinks.recorder import Recorder
from stream.sources.capture import CaptureSpec
from stream.sources.live import LiveSource

_RATES_HZ = (4000, 44_100, 48_000)
_CHUNK_S = 0.01
_WARM_S = 15.0
_START_S, _END_S = 5.0, 20.0  # for both to begin, and to end


class Timed(PlainSink):
    """The plain lines, and for each decision: its time, samples heard, when it was told, s since the last delivery."""

    def __init__(self, source: LiveSource) -> None:
        super().__init__(sys.stdout, source.rate_hz)
        self._source = source
        self.session: Session | None = None
        self.told: list[tuple[float, int, float, float]] = []

    def decision(self, d: Decision) -> None:
        """Write the line, then look at the clock."""
        super().decision(d)
        assert self.session is not None
        heard = self.session.ledger.captured
        self.told.append((d.t_s, heard, time.monotonic(), self._source.captured_s_ago()))


def listen(rate_hz: int, folder: Path) -> None:
    """As `laennec listen --plain --record`, until it is interrupted; leaves the times in the folder."""
    source = LiveSource(None, CaptureSpec(rate_hz))
    sink = Timed(source)
    sink.session = session = Session(source, bundle.load(), [sink], Recorder(folder / "heard.wav", source.rate_hz))
    signal.signal(signal.SIGINT, lambda *_: session.stop())
    session.run()
    (folder / "told.json").write_text(json.dumps(sink.told))


def cpu_s(pid: int) -> np.ndarray:
    """CPU time of a process's main thread and of all others, and the clock."""
    spent = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        spent[int(task.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return np.array([spent.pop(pid), sum(spent.values()), time.monotonic()])


def cost(pid: int, seconds: float) -> dict[str, float]:
    """CPU of a process over the seconds to come, in % of a core, and its memory then."""
    before = cpu_s(pid)
    time.sleep(seconds)
    main_s, others_s, passed_s = cpu_s(pid) - before
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    percent, rss_mb = 100 / passed_s, pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    return {"main_percent": percent * main_s, "others_percent": percent * others_s, "rss_mb": rss_mb}


def timed(chunks: list[np.ndarray], written_s: list[float]) -> Iterator[np.ndarray]:
    """Chunks as they are; notes when each is taken, which is when it is written."""
    for chunk in chunks:
        written_s.append(time.monotonic())
        yield chunk


def run_both(server: PulseServer, rate_hz: int, seconds: float, folder: Path) -> dict[str, float]:
    """Let both listen; what the program cost."""
    rate = ["--rate", str(rate_hz)]
    commands = [["-m", "laennec", "listen", "--plain", *rate], [__file__, *rate, "--listen-in", str(folder)]]
    surroundings = {**os.environ, **server.env, "PYTHONPATH": str(ROOT)}
    quiet = subprocess.DEVNULL
    running = [subprocess.Popen([sys.executable, *words], env=surroundings, stdout=quiet) for words in commands]
    try:
        time.sleep(_START_S + _WARM_S)
        found = cost(running[0].pid, seconds)
    finally:
        for process in running:
            process.send_signal(signal.SIGINT)
        codes = [process.wait(10) for process in running]
    if any(codes):
        raise SystemExit(f"one of the listeners failed: exit codes {codes}")
    return found


def latencies(audio: np.ndarray, written_s: list[float], rate_hz: int, folder: Path) -> dict[str, object]:
    """From what was written, recorded and told; ms."""
    heard, _ = soundfile.read(folder / "heard.wav", dtype="float32")
    first = len(heard) - rate_hz  # its last second is looked for
    at = audio.tobytes().find(heard[first:].tobytes()) // 4 - first
    if not np.array_equal(audio[at : at + len(heard)], heard):
        raise SystemExit("what was recorded is not what was written: audio was lost on its way")
    rows = json.loads((folder / "told.json").read_text())[:-1]  # the last may be told by the end alone
    t_s, samples, told_s, since_s = np.array([row for row in rows if row[0] > _WARM_S]).T
    ends = np.stack([np.round(t_s * rate_hz), samples]).astype(int)
    captured_s, heard_s = np.array(written_s)[(at + ends - 1) // round(_CHUNK_S * rate_hz)]
    parts = {"whole": told_s - captured_s, "resampler": heard_s - captured_s}
    parts |= {"delivery": told_s - since_s - heard_s, "program": since_s}
    return {"decisions": len(t_s), "latency_ms": {name: spread(1000 * part) for name, part in parts.items()}}


def spread(ms: np.ndarray) -> dict[str, float]:
    """Median, 99th percentile and maximum."""
    return {"median": float(np.median(ms)), "p99": float(np.percentile(ms, 99)), "max": float(np.max(ms))}


def measure(rate_hz: int, seconds: float) -> dict[str, object]:
    """All at one rate."""
    audio = render(Patient("normal", rate_hz=rate_hz), _START_S + _WARM_S + seconds + _END_S)
    step = round(_CHUNK_S * rate_hz)
    chunks, written_s = np.split(audio, range(step, len(audio), step)), list[float]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with pulse_server(folder, rate_hz) as server, feeding(server.fifo) as microphone:
            microphone.start(timed(chunks, written_s), step / rate_hz)
            spent = run_both(server, rate_hz, seconds, folder)
        return {"rate_hz": rate_hz, "seconds": seconds, **latencies(audio, written_s, rate_hz, folder), **spent}


def main() -> None:
    """Print what was found."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rate", type=int, action="append", help="repeatable; 4000, 44100 and 48000 if not given")
    asked.add_argument("--seconds", type=float, default=60.0)
    asked.add_argument("--json", action="store_true")
    asked.add_argument("--listen-in", type=Path, help=argparse.SUPPRESS)  # this process is the one that is timed
    wanted = asked.parse_args()
    if wanted.listen_in:
        listen(wanted.rate[0], wanted.listen_in)
        return
    try:
        require_pulseaudio()
    except pytest.skip.Exception as missing:
        raise SystemExit(str(missing)) from None
    for rate_hz in wanted.rate or _RATES_HZ:
        found = measure(rate_hz, wanted.seconds)
        print(json.dumps(found) if wanted.json else text(found), flush=True)


def text(found: dict[str, object]) -> str:
    """The same in words."""
    lines = [f"{found['rate_hz']} Hz, {found['decisions']} decisions; ms: median, p99, max"]
    for name, values in found["latency_ms"].items():  # type: ignore[attr-defined]
        lines.append(f"  {name:10}" + "".join(f"{x:8.1f}" for x in values.values()))
    spent = f"CPU, % of a core: main thread {found['main_percent']:.2f}, others {found['others_percent']:.2f}"
    return "\n".join([*lines, f"  {spent}; memory {found['rss_mb']:.1f} MB"])


if __name__ == "__main__":
    main()
