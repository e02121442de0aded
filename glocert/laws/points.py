"""Laws of single values. They are compared with the ends of intervals as fractions, without rounding."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from glocert.laws.continuous import round_down, round_up
from glocert.laws.law import Span
from glocert.report import Interval


@dataclass(frozen=True, slots=True)
class Points:
    """Only some t are possible.

    Attributes:
        at: in [0, 1], in order.
        share: probability of each; they add up to one.
    """

    at: tuple[Fraction, ...]
    share: tuple[Fraction, ...]

    def measure(self, spans: Iterable[Span]) -> Interval:
        """Return the sum of the probabilities in the intervals, rounded outwards."""
        return _around(self._sum(spans))

    def outside(self, spans: Iterable[Span]) -> Interval:
        """Return what is left of one, rounded outwards."""
        return _around(1 - self._sum(spans))

    def _sum(self, spans: Iterable[Span]) -> Fraction:
        intervals = list(spans)
        starts = [start for start, _ in intervals]
        total = Fraction(0)
        for at, share in zip(self.at, self.share, strict=True):
            place = bisect_right(starts, at) - 1
            if place >= 0 and at <= intervals[place][1]:
                total += share
        return total


def _around(exact: Fraction) -> Interval:
    return Interval(round_down(exact), round_up(exact))
