"""What rounding does to scores stays below the slack, in every order of summation."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from glocert.gloro.architectures import build
from glocert.gloro.network import to_graph
from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Attribute, Graph, Node
from glocert.graph.limits import Limits
from glocert.graph.run import run
from glocert.lipschitz.execution import LEAD, SINGLE, Ledger, ledger, slack

LEADS = 2 * LEAD
"""what a lead must exceed, in drifts"""


def scores_in_random_orders(graph: Graph, x: Tensor, seed: int) -> Tensor:
    """Run a chain of dense layers in float32, each sum in an order of its own."""
    chance = np.random.default_rng(seed)
    values = x.numpy()
    for node in graph.nodes:
        if node.operator == "Gemm":
            weight, bias = (graph.parameters[name] for name in node.inputs[1:])
            order = chance.permutation(weight.shape[1])
            total = np.zeros((len(values), len(weight)), np.float32)
            for k in order:
                total = total + values[:, k, None] * weight[None, :, k]
            values = total + bias
        else:
            values = np.maximum(values, np.float32(0))
    return torch.from_numpy(values)


def dense_chain(seed: int, sizes: tuple[int, ...], scale: float = 1.0) -> Graph:
    chance = np.random.default_rng(seed)
    builder = GraphBuilder.start("x", (sizes[0],), Limits())
    name = "x"
    for before, after in pairwise(sizes):
        weight = (chance.normal(size=(after, before)) * scale / before**0.5).astype(np.float32)
        bias = chance.normal(size=after).astype(np.float32)
        parts = (builder.parameter(weight, "w"), builder.parameter(bias, "b"))
        name = builder.add(Node("dense", "Gemm", (name, *parts), "d", {}, "Gemm"))
        if after != sizes[-1]:
            name = builder.add(Node("relu", "Relu", (name,), "r", {}, "Relu"))
    return builder.finish(name)


@pytest.mark.parametrize("seed", range(5))
def test_no_order_of_summation_leaves_the_slack(seed: int) -> None:
    graph = dense_chain(seed, (40, 60, 50, 5))
    x = torch.rand(50, 40) * 2 - 1
    allowed = slack(graph, float(x.norm(dim=1).max()) * 1.001) / LEADS
    exact = run(graph, x.double())
    worst = 0.0
    for order in range(10):
        off = (scores_in_random_orders(graph, x, order).double() - exact).norm(dim=1)
        worst = max(worst, float(off.max()))
    assert 0 < worst <= allowed
    assert allowed < 1e-2  # and it is small enough to be of use


def test_the_slack_is_attained_by_a_sum_that_always_rounds_up() -> None:
    """One dense layer whose partial sums are all rounded the same way gets near gamma times the sum."""
    terms = 2**10
    value = np.float32(1 + 2**-12)
    builder = GraphBuilder.start("x", (terms,), Limits())
    weight = builder.parameter(np.full((2, terms), value, np.float32), "w")
    graph = builder.finish(builder.add(Node("dense", "Gemm", ("x", weight), "y", {}, "Gemm")))
    x = np.full(terms, value, np.float32)
    total = np.float32(0)
    for k in range(terms):
        total = np.float32(total + x[k] * value)
    exact = float(value) ** 2 * terms
    drift = slack(graph, float(value) * terms**0.5 * 1.001) / LEADS
    assert 0 < abs(float(total) - exact) * 2**0.5 <= drift


@pytest.mark.parametrize("name", ["2c2f", "liresnet"])
def test_a_gloro_network_in_float32_stays_within_the_slack(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, (1, 14, 14), 5, mean=[0.13], std=[0.31], width=8)
    graph = to_graph(network, (1, 14, 14))
    x = torch.rand(200, 1, 14, 14)
    allowed = slack(graph, float(x.flatten(1).norm(dim=1).max()) * 1.001) / LEADS
    with torch.no_grad():
        off = (network(x).double() - run(graph, x.double())).norm(dim=1)
        off = torch.maximum(off, (run(graph, x).double() - run(graph, x.double())).norm(dim=1))
    assert float(off.max()) <= allowed < 0.2


def test_more_precision_needs_less_slack() -> None:
    graph = dense_chain(0, (10, 20, 3))
    assert slack(graph, 1.0, 2.0**-53) <= slack(graph, 1.0, SINGLE) * 2.0**-28


def test_a_function_whose_rounding_is_not_known_has_no_slack() -> None:
    builder = GraphBuilder.start("x", (3,), Limits())
    graph = builder.finish(builder.add(Node("tanh", "Tanh", ("x",), "y", {}, "Tanh")))
    assert slack(graph, 1.0) == float("inf")


@pytest.mark.parametrize("operator", ["Sigmoid", "Cos", "Softplus", "Softmax", "Tanh", "Elu", "Silu", "Relu"])
def test_no_tensor_is_larger_than_its_size(operator: str) -> None:
    chance = np.random.default_rng(0)
    builder = GraphBuilder.start("x", (6,), Limits())
    attributes: dict[str, Attribute] = {"Softmax": {"axis": 0}, "Elu": {"alpha": 1.5}}.get(operator, {})  # type: ignore[assignment]
    name = "x"
    for place in range(2):
        weight = builder.parameter(chance.normal(size=(6, 6)) * 0.1, "w")
        name = builder.add(Node(f"dense{place}", "Gemm", (name, weight), "d", {}, "Gemm"))
        name = builder.add(Node(f"bend{place}", operator, (name,), "s", attributes, operator))
    graph = builder.finish(name)
    for scale in (0.0, 0.1, 10.0):
        x = torch.randn(50, 6, dtype=torch.float64) * scale
        sizes = {graph.input: x.norm(dim=1)}
        for position, step in enumerate(ledger(graph).steps):
            sizes[step.output] = step.size([sizes[each] for each in step.inputs])
            part = Graph(
                graph.input, step.output, graph.nodes[: position + 1], graph.parameters, graph.shapes
            )
            assert bool((run(part, x).norm(dim=1) <= sizes[step.output] * (1 + 1e-12)).all())


def test_a_ledger_survives_json() -> None:
    graph = dense_chain(0, (10, 20, 3))
    kept = ledger(graph)
    read = Ledger.from_json(json.loads(json.dumps(kept.to_json(), allow_nan=False)))
    assert read == kept


def test_bounds_of_a_clip_that_float32_cannot_hold_are_charged() -> None:
    builder = GraphBuilder.start("x", (1,), Limits())
    graph = builder.finish(builder.add(Node("clip", "Clip", ("x",), "y", {"min": 0.0, "max": 0.1}, "Clip")))
    off = abs(float(run(graph, torch.ones(1, 1))) - 0.1)
    assert 0 < off <= slack(graph, 1.0) / LEADS < 1e-6
