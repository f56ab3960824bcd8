"""Finds samples that a device lost without saying so, by counting what came against the monotonic clock."""

from __future__ import annotations

import math

WINDOW_S = 1.0  # callbacks come in bursts: only the least lateness of a window says anything
TOLERANCE_S = 0.25
SUSPICIOUS_WINDOWS = 2  # what is late catches up within a window; what is lost stays away
MOST_DRIFT = 500e-6  # sound cards' clocks differ from the computer's by some 100 parts per million
FIRST_WINDOWS = 5  # the least lateness of so many is where drift is measured from
DRIFT_KNOWN_S = 30.0  # the least lateness is good to a millisecond or so: to some 30 parts per million by then


class FrameClock:
    """Compares samples captured with time passed; a lasting step between them is a loss.

    The lateness of a stream (samples that time says should be here, less those that are) wanders with the size of
    bursts and with the two clocks' drift. So each window's least lateness is compared with a reference that follows
    drift, and nothing else upwards. A callback that stalls and then delivers everything late is no loss.
    Losses below `TOLERANCE_S` go unseen; larger ones are known some 2 to 3 s after they happen.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._reference = math.inf
        self._least = math.inf
        self._newest = math.inf  # as `_least`, but kept until the next window has begun
        self._window_end_s: float | None = None
        self._suspicious = 0
        self.missing_samples = 0
        self._drift_from: tuple[float, float] | None = None  # time and lateness
        self._drift_to: tuple[float, float] | None = None
        self._windows = 0

    def observe(self, captured_samples: int, at_s: float) -> None:
        """Take note of one callback; adds to `missing_samples` when a loss is certain.

        Args:
            captured_samples: how many came so far, this callback's included; 0 (nothing came yet) tells nothing.
            at_s: monotonic time of the callback.
        """
        if captured_samples == 0:
            return
        if self._window_end_s is None:
            self._window_end_s = at_s + WINDOW_S
        self._least = min(self._least, at_s * self._rate_hz - captured_samples)
        self._newest = self._least
        if at_s >= self._window_end_s:
            self._judge(self._least, at_s)
            self._least, self._window_end_s = math.inf, at_s + WINDOW_S

    @property
    def suspected_samples(self) -> int:
        """What seems to be lost and is not certain yet; 0 within the tolerance."""
        excess = self._newest - self._reference
        return round(excess) if TOLERANCE_S * self._rate_hz < excess < math.inf else 0

    @property
    def drift_ppm(self) -> float | None:
        """How much faster the device's clock is than the computer's, in parts per million; None for half a minute."""
        if self._drift_from is None or self._drift_to is None:
            return None
        passed_s = self._drift_to[0] - self._drift_from[0]
        if passed_s < DRIFT_KNOWN_S:
            return None
        return (self._drift_from[1] - self._drift_to[1]) / (passed_s * self._rate_hz) * 1e6

    def _judge(self, lateness: float, at_s: float) -> None:
        """Decide on one window, by its least lateness in samples."""
        excess = lateness - self._reference
        if excess <= TOLERANCE_S * self._rate_hz:
            self._suspicious = 0
            self._reference = min(lateness, self._reference + MOST_DRIFT * WINDOW_S * self._rate_hz)
            self._follow(at_s, lateness - self.missing_samples)
            return
        self._suspicious += 1
        if self._suspicious >= SUSPICIOUS_WINDOWS:
            self._suspicious = 0
            self._reference = lateness
            self.missing_samples += round(excess)

    def _follow(self, at_s: float, lateness: float) -> None:
        """Note a window's least lateness, losses taken out of it."""
        self._windows += 1
        if self._drift_from is None or (self._windows <= FIRST_WINDOWS and lateness < self._drift_from[1]):
            self._drift_from = (at_s, lateness)
        self._drift_to = (at_s, lateness)
