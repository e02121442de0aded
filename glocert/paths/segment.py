"""A straight line between two images, known up to a radius."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.errors import InvalidSpec
from glocert.paths.path import Enclosure
from glocert.rounding import CHARGE, TINY, UP

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """The path ``x(t) = (1 - t) a + t b``, t in [0, 1], before any clamp.

    Attributes:
        start: float64, shape of the graph's input: the stored ``a``.
        stop: same shape: the stored ``b``.
        radius: same shape, >= 0: proven bound on how far each stored end is from the exact one, so that the
            exact x(t) is within ``radius`` of the stored line at every t.
    """

    start: Float64
    stop: Float64
    radius: Float64

    def __post_init__(self) -> None:
        shapes = {array.shape for array in (self.start, self.stop, self.radius)}
        if len(shapes) > 1:
            raise InvalidSpec(f"the arrays of a segment have shapes {sorted(shapes)}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image."""
        return self.start.shape

    @property
    def dimensions(self) -> int:
        """One parameter."""
        return 1

    @property
    def joints(self) -> tuple[float, ...]:
        """None: the path is one piece."""
        return ()

    def at(self, t: Sequence[float]) -> Float64:
        """Return the stored path at ``t[0]``."""
        (share,) = t
        return np.asarray((1.0 - share) * self.start + share * self.stop)

    def loaded(self, device: torch.device) -> LoadedSegment:
        """Load the segment."""
        start, stop, radius = (
            torch.tensor(np.ascontiguousarray(array), dtype=torch.float64, device=device)
            for array in (self.start, self.stop, self.radius)
        )
        return LoadedSegment(start, *_changing(start, stop, radius))


@dataclass(frozen=True, slots=True, eq=False)
class LoadedSegment:
    """A segment on a device.

    Attributes:
        start: float64, the input's shape: the path at t = 0.
        change: rounded difference of its ends.
        error: bound on how far the exact path is from what ``enclose`` computes, anywhere.
    """

    start: Tensor
    change: Tensor
    error: Tensor

    def enclose(self, middle: Tensor, half: Tensor) -> Enclosure:
        """Return the parts of the line, one row each: nothing is lost but rounding."""
        shape = (-1, *(1,) * self.start.ndim)
        middle, half = middle.view(shape), half.view(shape)
        lines = torch.stack([self.start + middle * self.change, half * self.change])
        return Enclosure(lines, self.error.expand(lines.shape[1:]).contiguous())


def whole(paths: Sequence[Segment], device: torch.device) -> Enclosure:
    """Enclose each of many segments on all of [0, 1], one row each: what each alone gives."""
    start, stop, radius = (
        torch.from_numpy(np.array([getattr(path, end) for path in paths], np.float64)).to(device)
        for end in ("start", "stop", "radius")
    )
    change, error = _changing(start, stop, radius)
    return Enclosure(torch.stack([start + 0.5 * change, (0.5 * UP) * change]), error)


def _changing(start: Tensor, stop: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """Return the change of segments, and how far they are from what ``enclose`` computes.

    Computing ``a + t (b - a)`` and the slope takes six roundings of numbers below |a| + |b - a|. A coordinate
    that does not change takes none.
    """
    change = stop - start
    rounding = (start.abs() + change.abs()) * CHARGE + TINY
    return change, torch.where(start == stop, radius, (radius + rounding) * UP)
