"""The radius covers whatever the event loop does: the schedule of events is not part of the proof."""

from __future__ import annotations

import numpy as np
import pytest

from glocert.segments.events import network
from glocert.segments.events.loops.begin import begin
from glocert.segments.events.loops.follow import follow
from glocert.segments.events.loops.radius import radius
from glocert.segments.events.loops.tables import BENT, BLOCK, DUE, KIND, OFFSET, STATE, VALUE
from glocert.segments.pieces import Run
from tests.glocert.segments.invariant import worst_share
from tests.glocert.segments.networks import mlp, random_segment
from tests.glocert.segments.rational import exact_curve

ROOM = 400


class Walk:
    """One run of the event loop, with somebody's hands in it."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.graph = mlp(rng, 5, 24, 24, 3)
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
