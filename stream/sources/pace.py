"""Real time for sources that could go faster: files and simulated patients."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from models.errors import SettingError

_LONGEST_SLEEP_S = 0.02  # so that a stop is seen soon


class Pacer:
    """Holds a source back until its samples would have been captured.

    The clock starts at the first `wait`. A source that falls behind is not held back until it has caught up, as
    with a device that buffers.

    Args:
        rate_hz: sample rate of the source.
        speed: 1 is real time, 2 twice as fast; None or infinity never waits.
        clock: monotonic seconds.
        sleep: waits some seconds.

    Raises:
        SettingError: a speed that is not above 0.
    """

    def __init__(
        self,
        rate_hz: int,
        speed: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if speed is not None and not speed > 0:
            raise SettingError(f"speed must be above 0 (1 is real time), not {speed}")
        self._samples_per_s = rate_hz * (math.inf if speed is None else speed)
        self._clock = clock
        self._sleep = sleep
        self._began_s: float | None = None

    def wait(self, until_sample: int, stopped: Callable[[], bool]) -> None:
        """Return when sample `until_sample` (absolute, from the stream's beginning) is due, or soon after a stop.

        Args:
            until_sample: index after the last sample of the block about to be given out.
            stopped: asked at least every 20 ms.
        """
        if self._began_s is None:
            self._began_s = self._clock()
        due_s = self._began_s + until_sample / self._samples_per_s
        while not stopped() and (left_s := due_s - self._clock()) > 0:
            self._sleep(min(left_s, _LONGEST_SLEEP_S))
