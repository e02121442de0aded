"""N6: constants of single operators: attained or close, and never exceeded by pairs."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from glocert.errors import UnsupportedOperators
from glocert.graph.ir import Attribute, Graph
from glocert.graph.run import run
from glocert.lipschitz.bent import steepest
from glocert.lipschitz.network import bound
from glocert.lipschitz.regions import joined, runs
from tests.glocert.lipschitz.networks import Drawing, dense_net, image_net

Build = Callable[[Drawing], str]
UPSAMPLED = tuple(np.repeat(np.arange(5), 3).tolist())
REPLICATED = (0, 0, 0, 1, 2, 3, 4, 4)
REFLECTED = (2, 1, 0, 1, 2, 3, 4, 3)


def twice(net: Drawing, indices: tuple[int, ...]) -> str:
    rows = net.add("Gather", "x", axis=1, indices=indices)
    return net.add("Gather", rows, axis=2, indices=indices)


def pool(kernel: int, stride: int, pad: int, *, include: int = 1) -> Build:
    attributes: dict[str, Attribute] = {
        "kernel_shape": (kernel, kernel),
        "strides": (stride, stride),
        "pads": (pad,) * 4,
        "count_include_pad": include,
    }
    return lambda net: net.add("AveragePool", "x", **attributes)


def per_channel(operator: str, values: list[float]) -> Build:
    return lambda net: net.add(operator, "x", net.builder.parameter(np.array(values).reshape(-1, 1, 1), "p"))


def normalised(net: Drawing) -> str:
    names = [
        net.builder.parameter(np.array(v), "p") for v in ([2.0, -3.0], [1.0, 1.0], [5.0, 0.0], [4.0, 0.25])
    ]
    return net.add("BatchNormalization", "x", *names, epsilon=0.0)


def broadcast(net: Drawing) -> str:
    return net.add(
        "Mul", net.add("Reshape", "x", shape=(1, 2, 5, 5)), net.builder.parameter(np.ones((3, 1, 1, 1)), "p")
    )


SHAPE = (2, 5, 5)
AFFINE: list[tuple[str, Build, float | None]] = [
    ("upsampling by three in both axes", lambda net: twice(net, UPSAMPLED), 3.0),
    ("replicated border: corners have nine copies", lambda net: twice(net, REPLICATED), 3.0),
    ("reflected border", lambda net: twice(net, REFLECTED), None),
    ("cropping", lambda net: twice(net, (1, 2, 3)), 1.0),
    ("non-overlapping average", pool(5, 5, 0), 1 / 5),
    ("overlapping average", pool(3, 1, 1), None),
    ("average without padding", pool(3, 2, 1, include=0), None),
    ("sum over an axis", lambda net: net.add("ReduceSum", "x", axes=(1,)), math.sqrt(5)),
    ("negative factors", per_channel("Mul", [-3.0, 0.5]), 3.0),
    ("divisors", per_channel("Div", [-0.25, 2.0]), 4.0),
    ("shift", per_channel("Sub", [7.0, -2.0]), 1.0),
    ("normalisation", normalised, 6.0),
    ("zero padding", lambda net: net.add("Pad", "x", pads=(0, 1, 2, 0, 0, 1), value=3.0), 1.0),
    ("transposition", lambda net: net.add("Transpose", "x", perm=(2, 0, 1)), 1.0),
    ("input twice", lambda net: net.add("Concat", "x", "x", axis=0), math.sqrt(2)),
    ("sum with itself", lambda net: net.add("Add", "x", "x"), 2.0),
    ("difference with itself", lambda net: net.add("Sub", "x", "x"), 0.0),
    ("broadcast copies", broadcast, math.sqrt(3)),
]  # fmt: skip


def drawn(build: Build) -> Graph:
    net = Drawing(1, SHAPE)
    return net.builder.finish(build(net))


@pytest.mark.parametrize(("name", "build", "expected"), AFFINE, ids=[name for name, _, _ in AFFINE])
def test_affine_operators_have_the_norm_of_their_matrix(
    name: str, build: Build, expected: float | None
) -> None:
    graph = drawn(build)
    (group,) = runs(graph)
    eye = torch.eye(50, dtype=torch.float64).reshape(50, *SHAPE)
    columns = (run(graph, eye) - run(graph, torch.zeros_like(eye))).flatten(1)
    truth = float(torch.linalg.matrix_norm(columns, 2))
    if expected is not None:
        assert truth == pytest.approx(expected, abs=1e-12)
    found = bound(graph)
    assert joined(graph, group).affine
    assert truth * (1 - 1e-12) <= found.scores <= truth * 1.0001 + 1e-12


BENT: list[tuple[str, Build, float]] = [
    ("rectifier", lambda net: net.add("Relu", "x"), 1.0),
    ("leaky, steep", lambda net: net.add("LeakyRelu", "x", alpha=-2.0), 2.0),
    ("clip", lambda net: net.add("Clip", "x", min=-0.5, max=2.0), 1.0),
    ("sigmoid", lambda net: net.add("Sigmoid", "x"), 0.25),
    ("softmax", lambda net: net.add("Softmax", "x", axis=0), 0.5),
    ("overlapping maxima", lambda net: net.add("MaxPool", "x", kernel_shape=(3, 3), strides=(2, 2),
                                               pads=(1, 1, 1, 1), dilations=(1, 1)), 2.0),
    ("with itself", lambda net: net.add("Add", "x", net.add("Relu", "x")), 2.0),
    ("against itself", lambda net: net.add("Sub", "x", net.add("Relu", "x")), 1.0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "build", "expected"), BENT, ids=[name for name, _, _ in BENT])
def test_no_pair_exceeds_what_bends(name: str, build: Build, expected: float) -> None:
    graph = drawn(build)
    found = bound(graph)
    assert expected <= found.scores <= expected * (1 + 1e-6)
    torch.manual_seed(0)
    x = torch.randn(2000, *SHAPE, dtype=torch.float64) * 2
    for size in (1e-3, 1.0):
        y = x + torch.randn_like(x) * size * (torch.rand_like(x) < 0.1)
        moved = (run(graph, x) - run(graph, y)).flatten(1).norm(dim=1)
        distance = (x - y).flatten(1).norm(dim=1)
        assert bool((moved <= found.scores * distance * (1 + 1e-9)).all())


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [("Pow", {"exponent": 2.0}), ("Exp", {}), ("Sqrt", {}), ("Reciprocal", {}), ("Sign", {}), ("Log", {})],
)
def test_what_has_no_constant_is_refused_by_name(operator: str, attributes: dict[str, Attribute]) -> None:
    net = Drawing(0, (3,))
    graph = net.builder.finish(net.add("Relu", net.add(operator, "x", **attributes)))
    with pytest.raises(UnsupportedOperators, match=operator) as refusal:
        bound(graph)
    assert [(one.where, one.operator) for one in refusal.value.offences] == [(graph.nodes[0].name, operator)]


def test_products_of_activations_are_refused_and_all_of_them_named() -> None:
    net = Drawing(0, (3,))
    first = net.add("Mul", "x", "x")
    graph = net.builder.finish(net.add("Mul", net.add("Relu", "x"), first))
    with pytest.raises(UnsupportedOperators) as refusal:
        bound(graph)
    assert len(refusal.value.offences) == 2


@pytest.mark.parametrize("seed", range(5))
def test_half_a_kink_is_never_looser_and_holds(seed: int) -> None:
    """x + B relu(A x): the bound by halves lies between every slope that occurs and 1 + |B| |A|."""
    net = Drawing(seed, (6,))
    inner = net.add("Relu", net.add("Gemm", "x", net.weights(6, 6)))
    graph = net.builder.finish(net.add("Add", "x", net.add("Gemm", inner, net.weights(6, 6))))
    first, second = (torch.tensor(array) for array in graph.parameters.values())
    found = bound(graph).scores
    loose = 1 + float(torch.linalg.matrix_norm(first, 2) * torch.linalg.matrix_norm(second, 2))
    assert found < loose
    for mask in range(64):
        active = torch.tensor([float(mask >> place & 1) for place in range(6)])
        slope = torch.eye(6) + second @ torch.diag(active).double() @ first
        assert float(torch.linalg.matrix_norm(slope.double(), 2)) <= found


def test_what_was_seen_never_exceeds_what_is_proven() -> None:
    for seed in range(4):
        for graph in (image_net(seed), dense_net(seed)):
            found = bound(graph)
            assert 0 < steepest(graph) <= found.scores
            for part in found.parts:
                assert 0 < part.norm.lower <= part.norm.upper
