"""Several streams stepped together, so that what they share is paid once: one call of the network for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stream import engine
from stream.block import Block
from stream.engine import Work
from stream.pipeline import Event, Pipeline, Steps


def process(pipelines: Sequence[Pipeline], blocks: Sequence[Block]) -> list[list[Event]]:
    """Each pipeline hears its block; the events of each, equal to the bit to those of `Pipeline.process`.

    Args:
        pipelines: of one bundle, none of them twice.
        blocks: one for each, of any lengths.
    """
    return _run(pipelines, [pipeline.hearing(block) for pipeline, block in zip(pipelines, blocks, strict=True)])


def flush(pipelines: Sequence[Pipeline]) -> list[list[Event]]:
    """The streams are over: the last events of each, as `Pipeline.flush`."""
    return _run(pipelines, [pipeline.ending() for pipeline in pipelines])


def _run(pipelines: Sequence[Pipeline], steps: Sequence[Steps]) -> list[list[Event]]:
    """All go on to where they need the engine, which serves those that do; again, until all have come to an end.

    Mostly once: only losses within a block have one ask more often.
    """
    events: list[list[Event]] = [[] for _ in steps]
    # What was told to each since it asked; a generator's first step takes None.
    told: dict[int, Any] = dict.fromkeys(range(len(steps)))
    while told:
        works: dict[int, Work] = {}
        for k, answer in told.items():
            try:
                works[k] = steps[k].send(answer)
            except StopIteration as end:
                events[k] = end.value
        advanced = engine.advance(pipelines[0].bundle, list(works.values())) if works else []
        told = dict(zip(works, advanced, strict=True))
    return events
