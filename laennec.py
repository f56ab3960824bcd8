"""The command `laennec`: mounts the sub-commands and turns refusals into one line and an exit code."""

from __future__ import annotations

import sys

import typer

from export.cli import app as export_app
from models.errors import LaennecError
from stream.cli import app as stream_app
from train.cli import app as train_app

app = typer.Typer(
    name="laennec",
    help="Listens to a heart and says what it sounds like. For research and education; not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for part in (stream_app, train_app, export_app):
    app.add_typer(part)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except LaennecError as error:
        print(f"laennec: {error}", file=sys.stderr)  # noqa: T201 - the one line
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
