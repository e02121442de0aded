"""Laws with a density, from a proven distribution function.

A distribution function is enclosed by whole numbers in units of ``2^-BITS``: ``low <= 2^BITS F(t) <=
high``. Whole numbers are added exactly, so all that is lost of a sum of ``F(b) - F(a)`` is the width of its
terms; one rounding outwards to float64 comes at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

from glocert.laws.law import Span
from glocert.report import Interval

BITS = 400
ONE = 1 << BITS
_KEPT = 2**14

Whole = tuple[int, int]
"""Lower and upper bound of a number, in units of ``2^-BITS``."""


class Distribution(Protocol):
    """A law of t in [0, 1] without single points that are likely."""

    def below(self, t: Fraction) -> Whole:
        """Enclose the probability of [0, t], 0 < t < 1."""
        ...


@dataclass(frozen=True, slots=True)
class Continuous:
    """The law that a distribution function gives.

    Attributes:
        distribution: the function.
    """

    distribution: Distribution
    _known: dict[float, Whole] = field(default_factory=dict, repr=False, compare=False)

    def measure(self, spans: Iterable[Span]) -> Interval:
        """Return bounds on the sum of ``F(b) - F(a)``."""
        low, high = self._sum(spans)
        return Interval(round_down(Fraction(low, ONE)), round_up(Fraction(high, ONE)))

    def outside(self, spans: Iterable[Span]) -> Interval:
        """Return bounds on one minus that sum."""
        low, high = self._sum(spans)
        return Interval(round_down(1 - Fraction(high, ONE)), round_up(1 - Fraction(low, ONE)))

    def _sum(self, spans: Iterable[Span]) -> Whole:
        low = high = 0
        for start, stop in spans:
            (before, before_high), (after, after_high) = self._below(start), self._below(stop)
            low += max(0, after - before_high)
            high += max(0, after_high - before)
        return min(low, ONE), min(high, ONE)

    def _below(self, t: float) -> Whole:
        """Enclose F(t); the engines ask for the same ends again and again."""
        if t <= 0.0:
            return 0, 0
        if t >= 1.0:
            return ONE, ONE
        found = self._known.get(t)
        if found is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            found = self._known[t] = self.distribution.below(Fraction(t))
        return found


def whole(exact: Fraction) -> Whole:
    """Enclose a number in units of ``2^-BITS``."""
    scaled = exact * ONE
    return math.floor(scaled), math.ceil(scaled)


def round_down(exact: Fraction) -> float:
    """Return the largest float64 that is not above a number in [0, 1]."""
    near = float(exact)
    return math.nextafter(near, -math.inf) if Fraction(near) > exact else near


def round_up(exact: Fraction) -> float:
    """Return the smallest float64 that is not below a number in [0, 1]."""
    near = float(exact)
    return math.nextafter(near, math.inf) if Fraction(near) < exact else near
