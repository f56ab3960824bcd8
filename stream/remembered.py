"""The device that a user asked to be remembered. Nothing is written unless asked."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from models.errors import DeviceError, SettingError


def path() -> Path:
    """Where it is kept: in the user's own folder for settings."""
    import platformdirs

    return platformdirs.user_config_path("laennec") / "device.json"


def remember(device_id: str) -> None:
    """Keep a device's id for the next `listen`.

    Raises:
        SettingError: it can't be written.
    """
    try:
        path().parent.mkdir(parents=True, exist_ok=True)
        path().write_text(json.dumps({"device": device_id}) + "\n", encoding="utf-8")
    except OSError as error:
        raise SettingError(f"{path()}: can't be written: {error.strerror}; leave --remember out") from error


def recall() -> str | None:
    """The id, or None where none is remembered.

    Raises:
        SettingError: the file is damaged.
    """
    try:
        found = json.loads(path().read_text(encoding="utf-8"))["device"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SettingError(f"{path()}: can't be read; delete it, or name a --device") from error
    return str(found)


@contextlib.contextmanager
def instead(device: str | None) -> Iterator[str | None]:
    """The device that is meant: the one given, else the remembered one, else None.

    A refusal of a remembered one says so.
    """
    found = recall() if device is None else device
    try:
        yield found
    except DeviceError as error:
        if device is not None or found is None:
            raise
        raise DeviceError(f"{error}; {found!r} was remembered: name a --device, or delete {path()}") from error
