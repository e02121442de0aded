"""Functions said in one node again: only where they are the same, and always where they are."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from tests.glocert.graph.agreement import agree, normal, operators
from tests.glocert.graph.onnx_models import model, node

torch.set_num_threads(1)

NUMBERS = {
    "half": 0.5,
    "one": 1.0,
    "two": 2.0,
    "three": 3.0,
    "six": 6.0,
    "sixth": 1 / 6,
    "root": 2**0.5,
    "minus": -1.0,
    "zero": 0.0,
    "almost": 1.0000001,
    "ones": np.ones((1, 4)),
    "widening": np.ones((1, 3, 1)),
}
SOFTPLUS = [node("Exp", ["x"], "e"), node("Add", ["one", "e"], "a"), node("Log", ["a"], "y")]


def _clip(low: str, high: str) -> list[onnx.NodeProto]:
    return [node("Add", ["x", "three"], "a"), node("Clip", ["a", low, high], "c")]


def _graph(
    nodes: list[onnx.NodeProto], shape: tuple[int, ...] = (4,), x: np.ndarray | None = None
) -> list[str]:
    tensors = {name: np.asarray(value) for name, value in NUMBERS.items()}
    return operators(agree(model(nodes, tensors, shape=["N", *shape]), x).graph)


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([node("Sigmoid", ["x"], "g"), node("Mul", ["x", "g"], "y")], "Silu"),
        ([node("Sigmoid", ["x"], "g"), node("Mul", ["g", "x"], "y")], "Silu"),
        ([node("Softplus", ["x"], "s"), node("Tanh", ["s"], "g"), node("Mul", ["x", "g"], "y")], "Mish"),
        (
            [
                *SOFTPLUS[:2],
                node("Log", ["a"], "s"),
                node("Tanh", ["s"], "g"),
                node("Mul", ["g", "x"], "y"),
            ],
            "Mish",
        ),
        (SOFTPLUS, "Softplus"),
        ([*_clip("zero", "six"), node("Mul", ["x", "c"], "m"), node("Div", ["m", "six"], "y")], "HardSwish"),
        ([*_clip("zero", "six"), node("Div", ["c", "six"], "d"), node("Mul", ["d", "x"], "y")], "HardSwish"),
        (
            [
                node("Div", ["x", "six"], "d"),
                node("Add", ["half", "d"], "a"),
                node("Clip", ["a", "zero", "one"], "c"),
                node("Mul", ["x", "c"], "y"),
            ],
            "HardSwish",
        ),
        (
            [
                node("Neg", ["x"], "n"),
                node("Exp", ["n"], "e"),
                node("Add", ["e", "ones"], "a"),
                node("Reciprocal", ["a"], "y"),
            ],
            "Sigmoid",
        ),
        (
            [
                node("Mul", ["minus", "x"], "n"),
                node("Exp", ["n"], "e"),
                node("Add", ["one", "e"], "a"),
                node("Div", ["one", "a"], "g"),
                node("Mul", ["x", "g"], "y"),
            ],
            "Silu",
        ),
        ([node("Mul", ["x", "x"], "y")], "Pow"),
        ([node("Mul", ["x", "x"], "s"), node("Mul", ["s", "x"], "y")], "Pow"),
        ([node("Pow", ["x", "two"], "s"), node("Mul", ["x", "s"], "c"), node("Mul", ["c", "x"], "y")], "Pow"),
        (
            [
                node("Exp", ["x"], "e"),
                node("ReduceSum", ["e", "axes"], "s"),
                node("Div", ["e", "s"], "y"),
            ],
            "Softmax",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_pattern_becomes_one_node(nodes: list[onnx.NodeProto], expected: str) -> None:
    tensors = {name: np.asarray(value) for name, value in NUMBERS.items()} | {"axes": np.array([-1])}
    behind = [*nodes, node("Add", ["y", "three"], "z")]
    proto = model(behind, tensors, shape=["N", 4], outputs=("z",))
    assert operators(agree(proto, normal((4,)) / 4).graph) == [expected, "Add"]


def test_powers_are_added_up() -> None:
    nodes = [node("Mul", ["x", "x"], "s"), node("Mul", ["s", "x"], "c"), node("Mul", ["x", "c"], "y")]
    graph = agree(model(nodes)).graph
    assert [node.attributes["exponent"] for node in graph.nodes] == [4.0]


@pytest.mark.parametrize(
    ("nodes", "exponent"),
    [
        ([node("Sqrt", ["x"], "r"), node("Reciprocal", ["r"], "y")], -0.5),
        ([node("Pow", ["x", "three"], "r"), node("Reciprocal", ["r"], "y")], -3.0),
        ([node("Sqrt", ["x"], "r"), node("Div", ["x", "r"], "y")], -0.5),
    ],
)
def test_an_inverse_of_a_power_is_a_power(nodes: list[onnx.NodeProto], exponent: float) -> None:
    tensors = {"three": np.array(3.0)}
    x = np.abs(normal((4,))) + np.float32(0.25)
    graph = agree(model(nodes, tensors), x).graph
    assert graph.nodes[0].attributes["exponent"] == exponent


@pytest.mark.parametrize(
    "nodes",
    [
        # x / sqrt(2) with the stored root is not the one of Gelu.
        [
            node("Div", ["x", "root"], "d"),
            node("Erf", ["d"], "e"),
            node("Add", ["e", "one"], "a"),
            node("Mul", ["x", "a"], "m"),
            node("Mul", ["m", "half"], "y"),
        ],
        # The stored sixth is not 1/6.
        [
            node("Mul", ["x", "sixth"], "d"),
            node("Add", ["d", "half"], "a"),
            node("Clip", ["a", "zero", "one"], "c"),
            node("Mul", ["x", "c"], "y"),
        ],
        [*_clip("zero", "six"), node("Mul", ["x", "c"], "m"), node("Div", ["m", "three"], "y")],
        [*_clip("minus", "six"), node("Mul", ["x", "c"], "m"), node("Div", ["m", "six"], "y")],
        [*_clip("zero", "six"), node("Mul", ["a", "c"], "m"), node("Div", ["m", "six"], "y")],
        [node("Sigmoid", ["x"], "g"), node("Tanh", ["x"], "t"), node("Mul", ["t", "g"], "y")],
        [node("Exp", ["x"], "e"), node("Add", ["e", "almost"], "a"), node("Log", ["a"], "y")],
        [node("Exp", ["x"], "e"), node("Sub", ["one", "e"], "a"), node("Reciprocal", ["a"], "y")],
        [node("Exp", ["x"], "e"), node("Add", ["e", "one"], "a"), node("Reciprocal", ["a"], "y")],
        [node("Softplus", ["x"], "s"), node("Tanh", ["s"], "g"), node("Mul", ["s", "g"], "y")],
        [node("Exp", ["x"], "e"), node("Add", ["e", "widening"], "a"), node("Log", ["a"], "y")],
    ],
    ids=lambda nodes: "-".join(part.op_type for part in nodes),
)
def test_what_is_another_function_stays(nodes: list[onnx.NodeProto]) -> None:
    shape = (1, 4)
    x = normal(shape) / 4 + np.float32(0.1)
    names = _graph(nodes, shape, x)
    expected = [{"Neg": "Mul"}.get(part.op_type, part.op_type) for part in nodes]
    assert names == expected


def test_a_softmax_over_other_axes_stays_a_quotient() -> None:
    nodes = [
        node("Exp", ["x"], "e"),
        node("ReduceSum", ["e", "axes"], "s"),
        node("Div", ["e", "s"], "y"),
    ]
    tensors = {"axes": np.array([1, 2])}
    graph = agree(model(nodes, tensors, shape=["N", 2, 3]), normal((2, 3)) / 4).graph
    assert "Softmax" not in operators(graph)


def test_what_is_read_elsewhere_stays() -> None:
    nodes = [
        node("Sigmoid", ["x"], "g"),
        node("Mul", ["x", "g"], "m"),
        node("Add", ["m", "g"], "y"),
    ]
    assert _graph(nodes) == ["Sigmoid", "Silu", "Add"]


def test_a_scale_between_is_no_silu() -> None:
    nodes = [
        node("Mul", ["x", "two"], "b"),
        node("Sigmoid", ["b"], "g"),
        node("Mul", ["x", "g"], "y"),
    ]
    assert _graph(nodes) == ["Mul", "Sigmoid", "Mul"]
