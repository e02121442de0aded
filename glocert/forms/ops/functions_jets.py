"""Smooth functions with their first two derivatives, proven, and global bounds of the next ones.

Each function returns enclosures of ``f, f', f''`` at x. With p = sigmoid(x), q = 1 - p: sigmoid' = pq and
sigmoid'' = pq (q - p); (x sigmoid)' = p + x p q, (x sigmoid)'' = pq (2 + x (q - p)); with the normal
density g and distribution G, (x G)' = G + x g and (x G)'' = (2 - x^2) g.

The tests prove the suprema of |f''| and |f'''| by interval arithmetic on [-40, 40]. Beyond, they are at most
``10^4 |x| exp(-|x|)`` or, with a tanh of a cubic, ``10^4 |x|^7 exp(-1.5 |x|)``: below 10^-10.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor

from glocert.forms import elementary
from glocert.forms.elementary import Enclosed, exp, logistic, normal
from glocert.forms.elementary.constants import ONE, PI_FIXED, fixed_sqrt, to_float

Jet = tuple[Enclosed, Enclosed, Enclosed]
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
    slope = p * q
    return p, slope, slope * (q - p)


def tanh(x: Tensor) -> Jet:
    """``t = tanh x, t' = 1 - t^2, t'' = -2 t t'``; ``1 - t^2`` as four times sigmoid'(2 x)."""
    value = elementary.tanh(x)
    p, q = logistic(Enclosed.exact(2 * x))
    slope = (p * q).scaled(4.0)
    return value, slope, (value * slope).scaled(-2.0)


def softplus(x: Tensor) -> Jet:
    """``log(1 + exp x)``, whose derivative is the sigmoid."""
    p, q = logistic(Enclosed.exact(x))
    return elementary.softplus(x), p, p * q


def silu(x: Tensor) -> Jet:
    """``x sigmoid(x)``."""
    own = Enclosed.exact(x)
    p, q = logistic(own)
    slope = p * q
    return own * p, p + own * slope, slope * (own * (q - p)).shifted(2.0)


def erf(x: Tensor) -> Jet:
    """``erf' = 2/sqrt(pi) exp(-x^2)``, ``erf'' = -2 x erf'``."""
    slope = elementary.gaussian(Enclosed.exact(x)).scaled(_ERF_SLOPE, 1)
    return elementary.erf(x), slope, (Enclosed.exact(x) * slope).scaled(-2.0)


def gelu(x: Tensor) -> Jet:
    """``x G(x)``."""
    own = Enclosed.exact(x)
    below, density = normal(x)
    bend = (-(own * own)).shifted(2.0) * density
    return own * below, below + own * density, bend


def gelu_tanh(x: Tensor) -> Jet:
    """``x sigmoid(w)``, ``w = 2 sqrt(2/pi) (x + 0.044715 x^3)``, which is Gelu with tanh."""
    own = Enclosed.exact(x)
    square = own * own
    w = own * _positive(_TANH_1, _TANH_3, square)
    w1 = _positive(_TANH_1, 3 * _TANH_3, square)
    w2 = own.scaled(6 * _TANH_3, 3)
    p, q = logistic(w)
    p1 = p * q
    p2 = p1 * (q - p)
    slope = p1 * w1
    bend = p2 * w1 * w1 + p1 * w2
    return own * p, p + own * slope, slope.scaled(2.0) + own * bend


def _positive(a: float, b: float, square: Enclosed) -> Enclosed:
    """``a + b x^2`` with rounded positive a, b: at most four roundings relative to the sum."""
    return Enclosed.rounded(square.value * b + a, square.error * b, 4)


def mish(x: Tensor) -> Jet:
    """``x g``, ``g = tanh(softplus x) = N/D``, ``N = E^2 + 2 E``, ``D = N + 2``, ``E = exp x``.

    ``g' = 2 D'/D^2`` and ``g'' = 2 (D'' D - 2 D'^2)/D^3`` with ``D' = 2 E^2 + 2 E``, ``D'' = 4 E^2 + 2 E``.
    For x >= 0 all are divided by E^2 and written in ``e = exp(-x)``; that leaves a factor e^2 over.
    """
    e = exp(-x.abs())
    up = x >= 0
    one = Enclosed.exact(torch.ones_like(x))
    square = e * e
    double = e.scaled(2.0)
    n = double.shifted(1.0).where(up, square + double)
    d = n + square.scaled(2.0).where(up, one.scaled(2.0))
    d1 = double.shifted(2.0).where(up, square.scaled(2.0) + double)
    d2 = double.shifted(4.0).where(up, square.scaled(4.0) + double)
    left = square.where(up, one).scaled(2.0)
    g = n / d
    g1 = left * d1 / (d * d)
    g2 = left * (d2 * d - (d1 * d1).scaled(2.0)) / (d * d * d)
    own = Enclosed.exact(x)
    return own * g, g + own * g1, g1.scaled(2.0) + own * g2


def sin(x: Tensor) -> Jet:
    """``sin``."""
    value = elementary.sin(x)
    return value, elementary.cos(x), -value


def cos(x: Tensor) -> Jet:
    """``cos``."""
    value = elementary.cos(x)
    return value, -elementary.sin(x), -value


SUPREMA: dict[str, tuple[Jets, float, float]] = {
    "Sigmoid": (sigmoid, 0.0963, 0.1251),
    "Tanh": (tanh, 0.77, 2.001),
    "Softplus": (softplus, 0.2501, 0.0963),
    "Silu": (silu, 0.5005, 0.3083),
    "Erf": (erf, 0.9679, 2.257),
    "Gelu none": (gelu, 0.798, 0.779),
    "Gelu tanh": (gelu_tanh, 0.798, 0.779),
    "Mish": (mish, 0.6446, 0.5887),
    "Sin": (sin, 1.0, 1.0),
    "Cos": (cos, 1.0, 1.0),
}
"""Function -> its derivatives, the supremum of |f''| and that of |f'''|, rounded up."""
