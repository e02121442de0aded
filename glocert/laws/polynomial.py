"""Laws whose distribution function is a polynomial, or two: exact in rational arithmetic.

The beta law with whole a and b: with n = a + b - 1, ``F(t) = sum_(j=a..n) C(n, j) t^j (1 - t)^(n - j)``,
the probability of at least a successes in n trials. F rises with t, so F at t rounded down and up to a
multiple of ``2^-128`` encloses it; both are whole numbers over ``2^(128 n)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from glocert.laws.continuous import BITS, Whole, whole

_GRID = 128


@dataclass(frozen=True, slots=True)
class Beta:
    """The beta law.

    Attributes:
        a: whole number >= 1.
        b: whole number >= 1.
    """

    a: int
    b: int

    def below(self, t: Fraction) -> Whole:
        """Enclose the probability of [0, t]."""
        scaled, shift = t * (1 << _GRID), _GRID * (self.a + self.b - 1) - BITS
        low, high = self._at(math.floor(scaled)), self._at(math.ceil(scaled))
        if shift <= 0:
            return low << -shift, high << -shift
        return low >> shift, -(-high >> shift)

    def _at(self, m: int) -> int:
        """Return ``F(m 2^-128) 2^(128 n)``: Horner's scheme in m over powers of the rest."""
        n, rest = self.a + self.b - 1, (1 << _GRID) - m
        total, power = 0, 1
        for j in range(n, self.a - 1, -1):
            total = total * m + math.comb(n, j) * power
            power *= rest
        return int(total * m**self.a)


@dataclass(frozen=True, slots=True)
class Triangular:
    """The triangular law on [0, 1].

    Attributes:
        mode: in [0, 1].
    """

    mode: Fraction

    def below(self, t: Fraction) -> Whole:
        """Enclose the probability of [0, t]: ``t^2 / mode`` up to the mode."""
        if t <= self.mode:
            return whole(t * t / self.mode)
        return whole(1 - (1 - t) ** 2 / (1 - self.mode))
