"""The beats of one unbroken stretch of audio: found, kept for as long as they count, and judged."""

from __future__ import annotations

import numpy as np

from models import regularity
from models.regularity import Regularity
from models.rhythm import Beat, Rhythm

Array = np.ndarray


class Pulse:
    """Tells the beats of a stretch at times of the stream.

    Args:
        rhythm: finds the beats.
        start_s: when the stretch begins.
    """

    def __init__(self, rhythm: Rhythm, start_s: float) -> None:
        self._rhythm = rhythm
        self._start_s = start_s
        self._state = rhythm.init_state()
        self._ended = False
        self._recent: list[Beat] = []  # those that count still, from the stretch's start

    def hear(self, features: Array) -> list[Beat]:
        """Hear (k, features) frames more, k >= 0; the beats they tell, oldest first."""
        found, self._state = self._rhythm.step(features, self._state)
        return self._keep(found)

    def end(self) -> list[Beat]:
        """No more will come: the beats that were still waited for."""
        self._ended = True
        return self._keep(self._rhythm.flush(self._state))

    @property
    def regularity(self) -> Regularity:
        """Of the beats told so far, at times of the stream."""
        found = regularity.assess(self._recent, self._known_s)
        early = tuple(beat._replace(t_s=self._start_s + beat.t_s) for beat in found.premature)
        return found._replace(premature=early)

    @property
    def _known_s(self) -> float:
        return self._rhythm.known_s(self._state, self._ended)

    def _keep(self, found: list[Beat]) -> list[Beat]:
        oldest_s = self._known_s - regularity.MEMORY_S
        self._recent = [beat for beat in self._recent + found if beat.t_s > oldest_s]
        return [beat._replace(t_s=self._start_s + beat.t_s) for beat in found]
