"""Recordings of a chunk whose workers failed again and again, each in a task of its own: one spoils no other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from models.errors import InputFileError, printable
from stream.classify import Row
from stream.cluster.hearing import Task, answer, answered
from stream.whole import unusable

_RETRIES = 2


def heard(given: Task, recordings: Sequence[str], cpus: float) -> Iterator[list[Row]]:
    """A row each; of one that its worker does not survive it says so.

    Args:
        given: for the workers.
        recordings: their places.
        cpus: that a task asks for.
    """
    import ray

    known = ray.put(given)
    task = ray.remote(num_cpus=cpus, max_retries=_RETRIES)(answer)
    coming: list[Any] = [task.remote(known, [place]) for place in recordings]
    for place, data in zip(recordings, coming, strict=True):
        try:
            yield answered(ray.get(data))
        except ray.exceptions.RayError as error:
            yield [unusable(Path(place), _refusal(place, error)) | {"path": place}]


def _refusal(place: str, error: Exception) -> InputFileError:
    cause = getattr(error, "cause", None)
    reason = f"stopped with {printable(repr(cause))}" if cause else "was killed, perhaps for want of memory,"
    return InputFileError(f"{place}: can't be heard: its worker {reason} each time; convert it, or hear it alone")
