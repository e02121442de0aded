"""Whether this process multiplies as every bound assumes: sums of products in some order, each rounded once.

A flag of torch, an environment variable of a library or the library itself may want it otherwise: float32 in
bfloat16 or TF32, float64 put together from integers, Winograd, FFT, Strassen. Whoever wants it, numbers show
it: the products here have one right result in every order of summation. A matrix of numbers of very different
sizes times one with a single number in each column gives products that are rounded once; operands of fewer
bits, a common scale or a mixture of neighbours do not. Sums of integers as large as a type can hold give that
very sum; a narrower accumulator does not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from glocert.errors import UnfaithfulArithmetic

Array = NDArray[np.float64]

_BITS = {4: 24, 8: 53}
"""of the significand, for each size in bytes"""
_SIZES = ((4, 9, 3), (96, 144, 64))
"""rows, terms and columns of the products: libraries choose by size"""
_IMAGES = ((2, 3, 9, 4), (2, 16, 12, 32))
"""images, channels, side and maps of the convolutions"""
_KERNEL = 3
_SPREAD = 20
"""sizes reach from 2^-20 to 2^20"""


class _Case(NamedTuple):
    """A product with a known result.

    Attributes:
        left: matrix or images.
        right: matrix or kernel.
        expected: the right result, in float64.
    """

    left: Array
    right: Array
    expected: Array


def check_products(dtype: torch.dtype, device: torch.device | str = "cpu") -> None:
    """Multiply some matrices in a number type.

    Args:
        dtype: float32 or float64.
        device: where.

    Raises:
        UnfaithfulArithmetic: a result is not what a sum of products is.
    """
    with torch.inference_mode():
        for case in _products(dtype.itemsize):
            left, right = (torch.tensor(part, dtype=dtype, device=device) for part in case[:2])
            _compare(left @ right, case, "products of matrices", dtype)
            _compare((right.mT.contiguous() @ left.mT.contiguous()).mT, case, "products of matrices", dtype)
            _compare(torch.bmm(left[None], right[None])[0], case, "products of matrices", dtype)


def check_convolutions(
    dtype: torch.dtype, convolve: Callable[[Tensor, Tensor], Tensor] = functional.conv2d
) -> None:
    """Convolve some images in a number type on the CPU.

    Args:
        dtype: float32 or float64.
        convolve: images (n, channels, height, width) and a kernel without pads -> the result.

    Raises:
        UnfaithfulArithmetic: a result is not what a sum of products is.
    """
    with torch.inference_mode():
        for case in _convolutions(dtype.itemsize):
            for layout in (torch.contiguous_format, torch.channels_last):
                images, kernel = (
                    torch.tensor(part, dtype=dtype).contiguous(memory_format=layout) for part in case[:2]
                )
                _compare(convolve(images, kernel), case, "convolutions", dtype)


def _compare(found: Tensor, case: _Case, what: str, dtype: torch.dtype) -> None:
    wrong = found.double().cpu().numpy() != case.expected
    if wrong.any():
        name = str(dtype).removeprefix("torch.")
        raise UnfaithfulArithmetic(
            f"{what} in {name} are not sums of {name} products here: {wrong.mean():.0%} of a test are wrong, "
            "so no bound holds. Unset ONEDNN_DEFAULT_FPMATH_MODE and whatever else lets libraries use fewer "
            "bits, and leave torch's precision of float32 products at 'highest'."
        )


@cache
def _products(itemsize: int) -> tuple[_Case, ...]:
    """Return products of matrices."""
    draw = np.random.default_rng(0)
    return tuple(
        case
        for rows, terms, columns in _SIZES
        for case in (
            _single(_numbers(draw, itemsize, rows, terms), draw, columns, itemsize),
            _counted(draw, itemsize, rows, terms, columns),
        )
    )


@cache
def _convolutions(itemsize: int) -> tuple[_Case, ...]:
    """Return convolutions whose kernels have a single number for each map."""
    return tuple(_convolution(itemsize, *sizes) for sizes in _IMAGES)


def _convolution(itemsize: int, count: int, channels: int, side: int, maps: int) -> _Case:
    draw = np.random.default_rng(1)
    images = _numbers(draw, itemsize, count, channels, side, side)
    inside = side - _KERNEL + 1
    shifted = [
        images[:, :, down : down + inside, right : right + inside]
        for down in range(_KERNEL)
        for right in range(_KERNEL)
    ]
    windows = np.stack(shifted, 2)  # (count, channels, taps, inside, inside)
    flat = np.moveaxis(windows, (1, 2), (3, 4)).reshape(-1, channels * _KERNEL**2)
    case = _single(flat, draw, maps, itemsize)
    kernel = case.right.T.reshape(maps, channels, _KERNEL, _KERNEL)
    return _Case(images, kernel, np.moveaxis(case.expected.reshape(count, inside, inside, maps), 3, 1))


def _single(left: Array, draw: np.random.Generator, columns: int, itemsize: int) -> _Case:
    """Return a product with a matrix that has one number in each column, every row used where it can be."""
    terms = left.shape[1]
    chosen = draw.permutation(np.arange(max(terms, columns)) % terms)[:columns]
    right = np.zeros((terms, columns))
    right[chosen, np.arange(columns)] = _numbers(draw, itemsize, columns)
    each = right[chosen, np.arange(columns)]
    # float64 holds the product of two float32 numbers, so either type is rounded once
    return _Case(left, right, (left[:, chosen] * each).astype(f"f{itemsize}").astype(np.float64))


def _counted(draw: np.random.Generator, itemsize: int, rows: int, terms: int, columns: int) -> _Case:
    """Return a product of integers whose sums just fit into the type."""
    bits = _BITS[itemsize]
    wide = bits // 2
    narrow = bits - wide - terms.bit_length()
    left = draw.integers(2 ** (wide - 1), 2**wide, (rows, terms)).astype(np.float64)
    right = draw.integers(1, 2**narrow, (terms, columns), endpoint=True).astype(np.float64)
    return _Case(
        left, right, np.einsum("ij,jk->ik", left.astype(np.int64), right.astype(np.int64)).astype(float)
    )


def _numbers(draw: np.random.Generator, itemsize: int, *shape: int) -> Array:
    """Return numbers with all the bits of a type, of very different sizes and both signs."""
    bits = _BITS[itemsize]
    whole = draw.integers(2 ** (bits - 1), 2**bits, shape).astype(np.float64) * draw.choice(
        (-1.0, 1.0), shape
    )
    return np.asarray(np.ldexp(whole, draw.integers(-_SPREAD, _SPREAD, shape) - bits))
