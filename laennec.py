"""The command `laennec`: mounts the sub-commands and turns refusals into one line and an exit code."""

from __future__ import annotations

import os
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
    except BrokenPipeError:
        sys.exit(0)  # `| head`: the reader has what it wanted
    finally:
        _let_go_of_stdout()


def _let_go_of_stdout() -> None:
    """A reader that went away must not cause a second complaint when the interpreter flushes at exit."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
