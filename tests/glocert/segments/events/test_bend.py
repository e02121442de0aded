"""What a change of slope does to units, number by number."""

from __future__ import annotations

import numpy as np
import pytest

from glocert.segments.events.loops.bend import bend
from glocert.segments.events.loops.tables import (
    BLOCK,
    DELTA,
    DUE,
    ERROR,
    HIGHEST,
    SENT,
    SIDE,
    SINCE,
    SLOPE,
    STATE,
    VALUE,
)

NOW, REST = 0.5, 0.25


def units(rng, count):
    """Return a state in which units are on either side of zero, some of them on the wrong one."""
    state = np.zeros((STATE, count))
    state[[DELTA, VALUE, SLOPE]] = rng.standard_normal((3, count))
    state[SINCE] = rng.uniform(0.0, NOW, count)
    state[SIDE] = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    state[[ERROR, SENT]] = rng.random((2, count))
    state[HIGHEST] = rng.standard_normal(count)
    return state


@pytest.mark.parametrize("below", [0.0, 0.25, -1.0])
def test_every_row_of_the_state(below):
    rng = np.random.default_rng(0)
    count, start = 5 * 7 * 3, 2 * BLOCK
    before = units(rng, 7 * BLOCK)
    after, least = before.copy(), np.full(7, -1.0)
    box = np.array([1, 3, 2, 6])
    bend(after, least, start, box, (7, 3), (NOW, REST), below)
    inside = np.zeros((5, 7, 3), bool)
    inside[1:3, 2:6] = True
    mine = np.zeros(7 * BLOCK, bool)
    mine[start : start + count] = inside.ravel()
    np.testing.assert_array_equal(after[:, ~mine], before[:, ~mine])

    old, new = before[:, mine], after[:, mine]
    moved = old[SLOPE] * (NOW - old[SINCE])
    value, slope = old[VALUE] + moved, old[SLOPE] + old[DELTA]
    sent = old[DELTA] * np.where(old[SIDE] > 0, 1.0, below)
    wrong = np.maximum(-value * old[SIDE], 0.0)
    assert (wrong > 0).any()
    rounded = abs(value) + 2 * abs(moved) + abs(slope) * REST
    np.testing.assert_allclose(new[VALUE], value, rtol=1e-13)
    np.testing.assert_allclose(new[SLOPE], slope, rtol=1e-13)
    np.testing.assert_allclose(new[DELTA], sent, rtol=1e-13)
    assert (new[SINCE] == NOW).all()
    np.testing.assert_array_equal(new[SIDE], old[SIDE])
    np.testing.assert_allclose(new[ERROR], old[ERROR] + rounded + wrong * 2.0**53, rtol=1e-13)
    np.testing.assert_allclose(new[SENT], old[SENT] + abs(sent) * REST, rtol=1e-13)
    np.testing.assert_allclose(new[HIGHEST], np.maximum(old[HIGHEST], value), rtol=1e-13)
    closes = slope * old[SIDE] < 0
    due = np.where(closes, NOW + np.maximum(value * old[SIDE], 0) / abs(slope), np.inf)
    np.testing.assert_allclose(new[DUE], due, rtol=1e-13)


def test_the_earliest_of_every_block_that_was_touched_is_renewed():
    rng = np.random.default_rng(1)
    state, least = units(rng, 4 * BLOCK), np.full(4, -1.0)
    state[DUE] = rng.random(4 * BLOCK)
    bend(state, least, BLOCK, np.array([0, 1, 0, 40]), (40, 1), (NOW, REST), 0.0)
    earliest = state[DUE].reshape(4, BLOCK).min(axis=1)
    np.testing.assert_array_equal(least[[1, 2]], earliest[[1, 2]])
    np.testing.assert_array_equal(least[[0, 3]], [-1.0, -1.0])
