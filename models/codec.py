"""Specs, matrices and the extrasystole machine as JSON values of a bundle's metadata, and back."""

from __future__ import annotations

import base64
import sys
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from models.extrasystole import Machine
from models.frontend import FrontEndSpec
from models.intervals import IntervalSpec

Array = np.ndarray
_PARTS = ("centre", "scale", "vectors", "weights")


def encode_matrix(values: Array) -> dict[str, Any]:
    """A float64 matrix as JSON values."""
    data = np.ascontiguousarray(values, dtype="<f8").tobytes()
    return {"shape": list(values.shape), "float64_base64": base64.b64encode(data).decode("ascii")}


def decode_matrix(value: dict[str, Any]) -> Array:
    """The reverse of `encode_matrix`.

    Raises:
        ValueError, KeyError, TypeError: not such a value.
    """
    flat, shape = decode_numbers(value["float64_base64"], "<f8"), value["shape"]
    try:
        return flat.reshape(shape)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{len(flat)} numbers of a matrix do not fit its shape {shape!r:.40}") from error


def decode_bytes(text: Any) -> bytes:
    """What stands in a text as base64.

    Raises:
        ValueError: not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{text!r:.40} is no base64") from error


def decode_numbers(text: Any, kind: str) -> Array:
    """Numbers (n,) of a numpy kind, which stand in a text as base64.

    Raises:
        ValueError: not base64, or the last number is cut.
    """
    data = decode_bytes(text)
    if len(data) % np.dtype(kind).itemsize:
        raise ValueError(f"{len(data)} bytes are no whole numbers")
    return np.frombuffer(data, dtype=kind)


def encode_machine(fitted: Machine) -> dict[str, Any]:
    """A kernel machine as JSON values."""
    parts = {name: encode_matrix(getattr(fitted, name)) for name in _PARTS}
    return parts | {"intervals": asdict(fitted.spec), "offset": fitted.offset, "gamma": fitted.gamma}


def decode_machine(values: dict[str, Any], front_end: FrontEndSpec) -> Machine:
    """The reverse of `encode_machine`, for a front end.

    Raises:
        ValueError, KeyError, TypeError: not such a value, or not for that front end.
    """
    told: IntervalSpec = decode_spec(IntervalSpec, values["intervals"])
    if max(told.bands) > front_end.bands:
        raise ValueError("the extrasystole machine wants more bands than the front end has")
    parts = {name: decode_matrix(values[name]) for name in _PARTS}
    offset, gamma = (_value(name, values[name], 0.0) for name in ("offset", "gamma"))
    return Machine(spec=told, **parts, offset=offset, gamma=gamma)


def decode_spec(kind: Any, values: dict[str, Any]) -> Any:
    """A spec from JSON values, each of the kind of its field's default; a tuple's values of the kind of its first.

    Raises:
        ValueError, KeyError, TypeError: a missing, unknown or unusable value.
    """
    if not isinstance(values, dict):
        raise TypeError(f"a {kind.__name__} is made of names and values")
    if unknown := sorted(set(values) - {field.name for field in fields(kind)}):
        raise ValueError(f"{unknown[0]} is unknown")
    found = {field.name: _value(field.name, values[field.name], field.default) for field in fields(kind)}
    return kind(**found)


def _value(name: str, value: Any, default: Any) -> Any:
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(_value(name, v, default[0]) for v in value)
    if isinstance(default, float) and type(value) is int and abs(value) <= sys.float_info.max:
        return float(value)
    if type(value) is not type(default):
        raise ValueError(f"{name} can't be {value!r:.40}")
    return value
