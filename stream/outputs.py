"""What a session leaves and shows, opened: log, metrics, and the sinks that write there."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.bundle import Bundle
from stream.block import Source
from stream.options import Output
from stream.sinks.jsonl import JsonlSink, Lines
from stream.sinks.log_file import LogFile, Rotation
from stream.sinks.plain import PlainSink
from stream.sinks.sink import Sink

if TYPE_CHECKING:
    from stream.sinks.metrics import MetricsSink


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
        told.append(PlainSink(sys.stdout, source.rate_hz))
    return told


def header(bundle: Bundle, source: Source) -> dict[str, Any]:
    """What the log's first line says."""
    return head(bundle, {"source": source.description})


def head(bundle: Bundle, heard: dict[str, Any]) -> dict[str, Any]:
    """The same of whatever is heard. The replay speed is not in it: it changes nothing."""
    return {
        "laennec": version("laennec"),
        "model": {"id": bundle.id, "sha256": bundle.sha256},
        **heard,
        "settings": {
            "window": asdict(bundle.window),
            "decide": asdict(bundle.decide),
            "rhythm": asdict(bundle.rhythm.spec) if bundle.rhythm else None,
        },
        "started": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
