"""Parts of a path as forms of the network's input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.forms.form import Form
from glocert.paths.segment import Segment
from glocert.rounding import CHARGE, TINY, UP

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Intervals of t as ``t = middle + half u``, u in [-1, 1].

    Attributes:
        start: shape (rows,), within [0, 1].
        stop: same shape, not below ``start``; equal for points.
        middle: same shape, within [start, stop].
        half: same shape, so large that [start, stop] lies in [middle - half, middle + half].
    """

    start: Float64
    stop: Float64
    middle: Float64
    half: Float64

    @classmethod
    def between(cls, start: Float64, stop: Float64) -> Parts:
        """Return the parts with these ends; a difference of float64 numbers is off by at most u of itself."""
        middle = (start + stop) / 2
        return cls(start, stop, middle, np.maximum(middle - start, stop - middle) * UP)

    def position(self, t: Float64) -> Float64:
        """Return u of parameters of each row, shape (rows, n), off by at most 3u of itself; 0 at points."""
        half = np.where(self.half > 0, self.half, 1.0)
        return np.asarray((t - self.middle[:, None]) / half[:, None])


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """A segment on the device.

    Attributes:
        start: float64, the input's shape: the path at t = 0.
        change: rounded difference of its ends.
        error: bound on how far the exact path is from what ``form`` computes, anywhere.
    """

    start: Tensor
    change: Tensor
    error: Tensor

    @classmethod
    def of(cls, segment: Segment, device: torch.device) -> Path:
        """Load a segment.

        Computing ``a + t (b - a)`` and the slope takes six roundings of numbers below |a| + |b - a|. A
        coordinate that does not change takes none.
        """
        start, stop, radius = (
            torch.tensor(array, dtype=torch.float64, device=device)
            for array in (segment.start, segment.stop, segment.radius)
        )
        change = stop - start
        rounding = (start.abs() + change.abs()) * CHARGE + TINY
        return cls(start, change, torch.where(start == stop, radius, (radius + rounding) * UP))

    def form(self, parts: Parts) -> Form:
        """Return the parts of the path, one row each."""
        shape = (-1, *(1,) * self.start.ndim)
        middle, half = (
            torch.tensor(array, dtype=torch.float64, device=self.start.device).view(shape)
            for array in (parts.middle, parts.half)
        )
        lines = torch.stack([self.start + middle * self.change, half * self.change])
        return Form.of(lines, self.error.expand(lines.shape[1:]).contiguous())
