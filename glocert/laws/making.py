"""From a law of a mutation's parameter, in its own unit, to the law of t that the engines use.

The parameter is ``start + t (stop - start)``; fractions invert that exactly, whichever way the path runs.
"""

from __future__ import annotations

from fractions import Fraction

from glocert.errors import InvalidSpec
from glocert.laws.continuous import Continuous
from glocert.laws.law import Law
from glocert.laws.normal import TruncatedNormal
from glocert.laws.points import Points
from glocert.laws.polynomial import Beta, Triangular
from glocert.laws.uniform import UNIFORM
from glocert.spec_law import (
    BetaLaw,
    LawSpec,
    PointsLaw,
    TriangularLaw,
    TruncatedNormalLaw,
    UniformLaw,
    faults,
)


def law_of(law: LawSpec, start: float, stop: float) -> Law:
    """Return the law of t.

    Args:
        law: of the parameter.
        start: the parameter at t = 0.
        stop: the parameter at t = 1.

    Raises:
        InvalidSpec: the law does not fit the path; see ``faults``.
    """
    if wrong := faults(law, start, stop):
        raise InvalidSpec("; ".join(f"law{name}: {detail}" for name, detail in wrong))
    match law:
        case UniformLaw():
            return UNIFORM
        case TruncatedNormalLaw(mean, std):
            length = abs(Fraction(stop) - Fraction(start))
            return Continuous(TruncatedNormal(_place(mean, start, stop), Fraction(std) / length))
        case BetaLaw(a, b):
            return Continuous(Beta(a, b))
        case TriangularLaw(mode):
            return Continuous(Triangular(_place(mode, start, stop)))
        case PointsLaw(points):
            return _discrete(points, start, stop)


def _place(value: float, start: float, stop: float) -> Fraction:
    """Return the t of a value."""
    return (Fraction(value) - Fraction(start)) / (Fraction(stop) - Fraction(start))


def _discrete(points: tuple[tuple[float, float], ...], start: float, stop: float) -> Points:
    placed = sorted((_place(value, start, stop), Fraction(weight)) for value, weight in points)
    total = sum((weight for _, weight in placed), Fraction(0))
    return Points(tuple(at for at, _ in placed), tuple(weight / total for _, weight in placed))
