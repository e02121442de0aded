"""The radius covers whatever the event loop does: the schedule of events is not part of the proof."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from glocert.budget import Budget
from glocert.graph.ir import Graph
from glocert.rounding import UNIT
from glocert.segments.events import network, sweep
from glocert.segments.events.loops.begin import begin
from glocert.segments.events.loops.follow import follow
from glocert.segments.events.loops.radius import SLACK, radius
from glocert.segments.events.loops.tables import (
    BENT,
    BLOCK,
    DUE,
    ERROR,
    HIGHEST,
    KIND,
    OFFSET,
    SENT,
    SIDE,
    SINCE,
    SLOPE,
    STATE,
    VALUE,
)
from glocert.segments.pieces import Run
from tests.glocert.segments.invariant import worst_share
from tests.glocert.segments.networks import Draft, line, mlp, random_segment
from tests.glocert.segments.rational import exact_curve

ROOM = 400


class Walk:
    """One run of the event loop, with somebody's hands in it."""

    def __init__(self, seed: int, graph: Graph | None = None) -> None:
        rng = np.random.default_rng(seed)
        self.graph = graph or mlp(rng, 5, 24, 24, 3)
        self.segment = random_segment(rng, (5,))
        made = network.prepare(self.graph)
        assert made is not None
        self.network, layers = made, made.plan[0]
        self.state = np.empty((STATE, made.units))
        self.place = (
            self.state,
            np.empty(len(made.owner)),
            np.empty((len(layers), 4), np.int64),
            made.owner,
            np.empty(made.units, np.int64),
        )
        line = self.segment.start, self.segment.stop - self.segment.start
        begin(made.plan, self.place, made.shifts, line, (0.0, 1.0))
        starts = layers[layers[:, KIND] == BENT, OFFSET]
        self.units = np.concatenate([start + np.arange(24) for start in starts])

    def rest(self) -> float:
        """Follow to the end and return the largest error as a share of the radius."""
        due, least = self.state[DUE], self.place[1]
        least[:] = due.reshape(-1, BLOCK).min(axis=1)
        times, scores = np.empty(ROOM), np.empty((ROOM, 3))
        count, _, reached = follow(self.network.plan, self.place, (0.0, 1.0), (times, scores))
        assert count < ROOM
        assert reached == 1.0
        self.before = self.state.copy()
        self.error, known = np.empty(3), (np.zeros(5), self.network.sizes)
        factors = self.network.gammas, self.network.lifts
        radius(self.network.absolute, self.place, known, reached, factors, self.error)
        end = self.state[VALUE, self.network.plan[0][-1, OFFSET] :][:3]
        run = Run(np.append(times[:count], 1.0), np.vstack([scores[:count], end]), self.error)
        return worst_share([run], exact_curve(self.graph, self.segment))


@pytest.mark.parametrize("seed", range(6))
def test_a_unit_that_switches_late_has_its_way_past_zero_charged(seed):
    plain = Walk(seed)
    assert plain.rest() <= 1.0
    late = Walk(seed)
    soon = late.units[np.argsort(late.state[DUE, late.units])[:3]]
    assert (late.state[DUE, soon] < 0.9).all()
    late.state[DUE, soon] += 0.05
    share = late.rest()
    assert share <= 1.0
    assert share > 1e-3  # the error is not roundoff any more
    assert late.error.max() > 1e6 * plain.error.max()


@pytest.mark.parametrize("seed", range(6))
def test_a_unit_that_never_switches_has_its_way_past_zero_charged(seed):
    walk = Walk(seed)
    soon = walk.units[np.argmin(walk.state[DUE, walk.units])]
    walk.state[DUE, soon] = np.inf
    share = walk.rest()
    assert 1e-6 < share <= 1.0


@pytest.mark.parametrize("seed", range(6))
def test_a_unit_that_switches_early_has_its_distance_from_zero_charged(seed):
    walk = Walk(seed)
    soon = walk.units[np.argsort(walk.state[DUE, walk.units])[2]]
    walk.state[DUE, soon] /= 2
    share = walk.rest()
    assert 1e-6 < share <= 1.0


@pytest.mark.parametrize("seed", range(6))
def test_errors_are_not_far_from_those_of_exact_arithmetic(seed):
    walk = Walk(seed)
    assert 0 < walk.rest() <= 1.0
    assert walk.error.max() < 1e-11


@pytest.mark.parametrize("seed", range(4))
def test_every_path_within_the_radius_of_the_path_is_within_the_radius_of_the_scores(seed):
    """Units that are off on the stored path are on on others, and send on what they are then."""
    rng = np.random.default_rng(seed)
    graph, near = mlp(rng, 4, 16, 16, 3), 0.1
    segment = random_segment(rng, (4,))
    made = network.prepare(graph)
    parts = list(sweep.runs(made, replace(segment, radius=np.full(4, near)), Budget()))
    worst = 0.0
    for signs in product((-near, near), repeat=4):
        moved = replace(segment, start=segment.start + signs, stop=segment.stop + signs)
        worst = max(worst, worst_share(parts, exact_curve(graph, moved)))
    assert 0.01 < worst <= 1.0


def reference(walk, layers):
    """Return the radius as ``loops.radius`` describes it, with matrices.

    ``layers``: of each layer but the first the matrix, the absolute shift and the slope below zero; None is a
    sum, a slope of one the scores.
    """
    plan, state = walk.network.plan, walk.before
    gammas = walk.network.gammas
    sent, error = [state[SENT, : len(layers[0][0])]], [np.zeros(len(layers[0][0]))]
    for j, (matrix, shift, below) in enumerate(layers, start=1):
        own = slice(plan[0][j, OFFSET], plan[0][j, OFFSET] + matrix.shape[1])
        spread = (error[-1] + gammas[j - 1] * sent[-1]) @ abs(matrix) + gammas[j] * abs(shift)
        if below is None:
            error.append(spread)
            sent.append(sent[-1] @ abs(matrix))
            continue
        moved = state[SLOPE, own] * (1.0 - state[SINCE, own])
        value = state[VALUE, own] + moved
        rounded = state[ERROR, own] + abs(value) + 2 * abs(moved)
        if below != 1.0:
            rounded = rounded + np.maximum(-value * state[SIDE, own], 0) * 2.0**53
        rounded = SLACK * UNIT * rounded
        before = spread + rounded
        behind = before * max(1.0, abs(below)) + (1 + abs(below)) * rounded
        if below == 1.0:
            behind = before + rounded
        elif below == 0.0:
            top = np.maximum(state[HIGHEST, own], value)
            behind = np.where((state[SIDE, own] < 0) & (top + before < 0), 0.0, behind)
        else:
            behind = behind + 4 * UNIT * state[SENT, own]
        error.append(behind)
        sent.append(state[SENT, own])
    return error[-1]


@pytest.mark.parametrize("below", [0.0, 0.5, 3.0])
def test_the_radius_is_the_one_that_is_written_down(below):
    rng = np.random.default_rng(9)
    draft = Draft(5)
    first, second, last = (rng.standard_normal(shape) for shape in ((12, 5), (11, 12), (3, 11)))
    shift, factor = rng.standard_normal(12), rng.standard_normal(12)
    x = draft.relu(draft.gemm("x", first, shift))
    x = draft.same("Mul", x, factor.astype(np.float32))
    x = draft.same("LeakyRelu", draft.gemm(x, second), alpha=below)
    graph = draft.graph(draft.gemm(x, last, np.ones(3)))
    walk = Walk(0, graph)
    assert walk.rest() <= 1.0
    wide = [graph.parameters[name].astype(np.float64) for name in ("p0", "p1", "p2", "p3", "p4", "p5")]
    layers = [
        (wide[0].T, wide[1], 0.0),
        (np.diag(wide[2]), np.zeros(12), None),
        (wide[3].T, np.zeros(11), below),
        (wide[4].T, wide[5], 1.0),
    ]
    expected = reference(walk, layers)
    np.testing.assert_allclose(walk.error, expected, rtol=1e-9)


@pytest.mark.parametrize(("shift", "off"), [(-0.05, 0.05), (-0.2, 0.0)])
def test_a_unit_sends_nothing_only_where_it_is_below_zero_by_more_than_its_error(shift, off):
    draft = Draft(1)
    x = draft.relu(draft.gemm("x", np.array([[1.0]]), np.array([shift])))
    made = network.prepare(draft.graph(draft.gemm(x, np.array([[1.0], [0.0]]))))
    (part,) = sweep.runs(made, line([0.0], [0.0], radius=0.1), Budget())
    assert off <= part.radius[0] <= 0.11
    assert (part.radius[0] > 1e-12) == (off > 0)
