"""The beats of one unbroken stretch of audio: kept for as long as they count, and judged."""

from __future__ import annotations

from collections import deque

from models import regularity
from models.regularity import Regularity
from models.rhythm import Beat, Rhythm, RhythmState, Told


class Pulse:
    """Tells the beats of a stretch at times of the stream.

    What the network finds is put in as soon as it is found; it is told when the frames that it took have come, so that
    nothing depends on how many came together.

    Args:
        rhythm: finds the beats.
        start_s: when the stretch begins.

    Attributes:
        state: of finding beats.
    """

    def __init__(self, rhythm: Rhythm, start_s: float) -> None:
        self._rhythm = rhythm
        self._start_s = start_s
        self._found: deque[Told] = deque()  # not told yet
        self._recent: list[Beat] = []  # those that count still, from the stretch's start
        self._known_s = rhythm.known_s(0)
        self.state: RhythmState = rhythm.init_state()

    def put(self, found: list[Told], state: RhythmState) -> None:
        """What `Rhythm.steps` found, and its next state."""
        self._found.extend(found)
        self.state = state

    def until(self, frames: int, ended: bool = False) -> list[Beat]:
        """The beats that are told by the time so many frames have come, oldest first; at the end, all others too."""
        told: list[Beat] = []
        while self._found and (ended or self._found[0].frames <= frames):
            told += self._found.popleft().beats
        self._known_s = self._rhythm.known_s(frames, ended)
        if told:
            oldest_s = self._known_s - regularity.MEMORY_S
            self._recent = [beat for beat in self._recent + told if beat.t_s > oldest_s]
        return [beat._replace(t_s=self._start_s + beat.t_s) for beat in told]

    @property
    def regularity(self) -> Regularity:
        """Of the beats told so far, at times of the stream."""
        found = regularity.assess(self._recent, self._known_s)
        early = tuple(beat._replace(t_s=self._start_s + beat.t_s) for beat in found.premature)
        return found._replace(premature=early)
