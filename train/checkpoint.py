"""Training state in one safetensors file: tensors as tensors, everything else as JSON. Never pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.errors import InputFileError


class Checkpoint(NamedTuple):
    """What a checkpoint holds."""

    tensors: dict[str, Tensor]  # names are "<part>.<name>"
    notes: dict[str, Any]  # JSON values


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write whole or not at all: a reader never meets half a file."""
    partial = path.with_suffix(".partial")
    tensors = {name: t.detach().contiguous().clone() for name, t in checkpoint.tensors.items()}
    save_file(tensors, partial, metadata={"laennec": json.dumps(checkpoint.notes)})
    os.replace(partial, path)  # noqa: PTH105 - the atomic one


def load(path: Path) -> Checkpoint:
    """Read a checkpoint back.

    Raises:
        InputFileError: missing, damaged, or not one of ours.
    """
    try:
        with safe_open(path, framework="pt") as file:
            notes = dict(json.loads((file.metadata() or {})["laennec"]))
            return Checkpoint({name: file.get_tensor(name) for name in file.keys()}, notes)  # noqa: SIM118
    except FileNotFoundError as error:
        raise InputFileError(f"{path}: no checkpoint there; train first, or continue with --resume") from error
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise InputFileError(f"{path}: is not a Laennec checkpoint, or is damaged ({error}); train anew") from error


def part(checkpoint: Checkpoint, prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix` and a dot, without it."""
    return {n.removeprefix(f"{prefix}."): t for n, t in checkpoint.tensors.items() if n.startswith(f"{prefix}.")}


def averaged(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The averaged network's weights, as its `load_state_dict` takes them."""
    return part(checkpoint, "average.module")


def pack_optimizer(state: dict[str, Any]) -> tuple[dict[str, Tensor], list[Any]]:
    """An optimizer's state_dict as named tensors and its JSON parameter groups."""
    tensors = {
        f"optimizer.{index}.{name}": torch.as_tensor(value)
        for index, values in state["state"].items()
        for name, value in values.items()
    }
    return tensors, state["param_groups"]


def unpack_optimizer(tensors: dict[str, Tensor], groups: list[Any]) -> dict[str, Any]:
    """The reverse of `pack_optimizer`, for tensors named "<index>.<name>"."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    return {"state": state, "param_groups": groups}
