from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch

from glocert.elementary import exp
from glocert.forms.form import Form
from glocert.forms.ops.functions import Along
from glocert.forms.ops.functions_convex import Convex
from glocert.graph.families import FUNCTIONS
from tests.glocert.forms.ops.inside import build, elementwise, form, worst_share


def _sigmoid(x):
    return 1 / (1 + mpmath.exp(-x)) if x > -1e6 else mpmath.mpf(0)


def _softplus(x):
    return max(x, 0) + mpmath.log1p(mpmath.exp(-abs(x)))


def _hard_swish(x):
    return x * min(max(x / 6 + mpmath.mpf(1) / 2, 0), 1)


def _elu(alpha):
    return lambda x: x if x > 0 else mpmath.mpf(alpha) * mpmath.expm1(x)


def _gelu_tanh(x):
    inner = mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3)
    return x * _sigmoid(2 * inner)


REAL, POSITIVE = (-4.0, 4.0), (0.5, 4.0)
CASES = {
    "Cos": (mpmath.cos, REAL, {}),
    "Elu": (_elu(1.0), REAL, {"alpha": 1.0}),
    "Elu, selu's": (_elu(1.6732632), REAL, {"alpha": 1.6732632}),
    "Elu, small": (_elu(0.3), REAL, {"alpha": 0.3}),
    "Elu, falling": (_elu(-0.7), REAL, {"alpha": -0.7}),
    "Erf": (mpmath.erf, REAL, {}),
    "Exp": (mpmath.exp, REAL, {}),
    "Gelu": (lambda x: x * mpmath.ncdf(x), REAL, {"approximate": "none"}),
    "Gelu, tanh": (_gelu_tanh, REAL, {"approximate": "tanh"}),
    "HardSwish": (_hard_swish, REAL, {}),
    "Log": (mpmath.log, POSITIVE, {}),
    "Mish": (lambda x: x * mpmath.tanh(_softplus(x)), REAL, {}),
    "Reciprocal": (lambda x: 1 / x, POSITIVE, {}),
    "Reciprocal, negative": (lambda x: 1 / x, (-4.0, -0.5), {}),
    "Sigmoid": (_sigmoid, REAL, {}),
    "Sign": (mpmath.sign, REAL, {}),
    "Silu": (lambda x: x * _sigmoid(x), REAL, {}),
    "Sin": (mpmath.sin, REAL, {}),
    "Softplus": (_softplus, REAL, {}),
    "Sqrt": (mpmath.sqrt, POSITIVE, {}),
    "Tanh": (mpmath.tanh, REAL, {}),
}
for _p, _range in [
    (0.0, REAL),
    (1.0, REAL),
    (2.0, REAL),
    (3.0, REAL),
    (4.0, REAL),
    (5.0, REAL),
    (1.5, POSITIVE),
]:
    CASES[f"Pow, {_p}"] = (lambda x, p=_p: x ** mpmath.mpf(p), _range, {"exponent": _p})
for _p, _range in [
    (-1.0, POSITIVE),
    (-2.0, (-4.0, -0.5)),
    (-3.0, (-4.0, -0.5)),
    (0.3, POSITIVE),
    (-0.5, POSITIVE),
]:
    CASES[f"Pow, {_p}"] = (lambda x, p=_p: x ** mpmath.mpf(p), _range, {"exponent": _p})
BENT = {"HardSwish", "Sign", "Elu, selu's", "Elu, small", "Elu, falling", "Elu"}
SMOOTH = sorted(set(CASES) - BENT - {"Pow, 0.0", "Pow, 1.0"})


def transfer_of(name: str, shape: tuple[int, ...] = (9,), dtype: torch.dtype = torch.float64):
    return build(name.partition(",")[0], [shape], shape, dtype, **CASES[name][2])


def around(rng, name: str):
    """Return a maker of centres in the function's range, a few of them at its kinks and at zero."""

    def centres(size):
        values = rng.uniform(*CASES[name][1], size)
        if CASES[name][1] == REAL:
            special = rng.choice([-3.0, 0.0, 3.0], size) + rng.standard_normal(size) * 1e-3
            values = np.where(rng.random(size) < 0.3, special, values)
        return values

    return centres


def test_every_function_has_a_case():
    assert {name.partition(",")[0] for name in CASES} == set(FUNCTIONS)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("width", [0.0, 1e-13, 1e-6, 1e-2, 0.1, 0.4, 3.0, 30.0, 1000.0])
def test_exact_values_are_inside(name, k, width):
    rng = np.random.default_rng(k)
    for share in (0.0, 0.2, 1.0):
        x = form(rng, k, 3, (9,), around(rng, name), width, share)
        result = transfer_of(name)(x)
        if width < 0.1 or (width < 100 and CASES[name][1] == REAL):
            assert torch.isfinite(result.error).all()
        assert worst_share(rng, (x,), result, elementwise(CASES[name][0]), 8) <= 1


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("width", [0.0, 1e-6, 0.1, 3.0])
def test_exact_values_are_inside_in_float32(name, width):
    rng = np.random.default_rng(5)
    x = form(rng, 2, 3, (9,), around(rng, name), width, 0.2).to(torch.float32)
    result = transfer_of(name, dtype=torch.float32)(x)
    assert result.error.dtype == torch.float32
    assert worst_share(rng, (x,), result, elementwise(CASES[name][0]), 8) <= 1


@pytest.mark.parametrize("name", SMOOTH)
def test_the_error_is_a_quarter_when_the_interval_is_half(name):
    rng = np.random.default_rng(1)
    built, x = (
        transfer_of(name),
        form(rng, 1, 8, (9,), lambda size: rng.uniform(*CASES[name][1], size), 0.02, 0.0),
    )
    half = Form(x.centre, x.slopes / 2, x.error)
    before, after = built(x).error, built(half).error
    assert (after <= before * 0.27 + 1e-12).all()
    bend = np.frompyfunc(lambda v: float(abs(mpmath.diff(CASES[name][0], v, 2))), 1, 1)
    reach = x.slopes[0].abs().numpy()
    ends = [bend(x.centre.numpy() + share * reach).astype(float) for share in (-1, 0, 1)]
    assert (before.numpy() <= (np.max(ends, axis=0) + 5 * reach) * reach**2 / 4 + 1e-12).all()


@pytest.mark.parametrize(
    ("name", "radius"), {"Sigmoid": 0.5, "Tanh": 1.0, "Erf": 1.0, "Sin": 1.0, "Cos": 1.0, "Sign": 1.0}.items()
)
@pytest.mark.parametrize("width", [100.0, 1e9, 1e200])
def test_bounded_functions_stay_bounded(name, radius, width):
    x = Form(*(torch.tensor(part, dtype=torch.float64) for part in ([[0.7]], [[[width]]], [[1.0]])))
    low, high = transfer_of(name, (1,))(x).bounds()
    assert ((high - low) / 2 <= radius * (1 + 1e-9)).all()


@pytest.mark.parametrize("name", ["Gelu", "Gelu, tanh", "Silu", "Mish", "Softplus", "Elu", "HardSwish"])
@pytest.mark.parametrize("centre", [-1e6, -40.0, 0.0, 25.0, 1e6])
def test_functions_like_relu_are_not_worse_than_relu_and_their_distance_from_it(name, centre):
    x = Form(*(torch.tensor(part, dtype=torch.float64) for part in ([[centre]], [[[30.0]]], [[0.0]])))
    result = transfer_of(name, (1,))(x)
    relu = 7.5 if abs(centre) < 30 else 0.0
    assert (result.error <= relu + 1.0).all()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("error", [np.inf, np.nan])
def test_nothing_known_stays_nothing_known(name, error):
    x = Form(
        torch.ones(1, 1, dtype=torch.float64),
        torch.zeros(1, 1, 1, dtype=torch.float64),
        torch.full((1, 1), error, dtype=torch.float64),
    )
    assert not torch.isfinite(transfer_of(name, (1,))(x).error).any()


@pytest.mark.parametrize(
    "name", ["Log", "Sqrt", "Reciprocal", "Pow, -1.0", "Pow, -2.0", "Pow, 1.5", "Pow, 0.3", "Pow, -0.5"]
)
def test_leaving_the_domain_is_never_wrong(name):
    def known(centre: float, reach: float) -> bool:
        parts = ([[centre]], [[[reach / 2]]], [[reach / 2]])
        x = Form(*(torch.tensor(part, dtype=torch.float64) for part in parts))
        return bool(torch.isfinite(transfer_of(name, (1,))(x).error).all())

    assert not any(known(centre, 1.0) for centre in (-0.9, -0.1, 0.0, 0.1, 0.9999999))
    assert known(1.0000001, 1.0)


@pytest.mark.parametrize("guess", [-1.0, 0.0, 0.3, 2.0])
def test_a_tangent_anywhere_is_sound(guess):
    rng = np.random.default_rng(7)
    curve = Convex(exp, exp, lambda slope: torch.full_like(slope, guess))
    x = form(rng, 1, 4, (9,), rng.standard_normal, 0.8, 0.1)
    assert worst_share(rng, (x,), Along(curve.line)(x), elementwise(mpmath.exp), 40) <= 1
