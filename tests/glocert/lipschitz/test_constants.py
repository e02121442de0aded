"""N4, N6, N8: constants of what bends, against slopes, random pairs and pairs that attain them."""

from __future__ import annotations

import math

import pytest
import torch

from glocert.graph.builder import GraphBuilder
from glocert.graph.families import FUNCTIONS
from glocert.graph.ir import Attribute, Graph, Node
from glocert.graph.limits import Limits
from glocert.graph.run import run
from glocert.lipschitz.constants import constant

SCALAR: list[tuple[str, dict[str, Attribute]]] = [
    ("Relu", {}),
    ("LeakyRelu", {"alpha": 0.1}),
    ("LeakyRelu", {"alpha": -2.5}),
    ("Clip", {"min": -0.5, "max": 1.0}),
    ("Cos", {}),
    ("Elu", {"alpha": 0.7}),
    ("Elu", {"alpha": 1.6732632423543772}),
    ("Erf", {}),
    ("Gelu", {"approximate": "none"}),
    ("Gelu", {"approximate": "tanh"}),
    ("HardSwish", {}),
    ("Mish", {}),
    ("Sigmoid", {}),
    ("Silu", {}),
    ("Sin", {}),
    ("Softplus", {}),
    ("Tanh", {}),
]


def alone(operator: str, attributes: dict[str, Attribute], shape: tuple[int, ...]) -> Graph:
    """Return a graph of one node."""
    builder = GraphBuilder.start("x", shape, Limits())
    return builder.finish(builder.add(Node("node", operator, ("x",), "y", attributes, operator)))


@pytest.mark.parametrize(("operator", "attributes"), SCALAR)
def test_the_constant_is_the_steepest_slope(operator: str, attributes: dict[str, Attribute]) -> None:
    x = torch.linspace(-12, 12, 400_001, dtype=torch.float64)[:, None]
    graph = alone(operator, attributes, (1,))
    y = run(graph, x)
    steepest = float(((y[1:] - y[:-1]) / (x[1:] - x[:-1])).abs().max())
    steep = constant(graph, graph.nodes[0])
    assert steep is not None
    assert steepest - 1e-9 <= steep <= 1.002 * steepest


def test_functions_without_a_constant_have_none() -> None:
    known = {operator for operator, _ in SCALAR}
    for operator in sorted(set(FUNCTIONS) - known):
        graph = alone(operator, {"exponent": 2.0} if operator == "Pow" else {}, (1,))
        assert constant(graph, graph.nodes[0]) is None


def test_softmax_never_moves_more_than_half_as_far() -> None:
    torch.manual_seed(0)
    graph = alone("Softmax", {"axis": 0}, (5,))
    x = torch.randn(20_000, 5, dtype=torch.float64) * 3
    step = torch.randn_like(x) * 1e-3
    ratio = (run(graph, x + step) - run(graph, x)).norm(dim=1) / step.norm(dim=1)
    assert float(ratio.max()) <= constant(graph, graph.nodes[0])  # type: ignore[operator]
    pair = torch.tensor(
        [[1e-4, 0.0, -40.0, -40.0, -40.0], [0.0, 1e-4, -40.0, -40.0, -40.0]], dtype=torch.float64
    )
    y = run(graph, pair)
    assert float((y[0] - y[1]).norm() / (pair[0] - pair[1]).norm()) > 0.499


@pytest.mark.parametrize(
    ("kernel", "stride", "pad", "expected"), [(3, 2, 0, 2.0), (2, 2, 0, 1.0), (3, 1, 1, 3.0), (3, 3, 1, 1.0)]
)
def test_overlapping_windows_of_a_max_pool_count(kernel: int, stride: int, pad: int, expected: float) -> None:
    attributes: dict[str, Attribute] = {
        "kernel_shape": (kernel, kernel),
        "strides": (stride, stride),
        "pads": (pad,) * 4,
        "dilations": (1, 1),
    }
    graph = alone("MaxPool", attributes, (1, 9, 9))
    steep = constant(graph, graph.nodes[0])
    assert steep is not None
    assert math.isclose(steep, expected, rel_tol=1e-12)
    low = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    ratios = []
    for cell in range(81):
        high = low.clone().reshape(1, -1)
        high[0, cell] = 1.0
        ratios.append(float((run(graph, high.reshape(1, 1, 9, 9)) - run(graph, low)).norm()))
    assert math.isclose(max(ratios), expected, rel_tol=1e-12)
