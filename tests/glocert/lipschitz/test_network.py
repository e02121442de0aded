"""W1: bounds of whole networks, attacked by gradients and pairs; real networks; refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from glocert.errors import UnsupportedOperators
from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.graph.onnx import read_onnx
from glocert.graph.run import run
from glocert.lipschitz.network import bound

CONV = {"strides": (1, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1), "group": 1}


def residual(seed: int) -> Graph:
    """A small network with a residual block, a normalisation, pooling and two dense layers."""
    chance = np.random.default_rng(seed)
    builder = GraphBuilder.start("x", (2, 6, 6), Limits())

    def weights(*shape: int) -> str:
        return builder.parameter(chance.normal(size=shape) / np.sqrt(shape[-1]), "w")

    def add(operator: str, *inputs: str, **attributes: object) -> str:
        node = Node(operator, operator, inputs, operator, attributes, operator)  # type: ignore[arg-type]
        return builder.add(node)

    stem = add("Conv", "x", weights(3, 2, 3, 3), weights(3), **CONV)
    spread = builder.parameter(chance.uniform(0.5, 2, size=3), "var")
    scaled = add("BatchNormalization", stem, weights(3), weights(3), weights(3), spread, epsilon=1e-5)
    trunk = add("Relu", scaled)
    inner = add("Relu", add("Conv", trunk, weights(3, 3, 3, 3), **CONV))
    joined = add("Add", trunk, add("Conv", inner, weights(3, 3, 3, 3), **CONV))
    pool = {"kernel_shape": (3, 3), "strides": (2, 2), "pads": (0, 0, 0, 0), "dilations": (1, 1)}
    pooled = add("MaxPool", joined, **pool)
    flat = add("Reshape", pooled, shape=(12,))
    hidden = add("LeakyRelu", add("Gemm", flat, weights(5, 12), weights(5)), alpha=-0.5)
    return builder.finish(add("Gemm", hidden, weights(4, 5), weights(4)))


@pytest.mark.parametrize("seed", range(6))
def test_w1_no_gradient_and_no_pair_exceeds_the_bound(seed: int) -> None:
    graph = residual(seed)
    found = bound(graph)
    torch.manual_seed(seed)
    x = (torch.randn(300, *graph.input_shape, dtype=torch.float64) * 2).requires_grad_()
    scores = run(graph, x)
    for j in range(4):
        for i in range(4):
            if i == j:
                assert found.pairs[j, i] == 0.0
                continue
            (slope,) = torch.autograd.grad((scores[:, j] - scores[:, i]).sum(), x, retain_graph=True)
            assert float(slope.flatten(1).norm(dim=1).max()) <= float(found.pairs[j, i])
    y = x.detach()[torch.randperm(300)]
    moved = (run(graph, y) - scores.detach()).norm(dim=1)
    distance = (y - x.detach()).flatten(1).norm(dim=1)
    assert bool((moved <= found.scores * distance * (1 + 1e-12)).all())


def test_a_sum_of_branches_is_as_steep_as_both_together() -> None:
    """x + relu(x) doubles the distances between positive points: the bound is attained."""
    builder = GraphBuilder.start("x", (2,), Limits())
    bent = builder.add(Node("relu", "Relu", ("x",), "r", {}, "Relu"))
    graph = builder.finish(builder.add(Node("add", "Add", ("x", bent), "y", {}, "Add")))
    found = bound(graph)
    assert 2.0 <= found.scores <= 2.0 * (1 + 1e-9)
    assert 2.0 * 2**0.5 <= float(found.pairs[0, 1]) <= 2.0 * 2**0.5 * (1 + 1e-9)


def test_branches_side_by_side_add_their_squares() -> None:
    builder = GraphBuilder.start("x", (2,), Limits())
    bent = builder.add(Node("relu", "Relu", ("x",), "r", {}, "Relu"))
    graph = builder.finish(builder.add(Node("join", "Concat", ("x", bent), "y", {"axis": 0}, "Concat")))
    assert 2.0**0.5 <= bound(graph).scores <= 2.0**0.5 * (1 + 1e-9)


def test_a_linear_network_has_the_distances_of_its_rows() -> None:
    weight = np.random.default_rng(0).normal(size=(5, 7))
    builder = GraphBuilder.start("x", (7,), Limits())
    name = builder.parameter(weight, "w")
    graph = builder.finish(builder.add(Node("dense", "Gemm", ("x", name), "y", {}, "Gemm")))
    found = bound(graph)
    for j in range(5):
        for i in range(5):
            truth = float(np.linalg.norm(weight[j] - weight[i]))
            assert truth <= float(found.pairs[j, i]) <= truth * (1 + 1e-12) + 1e-300
    assert found.parts == ()


def test_a_node_without_a_constant_is_refused_by_name() -> None:
    builder = GraphBuilder.start("x", (3,), Limits())
    output = builder.add(Node("square", "Mul", ("x", "x"), "y", {}, "Mul"))
    with pytest.raises(UnsupportedOperators) as refusal:
        bound(builder.finish(output))
    assert [offence.where for offence in refusal.value.offences] == ["square"]


def test_the_spectrally_normalised_network_of_the_shared_data(shared_data: Path) -> None:
    """Its manifest gives 0.982 as the product of its layers' norms; composing the last two is below that."""
    graph = read_onnx((shared_data / "models" / "mnist_spectral_mlp_b.onnx").read_bytes()).graph
    found = bound(graph)
    assert 0.97 <= found.scores <= 0.983
    assert all(part.norm.tightness <= 1.001 for part in found.parts if part.norm.lower)


@pytest.mark.parametrize("name", ["P", "P/zero", "scaled/factor"])
def test_a_constant_that_is_also_a_factor_keeps_its_size(name: str) -> None:
    """Zeros that stand for a constant, and factors of a normalisation, take no name that an upload has."""
    five, ones = np.full((3, 1, 1), 5.0, np.float32), np.ones(3, np.float32)
    nodes = (
        Node("scaled", "BatchNormalization", ("x", "one", "one", "one", "one"), "scaled", {"epsilon": 1e-9}),
        Node("times", "Mul", ("scaled", name), "times"),
        Node("plus", "Add", ("times", "P"), "plus"),
        Node("bend", "Relu", ("plus",), "bend"),
        Node("flat", "Reshape", ("bend",), "flat", {"shape": (3,)}),
        Node("head", "Gemm", ("flat", "eye"), "head"),
    )
    shapes = dict.fromkeys(("x", "scaled", "times", "plus", "bend"), (3, 1, 1))
    parameters = {"P": five, name: five, "one": ones, "eye": np.eye(3, dtype=np.float32)}
    graph = Graph("x", "head", nodes, parameters, shapes | {"flat": (3,), "head": (3,)})
    found = bound(graph)
    assert 5.0 * (1 - 1e-6) <= found.features <= 5.0 * (1 + 1e-6)


def test_rows_that_are_too_many_to_compare_are_bounded_by_the_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = residual(1)
    compared = bound(graph)
    monkeypatch.setattr("glocert.lipschitz.network.LARGEST_COMPARISON", 0)
    found = bound(graph)
    assert bool((found.pairs >= compared.pairs).all())
    assert bool((found.pairs.diagonal() == 0).all())
    assert found.scores == compared.scores


def test_n9_other_weights_have_another_bound_and_equal_ones_the_same() -> None:
    """Norms are kept by content: neither names nor an earlier network of the same shapes may decide."""
    graph = residual(2)
    first = bound(graph)
    grown = Graph(
        graph.input,
        graph.output,
        graph.nodes,
        {name: array * 2 if array.ndim > 1 else array for name, array in graph.parameters.items()},
        graph.shapes,
    )
    assert float(bound(grown).features) > 2 * first.features
    assert torch.equal(bound(residual(2)).pairs, first.pairs)
