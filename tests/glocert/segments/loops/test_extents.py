from __future__ import annotations

import numpy as np
import pytest

from glocert.segments.loops.extents import extents, peak


def test_extents_are_those_of_numpy():
    values = np.random.default_rng(0).standard_normal((13, 70))
    low, high = extents(values)
    np.testing.assert_array_equal(low, values.min(0))
    np.testing.assert_array_equal(high, values.max(0))
    np.testing.assert_array_equal(extents(values[:1])[0], values[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 1, 2])
def test_a_column_that_is_not_finite_has_no_extent(value, row):
    values = np.random.default_rng(0).standard_normal((3, 9))
    values[row, 4] = value
    for end in extents(values):
        assert np.isnan(end).tolist() == [False] * 4 + [True] + [False] * 4


@pytest.mark.parametrize("ends", [(-3.0, 2.0), (1.0, 2.0), (-2.0, -1.0), (0.0, 0.0)])
def test_a_peak_bounds_both_ends(ends):
    assert peak(*ends) == max(abs(end) for end in ends)
    assert np.isnan(peak(np.nan, ends[1]))
    assert np.isnan(peak(ends[0], np.nan))
