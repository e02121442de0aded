"""How the checker carries a radius through selections and sums, against exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from glocert_check.operators import TRANSFERS, Curve

NODES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "Gather": ({"axis": 1, "indices": [2, 0, 2, 2, 1]}, (4, 5, 2)),
    "ReduceSum": ({"axes": [0, 2]}, (3,)),
}


def _truth(operator: str, x: np.ndarray) -> np.ndarray:
    """The operator on one sample of fractions."""
    if operator == "Gather":
        return np.stack([x[:, place] for place in (2, 0, 2, 2, 1)], axis=1)
    return np.array([sum(x[:, row].reshape(-1), Fraction(0)) for row in range(3)])


@pytest.mark.parametrize("operator", NODES)
def test_every_point_within_the_radius_stays_within_it(operator: str) -> None:
    attributes, shape = NODES[operator]
    rng = np.random.default_rng(1)
    values = rng.standard_normal((3, 4, 3, 2)) * 10.0 ** rng.integers(-3, 9, (4, 3, 2))
    radius = rng.random((4, 3, 2)) * 1e-3
    result = TRANSFERS[operator]({"attributes": attributes}, shape, [Curve(values, radius)])
    assert result.values.shape == (3, *shape)
    assert result.radius.shape == shape
    exactly = np.frompyfunc(Fraction, 1, 1)
    for vertex in range(3):
        for sign in (-1, 1):
            point = exactly(values[vertex]) + sign * exactly(radius)
            error = np.abs(_truth(operator, point) - exactly(result.values[vertex]))
            assert (error <= exactly(result.radius)).all()


def test_a_sum_of_numbers_that_cancel_pays_for_its_rounding() -> None:
    values = np.array([[1e16, 1.0, -1e16, 1.0]])
    result = TRANSFERS["ReduceSum"]({"attributes": {"axes": [0]}}, (), [Curve(values, np.zeros(4))])
    assert abs(float(result.values[0]) - 2.0) <= float(result.radius)
    assert float(result.radius) < 100
