"""What a backward pass has collected so far, for all functionals of all rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.backward.products import products, substituted
from glocert.forms.backward.registry import Local, dot_of_sums, grow_of_sums
from glocert.forms.form import Form, rounding_of
from glocert.rounding import UNIT, UP


@dataclass(slots=True)
class Sweep:
    """The part of every functional that no longer depends on an activation.

    Attributes:
        lines: centre and slopes, float64, shape (1 + k, rows, functionals).
        error: float64, shape (rows, functionals).
        place: the row of the tape that each row of functionals is about, int64.
    """

    lines: Tensor
    error: Tensor
    place: Tensor

    @classmethod
    def of(cls, weights: Tensor, slopes: int, place: Tensor) -> Sweep:
        """Return the beginning: nothing collected."""
        shape = weights.shape[:2]
        lines = weights.new_zeros(1 + slopes, *shape, dtype=torch.float64)
        return cls(lines, weights.new_zeros(shape, dtype=torch.float64), place)

    def through(self, adjoint: Tensor, local: Local) -> None:
        """Collect what a node adds to the functionals of its output."""
        if local.shift is None and not local.charge.numel():  # nothing but moved
            return
        sums, sizes = products(adjoint, local.shift, local.charge, self.place)
        if sums is not None:
            self._add(0, sums)
        self._charge(sizes, adjoint)
        if local.floor is not None:
            self.error = (self.error + local.floor[self.place, None]) * UP

    def substitute(self, adjoint: Tensor, x: Form) -> None:
        """Put the form of an activation in its place.

        The products of each sum are off by ``dot`` of their number times their absolute sum.
        """
        found, sizes = substituted(adjoint, x, dot_of_sums(x.error, x.error[0].numel()), self.place)
        for j, line in enumerate(found):
            self._add(j, line)
        self._charge(sizes, adjoint)

    def joined(self, one: Tensor, other: Tensor, peak: Tensor) -> Tensor:
        """Return the sum of two adjoints of an activation; its rounding costs as much as x can be large.

        Args:
            one: an adjoint, shape (rows, functionals, *shape).
            other: another.
            peak: bound on the absolute values of x, shape (rows, *shape).
        """
        total, own = one + other, rounding_of(peak.dtype)
        _, sizes = products(total, None, peak * (2 * own.unit) + own.tiny, self.place)
        self._charge(sizes, total)
        return total

    def result(self, scores: Form) -> Form:
        """Return the functionals; nothing is known where a number is not finite.

        Args:
            scores: of the forward pass. Whatever it did not know, an overflow of an execution for instance,
                is not known here.
        """
        known = torch.isfinite(self.error) & torch.isfinite(self.lines).all(0)
        known = known & torch.isfinite(scores.error).all(1, keepdim=True)[self.place]
        error = torch.where(known, self.error, torch.inf)
        return Form.of(torch.where(known, self.lines, 0.0), error)

    def _add(self, j: int, values: Tensor) -> None:
        """Add to the centre or a slope: one rounding of the sum."""
        total = self.lines[j] + values
        self.lines[j] = total
        self.error = (self.error + total.abs() * (2 * UNIT)) * UP

    def _charge(self, values: Tensor, adjoint: Tensor) -> None:
        """Add a computed sum of products of non-negative numbers to the error."""
        tiny = rounding_of(adjoint.dtype).tiny
        self.error = (self.error + (values * grow_of_sums(adjoint, adjoint[0, 0].numel()) + tiny)) * UP
