"""Functions of the parameters of a row, to second order, with a proven rest."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.elementary import Enclosed
from glocert.rounding import CHARGE, TINY, UP


@dataclass(frozen=True, slots=True, eq=False)
class Jet:
    """One function of u in [-1, 1]^k per row, to second order.

    For every such u the exact function f satisfies::

        | f(u) - (value + sum_a first_a u_a + 1/2 sum_ab second_ab u_a u_b) |  <=  rest

    Sums and products of such functions are again of this kind: what a product has of third and fourth order
    is bounded by the absolute values of its coefficients. Each coefficient of a result takes fewer than
    fifteen roundings, of terms whose absolute values add up to less than the product (or sum) of ``size``.

    Attributes:
        value: float64, shape (rows,).
        first: shape (k, rows).
        second: shape (k, k, rows), symmetric.
        rest: shape (rows,), >= 0; infinite or NaN where nothing is known.
    """

    value: Tensor
    first: Tensor
    second: Tensor
    rest: Tensor

    @classmethod
    def constant(cls, number: float, like: Jet) -> Jet:
        """Return a float64 number as a function of the parameters of ``like``."""
        zero = torch.zeros_like
        value = torch.full_like(like.value, number)
        return cls(value, zero(like.first), zero(like.second), zero(like.rest))

    @property
    def linear(self) -> Tensor:
        """Bound on the first-order part, shape (rows,)."""
        return self.first.abs().sum(0) * UP

    @property
    def quadratic(self) -> Tensor:
        """Bound on the second-order part, shape (rows,)."""
        return self.second.abs().sum((0, 1)) * (0.5 * UP)

    @property
    def size(self) -> Tensor:
        """Bound on the absolute value of the function, and on the sum of its coefficients."""
        return (self.value.abs() + self.linear + self.quadratic + self.rest) * UP

    def __add__(self, other: Jet) -> Jet:
        rest = self.rest + other.rest + (self.size + other.size) * CHARGE
        return Jet(
            self.value + other.value,
            self.first + other.first,
            self.second + other.second,
            rest * UP + TINY,
        )

    def __neg__(self) -> Jet:
        return Jet(-self.value, -self.first, -self.second, self.rest)

    def __mul__(self, other: Jet) -> Jet:
        cross = self.first.unsqueeze(1) * other.first.unsqueeze(0)
        second = self.value * other.second + other.value * self.second + (cross + cross.transpose(0, 1))
        higher = self.linear * other.quadratic + self.quadratic * (other.linear + other.quadratic)
        inherited = self.rest * other.size + self.size * other.rest
        rest = higher * UP + inherited + self.size * other.size * CHARGE
        first = self.value * other.first + other.value * self.first
        return Jet(self.value * other.value, first, second, rest * UP + TINY)

    def embedded(self, dimensions: int, offset: int) -> Jet:
        """Return the same function of more parameters: its own come at ``offset``, it ignores the others."""
        k, rows = self.first.shape
        first = self.first.new_zeros(dimensions, rows)
        second = self.first.new_zeros(dimensions, dimensions, rows)
        first[offset : offset + k] = self.first
        second[offset : offset + k, offset : offset + k] = self.second
        return Jet(self.value, first, second, self.rest)


@dataclass(frozen=True, slots=True, eq=False)
class Parameter:
    """What a user's parameter is on rows of one t: ``value + step u``, u in [-1, 1].

    Attributes:
        value: shape (rows,).
        step: same shape.
    """

    value: Enclosed
    step: Enclosed

    @classmethod
    def between(cls, start: float, stop: float, middle: Tensor, half: Tensor) -> Parameter:
        """Return ``start + t (stop - start)`` on the rows ``t = middle + half u``; start and stop are exact.

        Args:
            start: parameter at t = 0.
            stop: parameter at t = 1.
            middle: shape (rows,).
            half: same shape, >= 0.
        """
        first, last = (Enclosed.exact(torch.full_like(middle, end)) for end in (start, stop))
        change = last - first
        return cls(first + Enclosed.exact(middle) * change, Enclosed.exact(half) * change)

    def scaled(self, factor: float, roundings: int = 0) -> Parameter:
        """Return the parameter in another unit; ``factor`` is off by so many roundings."""
        return Parameter(self.value.scaled(factor, roundings), self.step.scaled(factor, roundings))

    def jet(self, f: Enclosed, slope: Enclosed, bend: Enclosed, third: Tensor | float) -> Jet:
        """Return a function of the parameter by Taylor's theorem.

        Args:
            f: the function at ``value``, shape (rows,).
            slope: its derivative there.
            bend: its second derivative there.
            third: bound on the absolute third derivative between ``value - step`` and ``value + step``.
        """
        first, second = slope * self.step, bend * (self.step * self.step)
        step = self.step.value.abs() + self.step.errors()
        rest = f.errors() + first.errors() + second.errors() + step * step * step * third / 6
        return Jet(f.value, first.value[None], second.value[None, None], rest * UP + TINY)

    def itself(self) -> Jet:
        """Return the parameter as a function of u."""
        nothing = Enclosed.exact(torch.zeros_like(self.value.value))
        one = Enclosed.exact(torch.ones_like(self.value.value))
        return self.jet(self.value, one, nothing, 0.0)
