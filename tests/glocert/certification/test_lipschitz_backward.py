"""Radii by backward bounds: known ones where they are known, and no point inside one is ever flipped."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from glocert.certification.lipschitz_backward import Backward
from glocert.gloro.architectures import build
from glocert.gloro.network import to_graph
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.lipschitz.execution import ledger
from glocert.lipschitz.local import LocalNetwork
from glocert.spec_lipschitz import Distance, Execution, LipschitzSpec
from tests.glocert.executed import Execution as Executed
from tests.glocert.lipschitz.networks import Drawing, dense_net, image_net

NORMS = list(Distance)
ORDER = {Distance.L1: 1.0, Distance.L2: 2.0, Distance.LINF: math.inf}


def gloro(seed: int) -> Graph:
    torch.manual_seed(seed)
    return to_graph(build("2c2f", (1, 8, 8), 4), (1, 8, 8))


def plane_net(seed: int) -> Graph:
    """Two inputs, so that a grid sees everything; Clip in front."""
    net = Drawing(seed, (2,))
    x = net.add("Clip", "x", min=0.0, max=1.0)
    for inputs in (2, 8):
        x = net.add("Relu", net.dense(x, inputs, 8))
    return net.builder.finish(net.dense(x, 8, 3))


def member(graph: Graph, *epsilons: float, **wanted: object) -> Backward:
    book = ledger(graph)
    spec = LipschitzSpec(epsilons, **wanted)  # type: ignore[arg-type]
    found = Backward.of(graph, book, LocalNetwork.of(graph, book), spec)
    assert found is not None
    return found


def proven(graph: Graph, x: Tensor, *epsilons: float, **wanted: object) -> tuple[Tensor, Tensor]:
    label = run(graph, x).flatten(1).argmax(1)
    begin = torch.zeros(len(x), dtype=torch.float64)
    return label, member(graph, *epsilons, **wanted).improve(x, label, begin, seconds=60)


@pytest.mark.parametrize("norm", NORMS)
def test_a_linear_network_gets_its_true_distance(norm: Distance) -> None:
    net = Drawing(1, (6,))
    graph = net.builder.finish(net.dense("x", 6, 4))
    x = torch.rand(20, 6, dtype=torch.float64)
    weight, scores = torch.from_numpy(next(iter(graph.parameters.values()))), run(graph, x)
    label, found = proven(graph, x, 100.0, norm=norm, arithmetic=Execution.REAL)
    order = {Distance.L1: math.inf, Distance.L2: 2.0, Distance.LINF: 1.0}[norm]
    dual = (weight[label][:, None] - weight[None]).norm(p=order, dim=2)
    lead = scores.gather(1, label[:, None]) - scores
    truth = torch.where(dual > 0, lead / dual, torch.inf).amin(1)
    assert bool((found <= truth).all())
    assert torch.allclose(found, truth, rtol=1e-9)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("arithmetic", list(Execution))
@pytest.mark.parametrize("seed", [3, 9, 11])
def test_a_dense_grid_of_the_plane_finds_no_flip(seed: int, arithmetic: Execution, norm: Distance) -> None:
    graph = plane_net(seed)
    grid = torch.linspace(0.0, 1.0, 201, dtype=torch.float64)
    all_ = torch.cartesian_prod(grid, grid)
    labels = run(graph, all_).argmax(1)
    x = torch.rand(30, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x[:6] = x[:6].round()
    label, found = proven(graph, x, 0.02, 0.2, 2.0, norm=norm, arithmetic=arithmetic)
    apart = torch.cdist(x, all_, p=ORDER[norm])
    nearest = torch.where(labels[None] == label[:, None], torch.inf, apart).amin(1)
    assert bool((found <= nearest).all())
    near = torch.isfinite(nearest)
    assert float((found / nearest)[near].median()) > 0.4


def _attacked(graph: Graph, x: Tensor, radius: Tensor, label: Tensor, norm: Distance) -> Tensor:
    """Return the labels at the rims of the balls, against the leads of all rivals."""
    column = radius.reshape(-1, *[1] * (x.dim() - 1))
    wrong = torch.zeros(len(x), dtype=torch.bool)
    for rival in range(run(graph, x[:1]).shape[-1]):
        y = x.clone()
        for _ in range(25):
            y.requires_grad_()
            scores = run(graph, y).flatten(1)
            gap = scores[:, rival] - scores.gather(1, label[:, None])[:, 0]
            (slope,) = torch.autograd.grad(gap.sum(), y)
            y = x + column * _steepest(slope, norm)
            wrong |= run(graph, y).flatten(1).argmax(1) != label
    return wrong


def _steepest(slope: Tensor, norm: Distance) -> Tensor:
    flat = slope.flatten(1)
    if norm is Distance.LINF:
        return flat.sign().reshape(slope.shape)
    if norm is Distance.L2:
        return (flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-300)).reshape(slope.shape)
    place = flat.abs().argmax(1, keepdim=True)
    return torch.zeros_like(flat).scatter(1, place, flat.gather(1, place).sign()).reshape(slope.shape)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    "graph",
    [dense_net(0), dense_net(5, activation="LeakyRelu"), image_net(1), gloro(0)],
    ids=["dense", "leaky", "image", "gloro"],
)
def test_no_attack_inside_a_radius_succeeds_and_outside_some_do(graph: Graph, norm: Distance) -> None:
    torch.manual_seed(0)
    x = torch.rand(12, *graph.input_shape, dtype=torch.float64)
    label, found = proven(graph, x, 0.05, 0.3, 5.0, norm=norm, arithmetic=Execution.REAL)
    assert bool((found > 0).all())
    assert not bool(_attacked(graph, x, found, label, norm).any())
    assert bool(_attacked(graph, x, found * 4, label, norm).any())


def test_float32_executions_inside_a_radius_answer_the_same() -> None:
    graph, rng = dense_net(2), np.random.default_rng(0)
    x = torch.rand(6, 9, generator=torch.Generator().manual_seed(0)).double()
    label, found = proven(graph, x, 0.01, 0.3)
    real = proven(graph, x, 0.01, 0.3, arithmetic=Execution.REAL)[1]
    assert bool((found <= real * (1 + 0.03)).all())
    for row in range(6):
        for _ in range(10):
            away = rng.standard_normal(9)
            away *= float(found[row]) * (1 - 1e-5) / np.linalg.norm(away)
            moved = (x[row].numpy() + away).astype(np.float32).astype(np.float64)
            assert int(Executed(graph, rng).run(moved)[graph.output].argmax()) == int(label[row])


def test_epsilons_that_are_asked_for_are_tried_themselves() -> None:
    graph = dense_net(4)
    x = torch.rand(20, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    label, found = proven(graph, x, 0.05)
    assert bool((found > 0.05).any())
    exact = found[found > 0.05]
    assert float(exact.max()) < 0.05 * (1 + 2.0**-19)
    again = member(graph, 0.05).improve(x, label, torch.full((20,), 0.06, dtype=torch.float64), seconds=60)
    assert bool((again == 0.06).all())


def test_time_ends_the_search_and_what_rounds_unknown_is_no_member() -> None:
    graph = dense_net(0)
    x = torch.rand(3, 9, dtype=torch.float64)
    begin = torch.tensor([0.0, 0.001, 0.002], dtype=torch.float64)
    label = run(graph, x).argmax(1)
    assert torch.equal(member(graph, 0.1).improve(x, label, begin, seconds=-1.0), begin)
    smooth = dense_net(1, activation="Sigmoid")
    assert Backward.of(smooth, ledger(smooth), None, LipschitzSpec((0.1,))) is None
    real = LipschitzSpec((0.01,), arithmetic=Execution.REAL)
    found = Backward.of(smooth, ledger(smooth), None, real)
    assert found is not None
    label = run(smooth, x).argmax(1)
    assert bool((found.improve(x, label, begin * 0, seconds=60) > 0).all())


def test_a_tie_has_no_radius() -> None:
    net = Drawing(0, (3,))
    weight = net.builder.parameter(np.ones((2, 3)), "w")
    graph = net.builder.finish(net.add("Gemm", "x", weight))
    x = torch.rand(4, 3, dtype=torch.float64)
    assert bool((proven(graph, x, 0.1, arithmetic=Execution.REAL)[1] == 0).all())


def test_what_local_boxes_say_covers_float32_executions_where_those_are_asked_for() -> None:
    graph, rng = dense_net(0), np.random.default_rng(0)
    x = torch.rand(4, 9, generator=torch.Generator().manual_seed(0)).double()
    tiny = torch.full((4,), 1e-12, dtype=torch.float64)
    missed = {}
    for arithmetic in Execution:
        ranges = member(graph, 0.1, arithmetic=arithmetic)._known(x, tiny)
        missed[arithmetic] = 0
        for row in range(4):
            for _ in range(5):
                live = Executed(graph, rng).run(x[row].numpy())
                for name in set(ranges) & set(live):
                    low, high = (end[row].numpy() for end in (ranges[name].low, ranges[name].high))
                    missed[arithmetic] += int(((live[name] < low) | (live[name] > high)).sum())
    assert missed[Execution.FLOAT32] == 0
    assert missed[Execution.REAL] > 0
