"""One activation on many parts of a path at once, as a first-order form with a proven error."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.rounding import TINY, UP


@dataclass(slots=True)
class Form:
    """A set of functions of u in [-1, 1]^k, one per row and coordinate.

    The invariant of the domain: on row r, for every u in [-1, 1]^k, the exact activation (the graph in real
    arithmetic, at the point of the path that u stands for) satisfies::

        | x_i(u) - (centre_i + sum_j slopes_ji u_j) |  <=  error_i

    All rows are parts of the path of one input, or of several; they never mix.

    Attributes:
        centre: float64, shape (rows, *shape), ``shape`` being the activation's per-sample shape.
        slopes: float64, shape (k, rows, *shape).
        error: float64, shape (rows, *shape), >= 0; NaN or infinite where nothing is known.
    """

    centre: Tensor
    slopes: Tensor
    error: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Per-sample shape."""
        return tuple(self.centre.shape[1:])

    @classmethod
    def of(cls, lines: Tensor, error: Tensor) -> Form:
        """Return the form whose centre and slopes are ``lines``, shape (1 + k, rows, *shape)."""
        return cls(lines[0], lines[1:], error)

    def lines(self) -> Tensor:
        """Return centre and slopes as one tensor, shape (1 + k, rows, *shape); do not write to it.

        Nothing is copied where they lie one after the other in memory, as ``of`` leaves them.
        """
        centre, slopes = self.centre, self.slopes
        step = slopes.storage_offset() - centre.storage_offset()
        adjacent = (
            centre.untyped_storage().data_ptr() == slopes.untyped_storage().data_ptr()
            and slopes.stride()[1:] == centre.stride()
            and (len(slopes) == 1 or slopes.stride(0) == step)
            and step > 0
        )
        if not adjacent:
            return torch.cat([centre.unsqueeze(0), slopes])
        shape = (1 + len(slopes), *centre.shape)
        return centre.as_strided(shape, (step, *centre.stride()), centre.storage_offset())

    def magnitude(self) -> Tensor:
        """Return a bound on ``|centre| + sum_j |slopes_j|``, shape (rows, *shape)."""
        return self.lines().abs().sum(0) * (1 + len(self.slopes) * (UP - 1))

    def swing(self) -> Tensor:
        """Return a bound on ``|sum_j slopes_j u_j|``, shape (rows, *shape)."""
        return self.slopes.abs().sum(0) * (1 + len(self.slopes) * (UP - 1)) + TINY

    def reach(self) -> Tensor:
        """Return a bound on how far the activation is from its centre anywhere on the row."""
        return (self.swing() + self.error) * UP

    def peak(self) -> Tensor:
        """Return a bound on the absolute value of the activation anywhere on the row."""
        return (self.centre.abs() + self.reach()) * UP

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Return proven (low, high) of the activation on each row; NaN where nothing is known."""
        reach = self.reach()
        slack = (self.centre.abs() + reach) * (UP - 1) + TINY
        return self.centre - reach - slack, self.centre + reach + slack
