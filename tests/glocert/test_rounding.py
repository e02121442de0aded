"""Constants that turn floating-point arithmetic into proofs, against exact rationals."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from glocert.rounding import DOUBLE, SINGLE, Rounding

TERMS = [0, 1, 9, 1000, 10**5, 2**20]


@pytest.mark.parametrize("rounding", [DOUBLE, SINGLE])
@pytest.mark.parametrize("terms", TERMS)
def test_factors_exceed_what_sums_lose(rounding: Rounding, terms: int) -> None:
    unit = Fraction(rounding.unit)
    gamma = {count: count * unit / (1 - count * unit) for count in (terms + 2, terms + 8)}
    dot, lift = (
        np.float32(x) if rounding is SINGLE else x for x in (rounding.dot(terms), rounding.grow(terms))
    )
    assert Fraction(float(dot)) > gamma[terms + 2]
    assert Fraction(float(lift)) * (1 - gamma[terms + 8]) > 1
    assert Fraction(rounding.up) * (1 - unit) ** 9 > 1


def test_sums_of_too_many_terms_say_nothing() -> None:
    assert SINGLE.dot(2**21) == SINGLE.grow(2**21) == math.inf
    assert math.isfinite(DOUBLE.dot(2**21))
