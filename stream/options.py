"""The options that `demo`, `listen` and `replay` share, and the sinks they ask for."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import typer

from models.errors import SettingError
from stream.monitor.palette import ThemeName
from stream.sinks.log_file import Rotation

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
ChannelsOption = Annotated[
    str | None,
    typer.Option("--channels", metavar="all|1,3,4", help="Several channels at once, each a stream of its own."),
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
    from stream.sessions import folder

    if log:
        raise SettingError("--session keeps the log in the session's folder: leave --log out")
    if record and record.name != str(record):
        raise SettingError(f"--record {record}: with --session it lies in the session's folder: give a name alone")
    return folder.usual() if parent == Path("default") else parent


def within(output: Output, own: Path) -> Output:
    """The same for a session that has a folder of its own."""
    from stream.sessions import folder

    return replace(output, log=own / folder.LOG, record=own / output.record if output.record else None, session=own)


def latency(text: str) -> float | str:
    """The latency an option names, in seconds where it is a number; `CaptureSpec` checks it."""
    try:
        return float(text)
    except ValueError:
        return text


def channels(text: str | None, channel: int | None) -> tuple[int, ...] | None:
    """The channels that an option names, in order; empty for all, None where it is not given.

    Raises:
        SettingError: they are no channels, one is there twice, or `--channel` is given too.
    """
    if text is None:
        return None
    if channel is not None:
        raise SettingError("--channel hears one channel and --channels several: leave one of them out")
    if text.strip() == "all":
        return ()
    parts = [part.strip() for part in text.split(",")]
    found = sorted(int(part) for part in parts if part.isascii() and part.isdecimal() and len(part) < 6)
    if len(found) < len(parts) or found[0] < 1:
        raise SettingError(f"--channels {text}: give all, or numbers from 1 with commas between them, as 1,3,4")
    if len(set(found)) < len(found):
        raise SettingError(f"--channels {text}: names a channel twice; each is a stream of its own")
    return tuple(found)


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
