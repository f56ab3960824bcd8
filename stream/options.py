"""The options that `demo`, `listen` and `replay` share, and the sinks they ask for."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from models.bundle import Bundle
from models.errors import SettingError
from stream.block import Source
from stream.session import Sink
from stream.sinks.jsonl import JsonlSink, open_log
from stream.sinks.plain import PlainSink

ModelOption = Annotated[Path | None, typer.Option("--model", metavar="FILE", help="A bundle; else the shipped one.")]
LogOption = Annotated[
    Path | None, typer.Option("--log", metavar="FILE.jsonl", help="Write decisions, beats and gaps here: JSON lines.")
]
RecordOption = Annotated[
    Path | None, typer.Option("--record", metavar="FILE.wav", help="Keep the audio: .wav (32-bit float) or .flac.")
]
PlainOption = Annotated[bool, typer.Option("--plain", help="One line per change of decision instead of the screen.")]
JsonOption = Annotated[bool, typer.Option("--json", help="The log's lines on standard output.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Nothing on standard output.")]
ChannelOption = Annotated[int | None, typer.Option("--channel", metavar="N", help="Which channel to hear, from 1.")]


@dataclass(frozen=True)
class Output:
    """What a session is to leave and show."""

    log: Path | None = None
    record: Path | None = None
    plain: bool = False
    json_lines: bool = False
    quiet: bool = False


@contextlib.contextmanager
def log_file(path: Path | None) -> Iterator[Callable[[], TextIO | None]]:
    """Opens the log when it is first asked for: a session that is refused leaves an older log as it was.

    What it gives raises SettingError where the log can't be written, and is None where none is wanted.
    """
    streams: list[TextIO] = []

    def stream() -> TextIO | None:
        if path and not streams:
            streams.append(open_log(path))
        return streams[0] if streams else None

    try:
        yield stream
    finally:
        for opened in streams:
            # What could not be written is tried once more here; it was told already.
            with contextlib.suppress(OSError):
                opened.close()


def sinks(output: Output, log: TextIO | None, bundle: Bundle, source: Source, screen: bool) -> list[Sink]:
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
