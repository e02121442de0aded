"""The weights of a Gaussian on a grid, as functions of sigma: values, slopes, curvature and proven bounds.

``w_i = exp(b i^2) / Z``, ``b = -1/(2 sigma^2)``, i = -R..R, ``Z = sum exp(b i^2)``: an exponential family in
b. With the mean E under the weights, ``r = i^2 - E i^2`` and ``V = E r^2``::

    dw/db = w r,   d2w/db2 = w (r^2 - V),   d3w/db3 = w (r^3 - 3 r V - E r^3)

so the sums of absolute values are at most ``E|r|``, ``2 V`` and ``5 E|r|^3`` (``E|r| V <= E|r|^3`` by
Hoelder). On an interval of sigma, ``exp(b i^2)`` rises with sigma: with its value at the upper end and Z at
the lower one, every weight and every even moment has an upper bound, and |r| is at most the larger of i^2 and
the bound of E i^2. With ``sigma = s + h u`` the derivatives of b in u are ``h/sigma^3``, ``-3 h^2/sigma^4``
and ``12 h^3/sigma^5``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.elementary import Enclosed, exp_of
from glocert.paths.jets import Parameter
from glocert.rounding import TINY, UP, dot

LIFT = 1 + 2.0**-40
"""Lifts sums and products of up to 2^10 non-negative numbers, a few at a time, above the exact result."""
_LEAST = 2.0**-6
"""A smaller sigma is taken for this one: all weights but the middle one are below TINY for both."""


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """The weights on many rows of sigma, in one dimension.

    On a row ``w(u)`` is ``value + first u + second u^2 / 2`` up to ``rounding`` (in sum over all i, with the
    coefficients' own errors) and up to a rest that the bounds on derivatives give.

    Attributes:
        value: float64, shape (rows, R + 1): of i = 0..R at the middle.
        first: slope in u, same shape.
        second: second derivative in u, same shape.
        rounding: bound on the sum over -R..R of the errors of the three, shape (rows,).
        sums: bounds on the sum over -R..R of the absolute first, second and third derivative in u anywhere on
            the row, shape (3, rows).
        spread: bound on the sum over all i but 0 of the weights anywhere on the row, shape (rows,).
    """

    value: Tensor
    first: Tensor
    second: Tensor
    rounding: Tensor
    sums: Tensor
    spread: Tensor


def weights(sigma: Parameter, radius: int) -> Weights:
    """Enclose the weights.

    Args:
        sigma: on each row, in pixels, >= 0.
        radius: R, >= 1.
    """
    device = sigma.value.value.device
    squares = torch.arange(radius + 1, dtype=torch.float64, device=device) ** 2
    both = torch.where(squares > 0, 2.0, 1.0)
    middle = Enclosed(sigma.value.value.clamp(min=_LEAST), sigma.value.errors())
    value = _bell(middle, squares)
    value = value / _sum(value, both)
    off = Enclosed.exact(squares) - _sum(value * Enclosed.exact(squares), both)
    variance = _sum(value * (off * off), both)
    rate = _column(sigma.step / (middle * middle * middle))
    turn = (rate * _column(sigma.step) / _column(middle)).scaled(-3.0)
    first = value * off * rate
    second = value * ((off * off - variance) * (rate * rate) + off * turn)
    rounding = ((value.errors() + first.errors() + second.errors()) * both).sum(1) * LIFT
    return Weights(value.value, first.value, second.value, rounding, *_bounds(sigma, squares, both))


def _bell(sigma: Enclosed, squares: Tensor) -> Enclosed:
    """Return ``exp(-i^2 / (2 sigma^2))``, shape (rows, R + 1)."""
    return exp_of(-(Enclosed.exact(squares * 0.5) / _column(sigma * sigma)))


def _column(number: Enclosed) -> Enclosed:
    return Enclosed(number.value.unsqueeze(1), number.errors().unsqueeze(1))


def _sum(terms: Enclosed, both: Tensor) -> Enclosed:
    """Sum over -R..R of even terms, shape (rows, 1)."""
    size = (terms.value.abs() * both).sum(1, keepdim=True)
    error = (terms.errors() * both).sum(1, keepdim=True) + size * dot(len(both) + 1)
    return Enclosed((terms.value * both).sum(1, keepdim=True), error * LIFT + TINY)


def _bounds(sigma: Parameter, squares: Tensor, both: Tensor) -> tuple[Tensor, Tensor]:
    """Bound the derivatives and the spread anywhere on the rows; infinite where sigma comes near 0.

    Every number from here on is a product or sum of non-negative ones, each lifted once.
    """
    step = (sigma.step.value.abs() + sigma.step.errors()) * UP
    reach = (sigma.value.errors() + step) * UP
    low = (sigma.value.value - reach) * (2 - UP)
    high = ((sigma.value.value + reach) * UP).clamp(min=_LEAST)
    top = _bell(Enclosed.exact(high), squares).high()
    least = _bell(Enclosed.exact(low.clamp(min=_LEAST)), squares).low().clamp(min=0.0)
    whole = ((least * both).sum(1, keepdim=True) * (2 - LIFT)).clamp(min=1.0)
    largest = top * both / whole * LIFT
    mean = (largest * squares).sum(1, keepdim=True) * LIFT
    off = torch.maximum(squares.expand_as(largest), mean)
    away = [(term.sum(1)) * LIFT for term in (largest * off, largest * off * off, largest * off * off * off)]
    share, near = step / low.clamp(min=TINY), 1 / low.clamp(min=TINY)
    rates = [share * near * near, 3 * share * share * near * near, 12 * share * share * share * near * near]
    first = away[0] * rates[0]
    second = 2 * away[1] * rates[0] * rates[0] + away[0] * rates[1]
    third = (
        5 * away[2] * rates[0] * rates[0] * rates[0] + 6 * away[1] * rates[0] * rates[1] + away[0] * rates[2]
    )
    sums = torch.stack([first, second, third]) * LIFT
    return torch.where(low > 2.0**-30, sums, torch.inf), largest[:, 1:].sum(1) * LIFT + TINY
