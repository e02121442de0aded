"""What a backward pass has collected so far, for all functionals of all rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.backward.registry import Local
from glocert.forms.form import Form
from glocert.rounding import TINY, UNIT, UP, dot, grow


@dataclass(slots=True)
class Sweep:
    """The part of every functional that no longer depends on an activation.

    Attributes:
        lines: centre and slopes, shape (1 + k, rows, functionals).
        error: shape (rows, functionals).
    """

    lines: Tensor
    error: Tensor

    @classmethod
    def of(cls, weights: Tensor, slopes: int) -> Sweep:
        """Return the beginning: nothing collected."""
        shape = weights.shape[:2]
        return cls(weights.new_zeros(1 + slopes, *shape), weights.new_zeros(shape))

    def through(self, adjoint: Tensor, local: Local) -> None:
        """Collect what a node adds to the functionals of its output."""
        if local.shift is not None:
            self._add(0, _product(adjoint, local.shift))
        self._charge(_product(adjoint.abs(), local.charge), adjoint)
        if local.floor is not None:
            self.error = (self.error + local.floor[:, None]) * UP

    def substitute(self, adjoint: Tensor, x: Form) -> None:
        """Put the form of an activation in its place.

        The n products of each sum are off by dot(n) times their absolute sum.
        """
        lines = x.lines()
        for j, line in enumerate(lines):
            self._add(j, _product(adjoint, line))
        size = x.magnitude() * (dot(_numbers(adjoint)) * UP) + x.error
        self._charge(_product(adjoint.abs(), size * UP + TINY), adjoint)

    def joined(self, one: Tensor, other: Tensor, x: Form) -> Tensor:
        """Return the sum of two adjoints of an activation; its rounding costs as much as x can be large."""
        total = one + other
        self._charge(_product(total.abs(), x.peak() * (2 * UNIT) + TINY), total)
        return total

    def result(self) -> Form:
        """Return the functionals; nothing is known where a number is not finite."""
        known = torch.isfinite(self.error) & torch.isfinite(self.lines).all(0)
        error = torch.where(known, self.error, torch.inf)
        return Form.of(torch.where(known, self.lines, 0.0), error)

    def _add(self, j: int, values: Tensor) -> None:
        """Add to the centre or a slope: one rounding of the sum."""
        total = self.lines[j] + values
        self.lines[j] = total
        self.error = (self.error + total.abs() * (2 * UNIT)) * UP

    def _charge(self, values: Tensor, adjoint: Tensor) -> None:
        """Add a computed sum of products of non-negative numbers to the error."""
        self.error = (self.error + (values * grow(_numbers(adjoint)) + TINY)) * UP


def _numbers(adjoint: Tensor) -> int:
    return adjoint[0, 0].numel()


def _product(adjoint: Tensor, values: Tensor) -> Tensor:
    """Sum ``adjoint * values``, shapes (rows, functionals, *shape) and (rows, *shape), as they lie."""
    if adjoint.ndim == 2:
        return adjoint * values.unsqueeze(1)
    strides = adjoint.stride()[2:]
    order = sorted(range(len(strides)), key=lambda axis: -strides[axis])
    flat = adjoint.permute(0, 1, *(axis + 2 for axis in order)).flatten(2)
    vector = values.permute(0, *(axis + 1 for axis in order)).flatten(1)
    return torch.bmm(flat, vector.unsqueeze(2)).squeeze(2)
