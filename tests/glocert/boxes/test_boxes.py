from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from glocert.boxes.boxes import DEEPEST, Boxes
from glocert.boxes.ledger import Open, Volume, enclosing


@given(axes=st.lists(st.integers(0, 2), max_size=40))
def test_halves_are_the_whole_exactly(axes):
    boxes, volume = Boxes.whole(3), Volume()
    for axis in axes:
        halves = boxes.halves(np.full(len(boxes), axis))
        assert (halves.lower[0] == boxes.lower[0]).all()
        assert (halves.upper[1] == boxes.upper[0]).all()
        assert halves.upper[0, axis] == halves.lower[1, axis] == boxes.middle[0, axis]
        volume.add(halves.take(slice(0, 1)))
        boxes = halves.take(slice(1, 2))
    volume.add(boxes)
    assert volume.exact == 1


def test_the_deepest_box_has_exact_ends():
    boxes = Boxes.whole(1)
    for _ in range(DEEPEST):
        boxes = boxes.halves(np.zeros(1, int)).take(slice(1, 2))
    assert boxes.upper[0, 0] == 1.0
    assert Fraction(boxes.middle[0, 0]) == 1 - Fraction(1, 2 ** (DEEPEST + 1))


@given(lower=st.fractions(0, 1), upper=st.fractions(0, 1))
def test_shares_are_rounded_outwards(lower, upper):
    found = enclosing(lower, upper)
    assert Fraction(found.lower) <= lower
    assert upper <= Fraction(found.upper)


def test_open_boxes_count_with_their_shares():
    rows = Open(
        Boxes.whole(2).halves(np.zeros(1, int)), np.zeros(2, int), np.array([0.5, 0.0]), np.array([0.25, 1.0])
    )
    assert rows.sums() == (Fraction(1, 4), Fraction(5, 8))
    assert rows.undecided.tolist() == [0.125, 0.0]
