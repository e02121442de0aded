"""Compiled arithmetic is what proofs assume: that of IEEE 754, one operation after the other, as written."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from glocert.compiled import compiled

SIZE = 4099
BITS = {np.float64: np.uint64, np.float32: np.uint32}
EXPRESSIONS = {
    "no fused multiply-add": lambda a, b, c: a * b + c,
    "no fused multiply-subtract": lambda a, b, c: c - a * b,
    "two products": lambda a, b, c: a * b - b * c,
    "sums from the left": lambda a, b, c: a + b + c,
    "sums in brackets": lambda a, b, c: a + (b + c),
    "nothing cancels": lambda a, b, c: (a + b) - b,
    "no factor is taken out": lambda a, b, c: a * b + a * c,
    "products from the left": lambda a, b, c: a * b * c,
    "no reciprocal": lambda a, b, c: a / c + b / c,
    "quotients of quotients": lambda a, b, c: a / b / c,
    "division undoes nothing": lambda a, b, c: a * b / b,
    "signs of zeros": lambda a, b, c: (a - a) + b * (c - c),
    "negation": lambda a, b, c: -(a - b) - c,
    "square roots": lambda a, b, c: np.sqrt(a) + b,
    "next numbers": lambda a, b, c: np.nextafter(a, b),
    "absolute values": lambda a, b, c: abs(a) - abs(b),
    "the larger, NaN included": lambda a, b, c: np.maximum(a, b) + np.minimum(b, c),
}
DTYPES = pytest.mark.parametrize("dtype", BITS)


@cache
def looped(expression):
    one = compiled(expression)

    @compiled
    def loop(a, b, c, out):
        for i in range(out.shape[0]):
            out[i] = one(a[i], b[i], c[i])

    return loop


@compiled
def total(a):
    s = a[0]
    for i in range(1, a.shape[0]):
        s += a[i]
    return s


@compiled
def inner(a, b):
    s = a[0] * b[0]
    for i in range(1, a.shape[0]):
        s += a[i] * b[i]
    return s


def patterns(dtype, rng, size=SIZE):
    """Any bits at all: every exponent, subnormal numbers, zeros, infinities, NaN."""
    bits = rng.integers(0, np.iinfo(BITS[dtype]).max, size, BITS[dtype], endpoint=True)
    values = bits.view(dtype)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max]
    values[:: len(special) + 3] = np.resize(np.array(special, dtype), values[:: len(special) + 3].shape)
    return values


def ordinary(dtype, rng, size=SIZE):
    return rng.normal(size=size).astype(dtype)


def tiny(dtype, rng, size=SIZE):
    """Subnormal numbers, and normal ones whose differences and products are subnormal."""
    return (rng.normal(size=size) * 4 * float(np.finfo(dtype).tiny)).astype(dtype)


def same(found, expected):
    """Whether all bits agree; a NaN is a NaN."""
    bits = BITS[expected.dtype.type]
    return found.dtype == expected.dtype and bool(
        np.all((found.view(bits) == expected.view(bits)) | (np.isnan(found) & np.isnan(expected)))
    )


@DTYPES
@pytest.mark.parametrize("values", [patterns, ordinary, tiny])
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_loop_computes_as_numpy_does_one_operation_after_the_other(name, values, dtype):
    rng = np.random.default_rng(0)
    a, b, c, out = (values(dtype, rng) for _ in range(4))
    looped(EXPRESSIONS[name])(a, b, c, out)
    with np.errstate(all="ignore"):
        assert same(out, np.asarray(EXPRESSIONS[name](a, b, c)))


@DTYPES
def test_a_product_is_rounded_before_it_is_added_to(dtype):
    """c takes the rounded product away: a fused operation would leave what the rounding took."""
    rng = np.random.default_rng(1)
    a, b = ordinary(dtype, rng), ordinary(dtype, rng)
    out = np.ones(SIZE, dtype)
    looped(lambda a, b, c: a * b + c)(a, b, -(a * b), out)
    assert not out.any()


@DTYPES
def test_sums_go_from_the_first_to_the_last(dtype):
    """With numbers of so different sizes any other order gives another sum."""
    rng = np.random.default_rng(2)
    a, b = (ordinary(dtype, rng) * 10.0 ** rng.integers(-3, 4, SIZE).astype(dtype) for _ in range(2))
    for found, terms in ((total(a), a), (inner(a, b), a * b)):
        assert found == np.add.accumulate(terms)[-1] != np.add.accumulate(terms[::-1])[-1]


@DTYPES
def test_the_loops_above_are_vectorised(dtype):
    """Or they would not show what vectorising does to arithmetic."""
    loop = looped.__wrapped__(EXPRESSIONS["no fused multiply-add"])
    arrays = [np.ones(SIZE, dtype) for _ in range(4)]
    loop(*arrays)
    (code,) = loop.inspect_llvm().values()
    assert " x double>" in code if dtype is np.float64 else " x float>" in code


@DTYPES
def test_a_division_by_zero_raises_nothing(dtype):
    out = np.empty(3, dtype)
    looped(lambda a, b, c: a / b)(dtype([1, -1, 0]), np.zeros(3, dtype), out, out)
    assert out[0] == np.inf
    assert out[1] == -np.inf
    assert np.isnan(out[2])


def test_a_number_beside_float32_makes_it_float64():
    """Unlike in numpy, where a number takes the type of the array: kernels write np.float32(0.1)."""
    out = np.empty(1)
    looped(lambda a, b, c: a * 0.1)(np.ones(1, np.float32), out, out, out)
    assert out[0] == 0.1
