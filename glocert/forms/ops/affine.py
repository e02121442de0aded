"""Affine maps of forms: products with a matrix, and everything that acts on each coordinate by itself.

An affine map takes centre and slopes through ``W`` and the error through ``|W|``. Computing the former rounds
each sum of ``n`` products by at most gamma(n) times the sum of the absolute products; that is charged to the
error, in the same product with ``|W|``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.form import Form
from glocert.forms.ops import products
from glocert.forms.ops.registry import Site, Transfer, transfer
from glocert.graph.ir import Node
from glocert.rounding import CHARGE, TINY, UNIT, UP, dot, grow

Map = Callable[[Tensor], Tensor]
"""A linear map of a batch, shape (n, *shape), to another; rows do not mix."""

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Linear:
    """``y = W x + b`` with sums of ``terms`` products in any order.

    Attributes:
        through: multiplies by W.
        magnitude: multiplies by |W|.
        bias: broadcasts against a batch of outputs, or None.
        terms: how many products a sum has at most.
    """

    through: Map
    magnitude: Map
    bias: Tensor | None
    terms: int

    def __call__(self, *inputs: Form) -> Form:
        """Map centre and slopes; charge their rounding and the input's error through |W|."""
        (x,) = inputs
        lines = x.lines()
        out = split(self.through(lines.flatten(0, 1)), lines)
        error = self.magnitude(torch.add(x.error, x.magnitude(), alpha=dot(self.terms)))
        if self.bias is not None:
            out[0] += self.bias
            error = error + self.bias.abs() * dot(self.terms)
        return Form.of(out, error.mul_(grow(self.terms)).add_(TINY))


def split(batch: Tensor, lines: Tensor) -> Tensor:
    """Return ``batch``, shape (n, *any), with its first axis split as that of ``lines`` was: no copy."""
    return batch.reshape(*lines.shape[:2], *batch.shape[1:])


@transfer("Gemm")
def gemm(node: Node, site: Site) -> Transfer:
    """Product with the rows of a matrix."""
    weight = site.parameter(node.inputs[1]).t().contiguous()
    bias = site.parameter(node.inputs[2]) if len(node.inputs) > 2 else None
    size = weight.abs()
    return Linear(lambda x: x @ weight, lambda x: x @ size, bias, len(weight))


@transfer("MatMul")
def matmul(node: Node, site: Site) -> Transfer:
    """Product with a matrix or a vector on either side, as numpy defines it for each sample."""
    left, right = node.inputs
    if site.is_activation(left) and site.is_activation(right):
        return products.matmul(node, site)
    if site.is_activation(left):
        weight = site.parameter(right)
        size = weight.abs()
        return Linear(lambda x: torch.matmul(x, weight), lambda x: torch.matmul(x, size), None, len(weight))
    weight = site.parameter(left)
    if len(site.shape(right)) == 1:
        weight = weight.mT.contiguous() if weight.ndim == 2 else weight
        size = weight.abs()
        return Linear(lambda x: torch.matmul(x, weight), lambda x: torch.matmul(x, size), None, len(weight))
    size = weight.abs()
    terms = weight.shape[-1]
    return Linear(lambda x: torch.matmul(weight, x), lambda x: torch.matmul(size, x), None, terms)


def aligned(x: Form, rank: int) -> Form:
    """Return the form with axes of length 1 in front of its shape, up to ``rank``."""
    missing = rank - len(x.shape)
    if missing <= 0:
        return x
    lines, rows = x.lines(), len(x.centre)
    widened = lines.reshape(len(lines), rows, *(1,) * missing, *x.shape)
    return Form.of(widened, x.error.reshape(rows, *(1,) * missing, *x.shape))


@dataclass(frozen=True, slots=True)
class Sum:
    """``x + y`` or ``x - y`` of two activations; what they share of u cancels."""

    sign: int
    rank: int

    def __call__(self, *inputs: Form) -> Form:
        """Add: one rounding of each number."""
        x, y = (aligned(part, self.rank) for part in inputs)
        result = Form.of(torch.add(x.lines(), y.lines(), alpha=self.sign), x.error + y.error)
        result.error = torch.add(result.error, result.magnitude(), alpha=CHARGE).mul_(UP).add_(TINY)
        return result


@dataclass(frozen=True, slots=True)
class Scale:
    """``y = g x + h`` number by number, in whatever form ``apply`` evaluates it.

    Attributes:
        apply: maps centre and slopes: (lines of shape (1 + k, rows, *shape)) -> the same, h added to the
            centre. At most fifteen roundings of |g x|, |h| and the result.
        factor: bound on |g|, broadcasts against the shape; None is one.
        shift: bound on |h| and on what it was computed from, broadcasts against the shape.
        rank: of the output's shape.
    """

    apply: Map
    factor: Tensor | None
    shift: Tensor
    rank: int

    def __call__(self, *inputs: Form) -> Form:
        """Map centre and slopes; the error takes the factor and the roundings."""
        x = aligned(inputs[0], self.rank)
        error = torch.add(x.error, x.magnitude(), alpha=CHARGE)
        if self.factor is not None:
            error = error * self.factor
        error = (error + self.shift * CHARGE).mul_(UP).add_(TINY)
        return Form.of(self.apply(x.lines()), error)


def _shifted(lines: Tensor, shift: Tensor, sign: int) -> Tensor:
    """Return ``sign * lines`` with ``shift`` added to the centre."""
    moved = lines * sign + torch.zeros_like(shift)
    moved[0] += shift
    return moved


@transfer("Add", "Sub")
def add(node: Node, site: Site) -> Transfer:
    """Sum or difference of two activations, or of one and a parameter."""
    first, second = node.inputs
    rank = len(site.shape(node.output))
    minus = node.operator == "Sub"
    if site.is_activation(first) and site.is_activation(second):
        return Sum(-1 if minus else 1, rank)
    before = site.is_activation(first)
    shift = site.parameter(second if before else first)
    signed = -shift if before and minus else shift
    sign = -1 if minus and not before else 1
    return Scale(lambda lines: _shifted(lines, signed, sign), None, shift.abs(), rank)


@transfer("Mul")
def multiply(node: Node, site: Site) -> Transfer:
    """Product with a parameter, number by number."""
    first, second = node.inputs
    if site.is_activation(first) and site.is_activation(second):
        return products.mul(node, site)
    factor = site.parameter(second if site.is_activation(first) else first)
    rank = len(site.shape(node.output))
    return Scale(lambda lines: lines * factor, factor.abs(), torch.zeros_like(factor), rank)


@transfer("Div")
def divide(node: Node, site: Site) -> Transfer:
    """Quotient by a parameter: the exact quotient is meant, so one division is made and charged."""
    divisor = site.parameter(node.inputs[1])
    bound = divisor.abs().reciprocal() * UP + TINY
    rank = len(site.shape(node.output))
    return Scale(lambda lines: lines / divisor, bound, torch.zeros_like(divisor), rank)


@transfer("BatchNormalization")
def batch_normalization(node: Node, site: Site) -> Transfer:
    """``(x - mean) g + bias`` with ``g = scale / sqrt(var + epsilon)``, evaluated as ``x g + h``.

    The computed g has three roundings, h = bias - mean g two more; all are charged relative to |g| (|x| +
    |mean|) and |bias|. A variance that is not positive makes g, and with it every error, infinite or NaN.
    """
    shape = site.shape(node.output)
    columns = [site.parameter(name).reshape(-1, *(1,) * (len(shape) - 1)) for name in node.inputs[1:]]
    scale, bias, mean, variance = columns
    factor = scale / torch.sqrt(variance + node.number("epsilon"))
    shift = bias - mean * factor
    bound = factor.abs() * (1 + CHARGE) + TINY
    floor = (bound * mean.abs() + bias.abs()) * UP

    def apply(lines: Tensor) -> Tensor:
        out = lines * factor
        out[0] += shift
        return out

    return Scale(apply, bound, floor, len(shape))


@transfer("ReduceSum")
def reduce_sum(node: Node, site: Site) -> Transfer:
    """Sum over whole axes."""
    axes = tuple(axis + 1 for axis in node.ints("axes"))
    shape = site.shape(node.inputs[0])
    terms = 1
    for axis in node.ints("axes"):
        terms *= shape[axis]

    def total(x: Tensor) -> Tensor:
        return x.sum(axes) if axes else x.clone()

    return Linear(total, total, None, terms)


assert CHARGE >= 15 * UNIT  # what the docstrings above rely on
