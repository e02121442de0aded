from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocert.certification.statistics import alike, wilson


@pytest.mark.parametrize(
    ("right", "items", "lower", "upper"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (29, 29, 0.8830, 1.0)],
)
def test_intervals_of_the_literature(right, items, lower, upper) -> None:
    """Examples of Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    found = wilson(right, items)
    assert (found.lower, found.upper) == pytest.approx((lower, upper), abs=5e-5)


def test_no_item_says_nothing() -> None:
    assert wilson(0, 0).to_json() == {"lower": 0.0, "upper": 1.0}


@given(items=st.integers(1, 500), data=st.data())
def test_intervals_hold_the_share_and_mirror(items, data) -> None:
    right = data.draw(st.integers(0, items))
    found, mirror = wilson(right, items), wilson(items - right, items)
    assert 0 <= found.lower <= right / items <= found.upper <= 1
    assert found.lower == pytest.approx(1 - mirror.upper, abs=1e-12)


@pytest.mark.parametrize(
    ("first", "second", "expected"), [(0, 0, True), (5, 0, True), (6, 0, False), (9, 1, False), (8, 2, True)]
)
def test_only_items_that_differ_tell_apart(first, second, expected) -> None:
    """Two-sided binomial p: 5:0 0.0625, 6:0 0.03125, 9:1 0.0215, 8:2 0.109."""
    one = np.array([True] * first + [False] * second + [True] * 50 + [False] * 50)
    other = np.array([False] * first + [True] * second + [True] * 50 + [False] * 50)
    assert alike(one, other) is expected
    assert alike(other, one) is expected
