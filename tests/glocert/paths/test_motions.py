from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest

from glocert.paths.motions import Joined, Rotation, Scaling, Shear, Translation
from tests.glocert.paths.warping import number, rows, source

MOTIONS = [
    Rotation(-170.0, 200.0),
    Scaling(0.3, 2.0),
    Shear(-1.0, 2.0),
    Translation((1.0, -2.0), (3.0, 2.5)),
    Joined((Rotation(0.0, 50.0), Translation((0.0, 0.0), (3.0, 1.0)), Scaling(1.0, 1.5))),
]


def _entries(motion, t):
    """Return the six numbers of the exact map."""
    corner = source(motion, t, mpmath.mpf(0), mpmath.mpf(0))
    right, down = (
        source(motion, t, mpmath.mpf(1), mpmath.mpf(0)),
        source(motion, t, mpmath.mpf(0), mpmath.mpf(1)),
    )
    return [[right[i] - corner[i], down[i] - corner[i], corner[i]] for i in range(2)]


def _distance(jet, u, truth):
    """Return how far the exact number is from the polynomial, and the rest that is admitted."""
    total = number(float(jet.value[0]))
    for a, x in enumerate(u):
        total += number(float(jet.first[a, 0])) * number(x)
        total += sum(number(float(jet.second[a, b, 0])) * number(x * y) for b, y in enumerate(u)) / 2
    return abs(truth - total), number(float(jet.rest[0]))


@pytest.mark.parametrize("motion", MOTIONS, ids=lambda motion: type(motion).__name__)
@pytest.mark.parametrize("half", [0.2, 0.01, 1e-5, 0.0])
def test_exact_maps_are_within_the_rest_which_is_no_larger_than_it_must_be(motion, half):
    k, largest = motion.dimensions, mpmath.mpf(0)
    for middle in (0.2, 0.45, 0.8):
        matrix = motion.matrix(*rows([([middle] * k, [half] * k)]))
        for sign in (-1, 1):
            u = [Fraction(sign)] * k
            exact = _entries(motion, [Fraction(middle) + Fraction(half) * x for x in u])
            for row, truths in zip(matrix, exact, strict=True):
                for jet, truth in zip(row, truths, strict=True):
                    distance, rest = _distance(jet, u, truth)
                    assert distance <= rest
                    largest = max(largest, distance / rest) if rest else largest
    if half > 1e-3 and not isinstance(motion, Shear | Translation):
        assert largest > 0.2


def test_what_a_motion_is_in_float64():
    for motion in MOTIONS:
        exact = _entries(motion, [Fraction(0.3)] * motion.dimensions)
        found = motion.at([0.3] * motion.dimensions)
        assert all(abs(number(float(found[i, j])) - exact[i][j]) < 1e-14 for i in range(2) for j in range(3))


def test_whole_quarter_turns_are_exact_in_float64():
    assert Rotation(0.0, 90.0).at([1.0]).tolist() == [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]
    assert Rotation(0.0, -180.0).at([1.0]).tolist() == [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]


def test_a_factor_that_may_be_zero_is_not_known():
    (entry, _, _), _ = Scaling(0.1, 1.0).matrix(*rows([([0.05], [0.5])]))
    assert float(entry.rest[0]) == float("inf")
