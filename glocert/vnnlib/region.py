"""A box of inputs as a path whose parameters are the inputs that may vary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.errors import InvalidSpec
from glocert.paths.path import Enclosure
from glocert.rounding import CHARGE, TINY, UP
from glocert.vnnlib.reader import Region

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]

_LARGEST = Fraction(2**100)


@dataclass(frozen=True, slots=True, eq=False)
class RegionPath:
    """``x_i(t) = lower_i + t_j (upper_i - lower_i)``, one t per input of which the ends differ.

    Attributes:
        shape: of the network's input; inputs are numbered as it is flattened.
        lower: float64 next to the exact lower ends, flattened.
        width: float64 next to the exact differences of the ends.
        radius: bound on how far the exact lower end and the exact width are from these, together.
        free: inputs that vary, in order.
    """

    shape: tuple[int, ...]
    lower: Float64
    width: Float64
    radius: Float64
    free: NDArray[np.intp]

    @classmethod
    def of(cls, region: Region, shape: tuple[int, ...]) -> RegionPath:
        """Round the ends.

        Raises:
            InvalidSpec: an end is larger than 2^100.
        """
        if any(abs(end) > _LARGEST for end in (*region.lower, *region.upper)):
            raise InvalidSpec("the box of inputs reaches beyond 2^100")
        widths = [high - low for low, high in zip(region.lower, region.upper, strict=True)]
        lower, width = np.array([float(x) for x in region.lower]), np.array([float(x) for x in widths])
        missed = [
            abs(low - Fraction(a)) + abs(wide - Fraction(b))
            for low, wide, a, b in zip(region.lower, widths, lower.tolist(), width.tolist(), strict=True)
        ]
        radius = np.array([float(x) * UP + TINY if x else 0.0 for x in missed])
        free = np.flatnonzero([wide > 0 for wide in widths])
        return cls(shape, lower, width, radius, free)

    @property
    def dimensions(self) -> int:
        """How many inputs vary; one that does not where none does."""
        return max(len(self.free), 1)

    @property
    def joints(self) -> tuple[float, ...]:
        """None: inputs move straight."""
        return ()

    def at(self, t: Sequence[float]) -> Float64:
        """Return the inputs at ``t``."""
        x = self.lower.copy()
        if len(self.free):
            x[self.free] += np.asarray(t) * self.width[self.free]
        return x.reshape(self.shape)

    def loaded(self, device: torch.device) -> LoadedRegion:
        """Load the box."""
        lower, width, radius = (
            torch.from_numpy(array).to(device) for array in (self.lower, self.width, self.radius)
        )
        free = torch.from_numpy(self.free).to(device)
        return LoadedRegion(self.shape, lower, width, radius, free)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedRegion:
    """A box of inputs on a device; the attributes are those of ``RegionPath``."""

    shape: tuple[int, ...]
    lower: Tensor
    width: Tensor
    radius: Tensor
    free: Tensor

    def enclose(self, middle: Tensor, half: Tensor) -> Enclosure:
        """Return boxes of inputs, one per row: only rounding is lost.

        ``a + m w`` and ``h w`` take four roundings of numbers below ``|a| + w``; as t stays below 1 + 2^-40,
        the exact end and width are within ``radius`` times that of the stored ones. Inputs that do not vary
        take no rounding.
        """
        rows, count = len(middle), len(self.lower)
        lines = self.lower.new_zeros(1 + middle.shape[1], rows, count)
        lines[0] = self.lower
        error = self.radius.expand(rows, count).clone()
        if len(self.free):
            width = self.width[self.free]
            lines[0][:, self.free] += middle * width
            axes = torch.arange(len(self.free), device=middle.device)
            lines[1 + axes, :, self.free] = (half * width).t()
            rounding = (self.lower[self.free].abs() + width) * CHARGE + TINY
            error[:, self.free] = (error[:, self.free] + rounding) * UP
        shape = (rows, *self.shape)
        return Enclosure(lines.view(len(lines), *shape), error.view(shape))
