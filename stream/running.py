"""Sessions as a command runs them: one source after the other, on one screen, into one log, to a clean end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from models import bundle as bundles
from models.bundle import Bundle
from models.errors import LaennecError
from stream import display, options
from stream.block import Source
from stream.session import Session
from stream.sinks.jsonl import Lines
from stream.sinks.recorder import Recorder

if TYPE_CHECKING:
    from stream.sinks.metrics import MetricsSink


def run(openers: Iterator[Callable[[], Source]], model: Path | None, output: options.Output) -> None:
    """Run a session per source, one after the other, on one screen and into one log."""
    bundle = bundles.load(model or bundles.SHIPPED)
    screen_wanted = display.wants_screen(output.plain, output.json_lines, output.quiet)
    session: Session | None = None
    try:
        with (
            options.metrics(output.metrics) as metrics,
            options.log_file(output.log, output.rotation) as log,
            display.opened(screen_wanted, output.theme) as screen,
            display.stopping() as stopper,
        ):
            for opener in openers:
                session = _session(opener(), bundle, output, log, screen is not None, metrics)
                stopper.watch(session)
                display.run(session, screen)
                if session.stopped:
                    break
    finally:
        if session and screen_wanted:
            display.summary(session)


def _session(
    source: Source,
    bundle: Bundle,
    output: options.Output,
    log: Callable[[], Lines | None],
    screen: bool,
    metrics: MetricsSink | None,
) -> Session:
    recorder: Recorder | None = None
    try:
        # The recorder first: it can be withdrawn. A log that was begun can't.
        recorder = Recorder(output.record, source.rate_hz) if output.record else None
        sinks = options.sinks(output, log(), bundle, source, screen)
    except (LaennecError, OSError):
        source.close()
        if recorder:
            recorder.withdraw()
        raise
    if metrics is None:
        return Session(source, bundle, sinks, recorder)
    session = Session(source, bundle, [*sinks, metrics], recorder)
    metrics.watch(session.snapshot)
    return session
