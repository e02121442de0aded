"""Lines of convex and concave functions.

A convex f minus any line is largest at an end of the span, and above each of its tangents: with p a point
of the span, ``f(x) - slope (x - c) >= f(p) - slope (p - c) - |f'(p) - slope| (high - low)``. The slope is
the chord's and p about where f' has that slope; neither has to be accurate. Concave functions are the
mirror image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.elementary import Enclosed
from glocert.forms.ops.functions_line import Line, Span, best, between
from glocert.rounding import TINY, UNIT, UP

Function = Callable[[Tensor], Enclosed]


@dataclass(frozen=True, slots=True)
class Convex:
    """A monotone convex or concave function, or a convex one with its minimum at zero.

    Attributes:
        value: encloses the function.
        slope: encloses the derivative, or a subgradient.
        touch: guesses where the derivative has a value.
        concave: which of the two it is.
        bowl: whether it falls up to zero and rises from there.
    """

    value: Function
    slope: Function
    touch: Callable[[Tensor], Tensor]
    concave: bool = False
    bowl: bool = False

    def line(self, span: Span, error: Tensor) -> Line:
        """Return the better of the chord's line and the one of slope zero."""
        ends = (span.low, span.high)
        values = [self.value(end) for end in ends]
        slope = ((values[1].value - values[0].value) / (span.high - span.low)).nan_to_num_(0.0, 0.0, 0.0)
        chord = between(slope, span.centre, ends, values)
        point = self.touch(slope).nan_to_num_(torch.nan, 1e300, -1e300).maximum(span.low).minimum(span.high)
        point = torch.where(torch.isnan(point), span.centre, point)
        tangent = self._tangent(span, slope, point)
        low, high = (chord.low, tangent.high) if self.concave else (tangent.low, chord.high)
        return best(error, [Line(slope, low, high), self._flat(span, values)])

    def _tangent(self, span: Span, slope: Tensor, point: Tensor) -> Line:
        own = self.slope(point)
        tilt = ((own.value - slope).abs() * UP + own.error) * (span.high - span.low)
        return between(slope, span.centre, (point,), (self.value(point),)).widened(tilt * UP)

    def _flat(self, span: Span, values: list[Enclosed]) -> Line:
        points = [span.low, span.high]
        if self.bowl:
            points.append(span.low.clamp(min=0).minimum(span.high))
            values = [*values, self.value(points[2])]
        return between(torch.zeros_like(span.centre), span.centre, points, values)


def cubic_like(value: Function, second: Function, slope: Function, span: Span) -> Line:
    """Line by Taylor about the centre for an f whose second derivative never decreases."""
    at, steep = value(span.centre), slope(span.centre)
    below, above = (-second(span.low).low()).clamp(min=0), second(span.high).high().clamp(min=0)
    square = span.reach * span.reach * (0.5 * UP)
    slack = at.error + steep.error * span.reach + at.value.abs() * (2 * UNIT)
    low = at.value - ((below * square + slack) * UP + TINY)
    return Line(steep.value, low, at.value + ((above * square + slack) * UP + TINY))
