"""exp and exp - 1 with proven errors.

Reduction: ``x = n ln2 + r`` with n the integer nearest to x / ln2, ln2 = H + L, H of 32 bits. ``n H`` is
exact (|n| <= 1025), so r is off by the roundings of two subtractions of numbers below 0.3467 and of ``n L``
below 2^-21: at most 0.75 u, and not at all where n = 0.

Polynomial: Taylor's of degree 12 on |r| <= 0.3467. The remainder is below 1.03 r^13 / 13! <= 1.6 u; Horner
adds 1.02 * 25 u * exp(|r|) <= 37 u. Relative to exp(r) >= 0.7069 that is 55 u, with the 0.76 u of r below
64 u.

exp - 1: with s = 2^n and t = exp(r) - 1 it is ``s t + (s - 1)``. Relative to |t| >= |r| exp(-|r|) ... the
computed t is off by at most 1.02 * 25 u * exp(0.3467) + 1.03 r^12 / (13! 0.84) <= 42 u; r costs 0.76 u s
exp(r) <= 1.1 u s where n is not 0, hence |x| >= 0.346: at most 4 u s |x|; the last two roundings cost u
each.
"""

from __future__ import annotations

from math import factorial

import torch
from torch import Tensor

from glocert.elementary.constants import LN2, LN2_FIXED, split
from glocert.elementary.enclosed import Enclosed, horner
from glocert.rounding import TINY, UNIT, UP

_HIGH, _LOW = split(LN2_FIXED, (32,))
_QUOTIENTS = tuple(1 / factorial(k) for k in range(1, 13))
_RELATIVE = 64 * UNIT
_LEAST, _MOST = -700.0, 709.0


def _parts(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``2^n`` and ``exp(r) - 1`` of the x that is clamped to the range of float64."""
    x = x.clamp(_LEAST, _MOST)
    n = (x * (1 / LN2)).round_()
    r = (x - n * _HIGH).sub_(n * _LOW)
    scale = n.to(torch.int64).add_(1023).bitwise_left_shift_(52).view(torch.float64)
    return scale, horner(r, _QUOTIENTS).mul_(r)


def exp(x: Tensor) -> Enclosed:
    """``exp(x)``, relative error 64 u; infinite error above 709."""
    scale, t = _parts(x)
    value = t.add_(1).mul_(scale)
    return Enclosed(value, value * (_RELATIVE * UP) + TINY).unknown(x > _MOST)


def exp_of(x: Enclosed) -> Enclosed:
    """``exp`` of numbers known up to d <= 1: off by ``exp(x') (exp(d) - 1) <= 2 d exp(x')``."""
    plain = exp(x.value)
    error = plain.error + (plain.value * (2 + 1e-9) + TINY) * x.error
    return Enclosed(plain.value, error * UP).unknown(~(x.error <= torch.ones_like(x.value)))


def expm1(x: Tensor) -> Enclosed:
    """``exp(x) - 1``, small relative error also near zero; infinite error above 709."""
    scale, t = _parts(x)
    rest = scale - 1
    value = t.mul_(scale)
    error = value.abs() * 48 + scale * x.clamp(_LEAST, _MOST).abs() * 4 + rest.abs() * 4
    return Enclosed(value + rest, error * (UNIT * UP) + TINY).unknown(x > _MOST)


def gaussian(x: Enclosed) -> Enclosed:
    """``exp(-x^2)``; beyond 27 it is below TINY."""
    far = Enclosed(torch.zeros_like(x.value), TINY)
    return far.where((x.value.abs() - x.error) * (1 - 4 * UNIT) > 27, exp_of(-(x * x)))
