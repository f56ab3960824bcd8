"""The process that talks to Ray, so that the command's own does not: whatever Ray prints or aborts, it does here."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from models.errors import LaennecError
from stream.classify import Row
from stream.cluster import nodes, singly
from stream.cluster.hearing import Hearer, Task, answered

#: Of the shared memory of a cluster of our own, which holds rows and names alone: near the least that Ray takes.
_STORE_BYTES = 128 * 2**20
#: Of an actor. Each works on one thread and there is one for each CPU; asking for half of it leaves room on the nodes
#: that stay for the actors of a node that is lost, without which what these were given would wait for ever.
_CPUS = 0.5
_RETRIES = 3
#: Recordings that are sent, heard and, where a node is lost, heard again together; a task costs Ray some 10 ms.
_MOST_TOGETHER = 256
_TURNS = 8
_TIDY = """
import contextlib, os, shutil, signal, sys, time
sys.stdin.read()
with contextlib.suppress(OSError):
    os.killpg(int(sys.argv[1]), signal.SIGKILL)
time.sleep(1)
shutil.rmtree(sys.argv[2], ignore_errors=True)
"""
_SINGLE_THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Order:
    """What is to be done.

    Attributes:
        places: paths and URLs.
        task: for the workers.
        address: of the cluster; None starts one of our own on this machine.
        jobs: recordings that are heard at a time; None is one for each CPU.
        folder: for Ray's files, where the cluster is our own, and for what it says here.
    """

    places: tuple[str, ...]
    task: Task
    address: str | None
    jobs: int | None
    folder: Path


def log_of(folder: Path) -> Path:
    """What Ray said in the driver's process."""
    return folder / "driver.log"


def kept(folder: Path) -> Path:
    """The same, where it outlives the folder."""
    return Path(shutil.copy(log_of(folder), f"{folder}.log"))


def drive(connection: Connection, order: Order) -> None:
    """The driver's life: tells when it has joined the cluster, when that can be used, and rows by chunks, to None.

    Wherever something fails it tells that, and no more.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the command's to answer
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    os.setsid()  # what Ray starts here can then be ended as one
    said = os.open(log_of(order.folder), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(said, stream)
    _tidier = _tidied_after(order.folder)  # kept: without it our end of its pipe is closed, and it ends this process
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the command has gone
        try:
            _join(order)
            connection.send(None)
            nodes.check(order.task.laennec, order.places)
            connection.send(None)
            for rows in _heard(order):
                connection.send(rows)
            connection.send(None)
        except LaennecError as error:
            connection.send(error)
        except (BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:  # whatever Ray raises
            traceback.print_exc()
            connection.send(nodes.in_words(error, kept(order.folder)))
        finally:
            import ray

            ray.shutdown()


def _tidied_after(folder: Path) -> subprocess.Popen[bytes]:
    """A process that ends what Ray has started here and removes the folder, once this one is no more, however it ended.

    Ray's raylet and head end with the driver, its workers with the raylet, but its agents may take a minute.
    """
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _TIDY, str(os.getpid()), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _join(order: Order) -> None:
    """Join the cluster, or start one of our own."""
    os.environ.update(_SINGLE_THREADS)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    common: dict[str, Any] = {"log_to_driver": False, "logging_level": "warning"}
    if order.address is None:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray makes one and keeps it
        os.environ["TMPDIR"] = str(order.folder)  # of the workers, which may be killed with something in it
        os.environ.setdefault("RAY_worker_niceness", "0")  # as the workers of --jobs; else they yield to all others
        ray.init(
            address="local",
            num_cpus=order.jobs,
            include_dashboard=False,
            object_store_memory=_STORE_BYTES,
            _temp_dir=str(order.folder),
            **common,
        )
    else:
        nodes.reach(order.address)
        try:
            ray.init(address=order.address, runtime_env={"env_vars": _SINGLE_THREADS}, **common)
        except ConnectionError as error:
            raise nodes.absent(order.address, error) from error


def _chunks(places: Sequence[str], workers: int) -> list[Sequence[str]]:
    """Alike for each worker, in several turns, so that none ends long after the others."""
    size = max(1, min(_MOST_TOGETHER, -(-len(places) // (workers * _TURNS))))
    return [places[start : start + size] for start in range(0, len(places), size)]


def _heard(order: Order) -> Iterator[list[Row]]:
    """Rows, chunk by chunk, in the order of the recordings."""
    chunks = _chunks(order.places, workers := min(order.jobs or nodes.cpus(), nodes.cpus()))
    at = 0
    for index, data in _answers(chunks, workers, order.task):
        for lost in range(at, index):  # its workers were lost again and again
            yield from singly.heard(order.task, chunks[lost], _CPUS)
        yield answered(data)
        at = index + 1
    for lost in range(at, len(chunks)):
        yield from singly.heard(order.task, chunks[lost], _CPUS)


def _answers(chunks: Sequence[Sequence[str]], workers: int, task: Task) -> Iterator[tuple[int, bytes]]:
    """What the actors answer, by the index of the chunk, in order; one that failed again and again is left out."""
    import ray.data

    settings = ray.data.DataContext.get_current()
    settings.execution_options.preserve_order = True
    settings.enable_progress_bars = False
    settings.max_errored_blocks = -1
    settings.max_consecutive_actor_init_deaths = _RETRIES
    sent = [{"index": index, "places": json.dumps(list(chunk)).encode()} for index, chunk in enumerate(chunks)]
    answers = ray.data.from_items(sent, override_num_blocks=len(sent)).map_batches(
        Hearer,
        fn_constructor_args=(task,),
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(min_size=1, initial_size=workers, max_size=workers),
        num_cpus=_CPUS,
        scheduling_strategy="DEFAULT",  # fills each node by half, and so with one actor for each CPU
        max_task_retries=_RETRIES,
    )
    for batch in answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1):
        yield from zip(batch["index"].to_pylist(), batch["answer"].to_pylist(), strict=True)
