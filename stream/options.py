"""The options that `demo`, `listen` and `replay` share, and the sinks they ask for."""

from __future__ import annotations

import contextlib
import importlib.util
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.bundle import Bundle
from models.errors import SettingError
from stream.block import Source
from stream.monitor.palette import ThemeName
from stream.sessions import folder
from stream.sinks.jsonl import JsonlSink, Lines
from stream.sinks.log_file import LogFile, Rotation
from stream.sinks.plain import PlainSink
from stream.sinks.sink import Sink

if TYPE_CHECKING:
    from stream.sinks.metrics import MetricsSink

MOST_LOG_MB = 100.0  # a log grows by 1 kB/s: about a day

ModelOption = Annotated[Path | None, typer.Option("--model", metavar="FILE", help="A bundle; else the shipped one.")]
LogOption = Annotated[
    Path | None,
    typer.Option(
        "--log", metavar="FILE.jsonl", help="Write decisions, beats and gaps here: JSON lines. An older log is kept."
    ),
]
LogMaxOption = Annotated[
    float | None,
    typer.Option(
        "--log-max-mb",
        metavar="MB",
        help=f"Begin a new log file before it gets longer; 0: never; else {MOST_LOG_MB:g}.",
    ),
]
LogDailyOption = Annotated[bool, typer.Option("--log-daily", help="Begin a new log file each day, at midnight UTC.")]
MetricsOption = Annotated[
    int | None,
    typer.Option("--metrics", metavar="PORT", min=1, max=65535, help="Serve Prometheus metrics to this computer."),
]
MetricsHostOption = Annotated[
    str | None, typer.Option("--metrics-host", metavar="HOST", help="Serve them at this address; else 127.0.0.1.")
]
RecordOption = Annotated[
    Path | None,
    typer.Option(
        "--record",
        metavar="FILE.wav",
        help="Keep the audio: .wav (32-bit float) or .flac (24 bit). An older recording is kept.",
    ),
]
SessionOption = Annotated[
    Path | None,
    typer.Option(
        "--session",
        metavar="DIR|default",
        help="Keep the session in a folder of its own in DIR: its log, summary, and what --record NAME names. "
        "Instead of --log. default: where `laennec sessions` looks.",
    ),
]
PlainOption = Annotated[bool, typer.Option("--plain", help="One line per change of decision instead of the screen.")]
JsonOption = Annotated[bool, typer.Option("--json", help="The log's lines on standard output.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Nothing on standard output.")]
ThemeOption = Annotated[
    ThemeName, typer.Option("--theme", help="Colours of the screen; auto: the terminal's own 16. NO_COLOR holds.")
]
GapOption = Annotated[
    float | None,
    typer.Option("--max-gap", metavar="S", min=0, help="End when the device stays away longer; else wait for ever."),
]
ChannelOption = Annotated[int | None, typer.Option("--channel", metavar="N", help="Which channel to hear, from 1.")]


@dataclass(frozen=True)
class Output:
    """What a session is to leave and show."""

    log: Path | None = None
    record: Path | None = None
    plain: bool = False
    json_lines: bool = False
    quiet: bool = False
    rotation: Rotation = field(default_factory=Rotation)
    metrics: tuple[str, int] | None = None
    session: Path | None = None
    theme: ThemeName = ThemeName.DARK


def rotation(log: Path | None, max_mb: float | None, daily: bool) -> Rotation:
    """When the log goes on in a new file, as the options have it.

    Raises:
        SettingError: no log, or no number of megabytes.
    """
    if log is None and (max_mb is not None or daily):
        raise SettingError(
            "--log-max-mb and --log-daily say when a log goes on in a new file: give --log too, or --session"
        )
    most = MOST_LOG_MB if max_mb is None else max_mb
    if not 0 <= most < math.inf:
        raise SettingError(f"--log-max-mb {most}: give a number of megabytes, or 0 for files of any length")
    return Rotation(max(1, round(most * 1e6)) if most else None, daily)


def address(port: int | None, host: str | None) -> tuple[str, int] | None:
    """Where metrics are served, as the options have it: host and port.

    Raises:
        SettingError: a host without a port, or the package is missing.
    """
    if port is None:
        if host is not None:
            raise SettingError("--metrics-host says where metrics are served: give --metrics PORT too")
        return None
    if not importlib.util.find_spec("prometheus_client"):
        raise SettingError("--metrics needs prometheus_client; run in the checkout: pip install -e '.[metrics]'")
    return host or "127.0.0.1", port


def output(
    log: Path | None,
    log_max_mb: float | None,
    log_daily: bool,
    record: Path | None,
    plain: bool,
    json_lines: bool,
    quiet: bool,
    port: int | None,
    host: str | None,
    session: Path | None,
    theme: ThemeName,
) -> Output:
    """The options, checked.

    Raises:
        SettingError: as `rotation`, `address` and `sessions`.
    """
    parent = sessions(session, log, record)
    when, at = rotation(log or session, log_max_mb, log_daily), address(port, host)
    return Output(log, record, plain, json_lines, quiet, when, at, parent, theme)


def sessions(parent: Path | None, log: Path | None, record: Path | None) -> Path | None:
    """Where sessions get folders of their own, as the options have it.

    Raises:
        SettingError: the log or the recording is wanted elsewhere.
    """
    if parent is None:
        return None
    if log:
        raise SettingError("--session keeps the log in the session's folder: leave --log out")
    if record and record.name != str(record):
        raise SettingError(f"--record {record}: with --session it lies in the session's folder: give a name alone")
    return folder.usual() if parent == Path("default") else parent


def within(output: Output, own: Path) -> Output:
    """The same for a session that has a folder of its own."""
    return replace(output, log=own / folder.LOG, record=own / output.record if output.record else None, session=own)


@contextlib.contextmanager
def metrics(at: tuple[str, int] | None) -> Iterator[MetricsSink | None]:
    """Serves metrics, if wanted.

    Raises:
        SettingError: the port is taken.
    """
    if at is None:
        yield None
        return
    from stream.sinks.metrics import MetricsSink
    from stream.sinks.metrics_server import served

    sink = MetricsSink()
    with served(sink, *at):
        yield sink


@contextlib.contextmanager
def log_file(path: Path | None, when: Rotation | None = None) -> Iterator[Callable[[], Lines | None]]:
    """Opens the log when it is first asked for: a session that is refused leaves an older log as it was.

    What it gives is a session's part of the log. It raises SettingError where the log can't be written, and is None
    where none is wanted.

    Raises:
        LaennecError: at the end, where the log could not be written to its end.
    """
    opened: list[LogFile] = []

    def stream() -> Lines | None:
        if path and not opened:
            opened.append(LogFile(path, when))
        return opened[0].session() if opened else None

    try:
        yield stream
    finally:
        for file in opened:
            file.close()
    for file in opened:
        file.check()


def sinks(output: Output, log: Lines | None, bundle: Bundle, source: Source, screen: bool) -> list[Sink]:
    """Who is told of a session's events."""
    head = header(bundle, source)
    told: list[Sink] = []
    if log and output.log:
        told.append(JsonlSink(log, str(output.log), head))
    if output.json_lines and not output.quiet:
        told.append(JsonlSink(sys.stdout, "standard output", head))
    elif not (output.quiet or screen):
        told.append(PlainSink(sys.stdout))
    return told


def header(bundle: Bundle, source: Source) -> dict[str, Any]:
    """What the log's first line says. The replay speed is not in it: it changes nothing."""
    return {
        "laennec": version("laennec"),
        "model": {"id": bundle.id, "sha256": bundle.sha256},
        "source": source.description,
        "settings": {
            "window": asdict(bundle.window),
            "decide": asdict(bundle.decide),
            "rhythm": asdict(bundle.rhythm.spec) if bundle.rhythm else None,
        },
        "started": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }


def latency(text: str) -> float | str:
    """The latency an option names, in seconds where it is a number; `CaptureSpec` checks it."""
    try:
        return float(text)
    except ValueError:
        return text


def speed(text: str) -> float | None:
    """The replay speed an option names; None for "max".

    Raises:
        SettingError: neither "max" nor a number above 0.
    """
    if text == "max":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise SettingError(f"--speed {text}: give a number above 0 (1 is real time), or max")
    return value
