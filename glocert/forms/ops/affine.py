"""Affine maps of forms: products with a matrix, and everything that acts on each coordinate by itself.

An affine map takes centre and slopes through ``W`` and the error through ``|W|``. Computing the former rounds
each sum of ``n`` products by at most gamma(n) times the sum of the absolute products; that is charged to the
error, in the same product with ``|W|``. Where the executed network counts, its roundings are one more
share of ``|W|`` times the largest executed activation, in the same product again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.form import Form
from glocert.forms.loops import affine as loops
from glocert.forms.loops.views import array, flat, inner, like, side_by_side
from glocert.forms.ops import products
from glocert.forms.ops.registry import Charges, Site, Transfer, transfer
from glocert.graph.execution import extreme
from glocert.graph.ir import Node
from glocert.rounding import CHARGE, UNIT

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
        charges: what roundings cost.
    """

    through: Map
    magnitude: Map
    bias: Tensor | None
    terms: int
    charges: Charges

    def __call__(self, *inputs: Form) -> Form:
        """Map centre and slopes; charge their rounding and the input's error through |W|."""
        (x,) = inputs
        lines, share = x.lines(), self.charges.own.dot(self.terms)
        out = split(self.through(lines.flatten(0, 1)), lines)
        error = self.magnitude(self.charges.spread(x, share))
        if self._close(out, error, share):
            return Form.of(out, error)
        if self.bias is not None:
            out[0] += self.bias
            error = error + self.bias.abs() * (share + self.charges.executed)
        return Form.of(out, self.charges.closed(error.mul_(self.charges.own.grow(self.terms))))

    def _close(self, out: Tensor, error: Tensor, share: float) -> bool:
        """Add the bias and what is charged in one pass over memory, in place; say whether it could be."""
        seen = flat(out, error)
        if seen is None or (self.bias is not None and inner(error) != self.bias.numel()):
            return False
        bias = array(error[:0].flatten() if self.bias is None else self.bias)
        shares = share + self.charges.executed, self.charges.own.grow(self.terms)
        loops.closed(seen.lines[0], seen.error, bias, shares, self.charges.tiny, self.charges.limit)
        return True


def split(batch: Tensor, lines: Tensor) -> Tensor:
    """Return ``batch``, shape (n, *any), with its first axis split as that of ``lines`` was: no copy."""
    return batch.reshape(*lines.shape[:2], *batch.shape[1:])


@transfer("Gemm")
def gemm(node: Node, site: Site) -> Transfer:
    """Product with the rows of a matrix."""
    weight = site.parameter(node.inputs[1]).t().contiguous()
    bias = site.parameter(node.inputs[2]) if len(node.inputs) > 2 else None
    size = site.size(weight)
    return Linear(lambda x: x @ weight, lambda x: x @ size, bias, len(weight), site.charges(node))


@transfer("MatMul")
def matmul(node: Node, site: Site) -> Transfer:
    """Product with a matrix or a vector on either side, as numpy defines it for each sample."""
    left, right = node.inputs
    if site.is_activation(left) and site.is_activation(right):
        return products.matmul(node, site)
    if site.is_activation(left):
        return _times(site.parameter(right), node, site)
    weight = site.parameter(left)
    if len(site.shape(right)) == 1:
        return _times(weight.mT.contiguous() if weight.ndim == 2 else weight, node, site)
    size, terms = site.size(weight), weight.shape[-1]
    charges = site.charges(node)
    return Linear(lambda x: torch.matmul(weight, x), lambda x: torch.matmul(size, x), None, terms, charges)


def _times(weight: Tensor, node: Node, site: Site) -> Linear:
    """Product with a matrix on the right."""
    size, charges, terms = site.size(weight), site.charges(node), len(weight)
    return Linear(lambda x: torch.matmul(x, weight), lambda x: torch.matmul(x, size), None, terms, charges)


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
    charges: Charges

    def __call__(self, *inputs: Form) -> Form:
        """Add: one rounding of each number. Executed, a longer sum may start with one of the two."""
        x, y = (aligned(part, self.rank) for part in inputs)
        own, executed = self.charges.own, self.charges.executed
        made = self._together(x, y)
        if made is not None:
            return made
        result = Form.of(torch.add(x.lines(), y.lines(), alpha=self.sign), x.error + y.error)
        error = torch.add(result.error, result.magnitude(), alpha=own.charge)
        if executed:
            for part in (x, y):
                error = error + (part.magnitude() + part.error) * executed
        result.error = self.charges.closed(error.mul_(own.up))
        return result

    def _together(self, x: Form, y: Form) -> Form | None:
        """Do the same in one pass over memory, where both lie there in the same order."""
        lines, others, own = x.lines(), y.lines(), self.charges.own
        if lines.shape != others.shape or x.error.stride() != y.error.stride():
            return None
        one, other = flat(lines, x.error), flat(others, y.error)
        if one is None or other is None:
            return None
        made, out = like(lines, x.error)
        constants = x.lift(), own.charge, own.up, self.charges.tiny
        limits = self.charges.executed, self.charges.limit
        loops.added(
            (one.lines, one.error), (other.lines, other.error), float(self.sign), constants, limits, *out
        )
        return made


@dataclass(frozen=True, slots=True)
class Scale:
    """``y = g x + h`` number by number, in whatever form ``apply`` evaluates it.

    Attributes:
        apply: maps centre and slopes: (lines of shape (1 + k, rows, *shape)) -> the same, h added to the
            centre. At most fifteen roundings of |g x|, |h| and the result.
        factor: bound on |g|, broadcasts against the shape; None is one.
        shift: bound on |h| and on what it was computed from, broadcasts against the shape.
        rank: of the output's shape.
        charges: what roundings cost.
        exact: g and h themselves, as far as ``apply`` is nothing but ``g x + h``.
    """

    apply: Map
    factor: Tensor | None
    shift: Tensor
    rank: int
    charges: Charges
    exact: tuple[Tensor, Tensor] | None = None

    def __call__(self, *inputs: Form) -> Form:
        """Map centre and slopes; the error takes the factor and the roundings."""
        x = aligned(inputs[0], self.rank)
        made = self._in_one_pass(x)
        if made is not None:
            return made
        own, executed = self.charges.own, self.charges.executed
        error = self.charges.spread(x, own.charge)
        if self.factor is not None:
            error = error * self.factor
        error = error + self.shift * (own.charge + executed)
        return Form.of(self.apply(x.lines()), self.charges.closed(error.mul_(own.up)))

    def _in_one_pass(self, x: Form) -> Form | None:
        """Do the same in one pass over memory, where g and h are one number for each channel."""
        lines, own = x.lines(), self.charges.own
        seen, beside = flat(lines, x.error), side_by_side(x.error)
        if self.exact is None or seen is None or not beside or not self._of_channels(x.shape):
            return None
        gain, shift = self.exact
        bound = torch.ones_like(shift) if self.factor is None else self.factor
        constants = [
            array(part.expand(x.shape[:1] + part.shape[1:]).reshape(-1).contiguous())
            for part in (gain, bound, shift, self.shift)
        ]
        made, out = like(lines, x.error)
        rounding = x.lift(), own.charge, own.up, self.charges.before, self.charges.tiny
        limits = self.charges.executed, self.charges.limit
        gains, bounds, shifts, sizes = constants
        loops.scaled((seen.lines, seen.error), (gains, bounds, shifts, sizes), beside, rounding, limits, *out)
        return made

    def _of_channels(self, shape: Shape) -> bool:
        assert self.exact is not None
        if len(shape) != self.rank or not shape:
            return False
        parts = *self.exact, self.factor, self.shift
        return all(
            part is None or (part.numel() in {1, shape[0]} and of_channels(part, self.rank - 1))
            for part in parts
        )


def of_channels(constant: Tensor | None, rank: int) -> bool:
    """Whether a constant that broadcasts against channels and ``rank`` more axes is the same along these."""
    return constant is None or rank == 0 or all(size == 1 for size in constant.shape[-rank:])


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
        return Sum(-1 if minus else 1, rank, site.charges(node))
    before = site.is_activation(first)
    shift = site.parameter(second if before else first)
    signed = -shift if before and minus else shift
    sign = -1 if minus and not before else 1
    charges = site.charges(node)
    exact = torch.full_like(shift, sign), signed
    return Scale(lambda lines: _shifted(lines, signed, sign), None, shift.abs(), rank, charges, exact)


@transfer("Mul")
def multiply(node: Node, site: Site) -> Transfer:
    """Product with a parameter, number by number."""
    first, second = node.inputs
    if site.is_activation(first) and site.is_activation(second):
        return products.mul(node, site)
    exact = site.exact(second if site.is_activation(first) else first)
    factor, rank = exact.to(site.dtype), len(site.shape(node.output))
    bound, shift = site.factor(exact), torch.zeros_like(factor)
    return Scale(lambda lines: lines * factor, bound, shift, rank, site.charges(node), (factor, shift))


@transfer("Div")
def divide(node: Node, site: Site) -> Transfer:
    """Quotient by a parameter: the exact quotient is meant, so one division is made and charged."""
    exact, own = site.exact(node.inputs[1]), site.rounding
    divisor, rank = exact.to(site.dtype), len(site.shape(node.output))
    bound = site.factor(exact.reciprocal()) * own.up + own.tiny
    shift = torch.zeros_like(divisor)
    inverse = exact.reciprocal().to(site.dtype), shift
    return Scale(lambda lines: lines / divisor, bound, shift, rank, site.charges(node), inverse)


@transfer("BatchNormalization")
def batch_normalization(node: Node, site: Site) -> Transfer:
    """``(x - mean) g + bias`` with ``g = scale / sqrt(var + epsilon)``, evaluated as ``x g + h``."""
    factor, shift, bound, floor = normalised(node, site)

    def apply(lines: Tensor) -> Tensor:
        out = lines * factor
        out[0] += shift
        return out

    rank, charges = len(site.shape(node.output)), site.charges(node)
    return Scale(apply, bound, floor, rank, charges, (factor, shift))


def normalised(node: Node, site: Site) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return g, h, a bound on ``|g|`` and one on what h is computed from.

    The g that is computed in float64 has three roundings, h = bias - mean g two more, and one of the
    program's type each; all are charged relative to |g| (|x| + |mean|) and |bias|. A variance that is not
    positive makes g, and with it every error, infinite or NaN.
    """
    shape, own = site.shape(node.output), site.rounding
    columns = [site.exact(name).reshape(-1, *(1,) * (len(shape) - 1)) for name in node.inputs[1:]]
    scale, bias, mean, variance = columns
    exact = scale / torch.sqrt(variance + node.number("epsilon"))
    factor, shift = exact.to(site.dtype), (bias - mean * exact).to(site.dtype)
    bound = site.factor(exact) * (1 + own.charge) + own.tiny
    if site.execution.charged:
        bound = bound.masked_fill(extreme(scale, mean, variance, node.number("epsilon")), torch.inf)
    return factor, shift, bound, (bound * mean.abs() + bias.abs()).to(site.dtype) * own.up


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

    return Linear(total, total, None, terms, site.charges(node))


assert CHARGE >= 15 * UNIT  # what the docstrings above rely on
