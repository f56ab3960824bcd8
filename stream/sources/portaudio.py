"""PortAudio at arm's length: loaded when needed, listed, opened and begun anew, its complaints put into words."""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from models.errors import DeviceError
from stream.sources.devices import DeviceInfo, numbered
from stream.sources.quiet import quiet_stderr

#: Rates tried where the wanted one is refused, after the device's own: what sound cards have, then telephony's.
USUAL_RATES_HZ = (48_000, 44_100, 96_000, 16_000, 8_000)
_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)
#: PortAudio may not be asked on one thread while it starts anew on another.
_listing = threading.Lock()


class Wanted(NamedTuple):
    """How a device is to be opened."""

    device: DeviceInfo
    rate_hz: int
    channels: int
    block_frames: int  # frames per callback; 0 leaves it to PortAudio
    latency: float | str  # s, or PortAudio's "low" or "high"


class Stream(Protocol):
    """What is open. Both calls may hang on a wedged driver."""

    def abort(self) -> None:
        """Stop without waiting for a callback that may never come."""

    def close(self) -> None:
        """Let the device go."""


class Backend(Protocol):
    """Where audio comes from, and the clock by which it comes: PortAudio's, or a virtual one (`virtual`)."""

    def devices(self, anew: bool = False) -> list[DeviceInfo]:
        """What there is; `anew` looks again, which ends every open stream."""

    def start(self, wanted: Wanted, callback: Callable[..., None], finished: Callable[[], None]) -> Stream:
        """Open and begin.

        Raises:
            RefusedError: it can't be opened so.
        """

    def abandon(self) -> None:
        """A stream can't be let go: the program's end must not wait for it."""

    def now_s(self) -> float:
        """Monotonic."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class RefusedError(DeviceError):
    """A device can't be opened as wanted.

    Attributes:
        rate: whether it is the sample rate that is refused.
    """

    def __init__(self, wanted: Wanted, complaint: str) -> None:
        self.rate = "sample rate" in complaint.lower()
        super().__init__(_in_words(wanted, complaint))


def _in_words(wanted: Wanted, complaint: str) -> str:
    name, default_hz = wanted.device.name, wanted.device.default_rate_hz
    if "sample rate" in complaint.lower():
        return f"{name!r} refuses a rate of {wanted.rate_hz} Hz: try its default with --rate {default_hz}"
    if "unavailable" in complaint.lower():
        return f"{name!r} is busy or gone: close other programs that use it, or reconnect it"
    return f"{name!r} can't be opened with {wanted.channels} channel(s) at {wanted.rate_hz} Hz: {complaint}"


class PortAudio:
    """The system's sound, as a `Backend`."""

    def devices(self, anew: bool = False) -> list[DeviceInfo]:
        """See `Backend`; `list_devices` says what is raised."""
        with quiet_stderr(), _listing:
            if anew:
                _start_anew(load())
            return list_devices()

    def start(self, wanted: Wanted, callback: Callable[..., None], finished: Callable[[], None]) -> Stream:
        """See `Backend`."""
        with quiet_stderr():
            sounddevice = load()
            stream = None
            try:
                stream = sounddevice.InputStream(
                    device=wanted.device.index,
                    samplerate=wanted.rate_hz,
                    channels=wanted.channels,
                    dtype="float32",
                    blocksize=wanted.block_frames,
                    latency=wanted.latency,
                    callback=callback,
                    finished_callback=finished,
                )
                stream.start()
            except sounddevice.PortAudioError as error:
                if stream is not None:
                    stream.close()
                raise RefusedError(wanted, str(error)) from error
            return stream  # type: ignore[no-any-return]  # sounddevice has no types

    def abandon(self) -> None:
        """See `Backend`."""
        skip_at_exit()

    def now_s(self) -> float:
        """See `Backend`; where the system has such a clock, one that goes on while the computer sleeps."""
        return time.clock_gettime(_CLOCK) if _CLOCK is not None else time.monotonic()

    def sleep(self, seconds: float) -> None:
        """See `Backend`."""
        time.sleep(seconds)


def _start_anew(sounddevice: Any) -> None:
    """The list of devices is made when PortAudio starts; sounddevice has no public way to start it again.

    Raises:
        DeviceError: it does not start.
    """
    try:
        while sounddevice._initialized:
            sounddevice._terminate()
        sounddevice._initialize()
    except sounddevice.PortAudioError as error:
        raise DeviceError(f"PortAudio can't start ({error}): restart the computer's sound system") from error


def load() -> Any:
    """The sounddevice module; loaded here and not on top, since the rest of Laennec works without PortAudio.

    Raises:
        DeviceError: PortAudio is missing or can't start.
    """
    try:
        import sounddevice
    except OSError as error:
        raise DeviceError(
            f"PortAudio is not installed ({error}), so no device can be heard: install it, for instance with "
            "`apt install libportaudio2` (Debian, Ubuntu) or `dnf install portaudio` (Fedora)"
        ) from error
    except Exception as error:  # PortAudioError, whose class is out of reach while the import fails
        raise DeviceError(f"PortAudio can't start ({error}): restart the computer's sound system") from error
    return sounddevice


def skip_at_exit() -> None:
    """Let the interpreter exit without shutting PortAudio down, which never ends once a driver is wedged."""
    # sounddevice's own; it has no public switch for it. Not `load`: its import may be what hangs.
    handler = getattr(sys.modules.get("sounddevice"), "_exit_handler", None)
    if handler is not None:
        atexit.unregister(handler)


def list_devices() -> list[DeviceInfo]:
    """Devices that can be heard through, in PortAudio's order; empty where there are none.

    Raises:
        DeviceError: PortAudio is missing, or fails.
    """
    with quiet_stderr():
        sounddevice = load()
        try:
            host_apis = sounddevice.query_hostapis()
            default_index = _default_input(sounddevice, host_apis)
            found = [
                _info(index, device, host_apis, default_index)
                for index, device in enumerate(sounddevice.query_devices())
                if device["max_input_channels"] > 0
            ]
        except sounddevice.PortAudioError as error:
            raise DeviceError(f"PortAudio fails ({error}): restart the computer's sound system") from error
    return numbered(found)


def _info(index: int, device: dict[str, Any], host_apis: Sequence[dict[str, Any]], default_index: int) -> DeviceInfo:
    return DeviceInfo(
        index=index,
        name=device["name"],
        host_api=host_apis[device["hostapi"]]["name"],
        max_input_channels=device["max_input_channels"],
        default_rate_hz=round(device["default_samplerate"]),
        is_default=index == default_index,
    )


def rates_of(device: DeviceInfo) -> list[int]:
    """Usual rates that a device takes for one channel, its own first; Hz."""
    with quiet_stderr():
        sounddevice = load()
        rates_hz = dict.fromkeys((device.default_rate_hz, *USUAL_RATES_HZ))
        return [rate_hz for rate_hz in rates_hz if _takes(sounddevice, device, rate_hz)]


def _takes(sounddevice: Any, device: DeviceInfo, rate_hz: int) -> bool:
    try:
        sounddevice.check_input_settings(device=device.index, channels=1, dtype="float32", samplerate=rate_hz)
    except (sounddevice.PortAudioError, ValueError):
        return False
    return True


def _default_input(sounddevice: Any, host_apis: tuple[dict[str, Any], ...]) -> int:
    """Index of the system's default input, -1 where there is none."""
    return int(host_apis[sounddevice.default.hostapi]["default_input_device"]) if host_apis else -1
