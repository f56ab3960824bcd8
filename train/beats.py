"""Learning to find S1 and S2: what `train.loop` runs for `BeatNet`, and what the network says of whole recordings."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor, nn

from models.nets import BeatNet, Onsets
from models.rhythm import Beat, Rhythm
from train.beat_windows import BeatBatch, BeatSampler
from train.config import Config
from train.loop import Fit
from train.splits import split_hash
from train.table import Features
from train.timings import Timed

Array = np.ndarray


class BeatTask:
    """Windows of recordings with annotated S1 and S2.

    Args:
        config: the whole configuration.
        table: features of annotated recordings.
        indices: those to learn from.
        noises: features of everyday noise, in which there is no beat.
    """

    settings: tuple[str, ...] = ("front_end", "beat_net", "beat_fit", "beat_augment", "rhythm")

    def __init__(self, config: Config, table: Features[Timed], indices: Sequence[int], noises: Sequence[Array]) -> None:
        parts = [*noises, *(table.recordings[i].segments for i in indices)]
        hashes = (blake2b(np.ascontiguousarray(part).tobytes()).hexdigest() for part in parts)
        self.learned = split_hash([table.fingerprint(indices), *hashes])
        self._config = config
        self._sampler = BeatSampler(config, table, indices, noises)

    def fresh(self) -> BeatNet:
        """See `train.loop.Task`."""
        return BeatNet(self._config.beat_net)

    def loss(self, net: BeatNet, rng: np.random.Generator) -> Tensor:
        """See `train.loop.Task`."""
        batch = self._sampler.batch(rng)
        answers, _ = net(torch.from_numpy(batch.features), torch.zeros(len(batch.features), net.spec.state))
        return beat_loss(answers, batch, self._config.beat_fit.onset_weight)

    def watch(self, net: BeatNet) -> float | None:  # noqa: ARG002 - nothing is watched
        """See `train.loop.Task`."""
        return None


def fit(
    config: Config, table: Features[Timed], indices: Sequence[int], noises: Sequence[Array], seed: int
) -> Fit[BeatNet]:
    """A training run of the network that finds S1 and S2; arguments as for `BeatTask` and `Fit`."""
    return Fit(config, config.beat_fit, BeatTask(config, table, indices, noises), seed)


def beat_loss(answers: Tensor, batch: BeatBatch, onset_weight: float) -> Tensor:
    """Cross-entropy of the phase plus weighted cross-entropy of the onsets, over the frames that are annotated.

    Args:
        answers: (batch, time, 5) from `BeatNet`.
        batch: the targets.
        onset_weight: weight of the onsets' part.
    """
    phase = torch.from_numpy(batch.phase)
    known = phase >= 0
    onsets = torch.from_numpy(batch.onsets)[known]
    return nn.functional.cross_entropy(answers[..., 2:][known], phase[known]) + onset_weight * (
        nn.functional.binary_cross_entropy_with_logits(answers[..., :2][known], onsets)
    )


class TorchNet:
    """A trained network as `models.rhythm.Net` wants it."""

    def __init__(self, net: BeatNet) -> None:
        self._net = Onsets(net.eval())
        self.state_size = net.spec.state

    def __call__(self, features: Array, state: Array) -> tuple[Array, Array]:
        """See `models.rhythm.Net`."""
        with torch.no_grad():
            onsets, following = self._net(torch.from_numpy(features), torch.from_numpy(state))
        return onsets.numpy(), following.numpy()


def beats(config: Config, net: BeatNet, features: Array) -> list[Beat]:
    """S1 and S2 of a whole recording (frames, features), as a stream would find them."""
    rhythm = Rhythm(config.rhythm, config.front_end, TorchNet(net))
    found, state = rhythm.step(features, rhythm.init_state())
    return found + rhythm.flush(state)
