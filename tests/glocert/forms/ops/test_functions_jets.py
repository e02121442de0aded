"""The derivatives and the suprema of the fourth, which the lines of smooth functions rest on."""

from __future__ import annotations

from dataclasses import dataclass

import mpmath
import numpy as np
import pytest
import torch
from mpmath import iv

from glocert.forms.ops.functions import _FAR
from glocert.forms.ops.functions_jets import SUPREMA, gelu, gelu_tanh, mish, silu
from tests.glocert.forms.ops.test_functions import CASES

NAMES = {"Gelu none": "Gelu", "Gelu tanh": "Gelu, tanh"}


@pytest.mark.parametrize("name", SUPREMA)
def test_jets_enclose_the_function_and_its_derivatives_tightly(name):
    truth = CASES[NAMES.get(name, name)][0]
    rng = np.random.default_rng(0)
    points = np.concatenate(
        [rng.uniform(-9, 9, 120), rng.standard_normal(40) * 1e-6, [0.0, -30.0, 30.0, -300.0]]
    )
    jet = SUPREMA[name][0](torch.from_numpy(points))
    for i, x in enumerate(points.tolist()):
        expected = [truth(mpmath.mpf(x)), *(mpmath.diff(truth, x, order) for order in (1, 2, 3))]
        for own, exact in zip(jet, expected, strict=True):
            assert abs(own.value[i].item() - exact) <= own.error[i].item() + 1e-30
            assert own.error[i].item() <= 1e-12 * (1 + abs(x))


@dataclass(frozen=True)
class Dual:
    """An interval with that of the derivative."""

    value: object
    slope: object

    def __add__(self, other):
        other = _dual(other)
        return Dual(self.value + other.value, self.slope + other.slope)

    __radd__ = __add__

    def __neg__(self):
        return Dual(-self.value, -self.slope)

    def __sub__(self, other):
        return self + -_dual(other)

    def __rsub__(self, other):
        return -self + other

    def __mul__(self, other):
        other = _dual(other)
        return Dual(self.value * other.value, self.slope * other.value + self.value * other.slope)

    __rmul__ = __mul__

    def inverse(self):
        return Dual(1 / self.value, -self.slope / self.value**2)

    def exp(self):
        value = iv.exp(self.value)
        return Dual(value, value * self.slope)


def _dual(x):
    return x if isinstance(x, Dual) else Dual(iv.mpf(x), iv.mpf(0))


def _p(x):
    return ((-x).exp() + 1).inverse()


def _gauss(x):
    square = x.value**2
    value = iv.exp(-square)
    return Dual(value, -2 * x.value * x.slope * value)


def _square(x):
    return Dual(x.value**2, 2 * x.value * x.slope)


def _thirds(p):
    """Second and third derivative of sigmoid, and s."""
    s = p * (1 - p)
    return s, s * (1 - 2 * p), s * (1 - 6 * s)


def _silu_third(x):
    _, s2, s3 = _thirds(_p(x))
    return 3 * s2 + x * s3


def _gelu_tanh_third(x):
    a = 2 * iv.sqrt(2 / iv.pi)
    b = a * iv.mpf("0.044715")
    square = _square(x)
    s1, s2, s3 = _thirds(_p(x * (square * b + a)))
    w1, w2 = square * (3 * b) + a, x * (6 * b)
    p2 = s2 * _square(w1) + s1 * w2
    return 3 * p2 + x * (s3 * w1 * _square(w1) + 3 * s2 * w1 * w2 + s1 * (6 * b))


def _mish_third(x):
    e = x.exp()
    d = _square(e) + 2 * e + 2
    one = d.inverse()
    r, b, c = ((k * _square(e) + 2 * e) * one for k in (2, 4, 8))
    return 2 * one * (3 * (b - 2 * _square(r)) + x * (c - 6 * r * b + 6 * r * _square(r)))


THIRDS = {
    "Sigmoid": lambda x: _thirds(_p(x))[2],
    "Tanh": lambda x: 16 * _thirds(_p(2 * x))[2],
    "Softplus": lambda x: _thirds(_p(x))[1],
    "Silu": _silu_third,
    "Erf": lambda x: (4 * _square(x) - 2) * _gauss(x) * (2 / iv.sqrt(iv.pi)),
    "Gelu none": lambda x: (
        x * (_square(x) - 4) * _gauss(x * iv.sqrt(iv.mpf(1) / 2)) * (1 / iv.sqrt(2 * iv.pi))
    ),
    "Gelu tanh": _gelu_tanh_third,
    "Mish": _mish_third,
}
"""The third derivatives, where the supremum of the next is not plain."""


@pytest.mark.parametrize("name", THIRDS)
def test_the_formula_of_the_third_derivative_is_right(name):
    truth = CASES[NAMES.get(name, name)][0]
    for x in np.linspace(-6, 6, 41):
        own = THIRDS[name](Dual(iv.mpf(x), iv.mpf(1)))
        for enclosure, order in ((own.value, 3), (own.slope, 4)):
            exact = mpmath.diff(truth, x, order)
            assert abs(mpmath.mpf(enclosure.mid) - exact) <= 1e-8


@pytest.mark.parametrize("name", THIRDS)
def test_the_supremum_of_the_fourth_derivative_is_proven_by_interval_arithmetic(name):
    _, fourth = SUPREMA[name]
    pending = [(-40.0 + i, -39.0 + i) for i in range(80)]
    while pending:
        low, high = pending.pop()
        if abs(THIRDS[name](Dual(iv.mpf([low, high]), iv.mpf(1))).slope).b <= fourth:
            continue
        assert high - low > 1e-6, (name, low)
        middle = (low + high) / 2
        pending += [(low, middle), (middle, high)]


@pytest.mark.parametrize(
    ("name", "jets"), {"Silu": silu, "Gelu none": gelu, "Gelu tanh": gelu_tanh, "Mish": mish}.items()
)
def test_the_distance_from_relu_is_proven_on_a_grid(name, jets):
    """As |f'| <= 1.2, f - relu changes little between the points; beyond 9 it is 9 exp(-9) at most."""
    step = 5e-5
    x = torch.arange(-180_000, 180_001, dtype=torch.float64) * step
    low = jets(x)[0].low() - x.clamp(min=0)
    depth = _FAR[name].__closure__[0].cell_contents
    assert low.min().item() - 1.2 * step / 2 >= -depth
    assert jets(x)[0].high().sub(x.clamp(min=0)).max() <= 1e-12
    assert jets(x)[1].high().abs().max() <= 1.2 - 0.8 * step
