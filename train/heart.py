"""Learning to classify windows: what `train.loop` runs for `HeartNet`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from models.nets import POOLING, HeartNet
from train.config import Config
from train.loop import Fit
from train.predict import recording_loss
from train.sampling import Batch, Sampler
from train.table import Table
from train.timings import NO_STATE


class HeartTask:
    """Windows of labelled recordings.

    Args:
        config: the whole configuration.
        table: features of all recordings.
        indices: the recordings to learn from.
        watched: recordings whose loss is written to the learning curve.
    """

    settings: tuple[str, ...] = ("front_end", "window", "net", "fit", "sampling", "augment")

    def __init__(self, config: Config, table: Table, indices: Sequence[int], watched: Sequence[int] = ()) -> None:
        self.learned = table.fingerprint(indices)
        self._config = config
        self._table = table
        self._watched = list(watched)
        self._sampler = Sampler(config, table, indices)

    def fresh(self) -> HeartNet:
        """See `train.loop.Task`."""
        return HeartNet(self._config.net)

    def loss(self, net: HeartNet, rng: np.random.Generator) -> Tensor:
        """See `train.loop.Task`."""
        batch, spec = self._sampler.batch(rng), self._config.fit
        heard, frames = net.hear(torch.from_numpy(batch.features), torch.from_numpy(batch.frames))
        loss = masked_cross_entropy(net.classify(heard, frames), batch, spec.label_smoothing)
        return loss + spec.state_weight * state_cross_entropy(net.states(heard), batch)

    def watch(self, net: HeartNet) -> float | None:
        """See `train.loop.Task`."""
        return recording_loss(net, self._config.window, self._table, self._watched) if self._watched else None


def fit(config: Config, table: Table, indices: Sequence[int], seed: int, watched: Sequence[int] = ()) -> Fit[HeartNet]:
    """A training run of the network that classifies; arguments as for `HeartTask` and `Fit`."""
    return Fit(config, config.fit, HeartTask(config, table, indices, watched), seed)


def state_cross_entropy(answers: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy of what the heart does at each step of the LSTM, over those where it is known; 0 where none is.

    Args:
        answers: (batch, steps, HEART_STATES).
        batch: a step stands for `POOLING` frames, and is asked for the second of them.
    """
    steps = answers.shape[1]
    states = torch.from_numpy(batch.states[:, 1::POOLING][:, :steps].copy())
    heard = torch.arange(steps)[None, :] < torch.from_numpy(batch.frames // POOLING)[:, None]
    known = heard & (states != NO_STATE)
    return nn.functional.cross_entropy(answers[known], states[known], reduction="sum") / known.sum().clamp(min=1)


def masked_cross_entropy(logits: Tensor, batch: Batch, smoothing: float) -> Tensor:
    """Cross-entropy over the classes that each window's source can speak of.

    Args:
        logits: (batch, 5).
        batch: targets and masks.
        smoothing: share of the target spread evenly over those classes.
    """
    speaks_of = torch.from_numpy(batch.speaks_of)
    targets = torch.from_numpy(batch.targets)
    even = speaks_of / speaks_of.sum(dim=1, keepdim=True)
    targets = (1 - smoothing) * targets + smoothing * even
    logs = logits.masked_fill(~speaks_of, -1e9).log_softmax(dim=1)
    return -(targets * logs).where(speaks_of, 0.0).sum(dim=1).mean()
