"""The command `laennec`: mounts the sub-commands and turns refusals into one line and an exit code."""

from __future__ import annotations

import signal

if (_on_interrupt := signal.getsignal(signal.SIGINT)) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while Python still imports: the end, without a traceback

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from export.cli import app as export_app
from models.errors import LaennecError
from stream.classify_cli import app as classify_app
from stream.cli import app as stream_app
from stream.report_cli import app as report_app
from stream.sessions_cli import app as sessions_app
from stream.tools_cli import app as tools_app
from train.cli import app as train_app

app = typer.Typer(
    name="laennec",
    help="Listens to a heart and says what it sounds like. For research and education; not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
#: Of a line that says why; a file's name may be longer.
_LONGEST = 1500
for part in (stream_app, classify_app, sessions_app, report_app, tools_app, train_app, export_app):
    app.add_typer(part)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"laennec {version('laennec')}")
        raise typer.Exit


@app.callback()
def common(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of the command itself."""


def main() -> None:
    """Run the command line."""
    try:
        _hold_standard_streams()
        app(prog_name="laennec")
    except KeyboardInterrupt:  # before or after Typer heeds it
        sys.exit(130)
    except LaennecError as error:
        _refuse(str(error), error.exit_code)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            sys.exit(0)  # `| head`: the reader has what it wanted; Typer would call it a failure
        raise
    except OSError as error:
        _refuse(f"{error.filename or 'standard output'}: {error.strerror or error}; use another place", 1)
    finally:
        _let_go_of_stdout()
        _let_go_of_signals()


def _let_go_of_signals() -> None:
    """The interpreter's own end is not to be disturbed."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        handler = signal.getsignal(number) if (number := getattr(signal, name, None)) else None
        if handler is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        elif number and callable(handler):  # an end was asked for, and the same may be asked again
            signal.signal(number, signal.SIG_IGN)


def _refuse(line: str, exit_code: int) -> NoReturn:
    if len(line) > _LONGEST:  # what names something without end: how it begins, and the fix, which is at the end
        line = f"{line[: _LONGEST // 2]} [...] {line[-_LONGEST // 2 :]}"
    print(f"laennec: {line}", file=sys.stderr)  # noqa: T201 - the one line
    sys.exit(exit_code)


def _hold_standard_streams() -> None:
    """Streams that were closed before the start (`>&-`) take what is written to them, and it goes nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for good


def _let_go_of_stdout() -> None:
    """A reader that went away must not cause a second complaint when the interpreter flushes at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


signal.signal(signal.SIGINT, _on_interrupt)

if __name__ == "__main__":
    main()
