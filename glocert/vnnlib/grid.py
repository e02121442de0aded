"""Boxes of inputs on the float32 numbers that runtimes compute with."""

from __future__ import annotations

import decimal
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.vnnlib.reader import Region

Float32 = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The float32 numbers inside a box of inputs.

    Attributes:
        region: the exact box.
        lower: smallest float32 number inside, per input, flattened; that next to the lower end where there is
            none.
        upper: largest one; equal to ``lower`` where there is none.
        empty: inputs whose range holds no float32 number.
    """

    region: Region
    lower: Float32
    upper: Float32
    empty: Bools

    @classmethod
    def of(cls, region: Region) -> Grid:
        """Round the ends inwards."""
        lower = np.array([_next_to(end, up=True) for end in region.lower], np.float32)
        upper = np.array([_next_to(end, up=False) for end in region.upper], np.float32)
        empty = lower > upper
        nearest = np.array([np.float32(float(end)) for end in region.lower], np.float32)
        return cls(region, np.where(empty, nearest, lower), np.where(empty, nearest, upper), empty)

    def snapped(self, x: Tensor) -> Tensor:
        """Return float32 numbers inside the box, shape (n, inputs), nearest to given ones."""
        low, high = (torch.from_numpy(end).to(x.device) for end in (self.lower, self.upper))
        return x.float().clamp(low, high)

    def exact(self, x: Float32) -> list[Fraction]:
        """Return the real numbers that a point of the grid stands for.

        An input whose range holds no float32 number takes the lower end of its range, exactly.
        """
        return [
            self.region.lower[i] if none else Fraction(float(value))
            for i, (value, none) in enumerate(zip(x, self.empty, strict=True))
        ]


def _next_to(end: Fraction, up: bool) -> np.float32:
    """Return the float32 number nearest to an end that is not below it (up) or not above it."""
    found = np.float32(float(end))
    if up and Fraction(float(found)) < end:
        return np.float32(np.nextafter(found, np.float32(np.inf)))
    if not up and Fraction(float(found)) > end:
        return np.float32(np.nextafter(found, np.float32(-np.inf)))
    return found


def written(number: Fraction, lower: Fraction, upper: Fraction) -> str:
    """Return a decimal number: the shortest that reads as the same float64, where it is inside the range too.

    Args:
        number: lower <= number <= upper.
        lower: exact end.
        upper: exact end.
    """
    short = repr(float(number))
    if lower <= Fraction(short) <= upper:
        return short
    with decimal.localcontext() as context:
        context.prec = 1200
        return str(decimal.Decimal(number.numerator) / decimal.Decimal(number.denominator))
