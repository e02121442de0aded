from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glocert.forms.path import Parts, forms
from glocert.paths.segment import Segment
from tests.glocert.forms.exactness import exact_path, outside
from tests.glocert.segments.rational import exactly

UNIT = st.floats(0, 1)
CPU = torch.device("cpu")


@given(UNIT, UNIT)
def test_parts_reach_over_their_ends(first, second):
    start, stop = sorted((first, second))
    parts = Parts.between(np.array([start]), np.array([stop]))
    middle, half = Fraction(parts.middle[0]), Fraction(parts.half[0])
    assert start <= parts.middle[0] <= stop
    assert middle - half <= Fraction(start)
    assert middle + half >= Fraction(stop)
    assert half <= (Fraction(stop) - Fraction(start)) * Fraction(1 + 1e-6) + Fraction(1, 2**1060)


@given(UNIT, UNIT, UNIT)
def test_positions_are_off_by_three_roundings_at_most(first, second, share):
    start, stop = sorted((first, second))
    t = min(max(start + share * (stop - start), start), stop)
    parts = Parts.between(np.array([start]), np.array([stop]))
    found = Fraction(float(parts.position(np.array([[t]]))[0, 0]))
    half = Fraction(parts.half[0])
    exact = (Fraction(t) - Fraction(parts.middle[0])) / half if half else Fraction(0)
    assert abs(found - exact) <= 3 * Fraction(1, 2**53) * abs(exact) + Fraction(1, 2**1060)
    assert abs(exact) <= 1


@pytest.mark.parametrize("seed", range(20))
def test_exact_points_are_within_the_form(seed):
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.integers(-6, 7, (2, 3))
    start, stop = rng.standard_normal((2, 2, 3)) * scale
    stop[0, 0] = start[0, 0]
    segment = Segment(start, stop, np.full((2, 3), rng.choice([0.0, 1e-17, 1e-3])))
    ends = np.sort(rng.random((3, 2)), axis=1)
    parts = Parts.between(ends[:, 0].copy(), ends[:, 1].copy())
    form = forms(segment.loaded(CPU), parts, CPU)
    assert np.array_equal(form.error[:, 0, 0], segment.radius[0, 0].repeat(3))
    for share in (Fraction(0), Fraction(1, 3), Fraction(1)):
        t = exactly(parts.start) + share * (exactly(parts.stop) - exactly(parts.start))
        u = (t - exactly(parts.middle)) / exactly(parts.half)
        assert outside(form, exact_path(rng, segment, t), u[None]) <= 1.0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_ends_that_are_not_finite_bound_nothing(value):
    path = Segment(np.array([0.0, 1.0]), np.array([value, 1.0]), np.zeros(2)).loaded(CPU)
    form = forms(path, Parts.between(np.array([0.0, 0.5]), np.array([0.5, 0.5])), CPU)
    assert not torch.isfinite(form.peak()[:, 0]).any()
    assert torch.isfinite(form.peak()[:, 1]).all()
