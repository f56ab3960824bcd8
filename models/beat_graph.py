"""The graph that finds S1 and S2, run by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from models import graph
from models.rhythm import MOST_TOGETHER, SOUNDS

Array = np.ndarray

INPUTS = ("features", "state")
OUTPUTS = ("onsets", "next_state")
_MOST_STATE = 100_000


class BeatGraph:
    """The graph that finds S1 and S2, as `models.rhythm.Net` wants it.

    Args:
        path: for messages.
        session: from `graph.open_session`.

    Raises:
        ValueError: its state is of no usable size.
    """

    def __init__(self, path: Path, session: Any) -> None:
        self._what = f"{path}: the rhythm's graph"
        self._session = session
        self.state_size = session.get_inputs()[1].shape[1]
        if type(self.state_size) is not int or not 0 < self.state_size <= _MOST_STATE:
            raise ValueError("the rhythm's graph has no usable state")

    def __call__(self, features: Array, state: Array, options: Any = None) -> tuple[Array, Array]:
        """See `models.rhythm.Net`."""
        feed = {"features": features, "state": state}
        shapes = ((*features.shape[:2], len(SOUNDS)), state.shape)
        wanted = dict(zip(OUTPUTS, shapes, strict=True))
        onsets, following = graph.run(self._what, self._session, feed, wanted, options)
        return onsets, following

    def try_out(self, frames: int, features: int) -> None:
        """Hear blocks of silence, as many as are ever heard together.

        Raises:
            ModelError: the graph fails, or answers something else.
        """
        blocks = np.zeros((MOST_TOGETHER, frames, features), dtype=np.float32)
        with graph.limited() as options:
            self(blocks, np.zeros((MOST_TOGETHER, self.state_size), dtype=np.float32), options)
