"""Lines of functions with kinks or a jump: Elu, HardSwish, Sign.

Elu is ``alpha elu_1(x) + (1 - alpha) relu(x)``, elu_1 convex with a continuous derivative. HardSwish
consists of two straight parts and ``x^2/6 + x/2`` in between, so less any slope it is largest and smallest
at the ends of the span, at -3, at 3, or where the parabola has that slope. Rounding that place by d costs
d^2/6 < 2^-90.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glocert.elementary import Enclosed, exp, expm1
from glocert.forms.ops.functions_convex import Convex
from glocert.forms.ops.functions_line import Line, Span, best, between, constant
from glocert.forms.ops.functions_smooth import relu
from glocert.rounding import UNIT


def _elu_value(x: Tensor) -> Enclosed:
    return Enclosed(x.clamp(min=0), 0.0).where(x > 0, expm1(x.clamp(max=0)))


def _elu_slope(x: Tensor) -> Enclosed:
    return Enclosed(torch.ones_like(x), 0.0).where(x >= 0, exp(x.clamp(max=0)))


_ELU = Convex(_elu_value, _elu_slope, torch.log)


def elu(span: Span, error: Tensor, alpha: float) -> Line:
    """``x`` above zero, ``alpha (exp(x) - 1)`` below."""
    curve = _ELU.line(span, error)
    if alpha == 1:
        return curve
    return weighted(span, ((alpha, curve), (1 - alpha, relu(span))), span.high.clamp(min=0))


def weighted(span: Span, parts: tuple[tuple[float, Line], ...], size: Tensor) -> Line:
    """Return the line of a weighted sum of functions.

    Each weight may be rounded once, where its function is not above ``size``; products and sums are rounded
    as well, of the slopes too, which costs up to three u of each ``|weight slope| reach``.
    """
    slope, low, high, slack = (torch.zeros_like(span.centre) for _ in range(4))
    for weight, line in parts:
        one, two = line.low * weight, line.high * weight
        slope = slope + line.slope * weight
        low, high = low + torch.minimum(one, two), high + torch.maximum(one, two)
        slack = slack + abs(weight) * (line.slope.abs() * span.reach + size) + one.abs() + two.abs()
    return Line(slope, low, high).widened(slack * (8 * UNIT))


def _hard_swish(x: Tensor) -> Enclosed:
    """``x min(max(x + 3, 0), 6) / 6``: three roundings relative to the result."""
    return Enclosed.rounded(x * (x + 3).clamp(0, 6) / 6, 0.0, 3)


def hard_swish(span: Span, error: Tensor) -> Line:
    """``x min(max(x/6 + 1/2, 0), 1)``."""
    inside = [torch.full_like(span.low, knot) for knot in (-3.0, 3.0)]
    ends = [span.low, span.high, *(_into(knot, span) for knot in inside)]
    values = [_hard_swish(end) for end in ends]
    chord = ((values[1].value - values[0].value) / (span.high - span.low)).nan_to_num_(0.0, 0.0, 0.0)
    middle = ((span.centre + 1.5) / 3).clamp(0, 1)
    lines = []
    for slope in (chord.clamp(-0.5, 1.5), middle, torch.zeros_like(middle)):
        vertex = _into((slope * 3 - 1.5).clamp(-3, 3), span)
        line = between(slope, span.centre, [*ends, vertex], [*values, _hard_swish(vertex)])
        lines.append(line.widened(torch.full_like(slope, 2.0**-90)))
    return best(error, lines)


def _into(point: Tensor, span: Span) -> Tensor:
    return point.maximum(span.low).minimum(span.high)


def sign(span: Span, error: Tensor) -> Line:  # noqa: ARG001
    """-1, 0 or 1; between two of them where the sign is not settled."""
    return constant(torch.sign(span.low), torch.sign(span.high))
