"""A graph from a file that nobody vouches for: looked through first, then run by ONNX Runtime within bounds.

What a graph says could have ONNX Runtime read other files (external data), run other code (operators of other domains),
never end (Loop, Scan) or take all memory. So only what `laennec export` writes is let through: those fields of the file
and those operators; whatever they compute shares a fixed amount of memory. The file is a protobuf message; the
numbers below are those of onnx.proto.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import ModelError

Array = np.ndarray

#: Operators that `models.nets` is made of, none of which holds a graph of its own.
_OPERATORS = (
    "Add Cast Clip Concat Constant ConstantOfShape Conv Div Equal Expand Flatten GRU Gather Gemm Identity LSTM Less "
    "MatMul Max MaxPool Mul Pow Range ReduceMax ReduceMean ReduceSum Relu Reshape Shape Slice Softmax Split Sqrt "
    "Squeeze Sub Transpose Unsqueeze Where"
)
#: Fields of each message that may be there, and which message they hold. Not among them are functions, sparse tensors,
#: graphs within attributes, and tensors that lie in other files.
_FIELDS: dict[str, dict[int, str]] = {
    "model": dict.fromkeys((1, 2, 3, 4, 5, 6, 8, 14), "") | {7: "graph"},
    "graph": {1: "node", 2: "", 5: "tensor", 10: "", 11: "value", 12: "value", 13: "value"},
    "node": dict.fromkeys((1, 2, 3, 6), "") | {4: "operator", 5: "attribute", 7: "domain"},
    "attribute": dict.fromkeys((1, 2, 4, 7, 9, 13, 20), "") | {3: "number", 5: "tensor", 8: "number"},
    "tensor": dict.fromkeys((1, 2, 4, 5, 7, 8, 9, 10, 11, 12), ""),
    "value": {1: "", 2: "type", 3: ""},
    "type": {1: "array", 6: ""},
    "array": {1: "", 2: "shape"},
    "shape": {1: "dimension"},
    "dimension": {1: "", 2: "", 3: ""},
}
_MOST_FIELDS = 50_000
#: Of a kernel, a padding or a hidden state: beyond, a single operator would run for hours.
_MOST_NUMBER = 4096
#: What the graphs of a process may take together; windows of the longest length take 30 MB.
_MOST_BYTES = 64 * 2**20
_MOST_TRIAL_S = 10.0


def open_session(path: Path, data: bytes) -> Any:
    """ONNX Runtime's session for a graph.

    Args:
        path: for messages.
        data: an ONNX file's bytes.

    Raises:
        ModelError: no ONNX model, or one that `laennec export` does not write.
    """
    try:
        check(data)
    except ValueError as error:
        raise ModelError(f"{path}: {error}; use a model made by `laennec export`") from error
    except LookupError as error:
        raise ModelError(f"{path}: is not a whole ONNX model; copy or export it again") from error
    import onnxruntime  # here, so that `--help` need not wait for it

    _bound_memory()
    options = onnxruntime.SessionOptions()
    # The defaults keep a thread spinning: half a core for an idle stream.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.log_severity_level = 4  # our one line says it; ONNX Runtime would print its own beside it
    try:
        # Folding runs operators here, where they can't be interrupted; without it the answers take no longer.
        onnxruntime.disable_telemetry_events()
        return onnxruntime.InferenceSession(
            data,
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["ConstantFolding"],
            enable_fallback=0,  # it would print that it tries the same provider again
        )
    except Exception as error:  # ONNX Runtime's exceptions share no base of their own
        raise ModelError(f"{path}: is not a whole ONNX model; copy or export it again") from error


def run(
    what: str, session: Any, feed: dict[str, Any], wanted: Mapping[str, tuple[int, ...]], options: Any = None
) -> list[Array]:
    """What a graph answers: float32, all finite.

    Args:
        what: for messages, the file and which of its graphs.
        session: from `open_session`.
        feed: inputs by name.
        wanted: shapes of the outputs by name.
        options: from `limited`, if the time is.

    Raises:
        ModelError: the graph fails, or answers something else.
    """
    try:
        found: list[Array] = session.run(list(wanted), feed, options)
    except Exception as error:  # ONNX Runtime's exceptions share no base of their own
        raise ModelError(f"{what} does not run on its front end's features; export it again") from error
    for answer, shape in zip(found, wanted.values(), strict=True):
        usual = isinstance(answer, np.ndarray) and answer.dtype == np.float32 and answer.shape == shape
        if not usual or not np.isfinite(answer).all():
            raise ModelError(f"{what} does not fit its description, or answers no finite numbers; export it again")
    return found


@contextlib.contextmanager
def limited() -> Iterator[Any]:
    """Options for runs that are interrupted, between two operators, where all of them take too long."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    timer = threading.Timer(_MOST_TRIAL_S, setattr, (options, "terminate", True))
    timer.start()
    try:
        yield options
    finally:
        timer.cancel()


def check(data: bytes) -> None:
    """Let through what `laennec export` writes, and nothing else.

    Raises:
        ValueError: something else, said in words.
        LookupError: no protobuf message, or cut short.
    """
    left = _MOST_FIELDS
    waiting = [("model", memoryview(data))]
    while waiting:
        kind, message = waiting.pop()
        if kind == "node":
            _check_kernel(message)
        for number, value in _fields(message):
            left -= 1
            if not left:
                raise ValueError("its graph has too many parts")
            if number not in _FIELDS[kind]:
                raise ValueError(f"its graph holds what no graph of Laennec's does (field {number} of a {kind})")
            inner = _FIELDS[kind][number]
            if inner in _FIELDS and isinstance(value, memoryview):
                waiting.append((inner, value))
            elif inner:
                _check_value(inner, value)


def _check_kernel(node: memoryview) -> None:
    """A convolution says the size of its kernel, so that it can be seen."""
    parts = [(number, value) for number, value in _fields(node) if isinstance(value, memoryview)]
    names = {dict(_fields(value)).get(1, b"") for number, value in parts if number == 5}
    if any(number == 4 and bytes(value) == b"Conv" for number, value in parts) and b"kernel_shape" not in names:
        raise ValueError("its graph has a convolution that does not say its size")


def _check_value(kind: str, value: memoryview | int) -> None:
    if kind == "number":
        numbers = [value] if isinstance(value, int) else list(_varints(value))
        if any(_MOST_NUMBER < n <= 2**64 - _MOST_NUMBER for n in numbers):  # the upper end is the negative ones
            raise ValueError(f"its graph has an attribute beyond {_MOST_NUMBER}")
    elif kind == "domain" and value:
        raise ValueError("its graph uses operators of another domain")
    elif kind == "operator":
        name = bytes(value).decode("ascii", "replace") if isinstance(value, memoryview) else "?"
        if name not in _OPERATORS.split():
            raise ValueError(f"its graph uses the operator {name!r:.40}")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Numbers and values of a message's fields: whole numbers, or bytes of whatever kind."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if not number:
            raise LookupError("no field")
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        size, at = _varint(message, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
        if at + size > len(message):
            raise LookupError("cut short")
        yield number, message[at : at + size]
        at += size


def _varints(packed: memoryview) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A whole number of seven bits a byte, and where it ends."""
    value = 0
    for k in range(10):
        byte = message[at + k]
        value |= (byte & 0x7F) << (7 * k)
        if byte < 0x80:
            return value & (2**64 - 1), at + k + 1
    raise LookupError("no whole number")


@functools.cache
def _bound_memory() -> None:
    """All graphs of this process share this much; an operator that asks for more fails."""
    import onnxruntime

    kinds = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    where = onnxruntime.OrtMemoryInfo("Cpu", kinds[0], 0, kinds[1])
    sizes = {"arena_extend_strategy": 1, "initial_chunk_size_bytes": -1, "max_dead_bytes_per_chunk": -1}  # 1: as asked
    onnxruntime.create_and_register_allocator(where, onnxruntime.OrtArenaCfg(sizes | {"max_mem": _MOST_BYTES}))
