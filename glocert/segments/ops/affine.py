"""Products with matrices, sums, and everything that acts on each coordinate by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.graph.execution import extreme
from glocert.graph.ir import Node
from glocert.rounding import CHARGE, TINY, UNIT, UP, dot, grow
from glocert.segments.knots import Knots
from glocert.segments.ops.dense import Dense as Dense
from glocert.segments.ops.dense import product as product
from glocert.segments.ops.registry import (
    PLAIN,
    Affine,
    Charges,
    Order,
    Shape,
    Site,
    gathered,
    natural,
    plain,
    transfer,
)


def dense(site: Site, node: Node, weight: NDArray[np.float64], bias: NDArray[np.float64] | None) -> Dense:
    """Prepare a product with ``weight`` of shape (k, n)."""
    matrix, charges = site.tensor(weight), site.charges(node)
    finite = bool(np.isfinite(weight).all())
    if bias is None:
        return Dense(matrix, site.size(matrix), None, None, charges, finite)
    shift = site.tensor(bias)
    floor = shift.abs() * (dot(len(weight)) + charges.executed)
    return Dense(matrix, site.size(matrix), shift, floor, charges, finite)


@transfer("Gemm")
def gemm(node: Node, site: Site) -> tuple[Affine, Order]:
    """Product with the rows of a matrix; the order of the input is absorbed by the matrix."""
    name, weight_name, *rest = node.inputs
    weight = site.parameter(weight_name)
    bias = np.broadcast_to(site.parameter(rest[0]), (len(weight),)) if rest else None
    return dense(site, node, weight[:, site.orders[name]].T, bias), plain(site.shape(node.output))


@transfer("MatMul")
def matmul(node: Node, site: Site) -> tuple[Affine, Order]:
    """Product with a matrix on either side, as numpy defines it for each sample."""
    if site.is_activation(node.inputs[0]):
        return _times_matrix(node, site)
    return _matrix_times(node, site)


def _times_matrix(node: Node, site: Site) -> tuple[Affine, Order]:
    """``x @ W``: the contracted axis is the last one."""
    name, weight = node.inputs[0], site.parameter(node.inputs[1])
    matrix = weight.reshape(len(weight), -1)
    shape = site.shape(name)
    if len(shape) == 1:
        return dense(site, node, matrix[site.orders[name]], None), plain((matrix.shape[1],))
    outside = plain((*shape[:-1], matrix.shape[1]))
    return gathered(site.gather(name, plain(shape)), dense(site, node, matrix, None)), outside


def _matrix_times(node: Node, site: Site) -> tuple[Affine, Order]:
    """``W @ x``: the contracted axis of x is the last but one, or its only one."""
    weight, name, out = site.parameter(node.inputs[0]), node.inputs[1], site.shape(node.output)
    matrix = weight.reshape(-1, weight.shape[-1]).T
    shape = site.shape(name)
    if len(shape) == 1:
        return dense(site, node, matrix[site.orders[name]], None), plain(out)
    wanted = np.swapaxes(plain(shape).reshape(shape), -1, -2).ravel()
    stacked = (*shape[:-2], matrix.shape[1], shape[-1])
    order = np.swapaxes(plain(stacked).reshape(stacked), -1, -2).ravel()
    return gathered(site.gather(name, wanted), dense(site, node, matrix, None)), order


@dataclass(frozen=True, slots=True)
class Pointwise:
    """``y_i = g_i x_i + h_i`` in one of its forms, with the error of evaluating it.

    Attributes:
        apply: maps the values, shape (vertices, n).
        magnitude: bound on |g|, shape (n,), with TINY where a computed g may have underflowed; None is one.
        floor: bound on |h| and on what it was computed from, shape (n,).
        charges: what roundings cost.
    """

    apply: Callable[[Tensor], Tensor]
    magnitude: Tensor | None
    floor: Tensor
    charges: Charges

    def __call__(self, *inputs: Knots) -> Knots:
        """Map every vertex; fewer than sixteen roundings of |g x| and |h| are charged."""
        (x,) = inputs
        radius = self.charges.spread(x, CHARGE)
        if self.magnitude is not None:
            radius *= self.magnitude
        radius = radius.add_(self.floor, alpha=CHARGE + self.charges.executed).mul_(UP)
        return Knots(self.apply(x.values), self.charges.closed(radius))


@dataclass(frozen=True, slots=True)
class Sum:
    """``x + y`` or ``x - y`` of two activations in the same order."""

    sign: int
    first: Tensor | None
    second: Tensor | None
    charges: Charges

    def __call__(self, *inputs: Knots) -> Knots:
        """Add at every vertex: one rounding, relative to the computed sum.

        Executed, a longer sum may start with one of the two.
        """
        x, y = inputs
        x = x if self.first is None else x.take(self.first)
        y = y if self.second is None else y.take(self.second)
        result = Knots(torch.add(x.values, y.values, alpha=self.sign), x.radius + y.radius)
        radius = PLAIN.spread(result, CHARGE)
        if self.charges.executed:
            for part in (x, y):
                radius = radius + (part.peak() + part.radius) * self.charges.executed
        result.radius = self.charges.closed(radius.mul_(UP))
        return result


@transfer("Add", "Sub", activations=2)
def add(node: Node, site: Site) -> tuple[Affine, Order]:
    """Sum or difference of two activations, or of one and a parameter."""
    names = [name for name in node.inputs if site.is_activation(name)]
    if len(names) == 1:
        return _shift(node, site, names[0])
    shape = site.shape(node.output)
    order = site.orders[names[0]] if site.shape(names[0]) == shape else natural(shape)
    first, second = (_broadcast(site, name, shape, order) for name in node.inputs)
    return Sum(1 if node.operator == "Add" else -1, first, second, site.charges(node)), order


@dataclass(frozen=True, slots=True)
class Total:
    """Sums of ``terms`` neighbours in memory.

    With exact x within the radius of the model, the exact sum is within the sum of the radii of the model's
    sum; adding ``terms`` numbers in any order is off by at most gamma(terms - 1) times the sum of the peaks.
    """

    terms: int
    charges: Charges

    def __call__(self, *inputs: Knots) -> Knots:
        """Add at every vertex; the radius is a sum of its own."""
        (x,) = inputs
        values = x.values.view(len(x.values), -1, self.terms).sum(2)
        radius = self.charges.spread(x, dot(self.terms)).view(-1, self.terms).sum(1)
        return Knots(values, self.charges.closed(radius.mul_(grow(self.terms))))


@transfer("ReduceSum")
def reduce_sum(node: Node, site: Site) -> tuple[Affine, Order]:
    """Bring what is added next to each other, then add."""
    name, axes, out = node.inputs[0], node.ints("axes"), site.shape(node.output)
    shape = site.shape(name)
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    terms = int(np.prod([shape[axis] for axis in axes], dtype=np.int64))
    order = natural(out)
    wanted = plain(shape).reshape(shape).transpose(*kept, *axes).reshape(-1, terms)[order]
    return gathered(site.gather(name, wanted.reshape(-1)), Total(terms, site.charges(node))), order


def _broadcast(site: Site, name: str, shape: Shape, order: Order) -> Tensor | None:
    """Return where each number of the broadcast activation lies in memory; None: in the same place."""
    if site.shape(name) == shape:
        return site.gather(name, order)
    return site.gather(name, _flat_indices(site.shape(name), shape)[order])


def _flat_indices(shape: Shape, wider: Shape) -> Order:
    return np.broadcast_to(plain(shape).reshape(shape), wider).reshape(-1)


def _spot(node: Node, site: Site, name: str) -> tuple[Tensor | None, Order, Shape]:
    """Return the gather in front of a pointwise node, the order of its output and its shape."""
    shape = site.shape(node.output)
    order = site.orders[name] if site.shape(name) == shape else natural(shape)
    return _broadcast(site, name, shape, order), order, shape


def _flat(site: Site, name: str, shape: Shape, order: Order) -> Tensor:
    return site.tensor(np.broadcast_to(site.parameter(name), shape).reshape(-1)[order])


def _shift(node: Node, site: Site, name: str) -> tuple[Affine, Order]:
    index, order, shape = _spot(node, site, name)
    other = node.inputs[1] if node.inputs[0] == name else node.inputs[0]
    shift = _flat(site, other, shape, order)
    forms: dict[tuple[str, bool], Callable[[Tensor], Tensor]] = {
        ("Add", True): lambda x: x + shift,
        ("Add", False): lambda x: x + shift,
        ("Sub", True): lambda x: x - shift,
        ("Sub", False): lambda x: shift - x,
    }
    form = forms[node.operator, node.inputs[0] == name]
    return gathered(index, Pointwise(form, None, shift.abs(), site.charges(node))), order


@transfer("Mul")
def multiply(node: Node, site: Site) -> tuple[Affine, Order]:
    """Product with a parameter, number by number."""
    name, other = node.inputs if site.is_activation(node.inputs[0]) else node.inputs[::-1]
    index, order, shape = _spot(node, site, name)
    factor = _flat(site, other, shape, order)
    size, none = site.factor(factor), torch.zeros_like(factor)
    return gathered(index, Pointwise(lambda x: x * factor, size, none, site.charges(node))), order


@transfer("Div")
def divide(node: Node, site: Site) -> tuple[Affine, Order]:
    """Quotient by a parameter: the exact quotient is meant, so one division is made and charged."""
    name, other = node.inputs
    index, order, shape = _spot(node, site, name)
    divisor = _flat(site, other, shape, order)
    magnitude, none = site.factor(divisor.reciprocal()) * UP + TINY, torch.zeros_like(divisor)
    return gathered(index, Pointwise(lambda x: x / divisor, magnitude, none, site.charges(node))), order


@transfer("BatchNormalization")
def batch_normalization(node: Node, site: Site) -> tuple[Affine, Order]:
    """``(x - mean) g + bias`` with ``g = scale / sqrt(var + epsilon)``, evaluated as ``x g + h``.

    The computed g has three roundings, h = bias - mean g two more; both are charged relative to |g| (|x| +
    |mean|) and |bias|. A variance that is not positive makes g, and with it every radius, infinite or NaN.
    """
    name = node.inputs[0]
    shape, order = site.shape(name), site.orders[name]
    columns = [_per_channel(site, parameter, shape, order) for parameter in node.inputs[1:]]
    scale, bias, mean, variance = columns
    factor = scale / torch.sqrt(variance + node.number("epsilon"))
    shift = bias - mean * factor
    magnitude = site.factor(factor) * (1 + CHARGE) + TINY
    if site.execution.charged:
        far = extreme(scale, mean, variance, node.number("epsilon"))
        magnitude = magnitude.masked_fill(far, torch.inf)
    floor = (magnitude * mean.abs() + bias.abs()) * UP
    charges = site.charges(node)
    return Pointwise(lambda x: torch.addcmul(shift, x, factor), magnitude, floor, charges), order


def _per_channel(site: Site, name: str, shape: Shape, order: Order) -> Tensor:
    values = site.parameter(name).reshape(-1, *(1,) * (len(shape) - 1))
    return site.tensor(np.broadcast_to(values, shape).reshape(-1)[order])


assert CHARGE >= 15 * UNIT  # what the docstrings above rely on
