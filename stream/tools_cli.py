"""`laennec devices` and `doctor`: what works on this machine."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from models.errors import SettingError
from stream import options

app = typer.Typer()


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
    from models import bundle as bundles
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
