"""The compiled product against torch's, which is tested by itself, and against exact numbers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from glocert.rounding import dot
from glocert.segments.knots import Knots
from glocert.segments.loops.dense import packed, times
from glocert.segments.ops.dense import Dense
from glocert.segments.ops.registry import PLAIN, Charges


def drawn(
    seed: int, vertices: int, terms: int, results: int, charges: Charges = PLAIN
) -> tuple[Dense, Knots]:
    """Return a product and a curve, half of whose coordinates are zero all along."""
    rng = np.random.default_rng(seed)
    weight = torch.from_numpy(rng.standard_normal((terms, results)))
    bias = torch.from_numpy(rng.standard_normal(results)) if seed % 2 else None
    floor = None if bias is None else bias.abs() * (dot(terms) + charges.executed)
    values = torch.from_numpy(np.maximum(rng.standard_normal((vertices, terms)), 0.0))
    radius = torch.from_numpy(rng.random(terms) * 1e-10)
    off = torch.from_numpy(rng.random(terms) < 0.5)
    values[:, off], radius[off] = 0.0, 0.0
    return Dense(weight, weight.abs(), bias, floor, charges, True), Knots(values, radius)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [(2, 7, 3), (40, 60, 50), (5, 300, 200), (90, 250, 260)])
@pytest.mark.parametrize("charges", [PLAIN, Charges(1e-6, 1e-30)])
def test_both_ways_agree(seed, size, charges):
    dense, x = drawn(seed, *size, charges)
    one, other = dense.sparse(x), dense.everywhere(x)
    torch.testing.assert_close(one.values, other.values, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(one.radius, other.radius, rtol=1e-11, atol=0)


@pytest.mark.parametrize("seed", range(4))
def test_the_radius_covers_exact_sums(seed):
    dense, x = drawn(seed, 3, 40, 6)
    found = dense(x)
    weight = [[Fraction(w) for w in row] for row in dense.weight.tolist()]
    for vertex, values in zip(x.values.tolist(), found.values.tolist(), strict=True):
        for j, value in enumerate(values):
            terms = [Fraction(v) * weight[k][j] for k, v in enumerate(vertex)]
            spread = [Fraction(r) * abs(weight[k][j]) for k, r in enumerate(x.radius.tolist())]
            bias = 0 if dense.bias is None else Fraction(float(dense.bias[j]))
            error = abs(Fraction(value) - sum(terms) - bias)
            assert error + sum(spread) <= Fraction(float(found.radius[j])) <= 2 * sum(spread)


def test_a_radius_alone_counts_where_every_value_is_zero():
    dense, x = drawn(0, 3, 20, 4)
    x.values.zero_()
    x.radius = torch.full((20,), 0.5, dtype=torch.float64)
    found = dense(x)
    assert (found.values == 0).all()
    assert (found.radius >= 0.5 * dense.magnitude.sum(0)).all()


def test_values_count_where_the_radius_is_zero():
    dense, x = drawn(0, 400, 20, 300)
    x.radius = torch.zeros(20, dtype=torch.float64)
    torch.testing.assert_close(dense(x).values, x.values @ dense.weight)


@pytest.mark.parametrize("weight", [np.inf, np.nan])
def test_a_weight_that_is_not_finite_counts_where_the_value_is_zero(weight):
    dense, x = drawn(0, 3, 20, 4)
    off = int((x.values.amax(0) == 0).nonzero()[0])
    broken = dense.weight.clone()
    broken[off, 1] = weight
    found = Dense(broken, broken.abs(), None, None, PLAIN, False)(x)
    assert not torch.isfinite(found.radius[1])


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("where", ["values", "radius"])
def test_what_is_not_finite_leaves_no_finite_radius(value, where):
    dense, x = drawn(1, 50, 60, 50)
    on = int((x.values.amax(0) > 0).nonzero()[0])
    if where == "values":
        x.values[7, on] = value
    else:
        x.radius[on] = abs(value)
    assert not torch.isfinite(dense(x).radius).any()


@pytest.mark.parametrize("length", range(9))
def test_rows_are_taken_four_at_a_time_and_then_one_by_one(length):
    rng = np.random.default_rng(length)
    row, matrix = rng.random(length), rng.standard_normal((length, 5))
    np.testing.assert_allclose(times(row, matrix), row @ np.abs(matrix), rtol=1e-14)


def test_packing_keeps_order():
    values, weight = np.arange(12.0).reshape(3, 4), np.arange(8.0).reshape(4, 2)
    columns, rows = packed(values, weight, np.array([1, 3]))
    np.testing.assert_array_equal(columns, values[:, [1, 3]])
    np.testing.assert_array_equal(rows, weight[[1, 3]])


def test_an_execution_is_charged_for_sizes_that_exceed_the_weights():
    dense, x = drawn(0, 40, 60, 50, Charges(1e-6, 1e-30))
    floored = Dense(dense.weight, dense.magnitude.clamp(min=2.0), None, None, dense.charges, True)
    torch.testing.assert_close(floored.sparse(x).radius, floored.everywhere(x).radius, rtol=1e-11, atol=0)
    assert (floored.sparse(x).radius > 1.5 * dense.sparse(x).radius).all()
