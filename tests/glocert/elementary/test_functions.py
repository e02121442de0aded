"""Every elementary function against fifty digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch

from glocert import elementary
from glocert.elementary import Enclosed

mpmath.mp.dps = 50

EDGES = [0.0, -0.0, 5e-324, -5e-324, 2.0**-1022, 2.0**-1000, 1e-300, 2.0**-53, 1 - 2.0**-53, 1 + 2.0**-52]


def _sigmoid(x):
    return 1 / (1 + mpmath.exp(-x)) if x >= 0 else mpmath.exp(x) / (1 + mpmath.exp(x))


def _softplus(x):
    return mpmath.log1p(mpmath.exp(-abs(x))) + max(x, 0)


def _phi(x):
    return mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi)


# name: (function, truth, range of the random inputs, special inputs, error allowed at x with value y)
CASES = {
    "exp": (elementary.exp, mpmath.exp, (-30, 30), [709, -665, -745, 0.34657, -0.34658], lambda x, y: abs(y)),
    "exp, wide": (elementary.exp, mpmath.exp, (-700, 709), [-1e300, -1e9], lambda x, y: abs(y)),
    "expm1": (elementary.expm1, mpmath.expm1, (-3, 3), [709, -750, -1e300], lambda x, y: abs(y)),
    "expm1, tiny": (elementary.expm1, mpmath.expm1, (-1e-9, 1e-9), [], lambda x, y: abs(y)),
    "log": (
        elementary.log,
        mpmath.log,
        (0.01, 9),
        [1e300, 2.0**1023, 0.70710678, 1.4142],
        lambda x, y: abs(y),
    ),
    "log, near one": (elementary.log, mpmath.log, (1 - 1e-9, 1 + 1e-9), [], lambda x, y: abs(y)),
    "sqrt": (elementary.sqrt, mpmath.sqrt, (0, 9), [1e300, 1e-320], lambda x, y: abs(y)),
    "reciprocal": (elementary.reciprocal, lambda x: 1 / x, (-3, 3), [1e300, -1e-300], lambda x, y: abs(y)),
    "sin": (elementary.sin, mpmath.sin, (-9, 9), [2.0**18, 262144.5, 1e22, np.pi], lambda x, y: 1.0),
    "sin, far": (elementary.sin, mpmath.sin, (-262144, 262144), [], lambda x, y: 1.0),
    "cos": (elementary.cos, mpmath.cos, (-9, 9), [-(2.0**18), 262144.5, 1e22, np.pi / 2], lambda x, y: 1.0),
    "cos, far": (elementary.cos, mpmath.cos, (-262144, 262144), [], lambda x, y: 1.0),
    "erf": (elementary.erf, mpmath.erf, (-7, 7), [6.0, 5.9999, -27.0, 28.0, 0.125, 1e300], lambda x, y: 1.0),
    "sigmoid": (elementary.sigmoid, _sigmoid, (-40, 40), [-1e5, 1e5, -700], lambda x, y: abs(y)),
    "tanh": (elementary.tanh, mpmath.tanh, (-5, 5), [-1e300, 1e300, 1e-12], lambda x, y: abs(y)),
    "softplus": (elementary.softplus, _softplus, (-40, 40), [-800, 1e300, -1e300], lambda x, y: abs(y)),
    "normal": (lambda x: elementary.normal(x)[0], mpmath.ncdf, (-9, 9), [-50, 50], lambda x, y: 1.0),
    "density": (lambda x: elementary.normal(x)[1], _phi, (-9, 9), [-50, 50, 1e200], lambda x, y: 1.0),
}
for _p in (2.0, 3.0, 7.0, -1.0, -2.0, 0.5, 1.5, -0.5, -1.5, 0.3, -0.7, 2.37, 64.0, 70.0):
    _low = -2 if _p % 1 == 0 and _p < 65 else 0.01
    CASES[f"power {_p}"] = (
        lambda x, p=_p: elementary.power(x, p),
        lambda x, p=_p: mpmath.power(x, mpmath.mpf(p)),
        (_low, 3),
        [1e-310, 2.0**-1001, 1e4],
        lambda x, y: abs(y) * (5 + 40 * abs(mpmath.log(abs(x)))),
    )


def known_truth(truth, x: float):
    """Return the exact value where it is a finite real number, else None."""
    try:
        value = truth(mpmath.mpf(x))
    except (ValueError, ZeroDivisionError):
        return None
    return value if isinstance(value, mpmath.mpf) and mpmath.isfinite(value) else None


def inputs(case) -> np.ndarray:
    low, high = case[2]
    rng = np.random.default_rng(5)
    spread = rng.uniform(low, high, 1500)
    scaled = spread * 10.0 ** rng.uniform(-12, 0, 1500)
    return np.concatenate([spread, scaled, case[3], EDGES, [-edge for edge in EDGES]])


@pytest.mark.parametrize("name", CASES)
def test_the_exact_value_is_within_the_error_which_is_small(name):
    function, truth, (low, high), _, allowed = CASES[name]
    points = inputs(CASES[name])
    result = function(torch.from_numpy(points))
    values, errors = result.value.numpy(), result.error.numpy()
    known = 0
    for x, value, error in zip(points.tolist(), values.tolist(), errors.tolist(), strict=True):
        exact = known_truth(truth, x)
        if exact is None:
            assert not np.isfinite(error)
            continue
        assert not error < abs(exact - mpmath.mpf(value)), (x, value, error)
        if low <= x <= high and abs(x) > 1e-290:
            known += 1
            assert error <= 2e-14 * allowed(x, exact) + 1e-280, (x, value, error)
    assert known > 1000


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("x", [np.nan, np.inf, -np.inf])
def test_nothing_finite_is_said_about_nan_and_what_is_said_at_infinity_is_the_limit(name, x):
    function, truth, *_ = CASES[name]
    result = function(torch.tensor([x], dtype=torch.float64))
    if np.isfinite(result.error.item()):
        assert not np.isnan(x)
        limit = truth(mpmath.mpf(1e100 if x > 0 else -1e100))
        assert abs(limit - result.value.item()) <= result.error.item() + 1e-99


@pytest.mark.parametrize("operation", ["add", "sub", "mul", "truediv"])
def test_arithmetic_covers_every_pair_of_numbers_inside(operation):
    rng = np.random.default_rng(3)
    size = 400
    a, b = rng.standard_normal(size) * 10.0 ** rng.integers(-9, 9, size), rng.standard_normal(size)
    ea, eb = np.abs(a) * 10.0 ** rng.uniform(-17, 0.3, size), np.abs(b) * 10.0 ** rng.uniform(-17, 0.3, size)
    left = Enclosed(torch.from_numpy(a), torch.from_numpy(ea))
    right = Enclosed(torch.from_numpy(b), torch.from_numpy(eb))
    result = getattr(left, f"__{operation}__")(right)
    for i in range(size):
        for sa in (-1, 0, 1):
            for sb in (-1, 0, 1):
                x, y = mpmath.mpf(a[i]) + sa * mpmath.mpf(ea[i]), mpmath.mpf(b[i]) + sb * mpmath.mpf(eb[i])
                if operation == "truediv" and eb[i] >= abs(b[i]):
                    assert result.error[i] == np.inf
                    continue
                exact = getattr(x, f"__{operation}__")(y)
                assert abs(exact - result.value[i].item()) <= result.error[i].item()
                assert result.low()[i].item() <= exact <= result.high()[i].item()


@pytest.mark.parametrize(
    "name", ["sqrt", "log", "reciprocal", "exp, wide", "power 0.5", "power 0.3", "sigmoid"]
)
def test_bounds_hold_where_denormal_numbers_are_flushed_to_zero(name):
    function, truth, *_ = CASES[name]
    points = [5e-324, 1e-310, 2.0**-1023, 2.0**-1022, -1e-310, -700.0, -709.0]
    x = torch.tensor(points, dtype=torch.float64)
    flushes = torch.set_flush_denormal(True)
    try:
        result = function(x)
        values, errors = result.value.clone(), result.error.clone()
    finally:
        torch.set_flush_denormal(False)
    assert flushes
    for point, value, error in zip(points, values.tolist(), errors.tolist(), strict=True):
        exact = known_truth(truth, point)
        if exact is not None and np.isfinite(error):
            assert abs(exact - mpmath.mpf(value)) <= error
