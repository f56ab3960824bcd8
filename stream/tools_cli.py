"""`laennec classify`, `devices` and `doctor`: the commands that run no session."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from models import bundle as bundles
from models.errors import InputFileError, SettingError
from stream import engines, options
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
        typer.Option("--out", metavar="FILE.csv|.jsonl", help="Else CSV on standard output. An older table is kept."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, metavar="N", help="Files at a time; else 1, or as many as the cluster has CPUs."),
    ] = None,
    engine: Annotated[Engine, typer.Option("--engine", help="Who hears them: this machine, or a Ray cluster.")] = (
        Engine.LOCAL
    ),
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="HOST:PORT|auto", help="Of the Ray cluster; else one starts on this machine."),
    ] = None,
    channel: options.ChannelOption = None,
    model: options.ModelOption = None,
) -> None:
    """One row per recording: what the whole of it sounds like. Folders are walked.

    Ctrl-C ends at once, with exit code 130; the rows that were written stay.
    """
    from stream import ending

    tally, bad = ending.Tally(), 0
    with ending.at_a_signal(tally):
        from stream import classify as classifier
        from stream.sinks.table import table

        bundle = bundles.load(model or bundles.SHIPPED)
        found = engines.expand(engine, address, paths)
        tally.total = len(found)
        heard = engines.rows(engine, address, found, bundle, channel, jobs)
        with contextlib.closing(heard), table(out, classifier.COLUMNS) as write:
            for row in heard:
                tally.begun += 1
                write(row)
                tally.written += 1
                bad += bool(row["error"])
    if bad:
        raise InputFileError(f"{bad} of {len(found)} recordings can't be used; see the column 'error'")


@app.command()
def devices(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """What can be heard through: index, name, id, channels, rates that work."""
    from stream import devices as listing
    from stream import wedged

    with wedged.left_behind([]):
        found = wedged.bounded(listing.rows)
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else listing.text(found))


@app.command()
def doctor(
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            metavar="NAME|INDEX",
            help="Also listen through it: level, noise, clipping, hum, low frequencies, losses, clock.",
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", metavar="S", help="How long to listen: 2 to 60; 5 where not given.")
    ] = None,
    rate: Annotated[int | None, typer.Option("--rate", metavar="HZ", help="As for `listen`.")] = None,
    channel: options.ChannelOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    model: options.ModelOption = None,
) -> None:
    """What works on this machine, and what to do about the rest.

    With --device it listens too; with --seconds, --rate or --channel alone, as `listen` would without --device.
    Ctrl-C ends the listening, and what was heard until then is judged.
    """
    from stream import device_check, remembered, wedged
    from stream import doctor as examiner
    from stream.sources.capture import CaptureSpec

    spec = CaptureSpec(rate, channel)
    if seconds is not None and not 2 <= seconds <= 60:
        raise SettingError(f"--seconds {seconds:g}: choose 2 to 60 s")
    held: list[wedged.Closable] = []
    with wedged.left_behind(held):
        findings = examiner.examine(model or bundles.SHIPPED)
        if not as_json:
            typer.echo(examiner.text(findings))
        if any(option is not None for option in (device, seconds, rate, channel)):
            wanted = remembered.recall() if device is None else device
            if sys.stderr.isatty():
                typer.echo("listening; Ctrl-C ends it ...", err=True)
            of_device = device_check.examine(wanted, spec, 5.0 if seconds is None else seconds, held)
            if not as_json:
                typer.echo(examiner.text(of_device))
            findings += of_device
        if as_json:
            typer.echo(json.dumps(examiner.as_json(findings), indent=2, ensure_ascii=False))
        raise typer.Exit(examiner.exit_code(findings))
