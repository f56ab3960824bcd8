"""Who hears an archive: processes of this machine, or a Ray cluster (`stream.cluster`). Both give the same rows."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import SettingError

if TYPE_CHECKING:
    from models.bundle import Bundle
    from stream.whole import Row


class Engine(StrEnum):
    """By the words of the option `--engine`."""

    LOCAL = "local"
    RAY = "ray"


def expand(engine: Engine, address: str | None, places: Sequence[str]) -> list[str]:
    """The recordings that are meant: see `classify.expand`, and `cluster.places.expand` for URLs.

    Raises:
        InputFileError: there is none.
        SettingError: the engine can't be used, or URLs were given to one that fetches none.
    """
    if engine is Engine.RAY:
        from stream.cluster import engine as cluster
        from stream.cluster import places as cluster_places

        cluster.check(address)
        return cluster_places.expand(places)
    from stream import classify

    if address is not None:
        raise SettingError("--address is where a Ray cluster is: give --engine ray too")
    far = next((place for place in places if "://" in place and not os.path.exists(place)), None)  # noqa: PTH110 - never raises
    if far:
        raise SettingError(f"{far}: URLs are fetched by --engine ray alone; give that, or a path")
    return [str(path) for path in classify.expand([Path(place) for place in places])]


def rows(
    engine: Engine, address: str | None, found: Sequence[str], model: Bundle, channel: int | None, jobs: int | None
) -> Generator[Row, None, None]:
    """A row for each that `expand` found, in that order."""
    if engine is Engine.RAY:
        from stream.cluster import engine as cluster

        return cluster.rows(found, model, channel, jobs, address)
    from stream import classify

    return classify.rows([Path(place) for place in found], model, channel, jobs or 1)
