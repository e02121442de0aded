"""Affine operators backwards: adjoints go through the transposed map."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.backward.peaks import channel_peaks
from glocert.forms.backward.peaks import peak as peaks
from glocert.forms.backward.registry import Local, Reverse, each, folded, repeats, reverse, under
from glocert.forms.form import Form
from glocert.forms.ops.affine import normalised, of_channels
from glocert.forms.ops.registry import Charges, Site
from glocert.graph.ir import Node
from glocert.rounding import UP, Rounding

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
        charges: what roundings cost.
        by_channel: the same as ``size`` from a bound on each channel, shapes (n, channels) -> (n, maps), if
            the node has such.
    """

    transposed: Map
    size: Map
    bias: Tensor | None
    terms: int
    shape: tuple[int, ...]
    charges: Charges
    by_channel: Map | None = None

    def local(self, inputs: Sequence[Form]) -> Local:
        """Charge the rounding of ``W^T a``, and that of executing the node."""
        peak = inputs[0].peak()
        return self._charged(self.size(peak), under(peak, self.charges.own.tiny))

    def in_one_pass(self, x: Form, index: Tensor) -> Local | None:
        """Return ``local`` on some rows of the input, where a compiled loop goes through them."""
        tiny = self.charges.own.tiny * UP
        if self.by_channel is not None:
            found = channel_peaks(x, index)
            if found is None:
                return None
            size = self.by_channel(found[0])
            return self._charged(size.reshape(*size.shape, *(1,) * (len(self.shape) - 1)), found[1] * tiny)
        peak, total = peaks(x, index)
        return None if total is None else self._charged(self.size(peak), total * tiny)

    def _charged(self, size: Tensor, floor: Tensor) -> Local:
        own, executed = self.charges.own, self.charges.executed
        charge = size * (own.dot(self.terms) + executed) + self.charges.tiny
        if self.bias is None:
            return Local(None, charge * own.up, floor)
        charge = charge + self.bias.abs() * executed
        count = math.prod(self.shape)
        return Local.between(self.bias[None], charge * own.up, floor, count=count)

    def back(self, adjoint: Tensor, gains: tuple[Tensor, ...]) -> Sequence[Tensor]:  # noqa: ARG002
        """Multiply by the transpose."""
        return (each(self.transposed, adjoint),)


def lifted(product: Map, terms: int, own: Rounding) -> Map:
    """Return a map of non-negative numbers whose results are not below the exact sums of so many products.

    Up to underflow, of which less than ``tiny`` is left after multiplying by a share.
    """
    return lambda x: product(x) * own.grow(terms)


@reverse("Gemm")
def gemm(node: Node, site: Site) -> Reverse:
    """Product with the rows of a matrix."""
    weight = site.parameter(node.inputs[1])
    size = site.size(weight).t().contiguous()
    bias = site.parameter(node.inputs[2]) if len(node.inputs) > 2 else None
    outputs, terms = weight.shape
    through = lifted(lambda x: x @ size, terms, site.rounding)
    return Affine(lambda a: a @ weight, through, bias, outputs, (outputs,), site.charges(node))


@reverse("MatMul")
def matmul(node: Node, site: Site) -> Reverse | None:
    """Product with a matrix or a vector on either side, as numpy defines it for each sample."""
    left, right = node.inputs
    shape = site.shape(node.output)
    if site.is_activation(left) and site.is_activation(right):
        return None
    before = site.is_activation(left)
    weight, inside = site.parameter(right if before else left), site.shape(left if before else right)
    return _Product(before, weight, inside, shape).reverse(site, node)


@dataclass(frozen=True, slots=True)
class _Product:
    """``x @ w`` or ``w @ x`` for per-sample shapes, written for matrices on both sides."""

    before: bool
    weight: Tensor
    inside: tuple[int, ...]
    outside: tuple[int, ...]

    def reverse(self, site: Site, node: Node) -> Reverse:
        """Return the node."""
        terms = self.weight.shape[-2:].numel() * repeats(self.inside, self.outside)
        inner = self.inside[-1]
        size = site.size(self.weight)
        through = lifted(lambda x: self._times(x, size), inner, site.rounding)
        return Affine(self._transposed, through, None, terms, self.outside, site.charges(node))

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
        charges: what roundings cost.
    """

    factor: Tensor | None
    bound: Tensor
    shift: Tensor | None
    floor: Tensor
    inside: tuple[int, ...]
    outside: tuple[int, ...]
    charges: Charges

    def local(self, inputs: Sequence[Form]) -> Local:
        """Charge the roundings of g and h, of ``g a``, of the sum over what was repeated, of executing."""
        peak, own, executed = inputs[0].peak(), self.charges.own, self.charges.executed
        rank = len(self.outside) - len(self.inside)
        wide = peak.reshape(len(peak), *(1,) * rank, *self.inside).expand(len(peak), *self.outside)
        share = own.charge + own.dot(repeats(self.inside, self.outside)) + executed
        return self._charged(wide, share, under(wide, own.tiny))

    def in_one_pass(self, x: Form, index: Tensor) -> Local | None:
        """Return ``local`` on some rows of the input, where g and h are one number for each channel."""
        rank, own = len(self.outside) - 1, self.charges.own
        constants = self.factor, self.bound, self.shift, self.floor
        ours = self.inside == self.outside and all(of_channels(part, rank) for part in constants)
        found = channel_peaks(x, index) if ours else None
        if found is None:
            return None
        peak = found[0].reshape(*found[0].shape, *(1,) * rank)
        share = own.charge + own.dot(1) + self.charges.executed
        return self._charged(peak, share, found[1] * (own.tiny * UP))

    def _charged(self, peak: Tensor, share: float, floor: Tensor) -> Local:
        own = self.charges.own
        charge = peak * (self.bound * share) + self.floor * (own.charge + self.charges.executed)
        charge = (charge + self.charges.tiny) * (own.up * own.up)
        if self.shift is None:
            return Local(None, charge, floor)
        shift = self.shift.expand(1, *charge.shape[1:])
        return Local.between(shift, charge, floor, count=math.prod(self.outside))

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
    charges: Charges

    def local(self, inputs: Sequence[Form]) -> Local:
        """Charge the sums over what broadcasting repeated, and executing; else nothing is computed."""
        rows, own = len(inputs[0].centre), self.charges.own
        charge = inputs[0].centre.new_full((rows, *self.outside), self.charges.tiny)
        for x, shape in zip(inputs, self.shapes, strict=True):
            times = repeats(shape, self.outside)
            share = self.charges.executed + (own.dot(times) if times > 1 else 0.0)
            if share:
                wide = x.peak().reshape(rows, *(1,) * (len(self.outside) - len(shape)), *shape)
                charge = (charge + wide * share) * own.up
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
    charges = site.charges(node)
    if site.is_activation(first) and site.is_activation(second):
        return Sum(-1 if minus else 1, (site.shape(first), site.shape(second)), outside, charges)
    before = site.is_activation(first)
    shift = site.parameter(second if before else first)
    one = torch.ones((), dtype=shift.dtype, device=shift.device)
    factor = -one if minus and not before else None
    signed, inside = -shift if minus and before else shift, site.shape(first if before else second)
    return Scale(factor, one, signed, shift.abs(), inside, outside, charges)


def _scaled(node: Node, site: Site, exact: Tensor, bound: Tensor, inside: tuple[int, ...]) -> Reverse:
    """Return a product with ``exact``, rounded to the program's type."""
    factor = exact.to(site.dtype)
    none, outside = torch.zeros_like(factor), site.shape(node.output)
    return Scale(factor, bound, None, none, inside, outside, site.charges(node))


@reverse("Mul")
def multiply(node: Node, site: Site) -> Reverse | None:
    """Product with a parameter, number by number."""
    first, second = node.inputs
    if site.is_activation(first) and site.is_activation(second):
        return None
    before = site.is_activation(first)
    exact = site.exact(second if before else first)
    return _scaled(node, site, exact, site.factor(exact), site.shape(first if before else second))


@reverse("Div")
def divide(node: Node, site: Site) -> Reverse:
    """Quotient by a parameter; its reciprocal is rounded once, or twice to float32."""
    exact, own = site.exact(node.inputs[1]).reciprocal(), site.rounding
    bound = site.factor(exact) * own.up + own.tiny
    return _scaled(node, site, exact, bound, site.shape(node.inputs[0]))


@reverse("BatchNormalization")
def batch_normalization(node: Node, site: Site) -> Reverse:
    """``x g + h`` with the g and h of the forward pass."""
    shape, (factor, shift, bound, floor) = site.shape(node.output), normalised(node, site)
    return Scale(factor, bound, shift, floor, shape, shape, site.charges(node))


@reverse("ReduceSum")
def reduce_sum(node: Node, site: Site) -> Reverse:
    """Sum over whole axes: every number gets the adjoint of its sum."""
    inside, outside = site.shape(node.inputs[0]), site.shape(node.output)
    axes = node.ints("axes")
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(inside))

    def spread(adjoint: Tensor) -> Tensor:
        return adjoint.reshape(len(adjoint), *kept).expand(len(adjoint), *inside)

    charges, summed = site.charges(node), tuple(axis + 1 for axis in axes)
    if not charges.executed:
        return Moved(spread, outside)
    terms = math.prod(inside[axis] for axis in axes)
    total = lifted(lambda x: x.sum(summed) if summed else x, terms, charges.own)
    return Affine(spread, total, None, 1, outside, charges)


@dataclass(frozen=True, slots=True)
class Moved:
    """A node whose adjoints are only copied: nothing is rounded.

    Attributes:
        back_batch: maps adjoints, shape (n, *output shape).
        shape: of the output.
        shift: constants among the outputs, or None.
        lost: how far they are from what they stand for.
        whole: whether every number of the adjoint goes on, so that one that is not finite is seen further on.
    """

    back_batch: Map
    shape: tuple[int, ...]
    shift: Tensor | None = None
    lost: float = 0.0
    whole: bool = False

    def local(self, inputs: Sequence[Form]) -> Local:
        """Charge what the constants lose, and a number that is not zero; nothing where all goes on."""
        first = inputs[0]
        if self.whole:
            return Local(None, first.error.new_empty(len(first.error), 0))
        charge = first.centre.new_full((len(first.centre), *self.shape), first.rounding.tiny)
        if self.shift is None:
            return Local(None, charge)
        return Local.between(self.shift.expand(charge.shape), charge + self.lost, None)

    def back(self, adjoint: Tensor, gains: tuple[Tensor, ...]) -> Sequence[Tensor]:  # noqa: ARG002
        """Move."""
        return (each(self.back_batch, adjoint),)
