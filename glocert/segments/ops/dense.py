"""Products with matrices: values by matrix products, radii by one product with absolute values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.rounding import dot, grow
from glocert.segments.knots import Knots, host
from glocert.segments.loops.dense import packed, through
from glocert.segments.ops.registry import Charges

Float64 = NDArray[np.float64]

_DEPTH = 384
_ROWS = 4
_ALONE = 2**19 - 1
"""multiplications of a product that NumPy's BLAS takes one thread for, whatever it was told"""
_SMALL = 2**15
"""numbers of a matrix up to which it is faster in parts of that size than torch's"""
_PACKING = 2**15
"""multiplications in the time of the calls for leaving something out"""


def product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return ``x @ weight + bias`` for x of shape (rows, k), one plain matrix product.

    Small products are NumPy's on the processor: up to three times as fast as torch's where matrices are
    narrow or rows few. Others are torch's, on as many threads as it has. There long sums are cut and few rows
    are filled up, so that most processors add in the same order for every number of rows.
    """
    rows, depth = x.shape
    if x.is_cpu and (weight.numel() <= _SMALL or rows * weight.numel() <= _ALONE):
        return torch.from_numpy(_in_parts(host(x), host(weight), None if bias is None else host(bias)))
    if rows < _ROWS:
        x = torch.cat([x, x.new_zeros(_ROWS - rows, depth)])
    out = (
        x[:, :_DEPTH] @ weight[:_DEPTH] if bias is None else torch.addmm(bias, x[:, :_DEPTH], weight[:_DEPTH])
    )
    for start in range(_DEPTH, depth, _DEPTH):
        out.addmm_(x[:, start : start + _DEPTH], weight[start : start + _DEPTH])
    return out[:rows]


def _in_parts(x: Float64, weight: Float64, bias: Float64 | None) -> Float64:
    """Return a product, made in even runs of rows that are small enough for one thread."""
    out = np.empty((len(x), weight.shape[1]))
    parts = max(1, -(-len(x) * weight.size // _ALONE))
    with np.errstate(all="ignore"):
        for part in range(parts):
            run = slice(len(x) * part // parts, len(x) * (part + 1) // parts)
            np.matmul(x[run], weight, out=out[run])
            if bias is not None:
                out[run] += bias
    return out


@dataclass(frozen=True, slots=True)
class Dense:
    """``y = x W + b`` on the last ``k`` coordinates in memory, repeated over the ones before them.

    With exact x within the radius of the model, the exact y is within ``|W| E`` of the model's image;
    computing a vertex adds at most gamma(k + 1) (|W| peak + |b|). Both are one product with |W|, and so is
    what executing adds.

    A coordinate that is zero all along, as a unit that is off, adds exactly zero where every weight is
    finite: it is left out where that saves more than it costs.

    Attributes:
        weight: shape (k, n).
        magnitude: its absolute values.
        bias: shape (n,), or None.
        floor: shape (n,), what the bias adds to the radius, or None.
        charges: what roundings cost.
        finite: whether every weight is.
    """

    weight: Tensor
    magnitude: Tensor
    bias: Tensor | None
    floor: Tensor | None
    charges: Charges
    finite: bool

    def __call__(self, *inputs: Knots) -> Knots:
        """Map every vertex; the radius takes one product with the absolute weights."""
        (x,) = inputs
        if self.finite and x.values.is_cpu and len(x.radius) == len(self.weight):
            return self.sparse(x)
        return self.everywhere(x)

    def everywhere(self, x: Knots) -> Knots:
        """Do it by torch, on any device."""
        terms = len(self.weight)
        values = product(x.values.reshape(-1, terms), self.weight, self.bias)
        radius = _through(self.charges.spread(x, dot(terms)).view(-1, terms), self.magnitude)
        if self.floor is not None:
            radius += self.floor
        radius = self.charges.closed(radius.mul_(grow(terms)))
        return Knots(values.view(len(x.values), -1), radius.view(-1))

    def sparse(self, x: Knots) -> Knots:
        """Do it on the processor, without what is zero; weights are finite, and used once."""
        terms, results = self.weight.shape
        low, high = x.extent()
        about = host(x.radius), host(low), host(high)
        floor = np.zeros(results) if self.floor is None else host(self.floor)
        costs = dot(terms), self.charges.executed, grow(terms), self.charges.tiny
        sizes = self.magnitude if self.charges.executed else self.weight  # read once, both fit the caches
        radius, live = through(about, host(sizes), floor, costs)
        values, weight = x.values, self.weight
        vertices, left = len(values), len(live)
        if vertices * (terms - left) * results > 16 * left * (vertices + results) + _PACKING:
            values, weight = map(torch.from_numpy, packed(host(values), host(weight), live))
        return Knots(product(values, weight, self.bias), torch.from_numpy(radius))


def _through(rows: Tensor, magnitude: Tensor) -> Tensor:
    """Return ``rows @ magnitude``; one row is taken as a vector, which BLAS does twice as fast."""
    return (magnitude.t() @ rows[0]).unsqueeze(0) if len(rows) == 1 else rows @ magnitude
