from __future__ import annotations

from itertools import product

import mpmath
import numpy as np
import pytest
import torch

from glocert.forms.form import Form
from tests.glocert.forms.ops.inside import build, form, worst_share

CASES = [((6,), 0), ((3, 4), 1), ((3, 4), 0), ((2, 3, 3), -2), ((1,), 0), ((2,), -1)]


def exact(axis: int):
    def softmax(x: np.ndarray) -> np.ndarray:
        e = np.frompyfunc(mpmath.exp, 1, 1)(x)
        return e / e.sum(axis=axis + 1 if axis >= 0 else axis, keepdims=True)

    return softmax


@pytest.mark.parametrize(("shape", "axis"), CASES)
@pytest.mark.parametrize(("k", "width"), list(product((1, 2), (0.0, 1e-12, 1e-4, 0.1, 1.0, 8.0, 1000.0))))
@pytest.mark.parametrize("scale", [0.5, 5.0, 900.0])
def test_exact_values_are_inside(shape, axis, k, width, scale):
    rng = np.random.default_rng(k)
    built = build("Softmax", [shape], shape, axis=axis)
    for share in (0.0, 0.3, 1.0):
        x = form(rng, k, 2, shape, lambda size: rng.standard_normal(size) * scale, width, share)
        common = rng.standard_normal() * width  # a common move costs nothing
        x = Form(x.centre, x.slopes + common, x.error)
        result = built(x)
        assert worst_share(rng, (x,), result, exact(axis), 8) <= 1


@pytest.mark.parametrize("width", [0.0, 1e-4, 1.0])
def test_exact_values_are_inside_in_float32(width):
    rng = np.random.default_rng(1)
    built = build("Softmax", [(3, 4)], (3, 4), torch.float32, axis=1)
    x = form(rng, 2, 2, (3, 4), lambda size: rng.standard_normal(size) * 5, width, 0.3).to(torch.float32)
    result = built(x)
    assert result.error.dtype == torch.float32
    assert worst_share(rng, (x,), result, exact(1), 8) <= 1


@pytest.mark.parametrize("k", [1, 2])
def test_the_error_is_a_quarter_when_the_interval_is_half(k):
    rng = np.random.default_rng(4)
    built = build("Softmax", [(5, 8)], (5, 8), axis=1)
    x = form(rng, k, 3, (5, 8), rng.standard_normal, 0.05, 0.0)
    half = Form(x.centre, x.slopes / 2, x.error)
    assert (built(half).error <= built(x).error * 0.27 + 1e-13).all()


def test_the_error_grows_with_the_second_derivative_only():
    rng = np.random.default_rng(4)
    built = build("Softmax", [(8,)], (8,), axis=0)
    x = form(rng, 1, 50, (8,), rng.standard_normal, 0.01, 0.0)
    result = built(x)
    p, t = torch.softmax(x.centre, 1), x.slopes[0]
    t = t - (p * t).sum(1, keepdim=True)
    curvature = p * (t * t + (p * t * t).sum(1, keepdim=True) + t.abs() * (p * t.abs()).sum(1, keepdim=True))
    assert (result.error <= curvature + 1e-12).all()


def test_what_all_inputs_share_costs_nothing():
    rng = np.random.default_rng(4)
    built = build("Softmax", [(8,)], (8,), axis=0)
    x = form(rng, 1, 2, (8,), rng.standard_normal, 1e-3, 0.0)
    moved = Form(x.centre, x.slopes + 3.0, x.error)
    assert (built(moved).error <= built(x).error * 1.001 + 1e-13).all()


@pytest.mark.parametrize("width", [0.1, 3.0, 1e6, 1e200])
def test_wide_inputs_give_at_most_the_whole_range(width):
    x = form(np.random.default_rng(4), 1, 2, (8,), np.zeros, width, 1.0)
    result = build("Softmax", [(8,)], (8,), axis=0)(x)
    assert (result.error <= 0.5 + 1e-9).all()


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_one_unknown_number_spoils_its_row_and_no_other(bad):
    x = form(np.random.default_rng(4), 1, 1, (2, 4), np.zeros, 0.1, 0.5)
    x.error[0, 1, 2] = bad
    result = build("Softmax", [(2, 4)], (2, 4), axis=1)(x)
    assert torch.isfinite(result.error[0, 0]).all()
    assert not torch.isfinite(result.error[0, 1]).any()
