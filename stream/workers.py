"""Worker processes, each of which works on one item at a time. None outlives this process, however that ends.

The workers of a process pool share queues and locks: where one is killed the others may wait for ever, and so do all
where this process is killed. Here each has a pipe of its own, and ends when nobody holds the other end.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar, cast

from models.errors import LaennecError

Item = TypeVar("Item")
Answer = TypeVar("Answer")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def mapped(
    load: Callable[..., Callable[[Item], Answer]], settings: tuple[Any, ...], items: Sequence[Item], jobs: int
) -> Iterator[Answer]:
    """What the workers answer, in the order of the items.

    Args:
        load: makes in each worker, from the settings, the function that answers. Lies at the top of a module.
        settings: what can be sent between processes.
        items: likewise.
        jobs: how many workers.

    Raises:
        LaennecError: as the worker raised it; or a worker can't be started, or was killed.
    """
    with _started(load, settings, min(jobs, len(items))) as connections:
        left = iter(enumerate(items))
        busy: dict[Connection, int] = {}
        done: dict[int, Answer] = {}
        for connection in connections:
            _hand_next(left, connection, busy)
        for index in range(len(items)):
            while index not in done:
                for connection in cast("list[Connection]", wait(list(busy))):
                    done[busy.pop(connection)] = _answer(connection)
                    _hand_next(left, connection, busy)
            yield done.pop(index)


def _hand_next(left: Iterator[tuple[int, Item]], connection: Connection, busy: dict[Connection, int]) -> None:
    for index, item in left:
        with _loss_told():
            connection.send(item)
        busy[connection] = index
        return


def _answer(connection: Connection) -> Any:
    with _loss_told():
        answer = connection.recv()
    if isinstance(answer, LaennecError):
        raise answer
    return answer


@contextlib.contextmanager
def _loss_told() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError) as error:
        raise LaennecError("a worker process has failed, perhaps for want of memory; give fewer --jobs") from error


@contextlib.contextmanager
def _started(load: Callable[..., Any], settings: tuple[Any, ...], jobs: int) -> Iterator[list[Connection]]:
    context = get_context("spawn")  # ONNX Runtime's session must not be inherited by a fork
    connections: list[Connection] = []
    processes: list[BaseProcess] = []
    try:
        with signals_held(), _loss_told():
            for _ in range(jobs):
                ours, theirs = context.Pipe()
                processes.append(context.Process(target=_work, args=(theirs, load, settings), daemon=True))
                processes[-1].start()
                theirs.close()
                connections.append(ours)
        yield connections
    finally:
        for process in processes:
            process.kill()  # it only reads; asked to end, it would hear its recording to the end first
        for process in processes:
            process.join()


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Processes started meanwhile hear neither Ctrl-C nor SIGTERM: they are this one's to answer, afterwards.

    Blocking them, which processes inherit, is not enough here: another thread, of a library, may get one.
    """
    heard: list[int] = []
    before = {number: signal.signal(number, lambda number, _: heard.append(number)) for number in _SIGNALS}
    maskable = hasattr(signal, "pthread_sigmask")  # else: Windows, nothing is inherited
    if maskable:
        # Started with the first process otherwise, and it would unblock the signals for those after it.
        resource_tracker.ensure_running()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        if maskable:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
        if heard:
            signal.raise_signal(heard[0])


def _work(connection: Connection, load: Callable[..., Callable[[Any], Any]], settings: tuple[Any, ...]) -> None:
    """A worker's life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Windows: Ctrl-C goes to every process of the console
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # by which the interpreter ends it, at its own end
    with contextlib.suppress(EOFError, OSError):  # the other end is closed
        try:
            answered = load(*settings)
            while True:
                connection.send(answered(connection.recv()))
        except LaennecError as error:
            connection.send(error)
