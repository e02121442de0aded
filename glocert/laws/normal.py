"""The normal law, given that the value lies on the path.

With ``S(z)`` the integral of ``exp(-u^2 / 2)`` from 0 to z, the distribution function of the truncated law is
``(S(z) - S(first)) / (S(last) - S(first))``: the factor of the density cancels.

``S(z) = sum (-1)^k z^(2k+1) / (2^k k! (2k+1))``, summed in whole numbers of ``2^-BITS`` for 0 <= z <= 16. z
is first rounded down to such a number; S rises by less than z does, so that costs at most one unit upwards.
With ``q = z^2 / 2 <= 128`` the terms before the division by 2k+1 follow ``T_k = T_(k-1) q / k``, each rounded
down: an error made at one term reaches the one that is m further on multiplied by at most ``q^m / m!``, and
all these together by at most ``exp(q) < 2^185``. There are fewer than 2^11 terms (q^k / k! < 2^-BITS for k =
1200), and each division by 2k+1 adds a unit. When the computed term is zero the exact one is below the error
bound, k is beyond 2 q, and the rest of the series is smaller than twice that. So the computed sum is off by
less than ``2^11 (2^185 + 1) 3 < 2^200`` units.

Beyond 16, ``S(16) <= S(z) <= S(16) + exp(-128) / 16``, and that last number is below ``2^-188``.

``faults`` has seen that the path reaches within eight deviations of the mean and is at least a millionth of a
deviation long, so the denominator is above 2^-67; errors of 2^-187 and 2^-200 leave 2^-115 relatively.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from glocert.laws.continuous import BITS, ONE, Whole

FAR = 16
_ERROR = 1 << 200
_TAIL = 1 << (BITS - 188)


@dataclass(frozen=True, slots=True)
class TruncatedNormal:
    """The law of t that is normal but for lying in [0, 1].

    Attributes:
        mean: in units of t.
        std: > 0, in units of t.
    """

    mean: Fraction
    std: Fraction
    _first: Whole = field(init=False, repr=False, compare=False)
    _last: Whole = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_first", self._integral(Fraction(0)))
        object.__setattr__(self, "_last", self._integral(Fraction(1)))

    def below(self, t: Fraction) -> Whole:
        """Enclose the probability of [0, t]."""
        (low, high), (first, first_high), (last, last_high) = self._integral(t), self._first, self._last
        least = max(0, low - first_high) * ONE // (last_high - first)
        most = -(-max(0, high - first) * ONE // (last - first_high))
        return least, min(most, ONE)

    def _integral(self, t: Fraction) -> Whole:
        return integral((t - self.mean) / self.std)


def integral(z: Fraction) -> Whole:
    """Enclose the integral of ``exp(-u^2 / 2)`` from 0 to z."""
    if z < 0:
        low, high = integral(-z)
        return -high, -low
    if z > FAR:
        low, high = integral(Fraction(FAR))
        return low, high + _TAIL
    near = z.numerator * ONE // z.denominator
    term, total, k, square = near, 0, 0, near * near
    while term:
        total += (term if k % 2 == 0 else -term) // (2 * k + 1)
        k += 1
        term = term * square // (k << (2 * BITS + 1))
    return total - _ERROR, total + _ERROR
