"""The two networks, and the only torch file in models/.

`HeartNet` says what a window sounds like: two pooling convolutions, one unidirectional LSTM, attention pooling.
`BeatNet` says frame by frame where S1 and S2 begin: one convolution, one GRU, state in and state out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.classes import CLASSES

#: Frames that one LSTM step stands for: two poolings by two.
POOLING = 4
#: S1, systole, S2, diastole, systole with a murmur: what the heart does, as asked in training.
HEART_STATES = 5
_REACH = 5  # frames under BeatNet's convolution
_COLUMNS = 16


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
    channels: int = 56
    hidden: int = 56
    dropout: float = 0.4
    range_nepers: float = 12.0


class HeartNet(nn.Module):
    """Logits of the five classes from a window of features.

    Each band's mean over the window is removed inside the network, which removes the recording device's frequency
    response (as far as the range's limit leaves it); one scalar deviation scales the rest. Frames beyond a window's
    length are masked at every layer, so a padded window gives the same logits as the window alone. The layer `states`
    serves training alone: asked what the heart does meanwhile, the LSTM learns where in the cycle a murmur is.

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
        self.states = nn.Linear(spec.hidden, HEART_STATES)

    def forward(self, features: Tensor, frames: Tensor) -> Tensor:
        """See the class."""
        return self.classify(*self.hear(features, frames))

    def hear(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """What the LSTM knows at each of its steps, (batch, time // POOLING, hidden), and the frames; as for the class.

        In training `states` says of it what the heart does meanwhile; when listening nothing asks.
        """
        mask = _mask(features, frames)
        if self.spec.range_nepers:
            features = _limit(features, mask, self.spec.range_nepers)
        x = _normalise(features, mask)
        x = self._pool(self.first_norm(self.first(x.transpose(1, 2))).relu(), frames // 2)
        x = self._pool(self.second_norm(self.second(x)).relu(), frames // POOLING)
        heard, _ = self.lstm(self.dropout(x.transpose(1, 2)))
        return heard, frames

    def pooled(self, heard: Tensor, frames: Tensor) -> Tensor:
        """(batch, hidden) what is known of each window before the classes; arguments from `hear`."""
        scores = self.attention(heard).masked_fill(_mask(heard, frames // POOLING) == 0, -1e9)
        pooled: Tensor = (heard * scores.softmax(dim=1)).sum(dim=1)
        return pooled

    def classify(self, heard: Tensor, frames: Tensor) -> Tensor:
        """(batch, 5) logits; arguments from `hear`."""
        logits: Tensor = self.last(self.dropout(self.pooled(heard, frames)))
        return logits

    @staticmethod
    def _pool(x: Tensor, frames: Tensor) -> Tensor:
        pooled = nn.functional.max_pool1d(x, 2)
        return pooled * _mask(pooled.transpose(1, 2), frames).transpose(1, 2)


@dataclass(frozen=True)
class BeatNetSpec:
    """Size of the network that finds S1 and S2.

    Attributes:
        features: values per frame.
        channels: channels of the convolution.
        hidden: units of the GRU.
        dropout: share of values zeroed in training, before the GRU and before the last layer.
        keep: weight of the past in the running mean of each band; 0.99 forgets with a time constant of 100 frames.
    """

    features: int = 32
    channels: int = 48
    hidden: int = 64
    dropout: float = 0.2
    keep: float = 0.99

    @property
    def state(self) -> int:
        """Values that the network carries from call to call."""
        return self.features + 2 + (_REACH - 1) * self.features + self.hidden


class BeatNet(nn.Module):
    """How likely S1 or S2 began some frames ago; causal, since it answers late instead of looking ahead.

    Each band's running mean is removed and one running deviation scales the rest, which removes the device's frequency
    response and the level. However a stretch is cut into calls, the answers are the same but for rounding.

    Shape:
        features: (batch, time, features) float32, time >= 1.
        state: (batch, spec.state) float32; zeros at the start of a stretch.
        returns: (batch, time, 5) float32, logits of S1's onset, of S2's onset, and of the phase (none, S1 to S2, S2 to
            S1; used in training alone), all of the frame `lookahead_frames` ago; and the next state.
    """

    def __init__(self, spec: BeatNetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.convolution = nn.Conv1d(spec.features, spec.channels, _REACH)
        self.gru = nn.GRU(spec.channels, spec.hidden, batch_first=True)
        self.dropout = nn.Dropout(spec.dropout)
        self.last = nn.Linear(spec.hidden, 5)

    def forward(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        spec = self.spec
        sums, tail, hidden = torch.split(state, [spec.features + 2, (_REACH - 1) * spec.features, spec.hidden], dim=1)
        normal, sums = _running(features, sums, spec.keep)
        heard = torch.cat([tail.view(-1, _REACH - 1, spec.features), normal], dim=1)
        x = self.convolution(heard.transpose(1, 2)).relu().transpose(1, 2)
        x, hidden = self.gru(self.dropout(x), hidden[None].contiguous())
        tail = heard[:, -(_REACH - 1) :].flatten(1)
        return self.last(self.dropout(x)), torch.cat([sums, tail, hidden[0]], dim=1)


class Onsets(nn.Module):
    """What of a `BeatNet` is used when listening: the logits (batch, time, 2) of S1's and S2's onset, and the state."""

    def __init__(self, net: BeatNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        answers, following = self.net(features, state)
        return answers[:, :, :2], following


def _running(x: Tensor, sums: Tensor, keep: float) -> tuple[Tensor, Tensor]:
    """Remove exponentially forgetting means: x (batch, time, features) -> the same shape, and the next sums.

    The sums (batch, features + 2) are of x, of its mean square over the bands, and of the weights.
    """
    steps = torch.arange(int(x.shape[1]), dtype=x.dtype, device=x.device)
    lag = steps[:, None] - steps[None, :]
    weights = (keep ** lag.clamp(min=0)) * (lag >= 0)
    past = (keep ** (steps + 1))[None, :, None]
    parts = torch.cat([x, _over_bands(x * x)], dim=2)
    total = weights @ parts + past * sums[:, None, :-1]
    weight = weights.sum(dim=1)[None, :, None] + past * sums[:, None, -1:]
    mean, square = torch.split(total / weight, [x.shape[2], 1], dim=2)
    variance = (square - _over_bands(mean * mean)).clamp(min=0)
    return (x - mean) / (variance + 1e-2).sqrt(), torch.cat([total, weight], dim=2)[:, -1]


def _over_bands(x: Tensor) -> Tensor:
    """Means (batch, time, 1) of (batch, time, features)."""
    if torch.onnx.is_in_onnx_export():
        bands = int(x.shape[2])
        return weighed(x, torch.full((1, bands), 1 / bands))[..., None]
    return x.mean(dim=2, keepdim=True)


def weighed(x: Tensor, weights: Tensor) -> Tensor:
    """The sums (...,) of x (..., n) by weights (1, n), as a product with many columns, of which one is used.

    For export: in ONNX Runtime a sum rounds by where in memory its row begins, and a product with a single column by
    the row's place among the others.
    """
    return (x @ weights.expand(_COLUMNS, -1).t())[..., 0]


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
