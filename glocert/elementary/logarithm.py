"""log and log(1 + x) with proven errors.

Reduction: the bits of a normal x give ``x = 2^k m`` with m in [0.7071, 1.4143], exactly. With ``s = (m - 1)
/ (m + 1)``, ``log m = 2 artanh s = 2 s (1 + z/3 + z^2/5 + ...)``, z = s^2 <= 0.02946. ``m - 1`` is exact,
so s is off by 2.01 u relatively, which costs 2.1 u (d log m / ds = 2 / (1 - z)). Ten coefficients of the
series, all positive, leave z^10/21/(1 - z) <= 0.22 u and cost 1.02 * 19 u in Horner's scheme; z's own
rounding and the last two products are below 3 u. Together less than 28 u |log m|; 36 u are charged.

``k ln2``: H has 32 bits, so k H is exact; the product with L and the inner sum cost u (|log m| + 2^-20),
the last sum u times the result. Where k is not 0 the result is at least 0.34, so 2 u of it cover the
constant.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glocert.elementary.constants import LN2, LN2_FIXED, split
from glocert.elementary.enclosed import Enclosed, horner
from glocert.rounding import TINY, UNIT, UP

_HIGH, _LOW = split(LN2_FIXED, (32,))
_COEFFICIENTS = tuple(2 / (2 * k + 1) for k in range(10))
_HALF_ROOT = 0x3FE6A09E00000000
"""Bits of a number just below the square root of 1/2."""

LEAST = 2.0**-1022
"""Smallest number whose logarithm is known."""


def _artanh(numerator: Tensor, denominator: Tensor) -> Tensor:
    s = numerator / denominator
    return horner(s * s, _COEFFICIENTS).mul_(s)


def log(x: Tensor) -> Enclosed:
    """``log(x)`` of a normal positive x; infinite error elsewhere."""
    known = (x >= LEAST) & (x < torch.inf)
    bits = torch.where(known, x, 1.0).view(torch.int64)
    k = (bits - _HALF_ROOT).bitwise_right_shift_(52)
    m = (bits - (k << 52)).view(torch.float64)
    k = k.to(torch.float64)
    part = _artanh(m - 1, m + 1)
    value = k * _HIGH + (k * _LOW + part)
    error = (part.abs() * 36 + value.abs() * 4) * (UNIT * UP) + TINY
    return Enclosed(value, error).unknown(~known)


def log1p(x: Enclosed) -> Enclosed:
    """``log(1 + x)`` of numbers x in [0, 1].

    ``log(1 + x) = 2 artanh(x / (2 + x)) = ln2 + 2 artanh((x - 1) / (x + 3))``; the argument of artanh is at
    most 0.1716 with the first for x <= 0.4143 and with the second above. It has three roundings where m - 1
    was exact before, which the charge covers. The derivative is at most one.
    """
    v = x.value
    large = v > 0.41421
    part = _artanh(torch.where(large, v - 1, v), torch.where(large, v + 3, v + 2))
    value = part + large.to(v.dtype) * LN2
    error = x.error + (part.abs() * 36 + value.abs() * 4) * UNIT
    return Enclosed(value, error * UP + TINY)
