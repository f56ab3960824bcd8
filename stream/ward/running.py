"""A ward as a command runs it: on one screen, into one log or a folder for each stream, to a clean end."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

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
    left: list[tuple[Ward, Path | None]] = []
    try:
        with (
            display.opened(screen, output.theme, layout.render) as terminal,
            stopping(terminal.give_back if terminal else lambda: None) as stopper,
            _begun(opener, bundle, output, screen) as (ward, kept),
        ):
            left.append((ward, kept))
            stopper.watch(ward)
            _run(ward, terminal)
    finally:
        if not (output.json_lines or output.quiet):
            for ward, kept in left:
                _leave(ward, screen, kept)


def _run(ward: Ward, terminal: display.Terminal | None) -> None:
    if terminal is None:
        ward.run()
        return
    console = Console()
    controls = WardControls(ward, lambda: (console.width, console.height))
    display.run_under(ward, terminal, controls.look, controls.press)


@contextlib.contextmanager
def _begun(
    opener: Callable[[], Feed], bundle: Bundle, output: Output, screen: bool
) -> Iterator[tuple[Ward, Path | None]]:
    feed = opener()
    try:
        with told.opened(output, feed, bundle, screen) as (listeners, kept):
            yield Ward(feed, bundle, listeners), kept
    finally:
        feed.close()


def _leave(ward: Ward, screen: bool, kept: Path | None) -> None:
    """What stays on the terminal: after the screen a row a stream, after plain lines the sum of them all."""
    last = ward.snapshot()
    rows = summary.table(last, Console().width) if screen else []
    lines = [*rows, summary.total(last), *([f"kept in {kept}"] if kept else [])]
    with contextlib.suppress(BrokenPipeError):
        for line in lines:
            summary.say(line, sys.stdout)
