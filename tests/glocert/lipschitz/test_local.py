"""W5: local radii are never below global ones, their enclosures hold, and nothing inside them is flipped."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from glocert.gloro.architectures import build
from glocert.gloro.network import to_graph
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.lipschitz.execution import ledger
from glocert.lipschitz.local import LocalNetwork
from glocert.lipschitz.local_steps import Ball
from glocert.lipschitz.network import bound
from glocert.lipschitz.radius import radii
from glocert.lipschitz.spectrum import proven_norms
from tests.glocert.lipschitz.networks import dense_net, image_net


def gloro(seed: int) -> Graph:
    torch.manual_seed(seed)
    return to_graph(build("2c2f", (1, 8, 8), 4), (1, 8, 8))


NETWORKS = [
    *(dense_net(seed) for seed in range(4)),
    dense_net(5, activation="LeakyRelu"),
    *(image_net(seed) for seed in range(3)),
    gloro(0),
]


def inputs(graph: Graph, count: int, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return torch.rand(count, *graph.input_shape, dtype=torch.float64)


def prepared(graph: Graph) -> LocalNetwork:
    local = LocalNetwork.of(graph, ledger(graph))
    assert local is not None
    return local


def no_slack(far: Tensor) -> Tensor:
    return torch.full_like(far, 1e-9)


def moved(x: Tensor, radius: Tensor, seed: int) -> Tensor:
    """Return random points at the border of every ball, sparse and dense directions."""
    generator = torch.Generator().manual_seed(seed)
    step = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    if seed % 2:
        step = step * (torch.rand(x.shape, generator=generator) < 0.2)
    size = radius / step.flatten(1).norm(dim=1).clamp_min(1e-300)
    return x + step * size.reshape(-1, *[1] * (x.dim() - 1))


@pytest.mark.parametrize("graph", NETWORKS, ids=lambda graph: graph.nodes[0].operator)
@pytest.mark.parametrize("radius", [0.02, 0.2, 1.0])
def test_every_enclosure_holds_what_the_network_computes(graph: Graph, radius: float) -> None:
    local, x = prepared(graph), inputs(graph, 10)
    wide = torch.full((10,), radius, dtype=torch.float64)
    ball = Ball.around(x, wide, ledger(graph).drifts(x.flatten(1).norm(dim=1), 2.0**-53))
    balls = []
    for link in local.links:
        ball = link.through(ball)
        balls.append((link, ball))
    for seed in range(40):
        y = moved(x, wide * (1 if seed < 30 else seed / 60), seed)
        for link, enclosed in balls:
            part = _until(graph, link.graph.output)  # type: ignore[attr-defined]
            value, centre = run(part, y), run(part, x)
            assert bool((value >= enclosed.lower - 1e-12).all())
            assert bool((value <= enclosed.upper + 1e-12).all())
            change = (value - centre).flatten(1)
            assert bool((change.norm(dim=1) <= enclosed.radius * (1 + 1e-9) + 1e-12).all())
            assert bool((change[~enclosed.alive.flatten(1)] == 0).all())


def _until(graph: Graph, output: str) -> Graph:
    position = next(p for p, node in enumerate(graph.nodes) if node.output == output)
    return Graph(graph.input, output, graph.nodes[: position + 1], graph.parameters, graph.shapes)


@pytest.mark.parametrize("graph", NETWORKS, ids=lambda graph: graph.nodes[0].operator)
def test_w5_local_radii_are_at_least_global_and_no_attack_succeeds(graph: Graph) -> None:
    x = inputs(graph, 60)
    scores = run(graph, x).flatten(1)
    begin = radii(scores, bound(graph).pairs, 1e-9).radius
    found = prepared(graph).improve(x, scores, begin, no_slack)
    assert bool((found >= begin).all())
    label = scores.argmax(dim=1)
    for seed in range(60):
        assert torch.equal(run(graph, moved(x, found, seed)).argmax(dim=1), label)
    for rival in range(scores.shape[1]):
        assert torch.equal(_attacked(graph, x, found, label, rival), label)


def _attacked(graph: Graph, x: Tensor, radius: Tensor, label: Tensor, rival: int) -> Tensor:
    """Follow the gradient towards one rival at the border of the ball; return the labels found there."""
    y = moved(x, radius * 0.5, rival)
    column = radius.reshape(-1, *[1] * (x.dim() - 1))
    for _ in range(30):
        y.requires_grad_()
        scores = run(graph, y).flatten(1)
        gap = scores[:, rival] - scores.gather(1, label[:, None])[:, 0]
        (slope,) = torch.autograd.grad(gap.sum(), y)
        length = slope.flatten(1).norm(dim=1).clamp_min(1e-300).reshape(column.shape)
        step = y.detach() + column * slope / length - x
        y = x + step * (column / step.flatten(1).norm(dim=1).reshape(column.shape)).clamp_max(1.0)
    return run(graph, y).flatten(1).argmax(dim=1)


def test_local_radii_are_larger_where_units_cannot_wake_up() -> None:
    graph = dense_net(1)
    x = inputs(graph, 60)
    scores = run(graph, x)
    begin = radii(scores, bound(graph).pairs, 1e-9).radius
    found = prepared(graph).improve(x, scores, begin, no_slack)
    assert float((found / begin).median()) > 1.2


def test_slack_is_taken_off_locally_too() -> None:
    graph = dense_net(2)
    x = inputs(graph, 30)
    scores = run(graph, x)
    lead = scores.topk(2).values
    gap = lead[:, 0] - lead[:, 1]
    trial = torch.full((30,), 1e-6, dtype=torch.float64)
    assert bool((prepared(graph).reached(x, scores, trial, gap * 0.5) == trial * (1 - 4 * 2.0**-53)).any())
    assert bool((prepared(graph).reached(x, scores, trial, gap * 1.01) == 0.0).all())


def test_inputs_without_a_radius_are_left_alone_and_time_ends_the_search() -> None:
    graph = dense_net(3)
    x = inputs(graph, 5)
    scores = run(graph, x)
    begin = torch.tensor([0.0, float("inf"), 0.01, 0.0, 0.01], dtype=torch.float64)
    found = prepared(graph).improve(x, scores, begin, no_slack)
    assert found[[0, 1, 3]].tolist() == [0.0, float("inf"), 0.0]
    assert torch.equal(prepared(graph).improve(x, scores, begin, no_slack, seconds=-1.0), begin)


@pytest.mark.parametrize("shape", [(7, 12), (12, 7), (5, 5)])
def test_norms_of_parts_are_proven_and_close(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape, dtype=torch.float64)
    rows, columns = torch.rand(50, shape[0]) < 0.6, torch.rand(50, shape[1]) < 0.6
    found = proven_norms(matrix, rows, columns)
    for place in range(50):
        part = matrix * (rows[place, :, None] & columns[place, None, :])
        truth = float(torch.linalg.matrix_norm(part, 2))
        assert truth <= float(found[place]) <= 1.06 * truth + 1e-12


def test_what_is_left_of_a_lead_is_that_of_the_worst_corner_of_the_box() -> None:
    graph = dense_net(6)
    last, x = prepared(graph).last, torch.rand(8, 24, dtype=torch.float64)
    wide = torch.full((8,), 0.3, dtype=torch.float64)
    ball = Ball.around(x, wide, {})
    label = run(last.graph, x).argmax(dim=1)
    far, left = last.changes(ball, label)
    for place in range(8):
        for rival in range(4):
            gap = last.matrix.values[label[place]] - last.matrix.values[rival]
            corner = torch.where(gap > 0, ball.lower[place], ball.upper[place])
            scores = run(last.graph, corner[None])[0]
            truth = float(scores[label[place]] - scores[rival])
            assert truth - 1e-9 <= float(left[place, rival]) <= truth
            assert float(gap.norm()) * 0.3 <= float(far[place, rival]) <= float(gap.norm()) * 0.3 * (1 + 1e-9)
