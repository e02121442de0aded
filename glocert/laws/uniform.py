"""Every part of the path is as likely as it is long.

``fsum`` adds the ends of all intervals exactly and rounds once, to the nearest float64; one step outwards
therefore gives bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from glocert.laws.law import Span
from glocert.report import WHOLE, Interval


@dataclass(frozen=True, slots=True)
class Uniform:
    """The uniform law on [0, 1]."""

    def measure(self, spans: Iterable[Span]) -> Interval:
        """Return bounds on the total length."""
        found = list(spans)
        if found == [(0.0, 1.0)]:
            return WHOLE
        return _around(math.fsum(end for start, stop in found for end in (stop, -start)))

    def outside(self, spans: Iterable[Span]) -> Interval:
        """Return bounds on the length that is left of [0, 1]."""
        found = list(spans)
        if not found:
            return WHOLE
        return _around(math.fsum([1.0, *(end for start, stop in found for end in (start, -stop))]))


UNIFORM = Uniform()


def _around(rounded: float) -> Interval:
    """Enclose what rounds to a number in [0, 1]; a sum that rounds to zero is zero."""
    upper = math.nextafter(rounded, math.inf) if rounded else 0.0
    return Interval(max(0.0, math.nextafter(rounded, -math.inf)), min(upper, 1.0))
