"""Errors of executions near an input stay below what is proven from the magnitudes there, and come near."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from glocert.gloro.architectures import build
from glocert.gloro.network import to_graph
from glocert.graph.builder import GraphBuilder
from glocert.graph.ir import Graph, Node
from glocert.graph.limits import Limits
from glocert.graph.run import run
from glocert.lipschitz.affine import LARGEST_SIDE, absolute_norm
from glocert.lipschitz.execution import LEAD, SINGLE, alone, ledger
from glocert.lipschitz.explicit import linear_part, matrix_of
from glocert.lipschitz.magnitudes import Magnitudes, Measured
from glocert.rounding import UNIT
from tests.glocert.executed import Execution, Round, leaning, nearest
from tests.glocert.lipschitz.networks import Drawing, dense_net, image_net
from tests.glocert.lipschitz.test_execution import dense_chain

DISTANCES = (0.0, 0.3, 2.0)


def gloro(name: str = "2c2f") -> Graph:
    torch.manual_seed(0)
    return to_graph(build(name, (1, 14, 14), 5, mean=[0.13], std=[0.31], width=8), (1, 14, 14))


NETWORKS = {
    "chain": dense_chain(0, (40, 60, 50, 5)),
    "dense": dense_net(0),
    "leaky": dense_net(5, activation="LeakyRelu"),
    "image": image_net(0),
    "2c2f": gloro(),
    "liresnet": gloro("liresnet"),
}


def seen(graph: Graph, count: int = 6) -> tuple[Tensor, Measured]:
    x = torch.rand(count, *graph.input_shape, generator=torch.Generator().manual_seed(0)).double()
    scores, found = Magnitudes.of(graph, ledger(graph)).measure(x)
    assert torch.equal(scores, run(graph, x).flatten(1))
    return x, found


def near(x: Tensor, far: float, seed: int) -> Tensor:
    """Return float32 inputs that are no further away than so."""
    away = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    length = away.flatten(1).norm(dim=1).reshape(-1, *[1] * (x.dim() - 1))
    return (x + away / length * max(0.0, far - 1e-5)).float()


def executed(graph: Graph, x: Tensor, way: Round, rng: np.random.Generator) -> Tensor:
    """Return the scores of one way of executing, the same for all inputs."""
    found = [Execution(graph, rng, way).run(one)[graph.output].ravel() for one in x.double().numpy()]
    return torch.from_numpy(np.stack(found))


@pytest.mark.parametrize("far", DISTANCES)
@pytest.mark.parametrize("name", NETWORKS)
def test_executions_near_an_input_stay_within_the_drift(name: str, far: float) -> None:
    graph, rng = NETWORKS[name], np.random.default_rng(0)
    x, found = seen(graph)
    wide = torch.full((len(x),), far, dtype=torch.float64)
    drift, slack = found.drift(wide, SINGLE), found.slack(wide, SINGLE)
    ways = (nearest, leaning(1), leaning(-1)) if name in {"chain", "dense", "leaky"} else ()
    for seed in range(3):
        moved = near(x, far, seed) if far else x.float()
        exact = run(graph, moved.double()).flatten(1)
        answers = [run(graph, moved).flatten(1).double(), *(executed(graph, moved, way, rng) for way in ways)]
        for answer in answers:
            off = answer - exact
            assert bool((off.norm(dim=1) <= drift).all())
            assert bool(((off.amax(1) - off.amin(1)) <= slack).all())
    assert bool((drift <= ledger(graph).drift(x.flatten(1).norm(dim=1) + far, SINGLE) * (1 + 1e-9)).all())


@pytest.mark.parametrize("far", DISTANCES)
@pytest.mark.parametrize("name", NETWORKS)
def test_sizes_reaches_and_sums_hold_at_inputs_that_are_near(name: str, far: float) -> None:
    graph = NETWORKS[name]
    x, found = seen(graph)
    prepared = Magnitudes.of(graph, ledger(graph))
    proven = found.near(torch.full((len(x),), far, dtype=torch.float64), SINGLE)
    here = values(graph, x)
    for seed in range(4):
        moved = x if seed == 0 else near(x, far, seed).double() if far else x
        there = values(graph, moved)
        for tensor, bounds in proven.items():
            assert bool((there[tensor].norm(dim=1) <= bounds.size).all()), tensor
            assert bool(((there[tensor] - here[tensor]).norm(dim=1) <= bounds.reach + 1e-12).all()), tensor
        for tensor, part in prepared.majorants.items():
            source = there[part.input].reshape(-1, *part.input_shape).abs()
            sums = run(part, source).flatten(1).norm(dim=1)
            assert bool((sums <= proven[tensor].spread).all()), tensor


def values(graph: Graph, x: Tensor) -> dict[str, Tensor]:
    """Return every tensor of a network, flattened."""
    found = {graph.input: x.flatten(1)}
    for position, node in enumerate(graph.nodes):
        part = Graph(graph.input, node.output, graph.nodes[: position + 1], graph.parameters, graph.shapes)
        found[node.output] = run(part, x).flatten(1)
    return found


@pytest.mark.parametrize("operator", ["Gemm", "Conv"])
@pytest.mark.parametrize("side", [LARGEST_SIDE, 2])
def test_norms_of_absolute_matrices_are_proven_and_close(
    operator: str, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glocert.lipschitz.affine.LARGEST_SIDE", side)
    for seed in range(6):
        net = Drawing(seed, (9,) if operator == "Gemm" else (2, 9, 9))
        if operator == "Gemm":
            last = net.dense("x", 9, 5)
        else:
            weight = net.weights(3, 2, 1 + seed % 3, 3)
            steps: dict[str, Any] = {"strides": (1 + seed % 2, 2), "pads": (1, 0, 1, 1), "dilations": (1, 1)}
            last = net.add("Conv", "x", weight, **steps, group=1)
        own = alone(net.builder.finish(last), net.builder.finish(last).nodes[0])
        matrix = matrix_of(linear_part(own, absolute=True)).values
        truth, found = float(torch.linalg.matrix_norm(matrix, 2)), absolute_norm(own)
        assert bool((matrix >= 0).all())
        assert truth <= found <= 1.35 * truth
        if side > 2 and operator == "Gemm":
            assert found <= truth * (1 + 1e-6)


def test_errors_of_one_layer_are_carried_through_the_next() -> None:
    """A long sum that leans to one side, and a short one with large factors behind it."""
    builder, chance = GraphBuilder.start("x", (400,), Limits()), np.random.default_rng(0)
    weight = builder.parameter(chance.random((3, 400)).astype(np.float32), "w")
    name = builder.add(Node("long", "Gemm", ("x", weight), "y", {}, "Gemm"))
    factors = builder.parameter(np.full((2, 3), 100.0, np.float32), "w")
    graph = builder.finish(builder.add(Node("short", "Gemm", (name, factors), "y", {}, "Gemm")))
    x, found = seen(graph, 2)
    off = executed(graph, x.float(), leaning(1), chance) - run(graph, x)
    drift = found.drift(torch.zeros(2, dtype=torch.float64), SINGLE)
    assert bool((off.norm(dim=1) <= drift).all())
    assert float((off.norm(dim=1) / drift).max()) > 0.1


def test_a_sum_that_always_leans_to_one_side_comes_near() -> None:
    """One dense layer of positive numbers, every rounding upwards, is off by nearly all that is allowed."""
    builder, chance = GraphBuilder.start("x", (400,), Limits()), np.random.default_rng(0)
    weight = builder.parameter(chance.random((3, 400)).astype(np.float32), "w")
    graph = builder.finish(builder.add(Node("dense", "Gemm", ("x", weight), "y", {}, "Gemm")))
    x, found = seen(graph, 2)
    drift = found.drift(torch.zeros(2, dtype=torch.float64), SINGLE)
    exact = run(graph, x)
    worst = 0.0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        for row in range(2):
            answer = torch.tensor(Execution(graph, rng, leaning(1)).run(x[row].numpy())[graph.output])
            worst = max(worst, float((answer - exact[row]).norm() / drift[row]))
    assert 0.2 < worst <= 1.0


def test_magnitudes_of_a_trained_shape_are_far_below_those_of_all_inputs() -> None:
    x, found = seen(NETWORKS["2c2f"])
    far = torch.full((len(x),), 0.3, dtype=torch.float64)
    norms = x.flatten(1).norm(dim=1) + 0.3
    ratio = ledger(NETWORKS["2c2f"]).slack(norms, SINGLE) / found.slack(far, SINGLE)
    assert float(ratio.median()) > 4


def test_the_difference_of_two_errors_is_that_of_their_norm() -> None:
    assert LEAD**2 >= 2
    x, found = seen(NETWORKS["chain"])
    far = torch.full((len(x),), 0.1, dtype=torch.float64)
    both = found.drift(far, SINGLE) + ledger(NETWORKS["chain"]).drift(x.norm(dim=1), UNIT)
    assert bool((found.slack(far, SINGLE) >= LEAD * both * (1 - 1e-12)).all())


def test_anywhere_is_as_far_as_the_clamp_allows() -> None:
    _, found = seen(NETWORKS["dense"])
    anywhere = torch.full((6,), float("inf"), dtype=torch.float64)
    assert bool(torch.isfinite(found.slack(anywhere, SINGLE)).all())
    _, open_ = seen(NETWORKS["chain"])
    assert bool(torch.isinf(open_.slack(anywhere, SINGLE)).all())
