"""Sessions as a command runs them: one source after the other, on one screen, into one log, to a clean end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from models import bundle as bundles
from models.bundle import Bundle
from models.errors import LaennecError
from stream import display, options
from stream.block import Source
from stream.controls import Controls, recordings
from stream.other_input import Inputs
from stream.session import Session
from stream.sinks.jsonl import Lines
from stream.sinks.recorder import Recorder

if TYPE_CHECKING:
    from stream.sinks.metrics import MetricsSink


def run(openers: Iterable[Callable[[], Source]], model: Path | None, output: options.Output) -> None:
    """Run a session per source, one after the other, on one screen and into one log.

    Args:
        openers: of the sources; where they are `Inputs`, the listener's keys say which comes next.
        model: a bundle, or None for the shipped one.
        output: what is left and shown.
    """
    bundle = bundles.load(model or bundles.SHIPPED)
    screen_wanted = display.wants_screen(output.plain, output.json_lines, output.quiet)
    inputs = openers if isinstance(openers, Inputs) else None
    next_recording = recordings(output.record, Path())
    controls = Controls(next_recording, inputs)
    record, session = output.record, None
    try:
        with (
            options.metrics(output.metrics) as metrics,
            options.log_file(output.log, output.rotation) as log,
            display.opened(screen_wanted) as terminal,
            display.stopping(terminal.give_back if terminal else lambda: None) as stopper,
        ):
            for opener in openers:
                session = _session(opener(), bundle, replace(output, record=record), log, terminal is not None, metrics)
                if inputs and inputs.trouble:
                    session.notice(inputs.trouble)
                stopper.watch(session)
                display.run(session, terminal, controls)
                if stopper.asked or controls.quit or (session.stopped and not (inputs and inputs.wished)):
                    break
                if inputs:  # what was being kept goes on being kept, of another device too
                    record = next_recording() if session.recorded_to_end else None
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
