"""Smooth functions with their first three derivatives, proven, and a global bound of the fourth.

Each function returns enclosures of f and its derivatives at x. With p = sigmoid(x), q = 1 - p and s = p q
those of sigmoid are s, s (q - p), s (1 - 6 s). G and g are the normal distribution function and density.

The tests prove the supremum of the fourth derivative by interval arithmetic on [-40, 40]. Beyond, it is at
most ``10^4 |x| exp(-|x|)`` or, with a tanh of a cubic, ``10^4 |x|^9 exp(-1.5 |x|)``: below 10^-7.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor

from glocert import elementary
from glocert.elementary import Enclosed, exp, logistic, normal
from glocert.elementary.constants import ONE, PI_FIXED, fixed_sqrt, to_float

Jet = tuple[Enclosed, Enclosed, Enclosed, Enclosed]
Jets = Callable[[Tensor], Jet]

_STEEP = fixed_sqrt(8 * ONE * ONE // PI_FIXED)
_TANH_1 = to_float(_STEEP)
"""``2 sqrt(2 / pi)``."""
_TANH_3 = to_float(int(_STEEP * Fraction(44715, 1000000)))
"""``0.044715`` times that."""
_ERF_SLOPE = to_float(2 * ONE * ONE // fixed_sqrt(PI_FIXED))
"""``2 / sqrt(pi)``."""


def sigmoid(x: Tensor) -> Jet:
    """``1 / (1 + exp(-x))``."""
    p, q = logistic(Enclosed.exact(x))
    return p, *_after(p * q, q - p)


def _after(slope: Enclosed, odds: Enclosed) -> tuple[Enclosed, Enclosed, Enclosed]:
    """Return the derivatives of sigmoid from ``s = p q`` and ``q - p``: s, ``s (q - p)``, ``s (1 - 6 s)``."""
    return slope, slope * odds, slope * slope.scaled(-6.0).shifted(1.0)


def tanh(x: Tensor) -> Jet:
    """``2 sigmoid(2 x) - 1``."""
    p, q = logistic(Enclosed.exact(2 * x))
    s1, s2, s3 = _after(p * q, q - p)
    return elementary.tanh(x), s1.scaled(4.0), s2.scaled(8.0), s3.scaled(16.0)


def softplus(x: Tensor) -> Jet:
    """``log(1 + exp x)``, whose derivative is the sigmoid."""
    p, q = logistic(Enclosed.exact(x))
    s1, s2, _ = _after(p * q, q - p)
    return elementary.softplus(x), p, s1, s2


def silu(x: Tensor) -> Jet:
    """``x sigmoid(x)``; the n-th derivative of ``x f`` is ``x f_n + n f_(n-1)``."""
    own = Enclosed.exact(x)
    p, q = logistic(own)
    s1, s2, s3 = _after(p * q, q - p)
    return own * p, p + own * s1, s1.scaled(2.0) + own * s2, s2.scaled(3.0) + own * s3


def erf(x: Tensor) -> Jet:
    """``erf' = h = 2/sqrt(pi) exp(-x^2)``, then ``-2 x h`` and ``(4 x^2 - 2) h``."""
    own = Enclosed.exact(x)
    slope = elementary.gaussian(own).scaled(_ERF_SLOPE, 1)
    return elementary.erf(x), slope, (own * slope).scaled(-2.0), (own * own).scaled(4.0).shifted(-2.0) * slope


def gelu(x: Tensor) -> Jet:
    """``x G(x)`` with ``g' = -x g``."""
    own = Enclosed.exact(x)
    below, density = normal(x)
    square = own * own
    bend = (-square).shifted(2.0) * density
    return own * below, below + own * density, bend, own * square.shifted(-4.0) * density


def gelu_tanh(x: Tensor) -> Jet:
    """``x sigmoid(w)``, ``w = 2 sqrt(2/pi) (x + 0.044715 x^3)``, which is Gelu with tanh."""
    own = Enclosed.exact(x)
    square = own * own
    w = own * _positive(_TANH_1, _TANH_3, square)
    w1 = _positive(_TANH_1, 3 * _TANH_3, square)
    w2 = own.scaled(6 * _TANH_3, 3)
    p, q = logistic(w)
    s1, s2, s3 = _after(p * q, q - p)
    p1, p2 = s1 * w1, s2 * w1 * w1 + s1 * w2
    p3 = s3 * w1 * w1 * w1 + (s2 * w1 * w2).scaled(3.0) + s1.scaled(6 * _TANH_3, 3)
    return own * p, p + own * p1, p1.scaled(2.0) + own * p2, p2.scaled(3.0) + own * p3


def _positive(a: float, b: float, square: Enclosed) -> Enclosed:
    """``a + b x^2`` with rounded positive a, b: at most four roundings relative to the sum."""
    return Enclosed.rounded(square.value * b + a, square.error * b, 4)


def mish(x: Tensor) -> Jet:
    """``x g``, ``g = tanh(softplus x) = N/D = 1 - 2/D``, ``N = E^2 + 2 E``, ``D = N + 2``, ``E = exp x``.

    With the derivatives ``A = 2 E^2 + 2 E``, ``B = 4 E^2 + 2 E``, ``C = 8 E^2 + 2 E`` of D and ``r = A/D``
    those of g are ``(2/D) r``, ``(2/D) (B/D - 2 r^2)``, ``(2/D) (C/D - 6 r B/D + 6 r^3)``. For x >= 0 all but
    the 2 are divided by E^2 and written in ``e = exp(-x)``; ``2/D`` is then ``2 e^2`` over what became of D.
    """
    e = exp(-x.abs())
    up = x >= 0
    one = Enclosed.exact(torch.ones_like(x))
    square, double = e * e, e.scaled(2.0)
    n = double.shifted(1.0).where(up, square + double)
    d = n + square.scaled(2.0).where(up, one.scaled(2.0))
    r, b, c = (double.shifted(k).where(up, square.scaled(k) + double) / d for k in (2.0, 4.0, 8.0))
    left = square.where(up, one).scaled(2.0) / d
    twice = r * r
    g1, g2 = left * r, left * (b - twice.scaled(2.0))
    g3 = left * (c - (r * b).scaled(6.0) + (twice * r).scaled(6.0))
    g, own = n / d, Enclosed.exact(x)
    return own * g, g + own * g1, g1.scaled(2.0) + own * g2, g2.scaled(3.0) + own * g3


def sin(x: Tensor) -> Jet:
    """``sin``."""
    value, slope = elementary.sin(x), elementary.cos(x)
    return value, slope, -value, -slope


def cos(x: Tensor) -> Jet:
    """``cos``."""
    value, slope = elementary.cos(x), elementary.sin(x)
    return value, -slope, -value, slope


SUPREMA: dict[str, tuple[Jets, float]] = {
    "Sigmoid": (sigmoid, 0.1278),
    "Tanh": (tanh, 4.087),
    "Softplus": (softplus, 0.1251),
    "Silu": (silu, 0.5005),
    "Erf": (erf, 4.406),
    "Gelu none": (gelu, 1.597),
    "Gelu tanh": (gelu_tanh, 1.605),
    "Mish": (mish, 1.102),
    "Sin": (sin, 1.0),
    "Cos": (cos, 1.0),
}
"""Function -> its derivatives and the supremum of its fourth derivative's absolute value, rounded up."""
