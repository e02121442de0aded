"""How much of [0, 1]^k is decided, counted exactly, and what is still open."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from glocert.boxes.boxes import Boxes
from glocert.report import Interval

Float64 = NDArray[np.float64]


@dataclass(slots=True)
class Volume:
    """A sum of ``2^-n``, exact.

    Attributes:
        counts: n -> how many.
    """

    counts: dict[int, int] = field(default_factory=dict)

    def add(self, boxes: Boxes) -> None:
        """Add the volumes of some boxes."""
        for halvings, count in zip(*np.unique(boxes.halvings, return_counts=True), strict=True):
            self.counts[int(halvings)] = self.counts.get(int(halvings), 0) + int(count)

    @property
    def exact(self) -> Fraction:
        """The sum."""
        return sum((Fraction(count, 2**n) for n, count in self.counts.items()), Fraction(0))


@dataclass(slots=True, eq=False)
class Open:
    """Boxes that are not decided, one per row, and what is known of each.

    Attributes:
        boxes: where.
        axis: across which axis each is to be halved.
        safe: proven share of each that is safe.
        violated: proven share that is violated.
    """

    boxes: Boxes
    axis: NDArray[np.intp]
    safe: Float64
    violated: Float64

    @classmethod
    def joined(cls, parts: list[Open]) -> Open:
        """Return all rows, at least one part."""
        return cls(
            Boxes.joined(part.boxes for part in parts),
            *(np.concatenate(columns) for columns in zip(*(part.columns for part in parts), strict=True)),
        )

    @property
    def columns(self) -> tuple[NDArray[np.intp], Float64, Float64]:
        """Everything but the boxes."""
        return self.axis, self.safe, self.violated

    def __len__(self) -> int:
        return len(self.axis)

    @property
    def undecided(self) -> Float64:
        """Volume of each row about which nothing is proven, up to rounding."""
        return np.asarray(np.ldexp(1.0 - self.safe - self.violated, -self.boxes.halvings))

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Open:
        """Return some rows."""
        return Open(self.boxes.take(rows), self.axis[rows], self.safe[rows], self.violated[rows])

    def sums(self) -> tuple[Fraction, Fraction]:
        """Return the proven safe and violated volume inside these boxes, exactly what the shares say."""
        safe, violated = (
            [Fraction(float(term)) for term in np.ldexp(share, -self.boxes.halvings)]
            for share in (self.safe, self.violated)
        )
        return sum(safe, Fraction(0)), sum(violated, Fraction(0))


def enclosing(lower: Fraction, upper: Fraction) -> Interval:
    """Return the interval with float64 ends, rounded outwards within [0, 1]."""
    low, high = float(lower), float(upper)
    if Fraction(low) > lower:
        low = math.nextafter(low, -math.inf)
    if Fraction(high) < upper:
        high = math.nextafter(high, math.inf)
    return Interval(max(low, 0.0), min(high, 1.0))
