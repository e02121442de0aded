"""Several transfers in a row, against the whole computation at fifty digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch

from glocert.forms.form import Form
from glocert.forms.ops import products
from tests.glocert.forms.ops.inside import build, elementwise, form, worst_share
from tests.glocert.forms.ops.test_functions import CASES, transfer_of
from tests.glocert.forms.ops.test_products import _matmul, _mul, product_of
from tests.glocert.forms.ops.test_softmax import exact as exact_softmax


def attention(q: Form, k: Form, v: Form) -> Form:
    """GELU of attention, times the query."""
    scores = product_of(products.matmul, (3, 4), (4, 3))[0](q, k)
    shares = build("Softmax", [(3, 3)], (3, 3), axis=1)(scores)
    mixed = product_of(products.matmul, (3, 3), (3, 4))[0](shares, v)
    return product_of(products.mul, (3, 4), (3, 4))[0](transfer_of("Gelu", (3, 4))(mixed), q)


def exact_attention(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    mixed = _matmul(exact_softmax(1)(_matmul(q, k)), v)
    return _mul(elementwise(CASES["Gelu"][0])(mixed), q)


def attention_forms(rng, k: int, width: float, share: float) -> tuple[Form, ...]:
    return tuple(
        form(rng, k, 2, shape, rng.standard_normal, width, share) for shape in ((3, 4), (4, 3), (3, 4))
    )


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("width", [0.0, 1e-9, 1e-3, 0.05, 0.5, 5.0])
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_attention_is_inside(k, width, share):
    rng = np.random.default_rng(k)
    forms = attention_forms(rng, k, width, share)
    result = attention(*forms)
    assert torch.isfinite(result.error).all()
    assert worst_share(rng, forms, result, exact_attention, 20) <= 1


def test_the_error_of_attention_is_a_quarter_when_the_interval_is_half():
    forms = attention_forms(np.random.default_rng(1), 1, 0.01, 0.0)
    halves = tuple(Form(x.centre, x.slopes / 2, x.error) for x in forms)
    assert (attention(*halves).error <= attention(*forms).error * 0.28 + 1e-12).all()


@pytest.mark.parametrize("width", [0.0, 1e-6, 0.02])
@pytest.mark.parametrize("k", [1, 2])
def test_a_number_over_its_distance_from_zero_is_inside(k, width):
    """``x / sqrt(x^2 + 1/2)`` as normalisation does it: square, root, reciprocal, product."""
    rng = np.random.default_rng(k)
    x = form(rng, k, 3, (6,), rng.standard_normal, width, 0.1)
    square = transfer_of("Pow, 2.0", (6,))(x)
    moved = Form(square.centre + 0.5, square.slopes, square.error + 1e-15 * (1 + square.centre.abs()))
    inverse = transfer_of("Reciprocal", (6,))(transfer_of("Sqrt", (6,))(moved))
    result = product_of(products.mul, (6,), (6,))[0](x, inverse)
    exact = elementwise(lambda v: v / mpmath.sqrt(v * v + mpmath.mpf(1) / 2))
    assert worst_share(rng, (x,), result, exact, 20) <= 1
    assert (result.error <= 1e-12 + 4 * (x.error + width**2)).all()
