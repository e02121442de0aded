from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from glocert.paths.rounded import Rounded

numbers = st.one_of(
    st.floats(-2.0, 2.0, allow_subnormal=True),
    st.floats(-1e-150, 1e-150, allow_subnormal=True),
    st.floats(-1e60, 1e60),
    st.sampled_from([0.0, 1.0, 5e-324, -5e-324, 2.0**-1022, 0.1, 1 / 3]),
)
steps = st.lists(st.tuples(st.sampled_from(["+", "-", "*"]), numbers, st.booleans()), min_size=1, max_size=4)


def apply(operator: str, a, b):
    return {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b}[operator]()


def distance(rounded: Rounded, exact: Fraction) -> Fraction:
    return abs(Fraction(float(rounded.value)) - exact)


@given(start=numbers, steps=steps)
@example(start=5e-324, steps=[("*", 0.5, False)])
@example(start=1e-170, steps=[("*", 1e-170, False), ("*", 1e60, False)])
def test_the_exact_number_is_within_the_radius_after_any_chain(start, steps):
    rounded, exact = Rounded.exact(start), Fraction(start)
    for operator, number, on_itself in steps:
        other = rounded if on_itself else Rounded.exact(number)
        exact = apply(operator, exact, exact if on_itself else Fraction(number))
        rounded = apply(operator, rounded, other)
        if not (np.isfinite(rounded.value) and np.isfinite(rounded.radius)):
            return
        assert distance(rounded, exact) <= Fraction(float(rounded.radius))


@given(
    a=numbers,
    b=numbers,
    wide=st.floats(0, 10),
    narrow=st.floats(0, 10),
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 2),
)
def test_wide_radii_cover_the_corners(a, b, wide, narrow, signs):
    first = Rounded(np.asarray(a), np.asarray(wide))
    second = Rounded(np.asarray(b), np.asarray(narrow))
    corner = Fraction(a) + signs[0] * Fraction(wide), Fraction(b) + signs[1] * Fraction(narrow)
    for operator in "+-*":
        result = apply(operator, first, second)
        assert distance(result, apply(operator, *corner)) <= Fraction(float(result.radius))


def test_the_radius_stays_near_one_rounding():
    total = Rounded.exact(0.1) + Rounded.exact(0.2)
    assert 2.0**-56 < float(total.radius) < 2.0**-54


def test_broadcasting_keeps_numbers_and_gives_arrays_of_their_own():
    one = Rounded(np.float64(3.0), np.float64(0.5)).like((2, 2))
    one.value[0, 0] = 7.0
    assert one.value.tolist() == [[7.0, 3.0], [3.0, 3.0]]
    assert one.radius.tolist() == [[0.5, 0.5], [0.5, 0.5]]
