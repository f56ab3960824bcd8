from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_bundle
from fuzzing import outcomes
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper
from program import check_session, heart, lines, refused, run, write_wav

from models import bundle, graph
from models.errors import ModelError

NODE = helper.make_node
#: A graph of Laennec's inputs and output: the sum of the features, as five equal logits.
SUM = [
    NODE("ReduceSum", ["features", "axes"], ["sum"], keepdims=0),
    NODE("Unsqueeze", ["sum", "one"], ["column"]),
    NODE("Expand", ["column", "five"], ["logits"]),
]


def whole(*numbers: int, name: str = "") -> TensorProto:
    return helper.make_tensor(name, TensorProto.INT64, [len(numbers)], numbers)


def scalar(name: str, value: float) -> TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, [], [value])


CONSTANTS = [
    whole(1, 2, name="axes"),
    whole(1, name="one"),
    whole(1, 5, name="five"),
    whole(10**10, name="huge"),
    whole(40_000, 1, name="tall"),
    whole(1, 40_000, name="flat"),
    whole(3000, 1000, name="large"),
    whole(1000, 3000, name="other"),
    whole(1, 1, 8_000_000, name="long"),
    scalar("nought", 0.0),
    scalar("1e10", 1e10),
    scalar("step", 1.0),
    scalar("billions", 1e9),
    helper.make_tensor("kernel", TensorProto.FLOAT, [1, 32, 1], [1.0] * 32),
]


def model(nodes: Sequence[NodeProto], constants: Sequence[TensorProto] = (), domain: str = "") -> ModelProto:
    """A model with the tiny bundle's description."""
    given = [
        helper.make_tensor_value_info("features", TensorProto.FLOAT, ["b", "t", "f"]),
    ]
    used = {name for node in nodes for name in node.input}
    tensors = [t for t in CONSTANTS if t.name in used]
    out = helper.make_tensor_value_info(bundle.OUTPUT, TensorProto.FLOAT, None)
    sets = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    made = helper.make_model(helper.make_graph(nodes, "g", given, [out], [*tensors, *constants]), opset_imports=sets)
    made.ir_version = 8
    text = json.dumps(tiny_bundle.default_meta())
    helper.set_model_props(made, {bundle.METADATA_KEY: text, bundle.RHYTHM_KEY: tiny_bundle.default_rhythm()})
    return made


def with_sum_of(*nodes: NodeProto) -> ModelProto:
    """A model that adds what lies in "x" to its answer."""
    total = [NODE("ReduceSum", ["x"], ["all"], keepdims=0), NODE("Add", ["plain", "all"], ["logits"])]
    plain = NODE("Expand", ["column", "five"], ["plain"])
    return model([*SUM[:2], plain, *nodes, *total])


# What could be read from elsewhere


def outside(name: str, location: str, shape: Sequence[int] = (4,)) -> TensorProto:
    """A tensor that lies in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def weights_outside(location: str) -> ModelProto:
    made = model(SUM)
    made.graph.initializer.append(outside("w", location))
    return made


def constant_outside() -> ModelProto:
    made = with_sum_of(NODE("Constant", [], ["x"]))
    (node,) = (n for n in made.graph.node if n.op_type == "Constant")
    node.attribute.append(AttributeProto(name="value", type=AttributeProto.TENSOR, t=outside("", "/etc/passwd")))
    return made


def location_alone() -> ModelProto:
    made = model(SUM)
    made.graph.initializer[0].data_location = TensorProto.EXTERNAL
    return made


# What could run other code, or without end


def endless() -> ModelProto:
    """A loop that lasts as long as its condition, which holds."""
    body = helper.make_graph(
        [NODE("Identity", ["condition"], ["goes on"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("condition", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("goes on", TensorProto.BOOL, [])],
    )
    true = helper.make_tensor("true", TensorProto.BOOL, [], [True])
    made = model([*SUM, NODE("Loop", ["", "true"], [], body=body)])
    made.graph.initializer.append(true)
    return made


def branching() -> ModelProto:
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    part = helper.make_graph([NODE("Constant", [], ["y"], value=scalar("", 1.0))], "part", [], [out])
    made = model([*SUM, NODE("If", ["true"], ["z"], then_branch=part, else_branch=part)])
    made.graph.initializer.append(helper.make_tensor("true", TensorProto.BOOL, [], [True]))
    return made


def graph_in_a_usual_operator() -> ModelProto:
    made = branching()
    (node,) = (n for n in made.graph.node if n.op_type == "If")
    node.op_type = "Identity"
    return made


def function() -> ModelProto:
    made = model([*SUM, NODE("Mine", ["sum"], ["y"], domain="mine")], domain="mine")
    inner = [NODE("Identity", ["a"], ["b"])]
    made.functions.append(helper.make_function("mine", "Mine", ["a"], ["b"], inner, [helper.make_opsetid("", 17)]))
    return made


def sparse() -> ModelProto:
    made = model(SUM)
    values, indices = helper.make_tensor("s", TensorProto.FLOAT, [1], [1.0]), whole(5)
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [10**10]))
    return made


def sparse_constant() -> ModelProto:
    values = helper.make_tensor("", TensorProto.FLOAT, [1], [1.0])
    held = helper.make_sparse_tensor(values, whole(5), [10**10])
    return with_sum_of(NODE("Constant", [], ["x"], sparse_value=held))


def training() -> ModelProto:
    made = model(SUM)
    made.training_info.add().algorithm.CopyFrom(made.graph)
    return made


def merged() -> bytes:
    """A protobuf field that comes twice counts as one, its parts put together."""
    made = model(SUM)
    other = ModelProto()
    other.graph.node.append(NODE("Scan", ["x"], ["y"]))
    return bytes(made.SerializeToString() + other.SerializeToString())


# What could take all memory or time


def claiming(dims: Sequence[int]) -> ModelProto:
    """A tensor of four bytes that claims to be larger."""
    made = with_sum_of(NODE("Identity", ["w"], ["x"]))
    made.graph.initializer.append(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, raw_data=bytes(4)))
    return made


def unsaid_kernel() -> ModelProto:
    """A convolution of eight million by eight million: hours, in little memory."""
    return with_sum_of(
        NODE("ConstantOfShape", ["long"], ["row"]),
        NODE("ConstantOfShape", ["long"], ["filter"]),
        NODE("Conv", ["row", "filter"], ["x"], pads=[4000, 4000]),
    )


def nested() -> bytes:
    """A type within a type, a hundred thousand deep: a reader that calls itself would end."""
    inner = b""
    for _ in range(3000):
        size = len(inner) + 0
        inner = b"\x22" + varint(size + 1 + len(varint(size))) + b"\x0a" + varint(size) + inner
    value = b"\x12" + varint(len(inner)) + inner
    graph_part = b"\x5a" + varint(len(value)) + value
    return b"\x3a" + varint(len(graph_part)) + graph_part


def varint(n: int) -> bytes:
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


REFUSED: dict[str, tuple[Callable[[], ModelProto | bytes], str]] = {
    "weights in a system file": (lambda: weights_outside("/etc/passwd"), "field 1[34] of a tensor"),
    "weights beside": (lambda: weights_outside("../x"), "field 1[34] of a tensor"),
    "constant in a system file": (constant_outside, "field 1[34] of a tensor"),
    "weights elsewhere": (location_alone, "field 14 of a tensor"),
    "another domain": (
        lambda: model([*SUM, NODE("Add", ["sum", "sum"], ["y"], domain="com.microsoft")], domain="com.microsoft"),
        "another domain",
    ),
    "operator of nobody": (lambda: model([*SUM, NODE("Mine", ["sum"], ["y"])]), "operator 'Mine'"),
    "endless loop": (endless, "operator 'Loop'|field 6 of a attribute"),
    "branch": (branching, "operator 'If'|field 6 of a attribute"),
    "graph in a usual operator": (graph_in_a_usual_operator, "field 6 of a attribute"),
    "function": (function, "field 25 of a model|another domain|operator 'Mine'"),
    "sparse weights": (sparse, "field 15 of a graph"),
    "sparse constant": (sparse_constant, "field 22 of a attribute"),
    "training": (training, "field 20 of a model"),
    "merged": (merged, "operator 'Scan'"),
    "claimed terabytes": (lambda: claiming([10**12]), "whole ONNX model"),
    "claimed beyond counting": (lambda: claiming([2**62, 2**62]), "whole ONNX model"),
    "claimed below nothing": (lambda: claiming([-1, 2**40]), "whole ONNX model"),
    "ten billion zeros": (lambda: with_sum_of(NODE("ConstantOfShape", ["huge"], ["x"])), "does not run"),
    "ten billion numbers": (lambda: with_sum_of(NODE("Range", ["nought", "1e10", "step"], ["x"])), "does not run"),
    "ten billion copies": (lambda: with_sum_of(NODE("Expand", ["sum", "huge"], ["x"])), "does not run"),
    "outer sum": (
        lambda: with_sum_of(
            NODE("ConstantOfShape", ["tall"], ["a"]),
            NODE("ConstantOfShape", ["flat"], ["b"]),
            NODE("Add", ["a", "b"], ["x"]),
        ),
        "does not run",
    ),
    "outer product": (
        lambda: with_sum_of(
            NODE("ConstantOfShape", ["tall"], ["a"]),
            NODE("ConstantOfShape", ["flat"], ["b"]),
            NODE("MatMul", ["a", "b"], ["x"]),
        ),
        "does not run",
    ),
    "shape that grows with the input": (
        lambda: with_sum_of(
            NODE("Shape", ["features"], ["shape"]),
            NODE("Mul", ["shape", "shape"], ["square"]),
            NODE("Mul", ["square", "square"], ["fourth"]),
            NODE("ConstantOfShape", ["fourth"], ["x"]),
        ),
        "does not run",
    ),
    "padding without end": (
        lambda: with_sum_of(
            NODE("Transpose", ["features"], ["turned"], perm=[0, 2, 1]),
            NODE("Conv", ["turned", "kernel"], ["x"], kernel_shape=[1], pads=[0, 10**10]),
        ),
        "attribute beyond",
    ),
    "padding below nothing": (
        lambda: with_sum_of(
            NODE("Transpose", ["features"], ["turned"], perm=[0, 2, 1]),
            NODE("Conv", ["turned", "kernel"], ["x"], kernel_shape=[1], pads=[-(10**10), 0]),
        ),
        "attribute beyond",
    ),
    "kernel of unsaid size": (unsaid_kernel, "does not say its size"),
    "millions of parts": (lambda: b"\x42\x00" * (4 * 10**6 - 9), "too many parts"),
    "millions of dimensions": (
        lambda: b"\x3a" + varint(7 * 10**6 + 15) + b"\x5a" + varint(7 * 10**6 + 10) + b"\x12" + varint(7 * 10**6 + 5)
        + b"\x0a" + varint(7 * 10**6) + b"\x12\x00" * (7 * 10**6 // 2),
        "too many parts|whole ONNX",
    ),
    "types within types": (nested, "field 4 of a type"),
}  # fmt: skip


def test_what_no_model_of_ours_does_is_refused_for_what_it_is(tmp_path: Path) -> None:
    good = tiny_bundle.write(tmp_path / "tiny.onnx")
    cases = {"whole": model(SUM).SerializeToString()}
    for name, (make, _) in REFUSED.items():
        made = make()
        cases[name] = made if isinstance(made, bytes) else made.SerializeToString()
    said = outcomes("model", good, cases, tmp_path)
    assert said["whole"] == ""
    for name, (_, words) in REFUSED.items():
        assert said[name].startswith("ModelError: "), f"{name}: {said[name]}"
        assert re.search(words, said[name]), f"{name}: {said[name]}"


def test_every_operator_that_is_exported_is_let_through_and_no_other_file_is_needed() -> None:
    graph.check(tiny_bundle.default_data())
    held = onnx.load_from_string(tiny_bundle.default_data())
    assert {node.op_type for node in held.graph.node} <= set(graph._OPERATORS.split())


def test_a_graph_that_takes_too_long_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "_MOST_TRIAL_S", 0.3)
    chain = [NODE("MatMul", ["a" if k == 0 else f"y{k - 1}", "c"], [f"y{k}"]) for k in range(300)]
    begin = [
        NODE("ConstantOfShape", ["large"], ["a"]),
        NODE("ConstantOfShape", ["other"], ["b"]),
        NODE("MatMul", ["b", "a"], ["c"]),
    ]
    path = tmp_path / "slow.onnx"
    path.write_bytes(with_sum_of(*begin, *chain, NODE("Identity", ["y299"], ["x"])).SerializeToString())
    began_s = time.monotonic()
    with pytest.raises(ModelError, match="does not run"):
        bundle.load(path)
    assert time.monotonic() - began_s < 10


# What does no harm where it is tried, and later, of sound, does


#: Of the sum of all features, which is 0 where a model is tried.
SQUARE = [NODE("ReduceSum", ["features"], ["sum of all"], keepdims=0), NODE("Mul", ["sum of all"] * 2, ["square"])]
LATER: dict[str, Callable[[], ModelProto]] = {
    "no number": lambda: with_sum_of(
        *SQUARE, NODE("Sub", ["nought", "square"], ["negative"]), NODE("Sqrt", ["negative"], ["x"])
    ),
    "memory": lambda: with_sum_of(
        *SQUARE,
        NODE("Mul", ["square", "billions"], ["much"]),
        NODE("Clip", ["much", "nought", "1e10"], ["ten billion"]),
        NODE("Range", ["nought", "ten billion", "step"], ["x"]),
    ),
    "other shape": lambda: model(
        [
            *SUM[:2],
            *SQUARE,
            NODE("Clip", ["square", "nought", "step"], ["at most 1"]),
            NODE("Cast", ["at most 1"], ["whole"], to=TensorProto.INT64),
            NODE("Add", ["whole", "one"], ["rows"]),
            NODE("Concat", ["rows", "one"], ["shape"], axis=0),
            NODE("Expand", ["column", "shape"], ["grown"]),
            NODE("Expand", ["grown", "five"], ["logits"]),
        ]
    ),
}


@pytest.mark.parametrize("name", LATER)
def test_a_model_that_fails_on_a_sound_ends_the_session_in_order(tmp_path: Path, name: str) -> None:
    path, log = tmp_path / "m.onnx", tmp_path / "log.jsonl"
    path.write_bytes(LATER[name]().SerializeToString())
    loaded = bundle.load(path)
    silence = np.zeros((1, 50, 32))
    assert loaded.logits(silence).shape == (1, 5)
    with pytest.raises(ModelError, match=r"its graph does not (run|fit)"):
        loaded.logits(silence - 1)
    sound = write_wav(tmp_path / "x.wav", heart(2.0))
    line = refused(run("replay", sound, "--speed", "max", "--model", path, "--log", log, "--quiet"), 5, path, "graph")
    end = check_session(lines(log))
    assert line == f"laennec: {end['reason']}"
    assert end["ledger"]["captured"] >= 6000
