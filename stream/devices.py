"""What can be heard through, as `laennec devices` lists it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from stream.sources import portaudio


def rows() -> list[dict[str, Any]]:
    """A row per device: all that `DeviceInfo` says, its id, the usual rates that it takes (Hz), and what it looks like.

    Raises:
        DeviceError: PortAudio is missing.
    """
    return [
        asdict(d) | {"id": d.id, "rates_hz": portaudio.rates_of(d), "looks_like_stethoscope": d.looks_like_stethoscope}
        for d in portaudio.list_devices()
    ]


def text(found: list[dict[str, Any]]) -> str:
    """The same for people."""
    if not found:
        return "no audio input device found: connect one, or try `laennec demo`, which needs none"
    return "\n".join(_lines(row) for row in found)


def _lines(row: dict[str, Any]) -> str:
    marks = ["default"] * row["is_default"] + ["looks like a stethoscope"] * row["looks_like_stethoscope"]
    about = f"  ({', '.join(marks)})" if marks else ""
    rates = ", ".join(str(rate_hz) for rate_hz in row["rates_hz"])
    takes = f"takes {rates} Hz" if rates else "can't be opened: busy, or its sound server is not there"
    return (
        f"{row['index']:>3}  {row['name']}, {row['host_api']}{about}\n"
        f"     {row['id']}   {row['max_input_channels']} ch   {row['default_rate_hz']} Hz of its own; {takes}"
    )
