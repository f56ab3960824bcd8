"""Worker processes, each of which answers one item at a time. None outlives this process, however that ends.

The workers of a process pool share queues and locks: where one is killed the others may wait for ever, and so do all
where this process is killed. Here each has a pipe of its own, and ends when nobody holds the other end.
"""

from __future__ import annotations

import contextlib
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar, cast

from models.errors import LaennecError

Item = TypeVar("Item")
Answer = TypeVar("Answer")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def mapped(
    load: Callable[..., Callable[[Item], Iterable[Answer]]],
    settings: tuple[Any, ...],
    items: Iterable[Item],
    jobs: int,
    ahead: int,
) -> Iterator[Answer]:
    """What the workers answer, in the order of the items. Whoever is free gets the next item.

    Args:
        load: makes in each worker, from the settings, the function that gives an item's answers, none of them None.
            Lies at the top of a module.
        settings: what can be sent between processes.
        items: likewise; asked for one by one, as they are handed out.
        jobs: how many workers.
        ahead: at most so many items are handed out from the one whose answers are next; those of the others wait.

    Raises:
        LaennecError: as the worker raised it; or a worker can't be started, or was killed.
    """
    with _started(load, settings, jobs) as idle:
        left = iter(items)
        busy: dict[Connection, deque[Answer | None]] = {}
        in_order: deque[deque[Answer | None]] = deque()  # of each item handed out what it answered; None is its end
        while True:
            in_order += _handed_out(left, ahead - len(in_order), idle, busy)
            if not in_order:
                return
            for connection in cast("list[Connection]", wait(list(busy))):
                busy[connection].append(_received(connection))
                if busy[connection][-1] is None:
                    del busy[connection]
                    idle.append(connection)
            yield from _ready(in_order)


def _handed_out(
    left: Iterator[Item], room: int, idle: list[Connection], busy: dict[Connection, deque[Any]]
) -> list[deque[Any]]:
    """Give the idle workers an item each, as long as there is room; where their answers will be."""
    answers = []
    for item in islice(left, min(room, len(idle))):
        with _loss_told():
            idle[-1].send(item)
        answers.append(deque[Any]())
        busy[idle.pop()] = answers[-1]
    return answers


def _ready(in_order: deque[deque[Answer | None]]) -> Iterator[Answer]:
    """What is next to be told, as far as it is here."""
    while in_order and in_order[0]:
        answer = in_order[0].popleft()
        if answer is None:
            in_order.popleft()
        else:
            yield answer


def _received(connection: Connection) -> Any:
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


def _work(
    connection: Connection, load: Callable[..., Callable[[Any], Iterable[Any]]], settings: tuple[Any, ...]
) -> None:
    """A worker's life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Windows: Ctrl-C goes to every process of the console
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # by which the interpreter ends it, at its own end
    with contextlib.suppress(EOFError, OSError):  # the other end is closed
        try:
            answered = load(*settings)
            while True:
                for answer in answered(connection.recv()):
                    connection.send(answer)
                connection.send(None)
        except LaennecError as error:
            connection.send(error)
