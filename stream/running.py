"""Sessions as a command runs them: one source after the other, on one screen, into one log, to a clean end."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from models import bundle as bundles
from models.bundle import Bundle
from models.errors import LaennecError
from stream import display, options, outputs
from stream.block import Source
from stream.controls import Controls, recordings
from stream.other_input import Inputs
from stream.session import Session
from stream.sessions import folder
from stream.sinks.jsonl import Lines
from stream.sinks.recorder import Recorder
from stream.stopping import stopping

if TYPE_CHECKING:
    from stream.sinks.metrics import MetricsSink

#: What a loop over a recording leaves on the terminal.
_MOST_SUMMARIES = 20


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
    controls = Controls(inputs)
    left: deque[display.Left] = deque(maxlen=_MOST_SUMMARIES)
    recorded = bool(output.record)
    try:
        with (
            outputs.metrics(output.metrics) as metrics,
            outputs.log_file(output.log, output.rotation) as log,
            display.opened(screen_wanted, output.theme) as terminal,
            stopping(terminal.give_back if terminal else lambda: None) as stopper,
        ):
            for opener in openers:
                with _kept(output, log) as (own, own_log):
                    controls.recording = recordings(own.record, own.session or Path())
                    wanted = replace(own, record=controls.recording() if recorded else None)
                    session = _session(opener(), bundle, wanted, own_log, terminal is not None, metrics)
                    if inputs and inputs.trouble:
                        session.notice(inputs.trouble)
                    stopper.watch(session)
                    try:
                        display.run(session, terminal, controls)
                    finally:
                        left.append(display.Left(session.snapshot(), own.session))
                if stopper.asked or controls.quit or (session.stopped and not (inputs and inputs.wished)):
                    break
                if inputs:  # what was being kept goes on being kept, of another device too
                    recorded = session.recorded_to_end
    finally:
        if screen_wanted:
            display.summary(left)
        elif not (output.json_lines or output.quiet):
            for _, kept in left:
                if kept:
                    typer.echo(f"kept in {kept}")


@contextlib.contextmanager
def _kept(
    output: options.Output, log: Callable[[], Lines | None]
) -> Iterator[tuple[options.Output, Callable[[], Lines | None]]]:
    """What the next session is to leave: where the options say, or in a folder of its own."""
    if output.session is None:
        yield output, log
        return
    with folder.begun(output.session) as own:
        own_output = options.within(output, own)
        with outputs.log_file(own_output.log, output.rotation) as own_log:
            yield own_output, own_log


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
        sinks = outputs.sinks(output, log(), bundle, source, screen)
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
