"""sin and cos with proven errors.

Reduction: ``x = h pi + r``, h whole for sin and a whole number plus one half for cos, so that the result is
``+-sin r`` with |r| <= pi/2 + 1e-10. pi = A + B + C with A, B multiples of 2^-32 and 2^-64; for |x| <=
2^18, 2 h has 18 bits, A at most 34 and B 32, so h A and h B are exact. Three subtractions of numbers below
1.6 and the product h C cost less than 5 u.

Polynomial: sin's series up to r^21; it alternates with falling terms, so the remainder is below r^23/23! <
0.02 u. In Horner's scheme for z = r^2 a term ``r z^k / (2k+1)!`` has at most 21 + 10 + 3 roundings,
together below 1.02 * 34 u sinh|r| <= 52 u |r|.

Beyond 2^18 all that is said is that the value is in [-1, 1].
"""

from __future__ import annotations

from math import factorial

import torch
from torch import Tensor

from glocert.elementary.constants import PI, PI_FIXED, split
from glocert.elementary.enclosed import Enclosed, horner
from glocert.rounding import TINY, UNIT, UP

_A, _B, _C = split(PI_FIXED, (32, 64))
_COEFFICIENTS = tuple((-1) ** k / factorial(2 * k + 1) for k in range(11))
_FAR = 2.0**18


def _turned(x: Tensor, half: float) -> Enclosed:
    """Return ``(-1)^n sin(x - (n + half) pi)`` for the n that makes the angle smallest."""
    inside = x.clamp(-_FAR, _FAR)
    n = (inside * (1 / PI) - half).round_()
    h = n + half
    r = (inside - h * _A).sub_(h * _B).sub_(h * _C)
    sign = 1 - 2 * n.remainder(2)
    value = horner(r * r, _COEFFICIENTS).mul_(r).mul_(sign)
    error = (r.abs() * 52 + 6) * (UNIT * UP) + TINY
    far = x.abs() > _FAR
    result = Enclosed(value.masked_fill_(far, 0.0), error.masked_fill_(far, 1.0))
    return result.unknown(torch.isinf(x))


def sin(x: Tensor) -> Enclosed:
    """``sin(x)``; 0 +- 1 far out."""
    return _turned(x, 0.0)


def cos(x: Tensor) -> Enclosed:
    """``cos(x)``; 0 +- 1 far out: ``cos((n + 1/2) pi + r) = -(-1)^n sin r``."""
    return -_turned(x, 0.5)
