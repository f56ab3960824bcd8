"""What can be heard through, and which of them is meant. Pure: the listing itself is `portaudio.list_devices`."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace

from models.errors import DeviceError
from stream.resample import RATES_HZ

#: Names under which digital stethoscopes and their dongles appear.
_STETHOSCOPE = re.compile(r"stetho|littmann|\beko\b|thinklabs|\bds32|\bhd ?steth|auscult|phonocardio", re.IGNORECASE)
#: What ALSA adds of the order in which cards were plugged in: "USB Audio (hw:1,0)".
_PLUGGED = re.compile(r"\s*[:(]?\s*\b(plug)?hw:\d+(,\d+)?\)?|\s*\(?card \d+\)?", re.IGNORECASE)


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
        twin: of devices that are the same in all else but the index, which one it is, from 0.
    """

    index: int
    name: str
    host_api: str
    max_input_channels: int
    default_rate_hz: int
    is_default: bool
    twin: int = 0

    @property
    def full_name(self) -> str:
        """Name and host API, as the listing shows them."""
        return f"{self.name}, {self.host_api}"

    @property
    def id(self) -> str:
        """The same after a reboot or another order of plugging in, as long as the system's name for it is.

        PortAudio gives no serial numbers, so two devices of one make are told apart by their order alone.
        """
        name = _slug(_PLUGGED.sub("", self.name)) or _slug(self.name)
        return f"{_slug(self.host_api)}:{name}" + (f"#{self.twin + 1}" if self.twin else "")

    @property
    def usual_rate_hz(self) -> int:
        """The rate that it prefers, or 48,000 where that is none that is heard."""
        low, high = RATES_HZ
        return self.default_rate_hz if low <= self.default_rate_hz <= high else 48_000

    @property
    def looks_like_stethoscope(self) -> bool:
        """Judged by its name."""
        return bool(_STETHOSCOPE.search(self.name))


def alike(devices: list[DeviceInfo], device: DeviceInfo) -> int:
    """How many have the name and host API of one: they can't be told apart for sure."""
    return sum(replace(d, twin=0).id == replace(device, twin=0).id for d in devices)


def numbered(devices: list[DeviceInfo]) -> list[DeviceInfo]:
    """The same devices, each with its `twin`."""
    seen: dict[str, int] = {}
    found = []
    for device in devices:
        twin = seen.get(device.id, 0)
        seen[device.id] = twin + 1
        found.append(replace(device, twin=twin))
    return found


def choose(devices: list[DeviceInfo], wanted: str | int | None) -> DeviceInfo:
    """The one device that is meant.

    Args:
        devices: what there is.
        wanted: an index, an id, a name or a part of "name, host API" in any case, or None for the system's default.

    Raises:
        DeviceError: none or several match, or there is no default; the message lists what there is.
    """
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
    exact = [d for d in devices if text in (d.id, d.name.casefold(), d.full_name.casefold())]
    if isinstance(wanted, int) or (text.isdecimal() and not exact):
        return [device for device in devices if device.index == int(wanted)]
    return exact or [device for device in devices if text in device.full_name.casefold()]


def _names(devices: list[DeviceInfo]) -> str:
    return "; ".join(f"{device.index}: {device.full_name}" for device in devices)


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "-".join(re.findall(r"\w+", plain))
