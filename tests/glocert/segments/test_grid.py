from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from glocert.segments.grid import changes, insert, ranges, refine
from glocert.segments.knots import Knots

TIMES = st.lists(st.floats(2**-40, 1 - 2**-40), min_size=1, max_size=8, unique=True)
VALUES = st.floats(-1e300, 1e300)


@given(TIMES, st.lists(st.floats(2**-50, 1 - 2**-50), min_size=1, max_size=12), st.data())
def test_inserted_vertices_stay_within_the_charge(inner, cuts, data):
    t = np.unique([0.0, *inner, 1.0])
    cuts = [cut for cut in cuts if cut not in t]
    if not cuts:
        return
    values = np.array(data.draw(st.lists(st.tuples(VALUES, VALUES), min_size=len(t), max_size=len(t))))
    grid = insert(torch.from_numpy(t), torch.tensor(cuts, dtype=torch.float64))
    x = Knots(torch.from_numpy(values), torch.zeros(2, dtype=torch.float64))
    refined = refine({"x": x}, grid, 0, len(grid.t) - 1)["x"]
    assert set(grid.t.tolist()) == {*t, *cuts}
    for column in range(2):
        charge = Fraction(float(refined.radius[column]))
        low, high = (float(end[column]) for end in refined.extent())
        for vertex, value in zip(grid.t.tolist(), refined.values[:, column].tolist(), strict=True):
            k = min(int(np.searchsorted(t, vertex, side="right")) - 1, len(t) - 2)
            start, stop = Fraction(t[k]), Fraction(t[k + 1])
            a, b = Fraction(values[k, column]), Fraction(values[k + 1, column])
            exact = a + (Fraction(vertex) - start) / (stop - start) * (b - a)
            assert abs(Fraction(value) - exact) <= charge
            assert low <= value <= high


def test_ends_of_parts_are_shared_and_old_vertices_keep_their_bits():
    rng = np.random.default_rng(0)
    t = torch.linspace(0, 1, 6, dtype=torch.float64)
    x = Knots(torch.from_numpy(rng.standard_normal((6, 3))), torch.zeros(3, dtype=torch.float64))
    grid = insert(t, torch.from_numpy(rng.random(20)))
    whole = refine({"x": x}, grid, 0, 25)["x"].values
    assert torch.equal(whole[grid.old], x.values)
    for first, last in ranges(25, 4):
        assert torch.equal(refine({"x": x}, grid, first, last)["x"].values, whole[first : last + 1])


@given(st.integers(1, 500), st.integers(0, 60))
def test_ranges_cover_every_piece_once(pieces, most):
    parts = list(ranges(pieces, most))
    assert parts[0][0] == 0
    assert parts[-1][1] == pieces
    assert all(before[1] == after[0] for before, after in pairwise(parts))
    assert all(0 < last - first <= max(most, 1) for first, last in parts)


def test_long_rows_and_short_rows_are_interpolated_alike():
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.standard_normal((4, 5000)))
    t = torch.linspace(0, 1, 4, dtype=torch.float64)
    grid = insert(t, torch.from_numpy(rng.random(9)))
    still = torch.zeros(5000, dtype=torch.float64)
    long = refine({"x": Knots(values, still)}, grid, 0, 12)["x"].values
    short = refine({"x": Knots(values[:, :7].contiguous(), still[:7])}, grid, 0, 12)["x"].values
    assert torch.equal(long[:, :7], short)


def test_changes_are_where_neighbouring_rows_differ():
    states = torch.tensor([[1, 2, 3], [1, 0, 3], [1, 0, 4]])
    piece, column = changes(states)
    assert (piece.tolist(), column.tolist()) == ([0, 1], [1, 2])
