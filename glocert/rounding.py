"""Constants that turn floating-point arithmetic into proofs.

With the unit roundoff ``u`` of a number type, one operation gives the exact result times ``1 + d``, ``|d| <=
u``, plus at most the smallest normal number where it underflows (even where denormals are flushed). A sum of
``n`` products in any order, fused or not, is off by at most ``gamma(n)`` times the sum of the absolute
products, where ``gamma(n) = n u / (1 - n u)`` (Higham, Accuracy and Stability of Numerical Algorithms, 2nd
ed., section 3.1).

Every bound is itself evaluated in the same type. Two devices keep it a bound: ``grow(n)`` multiplies a sum of
``n`` non-negative products so that the result is not below the exact sum, and every coefficient carries two
percent of slack for its own roundings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

_MOST = 0.125
"""Share of ``1 / u`` from which a sum has so many terms that nothing is said about it."""


@dataclass(frozen=True, slots=True)
class Rounding:
    """What one number type makes of the operations of real arithmetic.

    Attributes:
        unit: unit roundoff.
        tiny: exceeds the sum of all underflow errors of one operation on as many numbers as it may have.
    """

    unit: float
    tiny: float

    @property
    def charge(self) -> float:
        """Covers up to fifteen roundings of numbers not larger than what it is multiplied with."""
        return 16 * self.unit

    @property
    def up(self) -> float:
        """Lifts the result of up to eight operations on non-negative numbers above the exact result."""
        return 1 + 16 * self.unit

    def dot(self, terms: int) -> float:
        """Return a bound on the relative error of a sum of ``terms`` products and one more term in any order.

        One further rounding of each product is covered: that of a parameter to this number type. Infinite
        for so many terms that nothing is known.
        """
        lost = (terms + 2) * self.unit
        return 1.02 * lost / (1 - lost) if lost <= _MOST else math.inf

    def grow(self, terms: int) -> float:
        """Return the factor that lifts a computed sum of ``terms`` non-negative products above the exact one.

        The computed sum is at least ``1 - gamma`` times the exact one, and ``1 / (1 - gamma) = 1 + k u / (1 -
        2 k u)`` with k roundings: eight more than the sum has. Rounding the factor itself costs one more.
        """
        lost = (terms + 8) * self.unit
        return 1 + 1.02 * lost / (1 - 2 * lost) + 2 * self.unit if lost <= _MOST else math.inf


DOUBLE = Rounding(2.0**-53, 2.0**-960)
"""float64: sums of fewer than 2**60 numbers."""

SINGLE = Rounding(2.0**-24, 2.0**-100)
"""float32: sums of fewer than 2**25 numbers, each of which may lose the smallest normal number 2**-126."""

UNIT = DOUBLE.unit
"""Unit roundoff of float64."""

TINY = DOUBLE.tiny
"""Exceeds the sum of all underflow errors of one float64 operation on fewer than 2**60 numbers."""

CHARGE = DOUBLE.charge
"""Covers up to fifteen float64 roundings of numbers not larger than the extent of a curve."""

UP = DOUBLE.up
"""Lifts the result of up to eight float64 operations on non-negative numbers above the exact result."""

dot = cache(DOUBLE.dot)
grow = cache(DOUBLE.grow)
