"""A simulated patient as a source."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

from models.errors import SettingError
from stream.block import Block
from stream.simulate import Patient, init_state, step
from stream.sources.pace import Pacer

_BLOCK_S = 0.025


class SimulatedSource:
    """A patient that is listened to, in real time or as fast as it goes.

    Args:
        patient: who.
        duration_s: how long, above 0; None is endless.
        block_samples: length of a block, above 0; None is 25 ms. The last block may be shorter.
        speed: 1 is real time; None or infinity is as fast as it goes.

    Raises:
        SettingError: a value out of its range.
    """

    def __init__(
        self,
        patient: Patient,
        duration_s: float | None = None,
        block_samples: int | None = None,
        speed: float | None = 1.0,
    ) -> None:
        if duration_s is not None and not 0 < duration_s < math.inf:
            raise SettingError(f"--seconds {duration_s:g}: give a number above 0, or leave it out for no end")
        if block_samples is not None and block_samples < 1:
            raise SettingError(f"block_samples must be 1 or more, not {block_samples}")
        self._patient = patient
        self._end_samples = math.inf if duration_s is None else round(duration_s * patient.rate_hz)
        self._block_samples = block_samples or round(_BLOCK_S * patient.rate_hz)
        self._pacer = Pacer(patient.rate_hz, speed)
        self._stopped = threading.Event()

    @property
    def rate_hz(self) -> int:
        """Sample rate of the blocks."""
        return self._patient.rate_hz

    @property
    def description(self) -> dict[str, object]:
        """What the session log says of it; the name makes plain that nobody was listened to."""
        lost = self._patient.lost_contact
        return {
            "kind": "simulated",
            "name": f"SYNTHETIC {self._patient.case}",
            "rate_hz": self._patient.rate_hz,
            "heart_rate_bpm": self._patient.heart_rate_bpm,
            "seed": self._patient.seed,
            "snr_db": self._patient.snr_db,
            "noise": self._patient.noise,
            "lost_contact": lost and lost._asdict(),
        }

    def blocks(self) -> Iterator[Block]:
        """Blocks in order, each once its last sample is due, until the end or `stop`."""
        state = init_state(self._patient)
        while (start := state.position) < self._end_samples:
            n_samples = int(min(self._block_samples, self._end_samples - start))
            samples, state = step(self._patient, n_samples, state)
            self._pacer.wait(state.position, self._stopped.is_set)
            if self._stopped.is_set():
                return
            yield Block(samples, start, self.rate_hz)

    def stop(self) -> None:
        """Ask `blocks` to end; it does within 0.1 s."""
        self._stopped.set()

    def close(self) -> None:
        """Nothing is held; ends `blocks` like `stop`."""
        self.stop()
