from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import factorial, prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocert.boxes.shares import positive


def exact(centre: Fraction, slopes: list[Fraction]) -> Fraction:
    """The share of [-1, 1]^k on which ``centre + slopes u > 0``."""
    sizes = [2 * abs(s) for s in slopes if s]
    if not sizes:
        return Fraction(centre > 0)
    level = centre + sum(sizes) / 2
    total = sum(
        (-1) ** sum(chosen)
        * max(level - sum(b for b, c in zip(sizes, chosen, strict=True) if c), Fraction(0)) ** len(sizes)
        for chosen in product((0, 1), repeat=len(sizes))
    )
    return min(total / (factorial(len(sizes)) * prod(sizes)), Fraction(1))


numbers = st.one_of(
    st.floats(-4, 4), st.sampled_from([0.0, 1.0, -1.0, 1e-3, 1e-4, -1e-9, 1e-300, 2.0**-10, 1e9])
)


@given(
    centre=numbers, slopes=st.lists(numbers, min_size=1, max_size=3), error=st.sampled_from([0.0, 0.1, 1e-9])
)
def test_shares_are_never_too_large_and_hardly_too_small(centre, slopes, error):
    found = positive(np.array([centre]), np.array([slopes]).T, np.array([error]))[0]
    exactly = [Fraction(s) for s in slopes]
    truth = exact(Fraction(centre) - Fraction(error), exactly)
    assert Fraction(float(found)) <= truth
    largest = max(map(abs, slopes))
    if largest:
        slight = [s for s in exactly if abs(s) < Fraction(largest) * Fraction(1.001) / 1024]
        less = exact(
            Fraction(centre) - Fraction(error) - sum(map(abs, slight)),
            [s for s in exactly if s not in slight],
        )
        assert found >= float(less) - 1e-5


def test_a_diagonal_halves_a_square():
    assert positive(np.zeros(1), np.ones((2, 1)), np.zeros(1))[0] == pytest.approx(0.5, abs=1e-5)


def test_nothing_is_known_of_what_is_not_finite():
    assert positive(np.array([1.0, np.nan]), np.ones((2, 2)), np.array([np.inf, 0.0])).tolist() == [0.0, 0.0]
