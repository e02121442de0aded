"""The smallest and largest pixel of square neighbourhoods, whose sizes are powers of two."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from glocert.rounding import CHARGE, TINY, UP


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Ranges of neighbourhoods.

    A value interpolated at a place q is a mean of pixels closer than 1 to q. If q is within R of a whole
    place j, these pixels are within ``ceil(R)`` of j. Level n has the pixels within ``2^n`` of every place;
    the last level covers everything, so that any R is covered by some level.

    Attributes:
        low: float64, shape (channels, levels * places): smallest pixel, less its radius.
        high: same shape: largest pixel, plus its radius.
        levels: how many levels there are.
    """

    low: Tensor
    high: Tensor
    levels: int

    @classmethod
    def of(cls, image: Tensor, radius: Tensor, extent: int) -> Windows:
        """Prepare an image.

        Args:
            image: float64, shape (channels, height, width), with its margin of zeros.
            radius: same shape: how far the exact pixels may be from it.
            extent: the larger of height and width.
        """
        highs, lows, reach = [_grown(image + radius, 1)], [_grown(radius - image, 1)], 1
        while reach < extent:
            highs.append(_grown(highs[-1], reach))
            lows.append(_grown(lows[-1], reach))
            reach *= 2
        high, low = (torch.stack([part.flatten(1) for part in parts], 1) for parts in (highs, lows))
        return cls(-low.flatten(1), high.flatten(1), len(highs))

    def range(self, place: Tensor, reach: Tensor) -> tuple[Tensor, Tensor]:
        """Return (centre, error) of the values at points within ``reach`` of places.

        Args:
            place: index of a place, shape (points,).
            reach: same shape; NaN and infinity are wider than everything.

        Returns:
            Two tensors of shape (channels, points).
        """
        most = 2.0 ** (self.levels - 1)
        level = reach.nan_to_num(most, most, most).clamp(1.0, most).log2_().ceil_().to(torch.int64)
        level += (torch.ldexp(torch.ones_like(reach), level) < reach) & (level < self.levels - 1)
        at = level * (self.low.shape[1] // self.levels) + place
        low, high = self.low.index_select(1, at), self.high.index_select(1, at)
        rounding = (low.abs() + high.abs()) * CHARGE + TINY
        nothing = (low == 0) & (high == 0)  # also no radius: adding one to zero does not round it away
        return (low + high) * 0.5, torch.where(nothing, 0.0, ((high - low) * 0.5 + rounding) * UP)


def _grown(values: Tensor, reach: int) -> Tensor:
    """Return the largest of the values ``reach`` before, at and after each place, along both axes."""
    for axis in (-1, -2):
        length = values.shape[axis]
        sides = (reach, reach) if axis == -1 else (0, 0, reach, reach)
        wide = pad(values, sides, value=-torch.inf)
        parts = (wide.narrow(axis, start, length) for start in (0, reach, 2 * reach))
        values = torch.stack(list(parts)).amax(0)
    return values
