"""Lines of functions with bounded second and third derivatives.

Narrow spans: Taylor about the centre. With t = x - c, |t| <= h, and f'' in [b, B] on the span, ``f(x) -
f(c) - f'(c) t`` is in ``[min(b, 0), max(B, 0)] h^2/2``. f'' is within ``sup|f'''| h`` of f''(c), and never
above sup|f''|. As the interval is centred afterwards, the error is about |f''| h^2/4.

Wide spans: the same on PIECES pieces of the span, for a few slopes, and a line that stays bounded however
wide the span is: between the ends where f never decreases, next to Relu for functions that go to 0 and to
x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.forms.elementary import Enclosed
from glocert.forms.ops.functions_jets import Jet, Jets
from glocert.forms.ops.functions_line import Line, Span, best, between, constant
from glocert.rounding import TINY, UNIT, UP

PIECES = 16
WIDE = 0.125
"""Reach from which pieces are worth their price."""

Far = Callable[[Jets, Span], Line]


@dataclass(frozen=True, slots=True)
class Smooth:
    """A function with two continuous derivatives.

    Attributes:
        jets: encloses the function and its two derivatives.
        second: bound on |f''| anywhere.
        third: bound on |f'''| anywhere.
        far: a line for spans of any width.
    """

    jets: Jets
    second: float
    third: float
    far: Far

    def line(self, span: Span, error: Tensor) -> Line:
        """Return the best line known for every coordinate."""
        line = self._taylor(span)
        wide = (span.reach > WIDE) & torch.isfinite(span.reach)
        if wide.any():
            part = span.at(wide)
            narrow = Line(line.slope[wide], line.low[wide], line.high[wide])
            lines = [narrow, self.far(self.jets, part), *self._pieces(part, narrow.slope)]
            line = line.put(wide, best(error[wide], lines))
        return line

    def _taylor(self, span: Span) -> Line:
        jet = self.jets(span.centre)
        down, up = self._deviation(jet, span.reach, jet[1].error * span.reach)
        slack = jet[0].error + jet[0].value.abs() * (2 * UNIT)
        low = jet[0].value - ((down + slack) * UP + TINY)
        return Line(jet[1].value, low, jet[0].value + ((up + slack) * UP + TINY))

    def _deviation(self, jet: Jet, reach: Tensor, tilt: Tensor) -> tuple[Tensor, Tensor]:
        """Return how far f goes below and above ``f(c) + slope (x - c)``, given the error of the slope."""
        bend = jet[2]
        change = (bend.error + self.third * reach + bend.value.abs() * (2 * UNIT)) * UP
        square = reach * reach * (0.5 * UP)
        above = (bend.value + change).clamp(0, self.second)
        below = (change - bend.value).clamp(0, self.second)
        return below * square + tilt, above * square + tilt

    def _pieces(self, span: Span, tangent: Tensor) -> list[Line]:
        """Return the lines of the tangent's slope, of the chord's and of slope zero."""
        places = torch.arange(1 - PIECES, PIECES, 2, dtype=tangent.dtype, device=tangent.device) / PIECES
        at = span.centre + places[:, None] * span.reach
        half = span.reach / PIECES * UP + (span.centre.abs() + span.reach) * (8 * UNIT) + TINY
        jet = self.jets(at)
        chord = (jet[0].value[-1] - jet[0].value[0]) / (at[-1] - at[0])
        slopes = (tangent, chord.nan_to_num_(0.0, 0.0, 0.0), torch.zeros_like(tangent))
        return [self._over(span, at, half, jet, slope) for slope in slopes]

    def _over(self, span: Span, at: Tensor, half: Tensor, jet: Jet, slope: Tensor) -> Line:
        value, first = jet[0], jet[1]
        rise = slope * (at - span.centre)
        tilt = ((first.value - slope).abs() * UP + first.error) * half
        down, up = self._deviation(jet, half.expand_as(at), tilt)
        slack = value.error + (value.value.abs() + rise.abs()) * (8 * UNIT)
        base = value.value - rise
        low = (base - ((down + slack) * UP + TINY)).amin(0)
        return Line(slope, low, (base + ((up + slack) * UP + TINY)).amax(0))


def rising(jets: Jets, span: Span) -> Line:
    """Line of an f that never decreases and whose f' rises up to some number and falls from there.

    f' is then smallest at an end of the span, so f minus that slope times x does not decrease either, and is
    between its values at the ends.
    """
    below, above = jets(span.low), jets(span.high)
    slope = torch.minimum(below[1].low(), above[1].low()).clamp(min=0).nan_to_num_(0.0, 0.0, 0.0)
    return between(slope, span.centre, (span.low, span.high), (below[0], above[0]))


def bounded(_jets: Jets, span: Span) -> Line:
    """Line of an f in [-1, 1]."""
    return constant(torch.full_like(span.centre, -1.0), torch.ones_like(span.centre))


def beside_relu(depth: float) -> Far:
    """Return the line of an f with ``relu(x) - depth <= f(x) <= relu(x)``."""

    def far(_jets: Jets, span: Span) -> Line:
        line = relu(span)
        return Line(line.slope, line.low - depth, line.high).widened(torch.full_like(line.low, depth * UNIT))

    return far


def relu(span: Span) -> Line:
    """Line of ``max(x, 0)``: exact where the sign is known, else of the chord's slope.

    With a slope in [0, 1], ``relu(x) - slope x`` falls up to zero and rises from there.
    """
    slope = (span.high / (span.high - span.low)).clamp(0, 1)
    slope = torch.where(span.low >= 0, 1.0, torch.where(span.high <= 0, 0.0, slope)).nan_to_num_(0.0)
    points = (span.low, span.high, span.low.clamp(min=0).minimum(span.high))
    return between(slope, span.centre, points, [Enclosed.exact(p.clamp(min=0)) for p in points])
