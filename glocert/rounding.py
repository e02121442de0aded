"""Constants that turn float64 arithmetic into proofs.

With the unit roundoff ``u`` of float64, one operation gives the exact result times ``1 + d``, ``|d| <= u``,
plus at most the smallest normal number where it underflows (even where denormals are flushed). A sum of ``n``
products in any order, fused or not, is off by at most ``gamma(n)`` times the sum of the absolute products,
where ``gamma(n) = n u / (1 - n u)`` (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section
3.1).

Every bound is itself evaluated in float64. Two devices keep it a bound: ``grow(n)`` multiplies a sum of ``n``
non-negative products so that the result is not below the exact sum, and every coefficient carries two percent
of slack for its own roundings.
"""

from __future__ import annotations

UNIT = 2.0**-53
"""Unit roundoff of float64."""

TINY = 2.0**-960
"""Exceeds the sum of all underflow errors of one operation on fewer than 2**60 numbers."""

CHARGE = 16 * UNIT
"""Covers up to fifteen roundings of numbers not larger than the extent of a curve."""

UP = 1 + 16 * UNIT
"""Lifts the result of up to eight float64 operations on non-negative numbers above the exact result."""


def dot(terms: int) -> float:
    """Return a bound on the relative error of a sum of ``terms`` products and one more term, in any order.

    Raises:
        ValueError: so many terms that the linear bound would not hold.
    """
    if terms > 2**40:
        raise ValueError(f"{terms} terms in one sum")
    return 1.02 * (terms + 2) * UNIT


def grow(terms: int) -> float:
    """Return the factor that lifts a computed sum of ``terms`` non-negative products above the exact one."""
    return 1 + 1.02 * (terms + 8) * UNIT
