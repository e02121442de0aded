"""Affine operators backwards: adjoints go through the transposed map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.backward.registry import Local, Reverse, each, folded, repeats, reverse
from glocert.forms.form import Form
from glocert.forms.ops.registry import Site
from glocert.graph.ir import Node
from glocert.rounding import CHARGE, TINY, UNIT, UP, dot, grow

Map = Callable[[Tensor], Tensor]
"""A linear map of a batch, shape (n, *shape), to another; rows do not mix."""


@dataclass(frozen=True, slots=True)
class Affine:
    """``y = W x + b``.

    Attributes:
        transposed: multiplies a batch by W^T; sums of at most ``terms`` products.
        size: a bound on ``|W| |x|`` from one on ``|x|``, its own roundings included.
        bias: broadcasts against a batch of outputs, or None.
        terms: see there.
        shape: of the output.
    """

    transposed: Map
    size: Map
    bias: Tensor | None
    terms: int
    shape: tuple[int, ...]

    def local(self, inputs: Sequence[Form]) -> Local:
        """Charge the rounding of ``W^T a``."""
        peak = inputs[0].peak()
        charge = self.size(peak).expand(len(peak), *self.shape) * dot(self.terms)
        floor = peak.flatten(1).sum(1) * TINY * grow(peak[0].numel())
        if self.bias is None:
            return Local(None, charge * UP + TINY, floor)
        return Local.between(self.bias.expand(charge.shape), charge, floor)

    def back(self, adjoint: Tensor, gains: tuple[Tensor, ...]) -> Sequence[Tensor]:  # noqa: ARG002
        """Multiply by the transpose."""
        return (each(self.transposed, adjoint),)


def lifted(product: Map, terms: int) -> Map:
    """Return a map of non-negative numbers whose results are not below the exact sums of so many products."""
    return lambda x: product(x) * grow(terms)


@reverse("Gemm")
def gemm(node: Node, site: Site) -> Reverse:
    """Product with the rows of a matrix."""
    weight = site.parameter(node.inputs[1])
    size = weight.abs().t().contiguous()
    bias = site.parameter(node.inputs[2]) if len(node.inputs) > 2 else None
    outputs, terms = weight.shape
    return Affine(lambda a: a @ weight, lifted(lambda x: x @ size, terms), bias, outputs, (outputs,))


@reverse("MatMul")
def matmul(node: Node, site: Site) -> Reverse | None:
    """Product with a matrix or a vector on either side, as numpy defines it for each sample."""
    left, right = node.inputs
    shape = site.shape(node.output)
    if site.is_activation(left) and site.is_activation(right):
        return None
    before = site.is_activation(left)
    weight, inside = site.parameter(right if before else left), site.shape(left if before else right)
    return _Product(before, weight, inside, shape).reverse()


@dataclass(frozen=True, slots=True)
class _Product:
    """``x @ w`` or ``w @ x`` for per-sample shapes, written for matrices on both sides."""

    before: bool
    weight: Tensor
    inside: tuple[int, ...]
    outside: tuple[int, ...]

    def reverse(self) -> Reverse:
        terms = self.weight.shape[-2:].numel() * repeats(self.inside, self.outside)
        inner = self.inside[-1]
        size = self.weight.abs()
        return Affine(
            self._transposed, lifted(lambda x: self._times(x, size), inner), None, terms, self.outside
        )

    def _times(self, x: Tensor, weight: Tensor) -> Tensor:
        lone = len(self.inside) == 1
        if self.before:
            return torch.matmul(x, weight)
        if lone:
            return torch.matmul(x, weight.mT if weight.ndim > 1 else weight)
        return torch.matmul(weight, x)

    def _transposed(self, adjoint: Tensor) -> Tensor:
        """Give both sides two axes, multiply by the transpose, and sum what was repeated."""
        weight, lone = self.weight, len(self.inside) == 1
        if weight.ndim == 1:
            weight = weight[:, None] if self.before else weight[None]
            adjoint = adjoint.unsqueeze(-1 if self.before else -2)
        if lone:
            adjoint = adjoint.unsqueeze(-2 if self.before else -1)
        product = adjoint @ weight.mT if self.before else weight.mT @ adjoint
        inside = ((1, *self.inside) if self.before else (*self.inside, 1)) if lone else self.inside
        return folded(product.unsqueeze(1), inside).reshape(-1, *self.inside)


@dataclass(frozen=True, slots=True)
class Scale:
    """``y = g x + h`` number by number, with numpy's broadcasting.

    Attributes:
        factor: g as computed, at most fifteen roundings, or None for one.
        bound: on |g|, broadcasts against the output.
        shift: h as computed, or None.
        floor: bound on |h| and on what it was computed from.
        inside: shape of x.
        outside: shape of y.
    """

    factor: Tensor | None
    bound: Tensor
    shift: Tensor | None
    floor: Tensor
    inside: tuple[int, ...]
    outside: tuple[int, ...]

    def local(self, inputs: Sequence[Form]) -> Local:
        """Charge the roundings of g and h, of ``g a`` and of the sum over what was repeated."""
        peak = inputs[0].peak()
        rank = len(self.outside) - len(self.inside)
        wide = peak.reshape(len(peak), *(1,) * rank, *self.inside).expand(len(peak), *self.outside)
        terms = CHARGE + dot(repeats(self.inside, self.outside))
        charge = (wide * (self.bound * terms) + self.floor * CHARGE) * (UP * UP) + TINY
        under = wide.flatten(1).sum(1) * (TINY * grow(wide[0].numel()))
        if self.shift is None:
            return Local(None, charge, under)
        return Local.between(self.shift.expand(charge.shape), charge, under)

    def back(self, adjoint: Tensor, gains: tuple[Tensor, ...]) -> Sequence[Tensor]:  # noqa: ARG002
        """Multiply, and sum what was repeated."""
        scaled = adjoint if self.factor is None else adjoint * self.factor
        return (folded(scaled, self.inside),)


@dataclass(frozen=True, slots=True)
class Sum:
    """``x + y`` or ``x - y`` of two activations."""

    sign: int
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    outside: tuple[int, ...]

    def local(self, inputs: Sequence[Form]) -> Local:
        """Charge the sums over what broadcasting repeated; else nothing is computed."""
        rows = len(inputs[0].centre)
        charge = inputs[0].centre.new_full((rows, *self.outside), TINY)
        for x, shape in zip(inputs, self.shapes, strict=True):
            times = repeats(shape, self.outside)
            if times > 1:
                wide = x.peak().reshape(rows, *(1,) * (len(self.outside) - len(shape)), *shape)
                charge = (charge + wide * dot(times)) * UP
        return Local(None, charge)

    def back(self, adjoint: Tensor, gains: tuple[Tensor, ...]) -> Sequence[Tensor]:  # noqa: ARG002
        """Give both the adjoint."""
        first, second = self.shapes
        return folded(adjoint, first), folded(adjoint if self.sign > 0 else -adjoint, second)


@reverse("Add", "Sub")
def add(node: Node, site: Site) -> Reverse:
    """Sum or difference of two activations, or of one and a parameter."""
    first, second = node.inputs
    outside, minus = site.shape(node.output), node.operator == "Sub"
    if site.is_activation(first) and site.is_activation(second):
        return Sum(-1 if minus else 1, (site.shape(first), site.shape(second)), outside)
    before = site.is_activation(first)
    shift = site.parameter(second if before else first)
    one = torch.ones((), dtype=shift.dtype, device=shift.device)
    factor = -one if minus and not before else None
    signed = -shift if minus and before else shift
    return Scale(factor, one, signed, shift.abs(), site.shape(first if before else second), outside)


@reverse("Mul")
def multiply(node: Node, site: Site) -> Reverse | None:
    """Product with a parameter, number by number."""
    first, second = node.inputs
    if site.is_activation(first) and site.is_activation(second):
        return None
    before = site.is_activation(first)
    factor = site.parameter(second if before else first)
    inside = site.shape(first if before else second)
    return Scale(factor, factor.abs(), None, torch.zeros_like(factor), inside, site.shape(node.output))


@reverse("Div")
def divide(node: Node, site: Site) -> Reverse:
    """Quotient by a parameter; its reciprocal is rounded once."""
    factor = site.parameter(node.inputs[1]).reciprocal()
    bound = factor.abs() * UP + TINY
    return Scale(
        factor, bound, None, torch.zeros_like(factor), site.shape(node.inputs[0]), site.shape(node.output)
    )


@reverse("BatchNormalization")
def batch_normalization(node: Node, site: Site) -> Reverse:
    """``x g + h`` with the g and h of the forward pass: three and two roundings."""
    shape = site.shape(node.output)
    columns = [site.parameter(name).reshape(-1, *(1,) * (len(shape) - 1)) for name in node.inputs[1:]]
    scale, bias, mean, variance = columns
    factor = scale / torch.sqrt(variance + node.number("epsilon"))
    bound = factor.abs() * (1 + CHARGE) + TINY
    floor = (bound * mean.abs() + bias.abs()) * UP
    return Scale(factor, bound, bias - mean * factor, floor, shape, shape)


@reverse("ReduceSum")
def reduce_sum(node: Node, site: Site) -> Reverse:
    """Sum over whole axes: every number gets the adjoint of its sum."""
    inside, outside = site.shape(node.inputs[0]), site.shape(node.output)
    axes = tuple(axis + 1 for axis in node.ints("axes"))
    kept = tuple(1 if axis + 1 in axes else size for axis, size in enumerate(inside))

    def spread(adjoint: Tensor) -> Tensor:
        return adjoint.reshape(len(adjoint), *kept).expand(len(adjoint), *inside)

    return Moved(spread, outside)


@dataclass(frozen=True, slots=True)
class Moved:
    """A node whose adjoints are only copied: nothing is rounded.

    Attributes:
        back_batch: maps adjoints, shape (n, *output shape).
        shape: of the output.
        shift: constants among the outputs, or None.
    """

    back_batch: Map
    shape: tuple[int, ...]
    shift: Tensor | None = None

    def local(self, inputs: Sequence[Form]) -> Local:
        """Charge nothing but a number that is not zero."""
        charge = inputs[0].centre.new_full((len(inputs[0].centre), *self.shape), TINY)
        return (
            Local(None, charge)
            if self.shift is None
            else Local.between(self.shift.expand(charge.shape), charge, None)
        )

    def back(self, adjoint: Tensor, gains: tuple[Tensor, ...]) -> Sequence[Tensor]:  # noqa: ARG002
        """Move."""
        return (each(self.back_batch, adjoint),)


assert CHARGE >= 15 * UNIT  # what the docstrings above rely on
