"""A function of one number between two parallel lines, and the form that follows from it.

On the reach of a form, ``|x - c| <= h``, a line says ``low <= f(x) - slope (x - c) <= high``. As ``x - c`` is
``sum_j s_j u_j`` up to the form's error e, f(x) is ``(low + high)/2 + sum_j (slope s_j) u_j`` up to
``|slope| e + (high - low)/2``. Any slope is sound; of several lines the one with the smallest error is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.elementary import Enclosed
from glocert.forms.form import Form
from glocert.rounding import TINY, UNIT, UP


@dataclass(slots=True)
class Span:
    """Where the numbers of a form are: ``|x - centre| <= reach`` and ``low <= x <= high``."""

    centre: Tensor
    reach: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, x: Form) -> Span:
        """Return the span of every coordinate on every row."""
        return cls(x.centre, x.reach(), *x.bounds())

    def at(self, mask: Tensor) -> Span:
        """Return the spans where ``mask``, or at some places of one axis, as one axis."""
        return Span(self.centre[mask], self.reach[mask], self.low[mask], self.high[mask])

    def mirrored(self) -> Span:
        """Return the span of ``|x|`` where x keeps its sign; with a negative ``low`` where it does not."""
        down = self.centre < 0
        low, high = torch.where(down, -self.high, self.low), torch.where(down, -self.low, self.high)
        return Span(self.centre.abs(), self.reach, low, high)


@dataclass(slots=True)
class Line:
    """``low <= f(x) - slope (x - centre) <= high`` on a span; NaN or infinite where nothing is known."""

    slope: Tensor
    low: Tensor
    high: Tensor

    def mirrored(self, down: Tensor, odd: bool) -> Line:
        """Return the line of f where this is the line of ``f(|x|)`` and x is negative where ``down``."""
        if odd:
            pairs = (
                self.slope,
                torch.where(down, -self.high, self.low),
                torch.where(down, -self.low, self.high),
            )
            return Line(*pairs)
        return Line(torch.where(down, -self.slope, self.slope), self.low, self.high)

    def widened(self, by: Tensor) -> Line:
        """Charge ``by`` on both sides."""
        slack = (by + (self.low.abs() + self.high.abs()) * (2 * UNIT)) * UP + TINY
        return Line(self.slope, self.low - slack, self.high + slack)

    def unknown(self, mask: Tensor) -> Line:
        """Forget what is known where ``mask``."""
        return Line(self.slope, self.low, torch.where(mask, torch.inf, self.high))

    def at(self, mask: Tensor) -> Line:
        """Return the lines where ``mask``, or at some places of one axis, as one axis."""
        return Line(self.slope[mask], self.low[mask], self.high[mask])

    def put(self, mask: Tensor, part: Line) -> Line:
        """Return the line with those of ``part`` there."""
        pairs = ((self.slope, part.slope), (self.low, part.low), (self.high, part.high))
        return Line(*(whole.index_put((mask,), values) for whole, values in pairs))


def between(slope: Tensor, centre: Tensor, points: Sequence[Tensor], values: Sequence[Enclosed]) -> Line:
    """Return the line that has all of ``f(points)`` between its sides.

    That bounds f itself where its extremes over ``f(x) - slope x`` are among the points.
    """
    low, high = torch.full_like(slope, torch.inf), torch.full_like(slope, -torch.inf)
    for point, value in zip(points, values, strict=True):
        rise = slope * (point - centre)
        offset = value.value - rise
        slack = (value.error + (value.value.abs() + rise.abs()) * (8 * UNIT)) * UP + TINY
        low, high = torch.minimum(low, offset - slack), torch.maximum(high, offset + slack)
    return Line(slope, low, high)


def constant(low: Tensor, high: Tensor) -> Line:
    """A line of slope zero."""
    return Line(torch.zeros_like(low), low, high)


def _cost(line: Line, error: Tensor) -> Tensor:
    cost = line.slope.abs() * error + (line.high - line.low) * 0.5
    return cost.nan_to_num_(torch.inf, torch.inf, torch.inf)


def best(error: Tensor, lines: Sequence[Line]) -> Line:
    """Return for each coordinate the line that gives the smallest error to a form with ``error``."""
    chosen, cost = lines[0], _cost(lines[0], error)
    for line in lines[1:]:
        other = _cost(line, error)
        better = other < cost
        pairs = ((line.slope, chosen.slope), (line.low, chosen.low), (line.high, chosen.high))
        chosen = Line(*(torch.where(better, new, old) for new, old in pairs))
        cost = torch.where(better, other, cost)
    return chosen


def follow(x: Form, line: Line) -> Form:
    """Return the form of f(x).

    The slopes are rounded once, which moves ``sum_j s_j u_j`` by at most ``u |slope| swing``. Where the input
    or the line is not finite nothing is said.
    """
    middle = (line.low + line.high) * 0.5
    half = torch.maximum(line.high - middle, middle - line.low)
    steep = line.slope.abs()
    error = (steep * (x.error + x.swing() * (2 * UNIT)) + half) * UP + TINY
    known = torch.isfinite(error) & torch.isfinite(x.reach()) & torch.isfinite(middle)
    lines = torch.where(known, x.lines() * line.slope, 0.0)
    lines[0] = torch.where(known, middle, 0.0)
    return Form.of(lines, torch.where(known, error, torch.inf))
