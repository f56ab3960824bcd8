"""How long and how fast a network is trained: the settings of `train.loop`."""

from __future__ import annotations

from dataclasses import dataclass

from train.strict import check


@dataclass(frozen=True)
class LoopSpec:
    """One training run of a network.

    Attributes:
        steps: optimiser steps.
        batch: windows per step.
        learning_rate: peak of the one-cycle schedule (Smith & Topin 2018).
        weight_decay: of AdamW (Loshchilov & Hutter 2019).
        clip: largest gradient norm.
        ema: decay of the averaged weights, which are the ones kept.
        checkpoint_steps: steps between checkpoints.
    """

    steps: int = 3000
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    clip: float = 2.0
    ema: float = 0.99
    checkpoint_steps: int = 250

    def __post_init__(self) -> None:
        check(self, steps=(1, 10_000_000), batch=(1, 10_000), checkpoint_steps=(1, 10_000_000))
        check(self, learning_rate=(1e-9, 1), weight_decay=(0, 10), clip=(1e-9, 1e9), ema=(0, 1))
