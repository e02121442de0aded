"""Products with fewer bits, or put together in another way, are found whoever asked for them."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional

from glocert import faithful, forms, segments
from glocert.errors import UnfaithfulArithmetic
from glocert.faithful import check_convolutions, check_products
from glocert.lipschitz.network import bound
from tests.glocert.segments.networks import mlp

TYPES = (torch.float32, torch.float64)


def narrowed(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Round to so many significant bits."""
    mantissa, exponent = torch.frexp(x.double())
    return torch.ldexp(torch.round(torch.ldexp(mantissa, torch.tensor(bits))), exponent - bits).to(x.dtype)


def on_one_scale(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Multiply as emulations by integers do: the numbers of a row share an exponent."""
    bits = 54 if left.dtype == torch.float64 else 25
    largest = left.abs().amax(-1, keepdim=True)
    scale = torch.ldexp(torch.ones_like(largest), torch.frexp(largest)[1])
    return torch.round(left / scale * 2.0**bits) * 2.0**-bits * scale @ right


def strassen(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Multiply halves with seven products, once; what is odd is done plainly."""
    rows, terms, columns = (size // 2 for size in (len(left), len(right), right.shape[1]))
    out = left @ right
    a, b = left[: 2 * rows, : 2 * terms], right[: 2 * terms, : 2 * columns]
    (a11, a12), (a21, a22) = (half.split(terms, 1) for half in a.split(rows))
    (b11, b12), (b21, b22) = (half.split(columns, 1) for half in b.split(terms))
    one, four = (a11 + a22) @ (b11 + b22), a22 @ (b21 - b11)
    five, seven = (a11 + a12) @ b22, (a12 - a22) @ (b21 + b22)
    three, two, six = a11 @ (b12 - b22), (a21 + a22) @ b11, (a21 - a11) @ (b11 + b12)
    upper = torch.cat([one + four - five + seven, three + five], 1)
    lower = torch.cat([two + four, one - two + three + six], 1)
    out[: 2 * rows, : 2 * columns] = torch.cat([upper, lower])
    out[: 2 * rows, : 2 * columns] += left[: 2 * rows, 2 * terms :] @ right[2 * terms :, : 2 * columns]
    return out


def halves(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Multiply exactly and add up with half the bits."""
    total = torch.zeros(len(left), right.shape[1], dtype=left.dtype)
    bits = 12 if left.dtype == torch.float32 else 27
    for term in range(len(right)):
        product = left[:, term, None] * right[None, term]
        total = torch.where(
            total == 0, product, torch.where(product == 0, total, narrowed(total + product, bits))
        )
    return total


BAD_PRODUCTS = {
    "eleven bits": lambda left, right: narrowed(left, 11) @ narrowed(right, 11),
    "two bits less on the left": lambda left, right: (
        narrowed(left, 22 if left.dtype == torch.float32 else 51) @ right
    ),
    "two bits less on the right": lambda left, right: (
        left @ narrowed(right, 22 if left.dtype == torch.float32 else 51)
    ),
    "one scale": on_one_scale,
    "strassen": strassen,
    "narrow sums": halves,
}


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_this_machine_multiplies_as_it_should(dtype):
    check_products(dtype)
    check_convolutions(dtype)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("bad", BAD_PRODUCTS.values(), ids=BAD_PRODUCTS)
def test_products_that_are_made_otherwise_are_found(monkeypatch, bad, dtype):
    monkeypatch.setattr(torch.Tensor, "__matmul__", _once(bad))
    with pytest.raises(UnfaithfulArithmetic, match="ONEDNN_DEFAULT_FPMATH_MODE"):
        check_products(dtype)


def _once(bad):
    """Return a product that is bad, made of products that are not."""
    plain, busy = torch.Tensor.__matmul__, []

    def product(left, right):
        if busy:
            return plain(left, right)
        busy.append(1)
        try:
            return bad(left, right)
        finally:
            busy.pop()

    return product


def winograd(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Convolve with four products for two outputs by three taps along each axis, exactly F(2x2, 3x3)."""
    tiles = x.unfold(2, 4, 2).unfold(3, 4, 2)
    into = x.new_tensor([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
    taps = x.new_tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
    back = x.new_tensor([[1, 1, 1, 0], [0, 1, -1, -1]])
    seen, turned = into @ tiles @ into.T, taps @ kernel @ taps.T
    products = torch.einsum("nchwij,mcij->nmhwij", seen, turned)
    made = back @ products @ back.T
    count, maps, high, wide = made.shape[:4]
    out = functional.conv2d(x, kernel)
    out[:, :, : 2 * high, : 2 * wide] = made.transpose(3, 4).reshape(count, maps, 2 * high, 2 * wide)
    return out


def fourier(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Convolve by transforms."""
    side, size = x.shape[-1], kernel.shape[-1]
    spectrum = torch.einsum(
        "nchw,mchw->nmhw", torch.fft.rfft2(x), torch.fft.rfft2(kernel, s=(side, side)).conj()
    )
    return torch.fft.irfft2(spectrum, s=(side, side))[:, :, : side - size + 1, : side - size + 1]


BAD_CONVOLUTIONS = {
    "bfloat16": lambda x, kernel: functional.conv2d(x.bfloat16(), kernel.bfloat16()).to(x.dtype),
    "winograd": winograd,
    "fourier": fourier,
}


def test_what_is_planted_convolves():
    draw = np.random.default_rng(0)
    x, kernel = (torch.tensor(draw.normal(size=shape)) for shape in ((2, 3, 12, 12), (5, 3, 3, 3)))
    right = functional.conv2d(x, kernel)
    assert torch.allclose(winograd(x, kernel), right)
    assert torch.allclose(fourier(x, kernel), right)
    left, other = (torch.tensor(draw.normal(size=shape)) for shape in ((7, 9), (9, 5)))
    assert torch.allclose(strassen(left, other), left @ other)
    assert torch.allclose(on_one_scale(left, other), left @ other)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("bad", BAD_CONVOLUTIONS.values(), ids=BAD_CONVOLUTIONS)
def test_convolutions_that_are_made_otherwise_are_found(bad, dtype):
    with pytest.raises(UnfaithfulArithmetic, match="convolutions"):
        check_convolutions(dtype, bad)


def test_nothing_is_prepared_where_products_lose_bits(monkeypatch):
    graph = mlp(np.random.default_rng(0), 3, 4, 2)
    monkeypatch.setattr(torch.Tensor, "__matmul__", _once(BAD_PRODUCTS["eleven bits"]))
    for made in (
        lambda: forms.prepare(graph),
        lambda: forms.prepare(graph, dtype=torch.float32),
        lambda: segments.prepare(graph),
        lambda: bound(graph),
    ):
        with pytest.raises(UnfaithfulArithmetic):
            made()


ASKED = """
import torch
from glocert.errors import UnfaithfulArithmetic
from glocert.forms.ops.convolution import check_library
draw = torch.Generator().manual_seed(0)
x, kernel = torch.rand(4, 16, 12, 12, generator=draw), torch.rand(32, 16, 3, 3, generator=draw)
layout = [part.contiguous(memory_format=torch.channels_last) for part in (x, kernel)]
found = torch.mkldnn_convolution(*layout, None, (0, 0), (1, 1), (1, 1), 1).double()
right = torch.nn.functional.conv2d(x.double(), kernel.double())
lost = bool(((found - right).abs() > 2e-5 * right).any())
try:
    check_library(torch.float32, torch.device("cpu"))
    print(lost, False)
except UnfaithfulArithmetic:
    print(lost, True)
"""


def test_a_processor_that_is_told_to_multiply_in_bfloat16_is_found():
    """Where the processor has units for bfloat16 and the library uses them, and only there."""
    for mode in ("STRICT", "BF16"):
        told = {**os.environ, "ONEDNN_DEFAULT_FPMATH_MODE": mode}
        said = subprocess.run(
            [sys.executable, "-c", ASKED], env=told, capture_output=True, text=True, check=True
        ).stdout.split()
        lost, refused = said
        assert lost == refused
        assert mode == "BF16" or lost == "False"


def test_the_tests_sums_fill_the_type():
    for itemsize, bits in ((4, 24), (8, 53)):
        counted = [case.expected.max() for case in faithful._products(itemsize)[1::2]]
        assert all(2.0 ** (bits - 3) < most < 2.0**bits for most in counted)
