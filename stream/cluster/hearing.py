"""What a worker of the cluster does: hold a model, and hear chunks of recordings. Nothing here asks for Ray."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models import bundle as bundles
from models.bundle import Bundle
from models.errors import LaennecError, ModelError
from stream import classify
from stream.classify import Row
from stream.cluster import places
from stream.cluster.fetch import Fetched
from stream.whole import unusable


@dataclass(frozen=True)
class Task:
    """What every worker is to know.

    Attributes:
        model_name: the model's file name, for messages.
        model: its bytes, since a node need not have the file.
        sha256: of these bytes.
        channel: from 1; None where recordings are mono.
        folder: where paths start that do not start at the root.
        laennec: the version that the command runs.
    """

    model_name: str
    model: bytes
    sha256: str
    channel: int | None
    folder: str
    laennec: str


def task(model: Bundle, channel: int | None) -> Task:
    """The task for a model.

    Raises:
        ModelError: its file was altered since it was loaded.
    """
    try:
        data = model.path.read_bytes()
    except OSError as error:
        raise ModelError(f"{model.path}: the model can't be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != model.sha256:
        raise ModelError(f"{model.path}: was altered just now; run it again")
    return Task(model.path.name, data, model.sha256, channel, str(Path.cwd()), version("laennec"))


class Hearer:
    """Holds the session, in an actor of its own."""

    def __init__(self, given: Task) -> None:
        self._task = given

    def __call__(self, chunk: Any) -> Any:
        """The rows of a chunk of recordings.

        Args:
            chunk: a pyarrow table of one row; `index`, and `places` in JSON.

        Returns:
            The same with `answer` for `places`: see `answered`.
        """
        import pyarrow

        given = json.loads(chunk["places"][0].as_py())
        return pyarrow.table({"index": chunk["index"], "answer": [answer(self._task, given)]})


def answer(given: Task, recordings: Sequence[str]) -> bytes:
    """Rows in JSON, which keeps floats to the bit and names that are no text; or why there can be none at all."""
    try:
        return json.dumps({"rows": hear(given, recordings)}).encode()
    except LaennecError as error:
        return json.dumps({"error": str(error), "kind": type(error).__name__}).encode()


def answered(data: bytes) -> list[Row]:
    """What `answer` said.

    Raises:
        LaennecError: as it was there.
    """
    told = json.loads(data)
    if "error" in told:
        kinds = {kind.__name__: kind for kind in LaennecError.__subclasses__()}
        raise kinds.get(told["kind"], LaennecError)(told["error"])
    return list(told["rows"])


def hear(given: Task, recordings: Sequence[str]) -> list[Row]:
    """The rows of recordings, in their order; URLs are fetched while others are heard."""
    if (own := version("laennec")) != given.laennec:
        raise LaennecError(f"a node has laennec {own}, not {given.laennec}; install the same on every node")
    model = _loaded(given)
    with contextlib.suppress(OSError):  # no such folder on this node: paths from the root can be heard all the same
        os.chdir(given.folder)
    # A worker that is killed leaves its folder behind; most need none.
    far = bool(places.protocols(recordings))
    with tempfile.TemporaryDirectory(prefix="laennec-") if far else contextlib.nullcontext("") as folder:
        fetched = Fetched(recordings, Path(folder))
        rows: list[Row] = []
        for index, row in enumerate(classify.heard(fetched, model, given.channel)):
            rows.append(_named(row, recordings[index], fetched.path(index), fetched.errors.get(recordings[index])))
            fetched.drop(index)
    return rows


def _named(row: Row, place: str, path: Path, failure: LaennecError | None) -> Row:
    """The row under the recording's own name, where what was heard is a copy with another."""
    if failure:
        return unusable(Path(place), failure) | {"path": place}
    if places.protocol(place) is None:
        return row
    error = row["error"] and row["error"].replace(str(path), place)
    return row | {"path": place, "error": error}


@functools.lru_cache(maxsize=1)
def _loaded(given: Task) -> Bundle:
    """The model, once a process; under its own name, for its file here goes away again."""
    with tempfile.TemporaryDirectory(prefix="laennec-") as folder:
        path = Path(folder) / given.model_name
        path.write_bytes(given.model)
        try:
            model = replace(bundles.load(path), path=Path(given.model_name))
        except ModelError as error:
            raise ModelError(str(error).replace(str(path), given.model_name)) from error
    if model.sha256 != given.sha256:
        raise ModelError(f"{given.model_name}: arrived damaged at a node; run it again")
    return model
