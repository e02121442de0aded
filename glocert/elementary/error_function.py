"""The error function, the normal distribution function and density, with proven errors.

On [j/8, (j+1)/8], j < 48, erf is its Taylor polynomial of degree 10 about the middle a, |t| = ||x| - a| <=
1/16. By Cramer's inequality |H_n(x)| exp(-x^2/2) <= 1.0865 2^(n/2) sqrt(n!), so the remainder is at most
2/sqrt(pi) 1.0865 2^5 sqrt(10!) 16^-11 / 11! < 1 u. The coefficients come from integer arithmetic
(``constants``), rounded once. Horner costs 1.02 * 21 u (|c_0| + |c_1 t| + ...) <= 1.02 * 21 u * 1.1 < 24 u,
the rounding of t at most 0.1 u. Beyond 6 the distance to 1 is below exp(-x^2): 2^-51, and TINY beyond 27.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import factorial

import torch
from torch import Tensor

from glocert.elementary.constants import (
    DENSITY,
    ONE,
    PI_FIXED,
    SQRT_HALF,
    fixed_erf,
    fixed_exp,
    fixed_sqrt,
)
from glocert.elementary.enclosed import Enclosed
from glocert.elementary.exponential import gaussian
from glocert.rounding import TINY, UNIT

_ROWS = 48
_DEGREE = 10
_ABSOLUTE = 32 * UNIT


def _row(a: Fraction) -> list[float]:
    """Taylor coefficients of erf about a: ``erf^(k+1) = 2/sqrt(pi) exp(-a^2) (-1)^k H_k(a)``."""
    steep = Fraction(2 * fixed_exp(-a * a), fixed_sqrt(PI_FIXED))
    hermite = [Fraction(1), 2 * a]
    for k in range(1, _DEGREE):
        hermite.append(2 * a * hermite[k] - 2 * k * hermite[k - 1])
    rest = [float(steep * (-1) ** k * hermite[k] / factorial(k + 1)) for k in range(_DEGREE)]
    return [float(Fraction(fixed_erf(a), ONE)), *rest]


@cache
def _table() -> tuple[tuple[float, ...], ...]:
    """Return the coefficients, one row per interval."""
    return tuple(tuple(_row(Fraction(2 * j + 1, 16))) for j in range(_ROWS))


@cache
def _columns(device: torch.device) -> tuple[Tensor, ...]:
    """Return the coefficients of each degree on a device."""
    return torch.tensor(_table(), dtype=torch.float64, device=device).unbind(1)


def erf(x: Tensor) -> Enclosed:
    """``erf(x)``, absolute error 32 u."""
    columns = _columns(x.device)
    size = x.abs()
    row = (size * 8).nan_to_num_(0.0).clamp_(0, _ROWS - 1).floor_()
    t = size - (row + 0.5) * 0.125
    index = row.to(torch.int64)
    value = t * columns[-1][index]
    for column in columns[-2:0:-1]:
        value.add_(column[index]).mul_(t)
    value.add_(columns[0][index])
    far = size > 6
    value = torch.where(far, 1.0, value) * torch.sign(x)
    error = torch.full_like(x, _ABSOLUTE).masked_fill_(far, 2.0**-51).masked_fill_(size > 27, TINY)
    return Enclosed(value, error.masked_fill_(x.isnan(), torch.nan))


def normal(x: Tensor) -> tuple[Enclosed, Enclosed]:
    """Return the distribution function and the density of the standard normal distribution.

    The argument of erf is rounded twice: that moves erf by at most 2 u * 2/sqrt(pi) |y| exp(-y^2) < u, and
    by less than TINY beyond 28.
    """
    y = x * SQRT_HALF
    rounded = Enclosed(y, y.abs() * (4 * UNIT) + TINY)
    inner = erf(y)
    inner = Enclosed(inner.value, inner.error + torch.where(y.abs() > 28, TINY, UNIT))
    density = gaussian(rounded).scaled(DENSITY, 1)
    return inner.shifted(1.0).scaled(0.5), density
