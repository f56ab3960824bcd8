"""A model that fails once, at the first end of a stretch; as a program, `laennec` with such a model."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from models.bundle import Bundle
from models.errors import ModelError
from stream import engine
from stream.block import Samples
from stream.stretch import Judged, Moment, Stretch

SAID = "it fails on this sound; give another"


def install(patch: pytest.MonkeyPatch) -> None:
    """Have it fail where the first stretch that ends is judged, and never again."""
    judge, end = engine.judge, Stretch.end
    ended: list[Stretch] = []
    failed: list[ModelError] = []

    def ending(stretch: Stretch) -> Samples:
        ended.append(stretch)
        return end(stretch)

    def judging(bundle: Bundle, moments: Sequence[Moment]) -> list[Judged]:
        if ended and not failed:
            failed.append(ModelError(SAID))
            raise failed[0]
        return judge(bundle, moments)

    patch.setattr(Stretch, "end", ending)
    patch.setattr(engine, "judge", judging)


if __name__ == "__main__":
    import laennec

    with pytest.MonkeyPatch.context() as lasting:
        install(lasting)
        laennec.main()
