"""`laennec classify --engine ray`: the rows of recordings, heard by a Ray cluster. Its driver is another process."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from models.bundle import Bundle
from models.errors import LaennecError, SettingError
from stream.classify import Row
from stream.cluster import hearing
from stream.cluster.driver import Order, drive
from stream.workers import signals_held

#: Each takes some seconds; and the driver's own waits are shorter.
_JOIN_S, _LOOK_S = 45.0, 90.0
_END_S = 15.0
#: Nothing is said of a cluster that gives no row for so long; others may use it, and it may be gone for good.
_QUIET_S = 60.0
_NEEDED = ("ray", "fsspec", "pyarrow")


def check(address: str | None) -> None:
    """Refuse what can be seen to be wrong before anything is started.

    Raises:
        SettingError: a package is missing, or the address is none.
    """
    if os.name == "nt":
        raise SettingError("--engine ray works on Linux and macOS; leave it out, or work in WSL")
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise SettingError(
            f"--engine ray needs {' and '.join(missing)}; run in the checkout: pip install -e '.[cluster]'"
        )
    if address is None or address == "auto":
        return
    if "://" in address:
        raise SettingError(
            f"--address {address}: is Ray's client or job address; run `ray job submit -- laennec classify ... "
            "--engine ray --address auto`, or give HOST:PORT on a machine of the cluster"
        )
    if not re.fullmatch(r".+:\d{1,5}", address):
        raise SettingError(
            f"--address {address}: is no address; give HOST:PORT as `ray start --head` printed it, or auto"
        )


def rows(
    places: Sequence[str], model: Bundle, channel: int | None, jobs: int | None, address: str | None
) -> Generator[Row, None, None]:
    """A row per recording, in the order given, equal to the bit to those of one process on this machine.

    Args:
        places: paths, which every node must have, and URLs.
        model: travels to the nodes.
        channel: as for `classify`.
        jobs: recordings at a time; None is one for each CPU of the cluster.
        address: HOST:PORT of the cluster, or auto; None starts one on this machine, which ends with the rows.

    Raises:
        LaennecError: the cluster can't be reached, can't be used, or is lost.
    """
    if not places:
        return
    with tempfile.TemporaryDirectory(prefix="laennec-", ignore_cleanup_errors=True) as folder:
        order = Order(tuple(places), hearing.task(model, channel), address, jobs, Path(folder))
        with _driver(order) as connection:
            for step_s in (_JOIN_S, _LOOK_S):
                _wait(connection, step_s)
            said = _said_if_quiet(connection)
            while (chunk := _told(connection)) is not None:
                yield from chunk
                said = said or _said_if_quiet(connection)


def _wait(connection: Connection, at_most_s: float) -> None:
    if not connection.poll(at_most_s):
        raise LaennecError(
            f"no answer from the Ray cluster within {at_most_s:g} s; look at it with `ray status`; the machine that "
            "classifies must be one of its nodes"
        )
    _told(connection)


def _said_if_quiet(connection: Connection) -> bool:
    """One line where no row comes; they are waited for all the same."""
    if quiet := not connection.poll(_QUIET_S):
        print(  # noqa: T201 - for whoever waits
            f"laennec: no row from the Ray cluster for {_QUIET_S:g} s, which may be busy with other work; waiting on: "
            "look at it with `ray status`, or end with Ctrl-C",
            file=sys.stderr,
            flush=True,
        )
    return quiet


def _told(connection: Connection) -> Any:
    try:
        told = connection.recv()
    except (EOFError, OSError) as error:
        raise LaennecError(
            "the Ray cluster was lost: its head has ended, or the process that talks to it was killed; start it again "
            "and go on with --resume"
        ) from error
    if isinstance(told, LaennecError):
        raise told
    return told


@contextlib.contextmanager
def _driver(order: Order) -> Iterator[Connection]:
    """The driver's process; it has ended, and with it a cluster of our own, when this is left."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=drive, args=(theirs, order))
    with signals_held():
        process.start()
        theirs.close()
    try:
        yield ours
        process.join(_END_S)
    finally:
        process.kill()
        process.join()
        ours.close()
