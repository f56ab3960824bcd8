"""Several streams stepped together, so that what they share is paid once: one call of the network for all of them."""

from __future__ import annotations

from collections.abc import Sequence

from stream.block import Block
from stream.pipeline import Event, Pipeline


def process(pipelines: Sequence[Pipeline], blocks: Sequence[Block]) -> list[list[Event]]:
    """Each pipeline hears its block; the events of each, equal to the bit to those of `Pipeline.process`.

    Args:
        pipelines: of one bundle, none of them twice.
        blocks: one for each, of any lengths.
    """
    return [pipeline.process(block) for pipeline, block in zip(pipelines, blocks, strict=True)]


def flush(pipelines: Sequence[Pipeline]) -> list[list[Event]]:
    """The streams are over: the last events of each, as `Pipeline.flush`."""
    return [pipeline.flush() for pipeline in pipelines]
