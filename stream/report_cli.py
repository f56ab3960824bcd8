"""`laennec report`: what a session leaves for people to read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream import options
from stream.sessions_cli import InOption

app = typer.Typer()


@app.command()
def report(
    session: Annotated[
        Path, typer.Argument(metavar="ID|SESSION|LOG|SOUND", help="A session's id or folder, a log, or a sound.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="X.html|.png|.txt|.csv",
            help="One page; a figure; a label track for Audacity; a table. An older file is kept.",
        ),
    ],
    audio: Annotated[
        list[Path] | None,
        typer.Option("--audio", metavar="FILE", help="The recording of a log; repeatable, in the order recorded."),
    ] = None,
    number: Annotated[
        int | None,
        typer.Option("--number", metavar="N", help="Which session of a log that holds several; else the last."),
    ] = None,
    stream: Annotated[
        str | None, typer.Option("--stream", metavar="NAME", help="Which of a log that holds several streams.")
    ] = None,
    folder: InOption = None,
    channel: options.ChannelOption = None,
    model: options.ModelOption = None,
) -> None:
    """Report on a session: what was heard, on one page or as data.

    A sound file is heard first, as fast as it goes. The page needs no
    network, holds everything, and can be printed; the figure needs the
    extra `report`.
    """
    from models import bundle as bundles
    from stream.report import inputs, making
    from stream.sessions import listing
    from stream.sessions.folder import usual

    making.check_name(out)
    bundle = bundles.load(model or bundles.SHIPPED)
    named = listing.is_id(str(session)) and not session.exists()
    path = listing.at(str(session), folder or usual()) if named else session
    given = inputs.read(path, audio or [], number, channel, bundle, stream)
    data = making.MAKERS[out.suffix.lower()](given, bundle)
    making.write(out, data)
    typer.echo(f"{out}: {given.heard.span_s:.1f} s reported, {len(data):,} bytes")
