"""How a device is to be captured."""

from __future__ import annotations

from dataclasses import dataclass

from models.errors import SettingError
from stream.resample import RATES_HZ

_MOST_SAMPLES = 2**27


@dataclass(frozen=True)
class CaptureSpec:
    """How to capture.

    Attributes:
        rate_hz: 2,000 to 192,000; None is the device's default.
        channel: which channel to hear, from 1; None is the first.
        channels: instead of one, several at once, from 1, each once; empty for all that there are.
        ring_s: how much audio may wait for the worker; above 0.
        block_frames: frames per callback; 0 leaves it to PortAudio.
        latency: s, or PortAudio's "low" or "high": how much the driver may hold back.
    """

    rate_hz: int | None = None
    channel: int | None = None
    ring_s: float = 10.0
    block_frames: int = 0
    latency: float | str = "high"
    channels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        low, high = RATES_HZ
        if self.rate_hz is not None and not low <= self.rate_hz <= high:
            raise SettingError(
                f"a rate of {self.rate_hz} Hz is out of range: choose {low} to {high} Hz, or leave --rate out"
            )
        lowest = min(self.channels or (1 if self.channel is None else self.channel,))
        if lowest < 1:
            raise SettingError(f"there is no channel {lowest}: channels are numbered from 1")
        if self.channels is not None and self.channel is not None:
            raise SettingError("--channel hears one channel and --channels several: leave one of them out")
        if not 0.1 <= self.ring_s <= 10_000:
            raise SettingError(f"--ring {self.ring_s:g}: choose 0.1 to 10000 s")
        if not 0 <= self.block_frames <= 192_000:
            raise SettingError(f"--block {self.block_frames}: choose 0 (PortAudio's choice) to 192000 frames")
        known = {"low", "high"}
        if self.latency not in known and not (isinstance(self.latency, float) and 0 < self.latency <= 10):
            raise SettingError(f"--latency {self.latency}: choose low, high, or up to 10 s")

    def ring_samples(self, rate_hz: int, channels: int = 1) -> int:
        """Length of the ring at a rate, of so many channels.

        Raises:
            SettingError: it takes more than half a gigabyte.
        """
        samples = max(1, round(self.ring_s * rate_hz))
        most = _MOST_SAMPLES // channels
        if samples > most:
            of = f" and {channels} channels" if channels > 1 else ""
            raise SettingError(f"--ring {self.ring_s:g}: at {rate_hz} Hz{of} choose {most // rate_hz} s at most")
        return samples
