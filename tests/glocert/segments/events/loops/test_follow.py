"""Which event comes first, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from glocert.segments.events.loops.bend import earliest
from glocert.segments.events.loops.follow import _first
from glocert.segments.events.loops.tables import BLOCK


@pytest.mark.parametrize("count", range(1, 35))
def test_the_first_block_with_the_earliest_event(count):
    rng = np.random.default_rng(count)
    for most in (2, 5, 10**6):
        least = rng.integers(0, most, count).astype(np.float64)
        least[rng.random(count) < 0.3] = np.inf
        assert _first(least) == least.argmin()


def test_where_nothing_comes_any_block_will_do():
    assert _first(np.full(19, np.inf)) in range(19)


@pytest.mark.parametrize("place", range(BLOCK))
def test_the_earliest_of_a_block(place):
    due = np.random.default_rng(place).random(BLOCK) + 1.0
    due[place] = 0.5
    assert earliest(due) == 0.5
    due[(place + 1) % BLOCK] = np.nan
    assert earliest(due) == 0.5
    due[:] = np.inf
    assert earliest(due) == np.inf
