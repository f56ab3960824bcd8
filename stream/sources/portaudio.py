"""What can be heard through: PortAudio's input devices, listed and chosen, with its complaints put into words."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from models.errors import DeviceError


@dataclass(frozen=True)
class DeviceInfo:
    """An input device.

    Attributes:
        index: PortAudio's number of it, good until devices come or go.
        name: as the system calls it.
        host_api: ALSA, Core Audio, Windows WASAPI and the like; one device may appear under several.
        max_input_channels: >= 1. Sound servers name a ceiling here (32 or 128), not what the microphone has.
        default_rate_hz: the rate that the device prefers.
        is_default: whether it is heard when no device is named.
    """

    index: int
    name: str
    host_api: str
    max_input_channels: int
    default_rate_hz: int
    is_default: bool

    @property
    def full_name(self) -> str:
        """Name and host API, as the listing shows them."""
        return f"{self.name}, {self.host_api}"


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
    handler = getattr(load(), "_exit_handler", None)  # sounddevice's own; it has no public switch for it
    if handler is not None:
        atexit.unregister(handler)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what is written to file descriptor 2: ALSA and PortAudio write to it from C, across a live screen.

    It holds for the whole process, Python's own sys.stderr included.
    """
    try:
        saved = os.dup(2)
    except OSError:  # standard error is closed already
        yield
        return
    target = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(target, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(target)


def list_devices() -> list[DeviceInfo]:
    """Devices that can be heard through, in PortAudio's order; empty where there are none.

    Raises:
        DeviceError: PortAudio is missing.
    """
    with quiet_stderr():
        sounddevice = load()
        host_apis = sounddevice.query_hostapis()
        default_index = _default_input(sounddevice, host_apis)
        return [
            DeviceInfo(
                index=index,
                name=device["name"],
                host_api=host_apis[device["hostapi"]]["name"],
                max_input_channels=device["max_input_channels"],
                default_rate_hz=round(device["default_samplerate"]),
                is_default=index == default_index,
            )
            for index, device in enumerate(sounddevice.query_devices())
            if device["max_input_channels"] > 0
        ]


def _default_input(sounddevice: Any, host_apis: tuple[dict[str, Any], ...]) -> int:
    """Index of the system's default input, -1 where there is none."""
    return int(host_apis[sounddevice.default.hostapi]["default_input_device"]) if host_apis else -1


def find_device(wanted: str | int | None) -> DeviceInfo:
    """The one device that is meant.

    Args:
        wanted: an index, a name or a part of "name, host API" in any case, or None for the system's default.

    Raises:
        DeviceError: none or several match, or there is no default; the message lists what there is.
    """
    return choose(list_devices(), wanted)


def choose(devices: list[DeviceInfo], wanted: str | int | None) -> DeviceInfo:
    """As `find_device`, among the given devices."""
    if not devices:
        raise DeviceError("no audio input device found: connect a microphone, or try `laennec demo`, which needs none")
    matches = _matches(devices, wanted)
    if len(matches) == 1:
        return matches[0]
    if wanted is None:
        raise DeviceError(f"the system names no default input device: choose one with --device from {_names(devices)}")
    if not matches:
        raise DeviceError(f"no input device matches {str(wanted)!r}: there are {_names(devices)}")
    raise DeviceError(f"several input devices match {str(wanted)!r}: choose one by its number from {_names(matches)}")


def _matches(devices: list[DeviceInfo], wanted: str | int | None) -> list[DeviceInfo]:
    if wanted is None:
        return [device for device in devices if device.is_default]
    text = str(wanted).casefold()
    exact = [device for device in devices if text in (device.name.casefold(), device.full_name.casefold())]
    if isinstance(wanted, int) or (text.isdecimal() and not exact):
        return [device for device in devices if device.index == int(wanted)]
    return exact or [device for device in devices if text in device.full_name.casefold()]


def _names(devices: list[DeviceInfo]) -> str:
    return "; ".join(f"{device.index}: {device.full_name}" for device in devices)
