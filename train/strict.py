"""Plain values onto frozen dataclasses, strictly: an unknown key or a value of another kind is an error."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from models.errors import SettingError


def check(spec: object, table: str = "", **ranges: tuple[float, float]) -> None:
    """Refuse a spec with a field outside its range; `table` stands before the field's name in the message.

    Raises:
        ValueError: a field is below the lowest or above the highest value given for its name.
    """
    for name, (low, high) in ranges.items():
        value = getattr(spec, name)
        if not low <= value <= high:
            raise ValueError(f"{table}{name} must be from {low} to {high}, not {value}")


def check_snr(noise_snr_db: tuple[float, float]) -> None:
    """Refuse a range of signal-to-noise ratios that is none.

    Raises:
        ValueError: not ascending, or beyond 100 dB either way.
    """
    if not -100 <= noise_snr_db[0] <= noise_snr_db[1] <= 100:
        raise ValueError(f"noise_snr_db must be [lowest, highest] from -100 to 100, not {list(noise_snr_db)}")


def build(kind: Any, values: dict[str, Any], where: str) -> Any:
    """A dataclass of that kind; what the values do not name keeps its default.

    Args:
        kind: a dataclass whose fields all have defaults; they may be dataclasses themselves.
        values: nested plain values.
        where: what they are from, for messages.

    Raises:
        SettingError: an unknown key, or a value of the wrong kind or out of range.
    """
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise SettingError(f"{where}: unknown key {unknown[0]!r}; known here: {', '.join(fields)}")
    defaults = kind()
    built = {name: _value(getattr(defaults, name), value, f"{where}: {name}") for name, value in values.items()}
    try:
        return kind(**built)
    except ValueError as error:
        raise SettingError(f"{where}: {error}") from error


def _value(default: Any, value: Any, where: str) -> Any:
    """A value checked against the kind of its default."""
    if dataclasses.is_dataclass(default):
        if not isinstance(value, dict):
            raise SettingError(f"{where}: must be a table, not {value!r}")
        return build(type(default), value, where)
    if isinstance(default, tuple) and isinstance(value, list | tuple) and len(value) == len(default):
        return tuple(_value(d, v, where) for d, v in zip(default, value, strict=True))
    if isinstance(default, dict) and isinstance(value, dict):
        like = next(iter(default.values()), 0.0)
        return {name: _value(like, share, f"{where}: {name}") for name, share in value.items()}
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default) or (isinstance(value, float) and not math.isfinite(value)):
        raise SettingError(f"{where}: must be like {default!r}, not {value!r}")
    return value
