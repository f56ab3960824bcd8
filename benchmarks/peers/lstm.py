"""The network of the two recomputing peers: two layers of 64, five classes, weights at random."""

from __future__ import annotations

import torch


class Lstm(torch.nn.Module):
    """Classifies a whole window of features (batch, frames, features); logits (batch, 5)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm = torch.nn.LSTM(features, 64, num_layers=2, batch_first=True)
        self.head = torch.nn.Linear(64, 5)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """From the last step's state."""
        heard, _ = self.lstm(features)
        logits: torch.Tensor = self.head(heard[:, -1])
        return logits
