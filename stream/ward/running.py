"""A ward as a command runs it: on one screen, into one log or a folder for each stream, to a clean end."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import typer
from rich.console import Console

from models import bundle as bundles
from models.bundle import Bundle
from stream import display
from stream.options import Output
from stream.stopping import stopping
from stream.ward import layout, summary, told
from stream.ward.controls import WardControls
from stream.ward.feed import Feed
from stream.ward.ward import Ward


def run(opener: Callable[[], Feed], model: Path | None, output: Output) -> None:
    """Listen to several streams at once, to their end.

    Args:
        opener: opens what is listened to.
        model: a bundle, or None for the shipped one.
        output: what is left and shown.

    Raises:
        LaennecError: it can't begin, or what failed first; every stream's log has its end then.
    """
    told.check(output)
    bundle = bundles.load(model or bundles.SHIPPED)
    screen = display.wants_screen(output.plain, output.json_lines, output.quiet)
    ward: Ward | None = None
    try:
        with (
            display.opened(screen, output.theme, layout.render) as terminal,
            stopping(terminal.give_back if terminal else lambda: None) as stopper,
            _begun(opener, bundle, output, screen) as ward,
        ):
            stopper.watch(ward)
            if terminal is None:
                ward.run()
            else:
                console = Console()
                controls = WardControls(ward, lambda: tuple(console.size))  # type: ignore[arg-type, return-value]
                display.run_under(ward, terminal, controls.look, controls.press)
    finally:
        if ward and not (output.json_lines or output.quiet):
            _leave(ward, screen, output.session)


@contextlib.contextmanager
def _begun(opener: Callable[[], Feed], bundle: Bundle, output: Output, screen: bool) -> Iterator[Ward]:
    feed = opener()
    try:
        with told.opened(output, feed, bundle, screen) as listeners:
            yield Ward(feed, bundle, listeners)
    finally:
        feed.close()


def _leave(ward: Ward, screen: bool, kept: Path | None) -> None:
    """What stays on the terminal: after the screen a row a stream, after plain lines the sum of them all."""
    last = ward.snapshot()
    with contextlib.suppress(BrokenPipeError):
        for line in summary.table(last) if screen else []:
            summary.say(line, sys.stdout)
        summary.say(summary.total(last), sys.stdout)
    if kept:
        typer.echo(f"kept in {kept}")
