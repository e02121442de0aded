"""What a backward pass has collected so far, for all functionals of all rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.backward.registry import Local, in_one_sum
from glocert.forms.form import Form, rounding_of
from glocert.rounding import UNIT, UP


@dataclass(slots=True)
class Sweep:
    """The part of every functional that no longer depends on an activation.

    Attributes:
        lines: centre and slopes, float64, shape (1 + k, rows, functionals).
        error: float64, shape (rows, functionals).
    """

    lines: Tensor
    error: Tensor

    @classmethod
    def of(cls, weights: Tensor, slopes: int) -> Sweep:
        """Return the beginning: nothing collected."""
        shape = weights.shape[:2]
        lines = weights.new_zeros(1 + slopes, *shape, dtype=torch.float64)
        return cls(lines, weights.new_zeros(shape, dtype=torch.float64))

    def through(self, adjoint: Tensor, local: Local) -> None:
        """Collect what a node adds to the functionals of its output."""
        if local.shift is not None:
            self._add(0, _product(adjoint, local.shift))
        self._charge(_product(adjoint.abs(), local.charge), adjoint)
        if local.floor is not None:
            self.error = (self.error + local.floor[:, None]) * UP

    def substitute(self, adjoint: Tensor, x: Form) -> None:
        """Put the form of an activation in its place.

        The products of each sum are off by ``dot`` of their number times their absolute sum.
        """
        for j, line in enumerate(x.lines()):
            self._add(j, _product(adjoint, line))
        own = x.rounding
        size = x.magnitude() * (own.dot(in_one_sum(x.error)) * own.up) + x.error
        self._charge(_product(adjoint.abs(), size * own.up + own.tiny), adjoint)

    def joined(self, one: Tensor, other: Tensor, x: Form) -> Tensor:
        """Return the sum of two adjoints of an activation; its rounding costs as much as x can be large."""
        total, own = one + other, x.rounding
        self._charge(_product(total.abs(), x.peak() * (2 * own.unit) + own.tiny), total)
        return total

    def result(self, scores: Form) -> Form:
        """Return the functionals; nothing is known where a number is not finite.

        Args:
            scores: of the forward pass. Whatever it did not know, an overflow of an execution for instance,
                is not known here.
        """
        known = torch.isfinite(self.error) & torch.isfinite(self.lines).all(0)
        known = known & torch.isfinite(scores.error).all(1, keepdim=True)
        error = torch.where(known, self.error, torch.inf)
        return Form.of(torch.where(known, self.lines, 0.0), error)

    def _add(self, j: int, values: Tensor) -> None:
        """Add to the centre or a slope: one rounding of the sum."""
        total = self.lines[j] + values
        self.lines[j] = total
        self.error = (self.error + total.abs() * (2 * UNIT)) * UP

    def _charge(self, values: Tensor, adjoint: Tensor) -> None:
        """Add a computed sum of products of non-negative numbers to the error."""
        own = rounding_of(adjoint.dtype)
        self.error = (self.error + (values * own.grow(in_one_sum(adjoint[0])) + own.tiny)) * UP


def _product(adjoint: Tensor, values: Tensor) -> Tensor:
    """Sum ``adjoint * values``, shapes (rows, functionals, *shape) and (rows, *shape), as they lie.

    Returns:
        float64; ``in_one_sum`` numbers are added in the type of the arguments, the sums in float64.
    """
    if adjoint.ndim == 2:
        return (adjoint * values.unsqueeze(1)).double()
    strides = adjoint.stride()[2:]
    order = sorted(range(len(strides)), key=lambda axis: -strides[axis])
    flat = adjoint.permute(0, 1, *(axis + 2 for axis in order)).flatten(2)
    vector = values.permute(0, *(axis + 1 for axis in order)).flatten(1)
    count = in_one_sum(vector)
    if count == flat.shape[2]:
        return torch.bmm(flat, vector.unsqueeze(2)).squeeze(2).double()
    products = (flat * vector.unsqueeze(1)).view(*flat.shape[:2], -1, count)
    return products.sum(3).double().sum(2)
