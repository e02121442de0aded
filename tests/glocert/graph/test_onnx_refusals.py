"""What the ONNX importer refuses, and how it says so."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from glocert.errors import (
    GlocertError,
    InvalidGraph,
    ModelTooLarge,
    NonFiniteWeights,
    UnsupportedOperators,
    UnsupportedOutput,
)
from glocert.graph.imported import as_classifier
from glocert.graph.limits import Limits
from glocert.graph.onnx import read_onnx
from tests.glocert.graph.importing import refusal
from tests.glocert.graph.onnx_models import dense, model, node, weights

torch.set_num_threads(1)


def test_a_reshape_across_samples_is_refused() -> None:
    nodes = [node("Reshape", ["x", "shape"], "y")]
    error = refusal(UnsupportedOperators, model(nodes, {"shape": np.array([-1, 2])}))
    assert "between samples" in error.offences[0].detail


def test_shape_arithmetic_with_the_batch_is_refused() -> None:
    nodes = [
        node("Shape", ["x"], "sizes"),
        node("Mul", ["sizes", "two"], "doubled"),
        node("Reshape", ["x", "doubled"], "y"),
    ]
    error = refusal(UnsupportedOperators, model(nodes, {"two": np.array([2])}))
    assert [offence.where for offence in error.offences] == ["make doubled"]


def test_a_trailing_softmax_over_another_axis_is_refused() -> None:
    across = [node("Softmax", ["x"], "y", axis=0)]
    assert refusal(UnsupportedOperators, model(across)).offences[0].where == "make y"


def test_every_offending_node_is_named() -> None:
    nodes = [
        node("Floor", ["x"], "f"),
        helper.make_node("Backdoor", ["f"], ["b"], domain="com.example"),
        node("Pow", ["b", "x"], "p"),
        node("RandomNormalLike", ["p"], "n"),
        node("Tanh", ["n"], "t"),
        node("Conv", ["x", "t"], "c"),
        node("Less", ["c", "W"], "l"),
        node("Gather", ["W", "l"], "y"),
    ]
    offences = refusal(UnsupportedOperators, model(nodes, {"W": weights(4)})).offences
    assert [(offence.where, offence.operator) for offence in offences] == [
        ("make f", "ai.onnx::Floor"),
        ("node 1 (Backdoor)", "com.example::Backdoor"),
        ("make p", "ai.onnx::Pow"),
        ("make n", "ai.onnx::RandomNormalLike"),
        ("make c", "ai.onnx::Conv"),
        ("make l", "ai.onnx::Less"),
        ("make y", "ai.onnx::Gather"),
    ]
    assert "random" in offences[3].detail


def test_a_shape_behind_a_refused_node_is_no_fault() -> None:
    nodes = [
        node("Floor", ["x"], "f"),
        node("Shape", ["f"], "sizes"),
        node("Reshape", ["f", "sizes"], "y"),
    ]
    offences = refusal(UnsupportedOperators, model(nodes)).offences
    assert [offence.where for offence in offences] == ["make f"]


@pytest.mark.parametrize(
    ("operator", "domain", "reason"),
    [
        ("If", "", "control flow"),
        ("Loop", "", "control flow"),
        ("LSTM", "", "recurrent"),
        ("RandomUniform", "", "random"),
        ("Round", "", "jumps"),
        ("Hardmax", "", "jumps"),
        ("ArgMax", "", "class scores"),
        ("TopK", "", "class scores"),
        ("NonMaxSuppression", "", "depend on the input"),
        ("LRN", "", "LayerNormalization"),
        ("QLinearMatMul", "", "float32"),
        ("DynamicQuantizeLinear", "", "float32"),
        ("TfIdfVectorizer", "", "text"),
        ("SequenceConstruct", "", "list of tensors"),
        ("Det", "", "not supported"),
        ("Gizmo", "", "no operator of opset"),
        ("FusedMatMul", "com.microsoft", "before a runtime optimises"),
        ("Backdoor", "com.example", "custom domain"),
    ],
)
def test_what_cannot_be_represented_is_refused_by_name(operator: str, domain: str, reason: str) -> None:
    proto = model([helper.make_node(operator, ["x"], ["y"], name="odd", domain=domain)])
    (offence,) = refusal(UnsupportedOperators, proto).offences
    assert offence.where == "odd"
    assert operator in offence.detail
    assert reason in f"{offence.detail} {offence.way_out}"
    assert offence.way_out or operator == "Gizmo"


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Div", ["x", "zero"], "y")],
        [node("MatMul", ["x", "x"], "y")],
        [node("Transpose", ["x"], "y", perm=[1, 0])],
        [node("Concat", ["x", "x"], "y", axis=0)],
        [node("Clip", ["x", "W", ""], "y")],
        [node("Clip", ["x", "two", "zero"], "y")],
        [node("Clip", ["x", "x"], "y")],
        [node("Pad", ["x", "cut"], "y")],
        [node("Pad", ["x", "pads"], "y", mode="reflect")],
        [node("Dropout", ["x", "two", "yes"], "y")],
        [node("Add", ["x", "W3"], "y")],
        [node("Relu", ["x"], "y", strange=1)],
        [node("Cast", ["x"], "y", to=TensorProto.FLOAT16)],
        [node("Gemm", ["W2", "x"], "y")],
    ],
    ids=lambda nodes: f"{nodes[-1].op_type}({', '.join(nodes[-1].input)})",
)
def test_what_is_not_affine_or_not_per_sample_is_refused(nodes: list[onnx.NodeProto]) -> None:
    tensors = {
        "W": weights(4),
        "W2": weights(4, 4),
        "W3": weights(2, 2, 4),
        "zero": np.array(0.0),
        "two": np.array(2.0),
        "yes": np.array(True),
        "cut": np.array([0, -2, 0, -2]),
        "pads": np.array([0, 4, 0, 1]),
    }
    assert refusal(UnsupportedOperators, model(nodes, tensors, shape=[4, 4])).offences[0].where == "make y"


def test_training_modes_are_refused() -> None:
    tensors = {"s": weights(4), "b": weights(4), "m": weights(4), "v": np.ones(4)}
    training = node("BatchNormalization", ["x", "s", "b", "m", "v"], "y", training_mode=1)
    assert "training" in refusal(UnsupportedOperators, model([training], tensors)).offences[0].detail
    old = node("BatchNormalization", ["x", "s", "b", "m", "v"], "y")
    old.output.extend(["mean", "var"])
    assert "training" in refusal(UnsupportedOperators, model([old], tensors, opset=9)).offences[0].detail


def test_indices_of_a_max_pool_cannot_be_used() -> None:
    pool = node("MaxPool", ["x"], "p", kernel_shape=[2, 2])
    pool.output.append("where")
    proto = model([pool, node("Identity", ["where"], "y")], shape=["N", 1, 4, 4])
    assert refusal(UnsupportedOperators, proto).offences[0].where == "make y"


def test_a_pooling_window_that_misses_the_input_is_refused() -> None:
    pool = node("MaxPool", ["x"], "y", kernel_shape=[2, 2], dilations=[2, 2], pads=[1, 1, 1, 1])
    assert (
        "padding only"
        in refusal(UnsupportedOperators, model([pool], shape=["N", 1, 1, 1])).offences[0].detail
    )


@pytest.mark.parametrize(
    ("limits", "kind"),
    [
        (Limits(nodes=2), ModelTooLarge),
        (Limits(parameters=20), ModelTooLarge),
        (Limits(activation=4), ModelTooLarge),
        (Limits(name=4), ModelTooLarge),
        (Limits(file_bytes=100), ModelTooLarge),
    ],
)
def test_limits(limits: Limits, kind: type[GlocertError]) -> None:
    refusal(kind, dense(), limits=limits)


@pytest.mark.parametrize(
    "nodes",
    [
        [node("ConstantOfShape", ["huge"], "c"), node("Add", ["x", "c"], "y")],
        [node("Expand", ["one", "huge"], "c"), node("Add", ["x", "c"], "y")],
        [node("Pad", ["x", "far"], "y")],
        [
            node("Unsqueeze", ["x", "axes"], "c"),
            node("MaxPool", ["c"], "y", kernel_shape=[1 << 40], pads=[1 << 40] * 2),
        ],
    ],
    ids=lambda nodes: nodes[-1].op_type + nodes[0].op_type,
)
def test_bombs_are_refused_before_memory_is_asked_for(nodes: list[onnx.NodeProto]) -> None:
    tensors = {"huge": np.array([1 << 21] * 2), "one": np.ones((1, 1)), "far": np.array([0, 0, 0, 1 << 40])}
    refusal(ModelTooLarge, model(nodes, tensors | {"axes": np.array([1])}))


def test_repeated_doubling_of_a_constant_is_refused() -> None:
    nodes = [node("Concat", [f"c{i}", f"c{i}"], f"c{i + 1}", axis=0) for i in range(60)]
    nodes.append(node("Concat", ["x", "c60"], "y", axis=1))
    refusal(ModelTooLarge, model(nodes, {"c0": weights(1, 4)}))


def test_the_same_name_twice_is_refused() -> None:
    proto = dense()
    proto.graph.node.append(node("Relu", ["h"], "r"))
    assert refusal(InvalidGraph, proto).offences[0].where == "r"


def test_non_finite_weights_are_refused_by_name() -> None:
    proto = dense()
    broken = weights(3)
    broken[1] = np.inf
    proto.graph.initializer[3].raw_data = broken.tobytes()
    assert refusal(NonFiniteWeights, proto).offences[0].where == "b2"


@pytest.mark.parametrize("shape", [(), (1,), (2, 2)])
def test_the_output_of_a_classifier_is_one_vector_of_scores(shape: tuple[int, ...]) -> None:
    nodes = [node("Reshape", ["x", "shape"], "y")]
    size = int(np.prod(shape))
    proto = model(nodes, {"shape": np.array([-1, *shape])}, shape=["N", size])
    with pytest.raises(UnsupportedOutput):
        as_classifier(read_onnx(proto.SerializeToString()).graph)
