"""Following event by event, against exact rational arithmetic and against the curve by grids."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from glocert.budget import Budget
from glocert.segments import prepare
from glocert.segments.curve import joined
from glocert.segments.events import network, sweep
from glocert.segments.fusion import fuse
from glocert.segments.walk import blocks
from tests.glocert.segments.invariant import runs_of, worst_share
from tests.glocert.segments.networks import Draft, line, mlp, random_segment, scalar_line
from tests.glocert.segments.rational import exact_curve


def followed(graph, segment, budget=None, span=(0.0, 1.0), room=None):
    made = network.prepare(fuse(graph))
    assert made is not None
    return list(sweep.runs(made, segment, budget or Budget(), span, room))


def conv_network(rng):
    draft = Draft(2, 7, 7)
    x = draft.relu(draft.conv("x", rng.standard_normal((5, 2, 3, 3)) / 3, rng.standard_normal(5), (2, 2)))
    y = draft.relu(draft.conv(x, rng.standard_normal((5, 5, 3, 3)) / 5, None, (1, 1), (1, 1, 1, 1)))
    y = draft.conv(y, rng.standard_normal((5, 5, 3, 3)) / 5, rng.standard_normal(5), (1, 1), (1, 1, 1, 1))
    z = draft.relu(draft.node("Add", [y, x], draft.shapes[x]))
    return draft.graph(draft.gemm(draft.flat(z), rng.standard_normal((3, 45)) / 9))


@pytest.mark.parametrize("seed", range(4))
def test_the_truth_is_within_the_radius_wherever_values_are_computed_anew(seed):
    rng = np.random.default_rng(seed)
    graph = conv_network(rng) if seed % 2 else mlp(rng, 6, 30, 30, 30, 3)
    segment = random_segment(rng, graph.input_shape)
    truth = exact_curve(graph, segment)
    for room in (2, 5, 1024):
        parts = followed(graph, segment, room=room)
        assert worst_share(parts, truth) <= 1.0
        assert len(parts) == 1 or room < 1024
        assert all(before.t[-1] == after.t[0] for before, after in pairwise(parts))


@pytest.mark.parametrize("seed", range(6))
def test_events_and_grids_find_the_same_corners(seed):
    rng = np.random.default_rng(seed)
    graph = conv_network(rng) if seed % 2 else mlp(rng, 8, 40, 40, 40, 3)
    segment = random_segment(rng, graph.input_shape)
    events, grids = joined(followed(graph, segment)), joined(runs_of(graph, segment))
    np.testing.assert_allclose(events.at(grids.t), grids.scores, atol=1e-12)
    np.testing.assert_allclose(grids.at(events.t), events.scores, atol=1e-12)
    assert abs(events.pieces - grids.pieces) <= 0.02 * grids.pieces


@pytest.mark.parametrize("span", [(0.0, 0.3), (0.25, 0.5), (0.7, 1.0)])
def test_a_part_of_the_path_is_that_part_of_the_curve(span):
    rng = np.random.default_rng(5)
    graph = conv_network(rng)
    segment = random_segment(rng, graph.input_shape)
    part, whole = joined(followed(graph, segment, span=span)), joined(followed(graph, segment))
    assert [part.t[0], part.t[-1]] == list(span)
    np.testing.assert_allclose(part.scores, whole.at(part.t), atol=1e-12)
    (by_grid,) = (block.t.tolist() for block in blocks(prepare(graph), segment, Budget(), span))
    assert [by_grid[0], by_grid[-1]] == list(span)


def test_units_that_switch_at_once_switch_in_one_event_however_little_room_there_is():
    """A plain image: every unit of a channel is at zero at the same t."""
    draft = Draft(1, 40, 40)
    x = draft.relu(draft.conv("x", np.ones((3, 1, 1, 1)), np.array([-0.5, -0.25, -0.75])))
    graph = draft.graph(draft.gemm(draft.flat(x), np.ones((2, 4800)) / 4096))
    segment = line(np.zeros((1, 40, 40)), np.ones((1, 40, 40)))
    for room in (2, 3, 100):
        parts = followed(graph, segment, room=room)
        assert worst_share(parts, exact_curve(graph, segment)) <= 1.0
        assert {0.25, 0.5, 0.75} <= set(joined(parts).t)


def test_many_units_at_zero_at_the_start_do_not_stop_the_search():
    draft = Draft(1)
    side = np.where(np.arange(500) % 2, 1.0, -1.0)[:, None]
    x = draft.relu(draft.gemm("x", side, np.zeros(500)))
    x = draft.relu(draft.gemm(x, np.ones((2, 500)) / 512, np.full(2, -0.25)))
    graph = draft.graph(draft.gemm(x, np.eye(2)))
    parts = followed(graph, scalar_line(), room=2)
    assert parts[-1].t[-1] == 1.0
    assert worst_share(parts, exact_curve(graph, scalar_line())) <= 1.0


def test_a_unit_that_never_moves_off_zero_is_below_it():
    draft = Draft(1)
    x = draft.relu(draft.gemm("x", np.array([[0.0], [1.0]]), np.array([0.0, -0.5])))
    graph = draft.graph(draft.gemm(x, np.array([[1.0, 1.0], [2.0, -1.0]])))
    curve = joined(followed(graph, scalar_line()))
    np.testing.assert_allclose(curve.scores[-1], [0.5, -0.5])
    assert curve.radius.max() < 1e-13


@pytest.mark.parametrize("alpha", [-1.0, 0.01, 1.0, 3.0])
def test_leaky_slopes_of_any_size(alpha):
    rng = np.random.default_rng(3)
    draft, x = Draft(4), "x"
    for _ in range(3):
        size = draft.shapes[x][0]
        x = draft.same("LeakyRelu", draft.gemm(x, rng.standard_normal((9, size)) / 2), alpha=alpha)
    graph = draft.graph(draft.gemm(x, rng.standard_normal((3, 9))))
    segment = random_segment(rng, (4,))
    assert worst_share(followed(graph, segment), exact_curve(graph, segment)) <= 1.0


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e308])
def test_what_is_not_finite_has_no_finite_radius(value):
    rng = np.random.default_rng(0)
    graph = mlp(rng, 3, 8, 8, 2)
    parts = followed(graph, line([value, 0.0, 1.0], [1.0, 2.0, value]))
    assert parts
    assert all(not np.isfinite(part.radius).any() or np.isfinite(part.scores).all() for part in parts)
    assert not np.isfinite(np.concatenate([part.radius for part in parts])).all()


def test_the_radius_of_the_path_counts():
    draft = Draft(2)
    x = draft.relu(draft.gemm("x", np.array([[1.0, -2.0]]), np.array([0.5])))
    graph = draft.graph(draft.gemm(x, np.array([[3.0]])))
    (part,) = followed(graph, line([0.0, 0.0], [1.0, 0.25], radius=0.125))
    assert 3 * 0.375 <= part.radius[0] <= 3 * 0.375 * (1 + 1e-12)


def test_a_spent_budget_leaves_the_rest_of_the_path():
    rng = np.random.default_rng(1)
    graph = mlp(rng, 10, 60, 60, 3)
    segment = random_segment(rng, (10,))
    whole = followed(graph, segment, room=8)
    clock = iter(range(100))
    some = followed(graph, segment, Budget(deadline=2.5, clock=lambda: float(next(clock))), room=8)
    assert 0 < len(some) < len(whole)
    assert some[-1].t[-1] == whole[len(some) - 1].t[-1]
    assert len(followed(graph, segment, Budget(pieces=3))[0].t) <= 5
