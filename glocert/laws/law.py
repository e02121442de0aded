"""What an engine needs of a law of t in [0, 1].

A law answers for unions of closed intervals that are disjoint and in order, as the engines collect them. A
single point counts when it lies in one of them, its ends included; so a value that is likely by itself counts
as safe only where it lies in an interval that is proven.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from glocert.report import Interval

Span = tuple[float, float]
"""A closed interval of t, ends included; a point where both are equal."""


class Law(Protocol):
    """The law of t."""

    def measure(self, spans: Iterable[Span]) -> Interval:
        """Return proven bounds on the probability that t lies in one of the intervals.

        Args:
            spans: in [0, 1], in order, no two with a common point.
        """
        ...

    def outside(self, spans: Iterable[Span]) -> Interval:
        """Return proven bounds on the probability that t lies in none of the intervals.

        Args:
            spans: likewise.
        """
        ...
