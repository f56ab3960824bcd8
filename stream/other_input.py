"""The devices and channels that `listen` goes through as the listener wishes: a session each, in one log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from models.errors import DeviceError
from stream.block import Source
from stream.sources.devices import DeviceInfo


class Input(NamedTuple):
    """What is to be opened: a device's id (or what the user gave; None is the usual one), and its channel, from 1."""

    device: str | None
    channel: int | None


class Inputs:
    """Openers of sources, one after the other for as long as the listener wishes for another.

    Args:
        open_input: opens one.
        first: what to begin with.
        devices: what there is.

    Attributes:
        trouble: why the last wish was not met, for the listener; empty where it was.
    """

    def __init__(
        self, open_input: Callable[[Input], Source], first: Input, devices: Callable[[], list[DeviceInfo]]
    ) -> None:
        self._open = open_input
        self._devices = devices
        self._held = first
        self._wished: Input | None = first
        self.trouble = ""

    def __iter__(self) -> Iterator[Callable[[], Source]]:
        """The first, and after each wish the next."""
        while self._wished:
            yield self._opened

    @property
    def wished(self) -> bool:
        """Whether another is to be opened after the session that runs."""
        return self._wished is not None

    def wish(self, what: str, now: dict[str, Any]) -> str:
        """See `controls.Switch`."""
        self._held = Input(now["id"], now["channel"])
        if what == "channel":
            if now["channels"] < 2:
                return "this device has one channel"
            self._wished = self._held._replace(channel=now["channel"] % now["channels"] + 1)
            return ""
        try:
            others = [device.id for device in self._devices()]
        except DeviceError as error:
            return str(error)
        at = others.index(now["id"]) if now["id"] in others else -1
        following = others[(at + 1) % len(others)] if others else now["id"]
        if following == now["id"]:
            return "there is no other device"
        self._wished = Input(following, None)
        return ""

    def _opened(self) -> Source:
        """What was wished for; where that refuses, what was heard before."""
        wanted, self._wished, self.trouble = self._wished or self._held, None, ""
        try:
            return self._open(wanted)
        except DeviceError as error:
            if wanted == self._held:
                raise
            self.trouble = f"{error}; listening goes on with the device before"
            return self._open(self._held)
