"""One activation on many parts of a path at once, as a first-order form with a proven error."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from glocert.rounding import DOUBLE, SINGLE, Rounding


def rounding_of(dtype: torch.dtype) -> Rounding:
    """Return what arithmetic in a number type loses.

    Raises:
        ValueError: neither float64 nor float32.
    """
    if dtype == torch.float64:
        return DOUBLE
    if dtype == torch.float32:
        return SINGLE
    raise ValueError(f"no forms in {dtype}")


class Form:
    """A set of functions of u in [-1, 1]^k, one per row and coordinate.

    The invariant of the domain: on row r, for every u in [-1, 1]^k, the exact activation (the graph in real
    arithmetic, at the point of the path that u stands for) satisfies::

        | x_i(u) - (centre_i + sum_j slopes_ji u_j) |  <=  error_i

    All rows are parts of the path of one input, or of several; they never mix.

    Attributes:
        error: same type as ``lines``, shape (rows, *shape), >= 0; NaN or infinite where nothing is known.
    """

    __slots__ = ("_lines", "error")

    def __init__(self, centre: Tensor, slopes: Tensor, error: Tensor) -> None:
        """Put centre and slopes together, shapes (rows, *shape) and (k, rows, *shape)."""
        self._lines = torch.cat([centre.unsqueeze(0), slopes])
        self.error = error

    @property
    def centre(self) -> Tensor:
        """Float64 or float32, shape (rows, *shape), ``shape`` being the activation's per-sample shape."""
        return self._lines[0]

    @property
    def slopes(self) -> Tensor:
        """Same type, shape (k, rows, *shape)."""
        return self._lines[1:]

    @property
    def shape(self) -> tuple[int, ...]:
        """Per-sample shape."""
        return tuple(self.error.shape[1:])

    @property
    def rounding(self) -> Rounding:
        """What arithmetic with these numbers loses."""
        return rounding_of(self._lines.dtype)

    @classmethod
    def of(cls, lines: Tensor, error: Tensor) -> Form:
        """Return the form whose centre and slopes are ``lines``, shape (1 + k, rows, *shape): no copy."""
        form = cls.__new__(cls)
        form._lines, form.error = lines, error
        return form

    def to(self, dtype: torch.dtype) -> Form:
        """Return the form in another number type; what rounding loses is added to the error."""
        if dtype == self._lines.dtype:
            return self
        lines, rounding = self.lines(), rounding_of(dtype)
        if dtype == torch.float64:
            return Form.of(lines.to(dtype), self.error.to(dtype))
        rounded = lines.to(dtype)
        # Each is off by a unit of itself, or by less than ``tiny``; what is too large becomes infinite.
        lost = rounded.abs().sum(0).mul_(1.02 * rounding.unit)
        return Form.of(rounded, lost.add_(self.error.to(dtype)).mul_(rounding.up).add_(rounding.tiny))

    def flat(self) -> tuple[Form, Callable[[Form], Form]]:
        """Return the form with all its numbers on one axis, as they lie in memory, and the way back."""
        strides = self.centre.stride()
        order = sorted(range(len(strides)), key=lambda axis: -strides[axis])
        lines = self.lines().permute(0, *(axis + 1 for axis in order)).contiguous()
        error = self.error.permute(order).contiguous()
        back = [order.index(axis) for axis in range(len(order))]

        def restored(x: Form) -> Form:
            unfolded = x.lines().view(lines.shape).permute(0, *(axis + 1 for axis in back))
            return Form.of(unfolded, x.error.view(error.shape).permute(back))

        return Form.of(lines.view(len(lines), -1), error.view(-1)), restored

    def lines(self) -> Tensor:
        """Return centre and slopes as one tensor, shape (1 + k, rows, *shape); do not write to it."""
        return self._lines

    def rows(self, index: Tensor) -> Form:
        """Return the form of some rows: their positions, int64, or a mask."""
        return Form.of(self.lines()[:, index], self.error[index])

    def flattened(self) -> Form:
        """Return the form with all numbers of a row on one axis, in the order of its shape."""
        return Form.of(self.lines().flatten(2), self.error.flatten(1))

    def magnitude(self) -> Tensor:
        """Return a bound on ``|centre| + sum_j |slopes_j|``, shape (rows, *shape)."""
        return self.lines().abs().sum(0) * self.lift()

    def swing(self) -> Tensor:
        """Return a bound on ``|sum_j slopes_j u_j|``, shape (rows, *shape)."""
        return self.slopes.abs().sum(0) * self.lift() + self.rounding.tiny

    def reach(self) -> Tensor:
        """Return a bound on how far the activation is from its centre anywhere on the row."""
        return (self.swing() + self.error) * self.rounding.up

    def peak(self) -> Tensor:
        """Return a bound on the absolute value of the activation anywhere on the row."""
        return (self.centre.abs() + self.reach()) * self.rounding.up

    def lift(self, more: int = 0) -> float:
        """Return what makes a computed sum of 1 + k non-negative numbers, and ``more``, a bound."""
        return 1 + (self._lines.shape[0] - 1 + more) * self.rounding.charge

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Return proven (low, high) of the activation on each row; NaN where nothing is known."""
        # One factor lifts the sum of k slopes and the error, and what is lost in the two last operations.
        width = self.slopes[0].abs() if len(self.slopes) == 1 else self.slopes.abs().sum(0)
        width = width.add_(self.error).mul_(self.lift(3))
        width.add_(self.centre.abs(), alpha=self.rounding.charge).add_(self.rounding.tiny)
        return self.centre - width, self.centre + width
