"""Lines of functions with a bounded fourth derivative.

Narrow spans: Taylor about the centre. With t = x - c, |t| <= h::

    f(x) = f + f' t + f'' t^2/2 + f''' t^3/6 + r,    |r| <= sup|f''''| h^4/24

t^2 is in [0, h^2]. The straight line nearest to t^3 is ``3 h^2 t/4``, off by h^3/4 (Chebyshev's
polynomial): the slope is ``f' + f''' h^2/8`` and |f'''| h^3/24 is left over. After centring the error is
``|f''| h^2/4 + |f'''| h^3/24 + sup|f''''| h^4/24``.

Wide spans: the same on PIECES pieces of the span, for a few slopes, and a line that stays bounded however
wide the span is: between the ends where f never decreases, next to Relu for functions that go to 0 and to
x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.elementary import Enclosed
from glocert.forms.ops.functions_jets import Jet, Jets
from glocert.forms.ops.functions_line import Line, Span, best, between, constant
from glocert.rounding import TINY, UNIT, UP

PIECES = 8
WIDE = 0.35
"""Reach from which pieces are worth their price."""
BLOCK = 4096
"""How many coordinates are cut in pieces at a time; keeps what is computed in the cache."""

Far = Callable[[Jets, Span], Line]


@dataclass(frozen=True, slots=True)
class Smooth:
    """A function with four derivatives.

    Attributes:
        jets: encloses the function and three derivatives.
        fourth: bound on the absolute value of the fourth anywhere.
        far: a line for spans of any width.
    """

    jets: Jets
    fourth: float
    far: Far

    def line(self, span: Span, error: Tensor) -> Line:
        """Return the best line known for every coordinate."""
        line = self._taylor(span)
        wide = (span.reach > WIDE) & torch.isfinite(span.reach)
        if wide.any():
            part, own = span.at(wide), error[wide]
            found = self._refined(part, own, best(own, [line.at(wide), self.far(self.jets, part)]))
            line = line.put(wide, found)
        return line

    def _refined(self, span: Span, error: Tensor, line: Line) -> Line:
        """Look at pieces where the error is not small next to what the line follows."""
        rough = ~(line.high - line.low <= line.slope.abs() * span.reach * 0.02 + 1e-6)
        for block in torch.split(rough.nonzero().squeeze(1), BLOCK):
            part, known = span.at(block), line.at(block)
            lines = [known, *self._pieces(part, self.jets(part.centre)[1].value)]
            line = line.put(block, best(error[block], lines))
        return line

    def _taylor(self, span: Span) -> Line:
        jet = self.jets(span.centre)
        slope, down, up = self._about(jet, span.reach)
        slack = jet[0].error + jet[0].value.abs() * (2 * UNIT)
        low = jet[0].value - ((down + slack) * UP + TINY)
        return Line(slope, low, jet[0].value + ((up + slack) * UP + TINY))

    def _about(self, jet: Jet, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return a slope, and how far f goes below and above ``f(c) + slope (x - c)`` for ``|x - c| <= h``.

        The roundings of the slope are at most three u of ``|f'|`` and four of ``|f'''| h^2/8``.
        """
        first, bend, third = jet[1], jet[2], jet[3]
        square = h * h
        tilt = third.value * square * 0.125
        lost = first.error + (first.value.abs() + tilt.abs()) * (8 * UNIT)
        cubic = third.value.abs() * (h / 24) + third.error * (h / 6) + self.fourth * square / 24
        both = lost * h + cubic * square
        down, up = ((bend.error + sign * bend.value).clamp(min=0) * square * 0.5 for sign in (-1, 1))
        return first.value + tilt, (down + both) * (UP * UP), (up + both) * (UP * UP)

    def _pieces(self, span: Span, tangent: Tensor) -> list[Line]:
        """Return the lines of the tangent's slope, of the chord's and of slope zero."""
        places = torch.arange(1 - PIECES, PIECES, 2, dtype=tangent.dtype, device=tangent.device) / PIECES
        at = span.centre + places[:, None] * span.reach
        half = span.reach / PIECES * UP + (span.centre.abs() + span.reach) * (8 * UNIT) + TINY
        jet = self.jets(at)
        chord = (jet[0].value[-1] - jet[0].value[0]) / (at[-1] - at[0])
        slopes = (tangent, chord.nan_to_num_(0.0, 0.0, 0.0), torch.zeros_like(tangent))
        about = self._about(jet, half.expand_as(at))
        return [_over(span.centre, at, half, jet[0], about, slope) for slope in slopes]


def _over(
    centre: Tensor,
    at: Tensor,
    half: Tensor,
    value: Enclosed,
    about: tuple[Tensor, Tensor, Tensor],
    slope: Tensor,
) -> Line:
    """Return the line of a slope from what is known about each piece, ``half`` to both sides of ``at``."""
    own, down, up = about
    rise = slope * (at - centre)
    tilt = (own - slope).abs() * half
    slack = value.error + tilt + (value.value.abs() + rise.abs()) * (8 * UNIT)
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
