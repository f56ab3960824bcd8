"""Laennec's own pipeline: blocks of 0.5 s at 4 kHz in, beats and decisions out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contender import Contender, audio
from models import bundle
from models.bundle import Bundle
from models.decide import Decision
from models.quality import Quality
from stream import engine, together
from stream.block import Block
from stream.pipeline import Event, Pipeline

WHAT = (
    "Laennec's shipped model: five classes, heart rate, S1 and S2, premature beats and signal quality every "
    "0.5 s from the last 4 s (10 s for the spacing of sounds), from blocks of 0.5 s at 4 kHz; resampler in."
)
PACKAGES = ("numpy", "onnxruntime", "soxr")
RATE_HZ = 4000
BLOCK_S = 0.5
#: So many blocks until the windows, and what remembers the last 10 s, are full.
WARM = 24


def model(whole: bool = True) -> Bundle:
    """The shipped one; or the classifier alone, which finds no beats and judges neither spacing nor quality.

    No stream of Laennec leaves the quality out: so it is taken away from this process, for good.
    """
    shipped = bundle.load()
    if whole:
        return shipped
    engine.quality = _NoQuality()  # type: ignore[assignment]
    return dataclasses.replace(shipped, rhythm=None, extrasystole=None)


class _NoQuality:
    """In the place of `models.quality`."""

    @staticmethod
    def assess_all(*about: Any) -> list[Quality]:
        """All is good; `about` is what the true one is given, whose third is the loudness of each window."""
        return [Quality(1.0, "")] * len(about[2])


def pipeline(held: Bundle, rate_hz: int = RATE_HZ) -> Pipeline:
    """A stream as a ward has it: without the newest minutes of audio, which only a screen wants."""
    return Pipeline(held, rate_hz)


class Ward:
    """Streams that hear the same audio, each from another place on, for ever.

    Args:
        folder: of the audio.
        streams: how many.
        whole: with rhythm, spacing and premature beats.
        joint: stepped together; else each by itself.
    """

    def __init__(self, folder: Path, streams: int, whole: bool = True, joint: bool = True) -> None:
        heard = audio(folder, RATE_HZ)
        self.length = len(heard)
        self._heard = np.tile(heard, 2)  # no block is cut by the end
        self._joint = joint
        self._step = round(BLOCK_S * RATE_HZ)
        self._at = 0
        self._starts = [number * 7919 % self.length for number in range(streams)]
        held = model(whole)
        self.pipelines = [pipeline(held) for _ in self._starts]

    def hear(self) -> int:
        """The next block of each; how many decisions came of it."""
        blocks = [self._block((start + self._at) % self.length) for start in self._starts]
        self._at += self._step
        told: list[list[Event]] = (
            together.process(self.pipelines, blocks)
            if self._joint
            else [each.process(block) for each, block in zip(self.pipelines, blocks, strict=True)]
        )
        return sum(isinstance(event, Decision) for events in told for event in events)

    def _block(self, at: int) -> Block:
        return Block(self._heard[at : at + self._step], self._at, RATE_HZ)


def prepare(folder: Path, streams: int = 1, whole: bool = True, joint: bool = True) -> Contender:
    """See `Ward`."""
    ward = Ward(folder, streams, whole, joint)
    return Contender(streams * BLOCK_S, ward.hear, WARM)
