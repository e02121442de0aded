"""Ranges of activations by interval arithmetic.

An interval goes through an operator as a form without slopes, which for an affine map is interval arithmetic.
Kinks and maxima have their own rule, as a form without slopes would lose there: a piecewise linear function
takes its extremes at the ends or at a kink in between, a maximum at the ends of all places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.form import Form, rounding_of
from glocert.forms.ops.kinks import Bent
from glocert.forms.ops.maxima import Maximum
from glocert.forms.ops.registry import Transfer


@dataclass(frozen=True, slots=True, eq=False)
class Range:
    """``low <= x <= high``, number by number; NaN where nothing is known.

    Attributes:
        low: shape (rows, *shape).
        high: same shape.
    """

    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, x: Form) -> Range:
        """Return the range of a form."""
        return cls(*x.bounds())

    def within(self, other: Range) -> Range:
        """Return what two ranges have in common; a bound that is NaN says nothing."""
        return Range(torch.fmax(self.low, other.low), torch.fmin(self.high, other.high))

    def form(self, slopes: int) -> Form:
        """Return the range as a form that does not depend on u: two roundings of the radius."""
        own = rounding_of(self.low.dtype)
        centre = (self.low + self.high) * 0.5
        radius = torch.maximum(self.high - centre, centre - self.low)
        lines = centre.new_zeros(1 + slopes, *centre.shape)
        lines[0] = centre
        return Form.of(lines, radius * own.up + own.tiny)

    def peak(self) -> Tensor:
        """Return a bound on the absolute value."""
        return torch.maximum(self.low.abs(), self.high.abs())


def image(transfer: Transfer, inputs: Sequence[Range], slopes: int) -> Range:
    """Return the range of a node's output.

    Args:
        transfer: of the node.
        inputs: ranges of its activations.
        slopes: how many u there are.
    """
    if isinstance(transfer, Bent):
        return _bent(transfer, inputs[0])
    if isinstance(transfer, Maximum):
        return _maximum(transfer, inputs[0])
    return Range.of(transfer(*(x.form(slopes) for x in inputs)))


def _bent(transfer: Bent, x: Range) -> Range:
    """Evaluate at the ends and at the kinks in between: three roundings, and what executing may add."""
    if transfer.same == (-torch.inf, torch.inf):
        return x
    own = rounding_of(x.low.dtype)
    first, last = transfer.function(x.low), transfer.function(x.high)
    low, high = torch.minimum(first, last), torch.maximum(first, last)
    for level in transfer.levels:
        value = transfer.function(torch.full_like(low, level))
        inside = (x.low < level) & (x.high > level)
        low = torch.where(inside, torch.minimum(low, value), low)
        high = torch.where(inside, torch.maximum(high, value), high)
    lost = x.peak() * transfer.executed + transfer.lost
    exact = _identity(transfer, first, x.low) & _identity(transfer, last, x.high) & (lost == 0)
    rounding = torch.maximum(low.abs(), high.abs()) * (4 * own.unit) + own.tiny
    slack = torch.where(exact, 0.0, (lost + rounding) * own.up)
    return Range(low - slack, high + slack)


def _identity(transfer: Bent, value: Tensor, x: Tensor) -> Tensor:
    """Where an end is passed on, or is a level: nothing was rounded."""
    at_level = torch.zeros_like(x, dtype=torch.bool)
    for level in transfer.levels:
        at_level = at_level | (value == level)
    return (value == x) | at_level


def _maximum(transfer: Maximum, x: Range) -> Range:
    """Take the largest low and the largest high of the places on the image."""
    window, bounds = transfer.window, []
    for end in (x.low, x.high):
        framed, best = window.frame(end), None
        for place, real in zip(window.places(), transfer.real, strict=True):
            here = torch.where(real, window.shifted(framed, place), -torch.inf)
            best = here if best is None else torch.maximum(best, here)
        assert best is not None
        bounds.append(torch.where(best == -torch.inf, torch.nan, best))
    return Range(*bounds)
