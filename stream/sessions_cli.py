"""`laennec sessions` and `laennec session`: what sessions have left behind."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from models.errors import InputFileError, SettingError

app = typer.Typer()
one = typer.Typer(no_args_is_help=True, help="One session: show it, or delete it for good.")
app.add_typer(one, name="session")

InOption = Annotated[
    Path | None, typer.Option("--in", metavar="DIR", help="Where ids are looked for; else as `laennec sessions`.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command()
def sessions(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="DIR", help="What was given to --session; else your own folder for sessions."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the sessions of a folder, the newest first.

    Your own folder for sessions is what `--session default` means. Ids are in UTC, all other times in local time.
    """
    from stream.sessions import listing
    from stream.sessions.folder import usual

    parent = folder or usual()
    found = [] if folder is None and not parent.exists() else listing.rows(parent)
    if as_json:
        _say(json.dumps(listing.as_json(found), indent=1, allow_nan=False))
    else:
        _say(listing.text(found) if found else f"no sessions in {parent}; --session {folder or 'default'} keeps one")


@one.command()
def show(
    session: Annotated[str, typer.Argument(metavar="ID|PATH", help="As `laennec sessions` lists it, or its folder.")],
    folder: InOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a session came to, in words: what it sounded like, heart rate, beats, losses, marks, files."""
    from stream.sessions import listing
    from stream.sessions.folder import marks, own_files, summary_of, usual
    from stream.sessions.words import page

    path = listing.at(session, folder or usual())
    summary = summary_of(path)
    if as_json:
        _say(json.dumps({"id": listing.id_of(path), "path": str(path), **summary}, indent=1, allow_nan=False))
        return
    files = [(file.name, file.stat().st_size) for file in own_files(path)[0]]
    try:
        marked = marks(path) if summary["marks"] else []
    except InputFileError as error:
        marked = []
        _say(f"what the marks say can't be read: {error}")
    _say(f"session    {listing.id_of(path)}\n{page(summary, marked, files)}")
    _say("For research and education; not a medical device.")


@one.command()
def rm(
    session: Annotated[list[str], typer.Argument(metavar="ID|PATH...", help="As for `laennec session show`.")],
    folder: InOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
) -> None:
    """Delete sessions for good: log, recordings, summary. Asks before, on a terminal.

    Of several streams heard at once ID deletes all, ID/NAME one.
    Other files in a session's folder stay, and are named. Links are not followed.
    """
    from stream.sessions import listing, removal
    from stream.sessions.folder import usual

    found = [listing.all_at(name, folder or usual()) for name in session]
    paths = list(dict.fromkeys(path for each in found for path in each))
    asked = [removal.asked(path) for path in paths]  # also with --yes: of several none goes where one still runs
    if not yes:
        if not sys.stdin.isatty():
            raise SettingError("deleting is for good, and nobody can be asked here: give --yes")
        for line in asked:
            _say(line)
        if not typer.confirm(f"Delete these {len(paths)} sessions for good?" if len(paths) > 1 else "Delete for good?"):
            _say("nothing was deleted")
            return
    for path in paths:
        _say(removal.told(removal.remove(path)))
    for whole in dict.fromkeys(each[0].parent for each in found if len(each) > 1):
        if left := removal.stays(whole):
            _say(left)


def _say(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    typer.echo(text.encode(encoding, "replace").decode(encoding))
