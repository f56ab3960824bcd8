"""`laennec classify`: a table of many recordings."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from models.errors import InputFileError
from stream import options
from stream.engines import Engine

app = typer.Typer()


@app.command()
def classify(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Sound files, or folders of them; with --engine ray also URLs."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE.csv|.jsonl|.parquet",
            help="Else CSV on standard output. An older table is kept under another name.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the table of --out: recordings that it has a row of are left out, but those whose row "
            "holds an error are tried again. It must have been made by the same model and --channel.",
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=1,
            metavar="N",
            help="Processes that share the work; else 1, or all CPUs of the cluster. The rows are the same.",
        ),
    ] = None,
    engine: Annotated[
        Engine, typer.Option("--engine", help="Who hears them: this computer, or a Ray cluster. The rows are the same.")
    ] = Engine.LOCAL,
    address: Annotated[
        str | None,
        typer.Option(
            "--address", metavar="HOST:PORT|auto", help="Of the Ray cluster; else one is started on this computer."
        ),
    ] = None,
    channel: options.ChannelOption = None,
    model: options.ModelOption = None,
) -> None:
    """One row per recording: what the whole of it sounds like. Folders are walked.

    Ctrl-C ends at once, with exit code 130; the rows that were written stay, and --resume goes on after them.
    """
    from stream import ending

    tally, bad = ending.Tally(resumable=out is not None), 0
    with ending.at_a_signal(tally):
        from models import bundle as bundles
        from stream import engines, progress
        from stream.tables import out as outs
        from stream.tables.origin import Origin
        from stream.tabulate import tabulate
        from stream.whole import COLUMNS

        outs.check(out, resume)
        bundle = bundles.load(model or bundles.SHIPPED)
        found = engines.expand(engine, address, paths)
        hear = partial(engines.rows, engine, address, model=bundle, channel=channel, jobs=jobs)
        with outs.opened(out, COLUMNS, Origin.of(bundle, channel), resume) as table:
            tally.total = len(found)
            with progress.shown(tally) as tell:
                for row in tabulate(found, hear, table, tally):
                    bad += bool(row["error"])
                    tell(row)
    if bad:
        raise InputFileError(f"{bad} of {len(found)} recordings can't be used; see the column 'error'")
