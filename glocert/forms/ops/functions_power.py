"""Lines of powers with a constant exponent, exp, log, sqrt and the reciprocal.

On positive numbers all are convex or concave and monotone. Powers with a whole exponent are even or odd, so
negative numbers follow by reflection; even positive ones are convex everywhere; odd positive ones across zero
have a second derivative that never decreases. Where a span leaves the domain nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from glocert.elementary import Enclosed, exp, log, power, reciprocal
from glocert.forms.ops.functions_convex import Convex, cubic_like
from glocert.forms.ops.functions_line import Line, Span, best, between, constant

LineOf = Callable[[Span, Tensor], Line]

_EXP = Convex(exp, exp, torch.log)
_LOG = Convex(log, reciprocal, torch.reciprocal, concave=True)


def exp_line(span: Span, error: Tensor) -> Line:
    """``exp(x)``."""
    return _EXP.line(span, error)


def log_line(span: Span, error: Tensor) -> Line:
    """``log(x)``, x > 0."""
    return _LOG.line(span, error).unknown(~(span.low > 0))


def power_line(exponent: float) -> LineOf:
    """Return the lines of ``x ** exponent``."""
    if exponent == 0:
        return lambda span, _: constant(torch.ones_like(span.centre), torch.ones_like(span.centre))
    if exponent == 1:
        return lambda span, _: between(
            torch.ones_like(span.centre), span.centre, (span.centre,), (Enclosed.exact(span.centre),)
        )
    curve = _curve(exponent)
    if exponent % 1:
        return _positive(curve)
    if exponent > 0 and exponent % 2 == 0:
        return curve.line
    return _reflected(curve, exponent)


def _curve(exponent: float) -> Convex:
    even = exponent > 0 and exponent % 2 == 0

    def touch(slope: Tensor) -> Tensor:
        """Solve ``exponent x^(exponent - 1) = slope``."""
        share = slope / exponent
        root = share.abs() ** (1 / (exponent - 1))
        return root * torch.sign(share) if even else root

    return Convex(lambda x: power(x, exponent), _slope(exponent), touch, concave=0 < exponent < 1, bowl=even)


def _slope(exponent: float) -> Callable[[Tensor], Enclosed]:
    """Return the derivative; ``exponent - 1`` is a float for whole exponents only."""
    if exponent % 1 == 0:
        return lambda x: power(x, exponent - 1).scaled(exponent)
    return lambda x: (power(x, exponent) / Enclosed.exact(x)).scaled(exponent)


def _positive(curve: Convex) -> LineOf:
    """Lines of a power that negative numbers have not; zero is left out, as no proven range ends there."""

    def line(span: Span, error: Tensor) -> Line:
        return curve.line(span, error).unknown(~(span.low > 0))

    return line


def _reflected(curve: Convex, exponent: float) -> LineOf:
    """Lines of a power with a whole exponent that is negative or odd."""
    odd = exponent % 2 == 1

    def second(x: Tensor) -> Enclosed:
        return power(x, exponent - 2).scaled(exponent * (exponent - 1))

    def line(span: Span, error: Tensor) -> Line:
        mirrored = span.mirrored()
        across = ~(mirrored.low > 0)
        sided = curve.line(mirrored, error).unknown(across).mirrored(span.centre < 0, odd)
        sided = sided.unknown(across)
        if exponent < 0:
            return sided
        ends = (span.low, span.high)
        flat = between(torch.zeros_like(span.centre), span.centre, ends, [curve.value(end) for end in ends])
        return best(error, [sided, cubic_like(curve.value, second, curve.slope, span), flat])

    return line
