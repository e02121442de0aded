"""One activation along a part of the path: a piecewise linear curve with a proven radius."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.rounding import CHARGE, TINY, UP
from glocert.segments.loops.extents import extents


@dataclass(slots=True)
class Knots:
    """Values of one activation at the vertices of the block's grid, and how far the truth may be from them.

    The invariant of the engine: for every t of the block and every coordinate i, the exact activation (the
    graph in real arithmetic, at the exact point of the path) is within ``radius[i]`` of the straight line
    between the two neighbouring vertices.

    Attributes:
        values: float64, shape (vertices, n), coordinates in the memory order of the program.
        radius: float64, shape (n,), >= 0; NaN or infinite where nothing is known.
        low: shape (n,), not above any value of its coordinate; None: not computed yet.
        high: shape (n,), not below any.
        top: shape (n,), bound on the absolute values; None: not computed yet.
    """

    values: Tensor
    radius: Tensor
    low: Tensor | None = None
    high: Tensor | None = None
    top: Tensor | None = None

    def extent(self) -> tuple[Tensor, Tensor]:
        """Return proven bounds (low, high) of the values of each coordinate."""
        if self.low is None or self.high is None:
            self.low, self.high = _extent(self.values)
        return self.low, self.high

    def peak(self) -> Tensor:
        """Return a bound on the absolute values of each coordinate."""
        if self.top is None:
            low, high = self.extent()
            self.top = torch.maximum(-low, high)
        return self.top

    def take(self, index: Tensor) -> Knots:
        """Return the coordinates ``index``, in that order."""
        low = None if self.low is None else self.low[index]
        high = None if self.high is None else self.high[index]
        return Knots(self.values.index_select(1, index), self.radius[index], low, high)


def host(tensor: Tensor) -> NDArray[Any]:
    """Return a tensor of the processor as an array that shares its memory, or a copy where it has gaps."""
    return tensor.contiguous().numpy()


def _extent(values: Tensor) -> tuple[Tensor, Tensor]:
    if not values.is_cpu:
        return values.amin(0), values.amax(0)
    low, high = extents(host(values))
    return torch.from_numpy(low), torch.from_numpy(high)


def spread(x: Knots, share: float) -> Tensor:
    """Return the radius plus ``share`` of the peak; at most two roundings below the exact sum.

    A coordinate that is not finite makes its radius infinite or NaN, which no later operation can undo.
    """
    return torch.add(x.radius, x.peak(), alpha=share)


def interpolated(x: Knots, values: Tensor) -> Knots:
    """Return ``x`` on vertices some of which were inserted: charge the radius and widen the extent.

    An inserted value is off by less than 12 u of the larger neighbour (see ``grid``), so ``CHARGE`` = 16 u of
    the peak covers that and the roundings of the charge itself.
    """
    low, high = x.extent()
    top = x.peak()
    charge = top * CHARGE
    radius = (x.radius + charge).mul_(UP).add_(TINY)
    return Knots(values, radius, low - charge, high + charge, top + charge)
