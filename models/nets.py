"""The network: two pooling convolutions, one unidirectional LSTM, attention pooling. The only torch file in models/."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.classes import CLASSES

#: Frames that one LSTM step stands for: two poolings by two.
POOLING = 4


@dataclass(frozen=True)
class NetSpec:
    """Size of the network.

    Attributes:
        features: values per frame.
        channels: channels of both convolutions.
        hidden: units of the LSTM.
        dropout: share of values zeroed in training, before the LSTM and before the last layer.
        range_nepers: log energies further than this below the window's highest are lifted to it, so that the noise
            floor of a device is not heard; 0 for no limit.
    """

    features: int = 32
    channels: int = 48
    hidden: int = 48
    dropout: float = 0.4
    range_nepers: float = 12.0


class HeartNet(nn.Module):
    """Logits of the five classes from a window of features.

    Each band's mean over the window is removed inside the network, which removes the recording device's frequency
    response (as far as the range's limit leaves it); one scalar deviation scales the rest. Frames beyond a window's
    length are masked at every layer, so a padded window gives the same logits as the window alone.

    Shape:
        features: (batch, time, features) float32, time >= POOLING, zero-padded at the end.
        frames: (batch,) int64, valid frames of each window, POOLING <= frames <= time.
        returns: (batch, 5) float32 logits in the order of `CLASSES`.
    """

    def __init__(self, spec: NetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.first = nn.Conv1d(spec.features, spec.channels, 5, padding=2)
        self.first_norm = nn.BatchNorm1d(spec.channels)
        self.second = nn.Conv1d(spec.channels, spec.channels, 5, padding=2)
        self.second_norm = nn.BatchNorm1d(spec.channels)
        self.lstm = nn.LSTM(spec.channels, spec.hidden, batch_first=True)
        self.attention = nn.Linear(spec.hidden, 1)
        self.dropout = nn.Dropout(spec.dropout)
        self.last = nn.Linear(spec.hidden, len(CLASSES))

    def forward(self, features: Tensor, frames: Tensor) -> Tensor:
        """See the class."""
        mask = _mask(features, frames)
        if self.spec.range_nepers:
            features = _limit(features, mask, self.spec.range_nepers)
        x = _normalise(features, mask)
        x = self._pool(self.first_norm(self.first(x.transpose(1, 2))).relu(), frames // 2)
        x = self._pool(self.second_norm(self.second(x)).relu(), frames // POOLING)
        heard, _ = self.lstm(self.dropout(x.transpose(1, 2)))
        scores = self.attention(heard).masked_fill(_mask(heard, frames // POOLING) == 0, -1e9)
        pooled = (heard * scores.softmax(dim=1)).sum(dim=1)
        logits: Tensor = self.last(self.dropout(pooled))
        return logits

    @staticmethod
    def _pool(x: Tensor, frames: Tensor) -> Tensor:
        pooled = nn.functional.max_pool1d(x, 2)
        return pooled * _mask(pooled.transpose(1, 2), frames).transpose(1, 2)


def _mask(x: Tensor, frames: Tensor) -> Tensor:
    """(batch, time, 1), 1 where a frame of x (batch, time, any) is valid."""
    return (torch.arange(x.shape[1], device=x.device)[None, :, None] < frames[:, None, None]).to(x.dtype)


def _limit(x: Tensor, mask: Tensor, range_nepers: float) -> Tensor:
    top = x.masked_fill(mask == 0, -1e9).amax(dim=(1, 2), keepdim=True)
    return torch.maximum(x, top - range_nepers)


def _normalise(x: Tensor, mask: Tensor) -> Tensor:
    count = mask.sum(dim=1, keepdim=True)
    centred = (x - (x * mask).sum(dim=1, keepdim=True) / count) * mask
    variance = (centred**2).sum(dim=(1, 2), keepdim=True) / (count * x.shape[2])
    return centred / (variance + 1e-2).sqrt()


def parameters(net: nn.Module) -> int:
    """Trainable values."""
    return sum(p.numel() for p in net.parameters() if p.requires_grad)
