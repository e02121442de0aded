"""Ranges and lower bounds over balls, against exact arithmetic at exact points of each ball."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glocert.forms.backward import Reversal, prepare
from glocert.forms.ball import Ball, behind_clamp
from glocert.forms.enclosure import enclosed, lowest
from glocert.forms.program import prepare as prepare_forms
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.spec import Arithmetic
from glocert.spec_lipschitz import Distance
from tests.glocert.executed import Execution
from tests.glocert.forms.exactness import exact_node
from tests.glocert.lipschitz.networks import Drawing, dense_net
from tests.glocert.segments.networks import Wild, mlp
from tests.glocert.segments.rational import Exact, exactly

NORMS = list(Distance)
ROWS = 3


def reversal_of(graph: Graph, arithmetic: Arithmetic = Arithmetic.REAL) -> Reversal:
    return prepare(prepare_forms(graph, arithmetic=arithmetic))


def random_ball(rng: np.random.Generator, shape: tuple[int, ...], norm: Distance) -> Ball:
    radius = torch.from_numpy(rng.choice([1e-9, 0.01, 0.3, 2.0], ROWS))
    centre = torch.from_numpy(rng.integers(0, 5, (ROWS, *shape)) / 4)
    low, high = ((0.0, 1.0), (-math.inf, math.inf), (-1.0, math.inf))[int(rng.integers(3))]
    return Ball(centre, radius, norm, low, high)


def points(rng: np.random.Generator, ball: Ball, row: int) -> Exact:
    """Return an exact point of a ball, often at its very end."""
    centre, radius = exactly(ball.centre[row].numpy()), Fraction(float(ball.radius[row]))
    away = exactly(rng.integers(-3, 4, centre.shape).astype(object))
    if rng.random() < 0.5:
        away = away * exactly(rng.integers(0, 2, centre.shape).astype(object))
    numbers = [abs(value) for value in away.ravel()]
    length = {
        Distance.L1: sum(numbers),
        Distance.L2: _above(sum(value * value for value in numbers)),
        Distance.LINF: max(numbers),
    }[ball.norm]
    moved = centre + away * (radius / length if length else Fraction(0))
    low, high = ((Fraction(end) if math.isfinite(end) else None) for end in (ball.low, ball.high))
    flat = [_clamped(value, low, high) for value in moved.ravel()]
    return np.array(flat, dtype=object).reshape(centre.shape)


def _clamped(value: Fraction, low: Fraction | None, high: Fraction | None) -> Fraction:
    value = value if low is None else max(value, low)
    return value if high is None else min(value, high)


def _above(square: Fraction) -> Fraction:
    """Return a rational number whose square is not below another, closely."""
    root = Fraction(math.isqrt(int(square * 10**40)) + 1, 10**20)
    assert root * root >= square
    return root


def exact_live(graph: Graph, x: Exact) -> dict[str, Exact]:
    live = {graph.input: x[None]}
    for node in graph.nodes:
        live[node.output] = exact_node(graph, node, live)
    return live


@settings(max_examples=60)
@given(st.integers(0, 10**9), st.booleans(), st.sampled_from(NORMS))
def test_every_range_and_every_bound_holds_at_exact_points(seed: int, whole: bool, norm: Distance) -> None:
    rng = np.random.default_rng(seed)
    graph = Wild(rng, whole).build(int(rng.integers(1, 4)))
    reversal, ball = reversal_of(graph), random_ball(rng, graph.input_shape, norm)
    tape = enclosed(reversal, ball)
    classes = tape.scores.centre.shape[1]
    weights = torch.from_numpy(rng.integers(-1, 2, (ROWS, 2, classes)).astype(np.float64))
    lower = lowest(reversal, tape, ball, weights)
    for row in range(ROWS):
        for _ in range(4):
            live = exact_live(graph, points(rng, ball, row))
            for name, form in tape.forms.items():
                low, high = (end[row].numpy().ravel() for end in form.bounds())
                for value, least, most in zip(live[name].ravel(), low, high, strict=True):
                    assert not least > value
                    assert not most < value
            scores = live[graph.output].ravel()
            for place in range(2):
                found = sum(int(w) * s for w, s in zip(weights[row, place], scores, strict=True))
                value, fall = float(lower.value[row, place]), float(lower.fall[row, place])
                assert not math.isfinite(value) or Fraction(value) - Fraction(fall) <= found


@settings(max_examples=40)
@given(st.integers(0, 10**9), st.sampled_from(NORMS))
def test_float32_executions_stay_in_the_ranges(seed: int, norm: Distance) -> None:
    rng = np.random.default_rng(seed)
    graph = mlp(rng, 4, 6, 5, 3)
    reversal, ball = reversal_of(graph, Arithmetic.FLOAT32), random_ball(rng, graph.input_shape, norm)
    tape = enclosed(reversal, ball)
    classes = tape.scores.centre.shape[1]
    weights = torch.eye(classes, dtype=torch.float64).expand(ROWS, -1, -1)
    lower = lowest(reversal, tape, ball, weights)
    for row in range(ROWS):
        for _ in range(4):
            x = points(rng, ball, row).astype(np.float64)
            scores = Execution(graph, rng).run(x)[graph.output].ravel()
            low, high = (end[row].numpy() for end in tape.scores.bounds())
            assert bool((low <= scores).all())
            assert bool((scores <= high).all())
            assert bool(((lower.value - lower.fall)[row].numpy() <= scores).all())


@pytest.mark.parametrize("norm", NORMS)
def test_an_affine_network_is_bounded_by_the_dual_norm(norm: Distance) -> None:
    net = Drawing(0, (5,))
    graph = net.builder.finish(net.dense("x", 5, 3))
    weight, bias = graph.parameters.values()
    centre, radius = torch.rand(4, 5, dtype=torch.float64), torch.rand(4, dtype=torch.float64)
    ball = Ball(centre, radius, norm, -math.inf, math.inf)
    reversal = reversal_of(graph)
    found = lowest(
        reversal, enclosed(reversal, ball), ball, torch.eye(3, dtype=torch.float64).expand(4, -1, -1)
    )
    truth = centre.numpy() @ weight.T + bias
    order = {Distance.L1: np.inf, Distance.L2: 2, Distance.LINF: 1}[norm]
    dual = np.linalg.norm(weight, order, axis=1)
    assert np.allclose(found.value, truth, rtol=0, atol=1e-12)
    assert bool((found.value.numpy() <= truth + 1e-15).all())
    assert np.allclose(found.steep, np.broadcast_to(dual, (4, 3)), rtol=1e-12)
    assert np.allclose(found.fall, dual * radius.numpy()[:, None], rtol=1e-12)


def test_what_cannot_move_against_its_weight_does_not_count() -> None:
    centre = torch.tensor([[0.0, 1.0, 0.5]], dtype=torch.float64)
    ball = Ball(centre, torch.tensor([0.6], dtype=torch.float64), Distance.L2, 0.0, 1.0)
    weights = torch.tensor([[[1.0, -2.0, 3.0], [-1.0, 2.0, 3.0], [1.0, 1.0, 0.0]]], dtype=torch.float64)
    steep, fall = ball.falls(weights)
    assert np.allclose(steep, [[3.0, math.sqrt(14), 1.0]], rtol=1e-12)
    assert np.allclose(fall, [[1.5, 0.6 * math.sqrt(14), 0.6]], rtol=1e-12)
    down, up = ball.room()
    assert np.allclose(down, [[0.0, 0.6, 0.5]], rtol=1e-12)
    assert np.allclose(up, [[0.6, 0.0, 0.5]], rtol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_lines_of_a_large_ball_hold_on_smaller_ones(norm: Distance) -> None:
    graph, rng = dense_net(3), np.random.default_rng(0)
    graph, low, high = behind_clamp(graph)
    assert (low, high) == (0.0, 1.0)
    assert graph.nodes[0].operator == "Sub"
    reversal = reversal_of(graph)
    centre = torch.from_numpy(rng.random((6, 9)))
    wide = torch.full((6,), 0.2, dtype=torch.float64)
    ball = Ball(centre, wide, norm, low, high)
    weights = torch.eye(4, dtype=torch.float64).expand(6, -1, -1)
    large = lowest(reversal, enclosed(reversal, ball), ball, weights)

    for share in (0.0, 0.3, 0.9):
        away = torch.from_numpy(rng.standard_normal((6, 9)))
        order = {Distance.L1: 1, Distance.L2: 2, Distance.LINF: math.inf}[norm]
        away = away / away.norm(p=order, dim=1, keepdim=True) * (wide * share)[:, None]
        scores = run(graph, (centre + away).clamp(low, high))
        assert bool((scores >= large.value - large.steep * (wide * share)[:, None] - 1e-9).all())


def test_a_clamp_that_is_not_the_beginning_stays() -> None:
    graph = dense_net(0)
    later = Graph(graph.input, graph.output, graph.nodes[:1], graph.parameters, graph.shapes)
    kept = Graph(graph.input, graph.nodes[0].output, later.nodes, graph.parameters, graph.shapes)
    assert behind_clamp(kept) == (kept, -math.inf, math.inf)
    plain, low, high = behind_clamp(graph)
    assert behind_clamp(plain) == (plain, -math.inf, math.inf)
    assert (low, high) == (0.0, 1.0)


def test_time_that_is_over_leaves_ranges_as_they_are() -> None:
    graph = dense_net(1)
    reversal = reversal_of(graph)
    centre = torch.rand(2, 9, dtype=torch.float64)
    ball = Ball(centre, torch.full((2,), 0.1, dtype=torch.float64), Distance.L2, -math.inf, math.inf)
    loose, tight = enclosed(reversal, ball, stop=0.0), enclosed(reversal, ball)
    assert float(loose.scores.error.mean()) > 1.5 * float(tight.scores.error.mean())
