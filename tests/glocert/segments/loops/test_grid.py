from __future__ import annotations

import numpy as np
import pytest

from glocert.segments.loops.grid import merged, refined


@pytest.mark.parametrize("seed", range(8))
def test_vertices_are_merged_and_known_by_their_places(seed):
    rng = np.random.default_rng(seed)
    t = np.unique([0.0, *rng.random(seed), 1.0])
    cuts = np.sort(rng.choice(rng.random(12), 20))
    grid, old, new, piece, share = merged(t, cuts)
    np.testing.assert_array_equal(grid, np.union1d(t, cuts))
    np.testing.assert_array_equal(grid[old], t)
    np.testing.assert_array_equal(grid[new], np.unique(cuts))
    np.testing.assert_array_equal(piece, np.searchsorted(t, grid[new]) - 1)
    np.testing.assert_allclose(t[piece] + share * (t[piece + 1] - t[piece]), grid[new], rtol=1e-15)


def test_any_part_of_a_refined_curve_is_cut_from_the_whole():
    rng = np.random.default_rng(0)
    t, values = np.linspace(0, 1, 5), rng.standard_normal((5, 3))
    grid, _, new, piece, share = merged(t, np.sort(rng.random(11)))
    whole = np.stack([np.interp(grid, t, column) for column in values.T], axis=1)
    for first in range(len(grid)):
        for last in range(first, len(grid)):
            out = np.full((last - first + 1, 3), np.nan)
            refined(values, (new, piece, share), (first, last), out)
            np.testing.assert_allclose(out, whole[first : last + 1], rtol=0, atol=1e-14)
    np.testing.assert_array_equal(out, values[-1:])
