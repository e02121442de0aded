"""Constants to hundreds of bits, by integer arithmetic alone.

Numbers are integers that stand for themselves times ``2^-BITS``. A series is summed with truncated terms:
fewer than 2^10 terms of magnitude below 2^60 in units of which each is off by less than one, so results are
right to far more than the 53 bits that a float64 keeps.
"""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

BITS = 400
ONE = 1 << BITS


def _arctan_inverse(n: int) -> int:
    """``arctan(1 / n)`` by its alternating series."""
    power, total, k = ONE // n, 0, 0
    while power:
        total += (-1) ** k * (power // (2 * k + 1))
        power //= n * n
        k += 1
    return total


def _artanh_inverse(n: int) -> int:
    """``artanh(1 / n)`` by its series."""
    power, total, k = ONE // n, 0, 0
    while power:
        total += power // (2 * k + 1)
        power //= n * n
        k += 1
    return total


PI_FIXED = 4 * (4 * _arctan_inverse(5) - _arctan_inverse(239))
LN2_FIXED = 2 * _artanh_inverse(3)


def fixed_exp(x: Fraction) -> int:
    """``exp(x)`` for ``|x| <= 40`` by its Taylor series."""
    term, total, k = ONE, 0, 0
    while term:
        total += term
        k += 1
        term = int(Fraction(term) * x / k)
    return total


def fixed_erf(x: Fraction) -> int:
    """``erf(x)`` for ``0 <= x <= 6``: ``2/sqrt(pi) sum (-1)^k x^(2k+1) / (k! (2k+1))``."""
    term, total, k = int(x * ONE), 0, 0
    while term:
        total += term // (2 * k + 1)
        k += 1
        term = int(Fraction(-term) * x * x / k)
    return total * 2 * ONE // fixed_sqrt(PI_FIXED)


def fixed_sqrt(x: int) -> int:
    """Square root."""
    return isqrt(x * ONE)


def to_float(x: int) -> float:
    """Return the nearest float64 (division of integers rounds correctly)."""
    return x / ONE


def split(x: int, bits: tuple[int, ...]) -> tuple[float, ...]:
    """Return floats that add up to x: one multiple of ``2^-b`` for each b, by truncation, then the rest."""
    parts = []
    for count in bits:
        head = (x >> (BITS - count)) << (BITS - count)
        parts.append(to_float(head))
        x -= head
    return (*parts, to_float(x))


PI = to_float(PI_FIXED)
LN2 = to_float(LN2_FIXED)
SQRT_HALF = to_float(fixed_sqrt(ONE // 2))
DENSITY = to_float(ONE * ONE // fixed_sqrt(2 * PI_FIXED))
"""``1 / sqrt(2 pi)``."""
