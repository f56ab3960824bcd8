"""A long table's progress, one line on a terminal: files done, how fast, how long still."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from stream.ending import Tally
from stream.tables.lines import Row

_EVERY_S = 0.2


@contextlib.contextmanager
def shown(tally: Tally) -> Iterator[Callable[[Row], None]]:
    """A function that is told each row; nothing is shown where standard error is no terminal, or rows go to one.

    It is drawn between rows and by no thread: reading a file takes standard error away for moments (`quiet_stderr`).

    Args:
        tally: how many files there are, known by the first row.
    """
    if not sys.stderr.isatty() or (sys.stdout.isatty() and not tally.resumable):  # rows on the screen say enough
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("files, {task.fields[rate]:,.0f} x real time, left")
    columns = (BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn(compact=True))
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as bar:
        task = bar.add_task("", total=None, rate=0.0)
        tally.screen = True
        begun_s = drawn_s = time.monotonic()
        heard_s, done = 0.0, 0

        def tell(row: Row) -> None:
            nonlocal heard_s, done, drawn_s
            heard_s, done, now_s = heard_s + (row["duration_s"] or 0.0), done + 1, time.monotonic()
            if now_s - drawn_s > _EVERY_S:
                drawn_s = now_s
                bar.update(task, completed=done, total=tally.todo, rate=heard_s / (now_s - begun_s), refresh=True)

        try:
            yield tell
        finally:
            tally.screen = False
