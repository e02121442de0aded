"""Smooth ONNX functions: what they become, and that onnxruntime computes the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto

from glocert.errors import UnsupportedOperators
from glocert.graph.families import smooth_nodes
from glocert.graph.onnx import read_onnx
from tests.glocert.graph.agreement import agree, normal, operators, opsets
from tests.glocert.graph.importing import refusal
from tests.glocert.graph.onnx_models import model, node, weights

torch.set_num_threads(1)

EVERYWHERE = ("Cos", "Erf", "Exp", "HardSwish", "Mish", "Sigmoid", "Sign", "Sin", "Softplus", "Tanh")
IN_DOUBLE = ("Cos", "Exp", "Log", "Reciprocal", "Sigmoid", "Sign", "Sin", "Sqrt", "Tanh")


def _functions(*kinds: str) -> list[tuple[str, int]]:
    return [(kind, opset) for kind in kinds for opset in opsets(kind)]


def _behind(kind: str, **attributes: object) -> list[onnx.NodeProto]:
    """A function that does not stand last, where some would be cut off."""
    return [node(kind, ["x"], "f", **attributes), node("Add", ["f", "one"], "y")]


ONE = {"one": np.array(1.0)}


@pytest.mark.parametrize(("kind", "opset"), _functions(*EVERYWHERE))
@pytest.mark.parametrize("shape", [(4,), (1,), (2, 3, 2)])
def test_functions_of_one_number(kind: str, opset: int, shape: tuple[int, ...]) -> None:
    graph = agree(model(_behind(kind), ONE, shape=["N", *shape], opset=opset)).graph
    assert operators(graph) == [kind, "Add"]
    assert graph.output_shape == shape


@pytest.mark.parametrize(("kind", "opset"), _functions("Log", "Sqrt", "Reciprocal"))
def test_functions_of_positive_numbers(kind: str, opset: int) -> None:
    x = np.abs(normal((5,))) + np.float32(0.25)
    assert operators(agree(model(_behind(kind), ONE, shape=["N", 5], opset=opset), x).graph)[0] == kind


@pytest.mark.parametrize("kind", IN_DOUBLE)
def test_functions_in_double_precision(kind: str) -> None:
    proto = model(_behind(kind), shape=["N", 5], kind=TensorProto.DOUBLE)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array(1.0), "one"))
    x = np.abs(normal((5,), "float64")) + 0.25
    assert agree(proto, x, rtol=1e-12, atol=1e-12).dtype == "float64"


@pytest.mark.parametrize(
    ("kind", "attributes", "expected"),
    [
        ("Elu", {}, ["Elu"]),
        ("Elu", {"alpha": 0.3}, ["Elu"]),
        ("Selu", {}, ["Elu", "Mul"]),
        ("Selu", {"alpha": 1.5, "gamma": 1.0}, ["Elu"]),
        ("Celu", {}, ["Elu"]),
        ("Celu", {"alpha": 0.7}, ["Div", "Elu", "Mul"]),
        ("Gelu", {}, ["Gelu"]),
        ("Gelu", {"approximate": "tanh"}, ["Gelu"]),
        ("HardSigmoid", {}, ["Mul", "Add", "Clip"]),
        ("HardSigmoid", {"alpha": 1.0, "beta": 0.0}, ["Clip"]),
        ("HardSigmoid", {"alpha": -0.4, "beta": 0.25}, ["Mul", "Add", "Clip"]),
        ("Softsign", {}, ["LeakyRelu", "Add", "Reciprocal", "Mul"]),
        ("LogSoftmax", {}, ["Softmax", "Log"]),
    ],
)
def test_functions_with_coefficients(
    kind: str, attributes: Mapping[str, object], expected: list[str]
) -> None:
    for opset in opsets(kind):
        shape = ("N", 2, 3) if kind != "LogSoftmax" else ("N", 5)
        proto = model(_behind(kind, **attributes), ONE, shape=shape, opset=opset)
        x = normal(shape[1:]) / 3 if kind == "LogSoftmax" else None
        assert operators(agree(proto, x).graph) == [*expected, "Add"]


def test_coefficients_are_the_stored_ones() -> None:
    graph = agree(model(_behind("Elu", alpha=0.3), ONE)).graph
    assert graph.nodes[0].attributes["alpha"] == float(np.float32(0.3))
    scale = agree(model(_behind("Selu"), ONE)).graph.parameters
    assert float(np.float32(1.0507009873554805)) in [float(array) for array in scale.values()]


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("Celu", {"alpha": 0.0}),
        ("Celu", {"alpha": -1.0}),
        ("Elu", {"alpha": float("nan")}),
        ("Gelu", {"approximate": "sigmoid"}),
        ("Selu", {"gamma": float("inf")}),
        ("Shrink", {}),
        ("Shrink", {"bias": 0.25}),
        ("ThresholdedRelu", {}),
        ("Hardmax", {}),
        ("Floor", {}),
        ("LRN", {"size": 3}),
        ("QuantizeLinear", {}),
    ],
)
def test_jumps_and_impossible_coefficients_are_refused(kind: str, attributes: Mapping[str, object]) -> None:
    inputs = ["x", "one"] if kind == "QuantizeLinear" else ["x"]
    nodes = [node(kind, inputs, "f", **attributes), node("Add", ["f", "one"], "y")]
    (offence,) = refusal(UnsupportedOperators, model(nodes, ONE, opset=20)).offences
    assert (offence.where, offence.operator) == ("make f", f"ai.onnx::{kind}")


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [
        (np.array(2.0), ["Pow"]),
        (np.array([3.0]), ["Pow"]),
        (np.full((2, 4), 2.0), ["Pow"]),
        (np.array(2), ["Pow"]),
        (np.array(-2.0), ["Pow"]),
        (np.array(1.0), []),
        (np.array(0.5), ["Sqrt"]),
        (np.array(-1.0), ["Reciprocal"]),
        (np.array(0.3), ["Pow"]),
        (np.array(-0.5), ["Pow"]),
    ],
    ids=lambda value: str(value.tolist()) if isinstance(value, np.ndarray) else "",
)
@pytest.mark.parametrize("opset", opsets("Pow"))
def test_powers_with_a_constant_exponent(exponent: np.ndarray, expected: list[str], opset: int) -> None:
    if opset < 12 and exponent.dtype.kind == "i":
        exponent = exponent.astype(np.float32)  # both operands had one type
    nodes = [node("Pow", ["x", "p"], "f"), node("Add", ["f", "one"], "y")]
    x = np.abs(normal((2, 4))) + np.float32(0.25)
    x = -x if exponent.ravel()[0] in (2, 3, -2) else x
    proto = model(nodes, ONE | {"p": exponent}, shape=["N", 2, 4], opset=opset)
    assert operators(agree(proto, x).graph) == [*expected, "Add"]


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([node("Pow", ["x", "x"], "y")], "exponent"),
        ([node("Pow", ["two", "x"], "y")], "exponent"),
        ([node("Pow", ["x", "many"], "y")], "differ"),
        ([node("Pow", ["x", "zero"], "y")], "zero"),
        ([node("Pow", ["x", "wide"], "y")], "differ"),
    ],
)
def test_other_powers_are_refused(nodes: list[onnx.NodeProto], reason: str) -> None:
    tensors = {"two": 2.0, "zero": 0.0, "many": [1.0, 2.0, 3.0, 2.0], "wide": np.full((2, 1, 4), 2.0)}
    assert reason in refusal(UnsupportedOperators, model(nodes, tensors)).offences[0].detail


@pytest.mark.parametrize("opset", opsets("Softmax"))
@pytest.mark.parametrize("axis", [1, 2, 3, -1, None])
def test_softmax_within_the_network(opset: int, axis: int | None) -> None:
    attributes = {} if axis is None else {"axis": axis}
    proto = model(_behind("Softmax", **attributes), ONE, shape=["N", 2, 3, 4], opset=opset)
    graph = agree(proto).graph
    names = operators(graph)
    assert names.count("Softmax") == 1
    joined = opset < 13 and (1 if axis is None else axis) in (1, 2)
    assert names.count("Reshape") == (2 if joined else 0)


@pytest.mark.parametrize("opset", [11, 13])
def test_a_softmax_over_samples_is_refused(opset: int) -> None:
    proto = model(_behind("Softmax", axis=0), ONE, opset=opset)
    assert "batch" in refusal(UnsupportedOperators, proto).offences[0].detail


def test_softmax_without_a_batch_axis() -> None:
    proto = model(_behind("Softmax", axis=0), ONE, shape=[2, 3])
    graph = read_onnx(proto.SerializeToString(), input_shape=(2, 3)).graph
    assert graph.nodes[0].attributes["axis"] == 0


def test_a_network_of_functions_between_layers() -> None:
    nodes = [
        node("Gemm", ["x", "W"], "h"),
        node("Tanh", ["h"], "t"),
        node("Gemm", ["t", "V"], "g"),
        node("Elu", ["g"], "e"),
        node("Gemm", ["e", "U"], "y"),
    ]
    tensors = {"W": weights(4, 6), "V": weights(6, 5), "U": weights(5, 3)}
    assert operators(agree(model(nodes, tensors)).graph) == ["Gemm", "Tanh", "Gemm", "Elu", "Gemm"]


@pytest.mark.parametrize(
    ("name", "smooth", "tails"),
    [
        ("cifar_vit_pgd_2_3_16", {"Softmax": 2, "MatMul": 4}, ()),
        ("mnist_sigmoid_mlp", {"Sigmoid": 1}, ("Sigmoid",)),
        ("cifar_conv_sigmoid", {"Sigmoid": 3}, ()),
    ],
)
def test_real_networks_with_smooth_nodes(
    shared_data: Path, name: str, smooth: Mapping[str, int], tails: tuple[str, ...]
) -> None:
    result = agree(onnx.load(shared_data / "models" / f"{name}.onnx"), rtol=1e-4, atol=1e-4)
    assert Counter(part.operator for part in smooth_nodes(result.graph)) == smooth
    assert tuple(tail.operator for tail in result.tails) == tails
