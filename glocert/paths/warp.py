"""An image under a motion of the plane: bilinear, zero outside, exactly as users mean it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.errors import InvalidSpec
from glocert.paths.bilinear import Table, Track, interpolate, pairs
from glocert.paths.jets import Jet
from glocert.paths.motions import Motion
from glocert.paths.path import Enclosure
from glocert.rounding import CHARGE, TINY, UP

Float64 = NDArray[np.float64]
_POINTS = 2**15
"""Sampling points of a block."""
_STRIDE, _LOOKS = 1.0, 64
"""Pixels that a piece of the path moves the corners by, and the most pieces."""


@dataclass(frozen=True, slots=True, eq=False)
class Warp:
    """The images that a family of motions makes of one image.

    Output pixel (row, column) of every channel is the bilinear interpolant of the image, which is zero
    outside, at the place that the motion maps (row, column) to.

    Attributes:
        image: float64, shape (channels, height, width).
        radius: same shape, >= 0: proven bound on how far ``image`` is from the exact one.
        motion: where sampling points go.
    """

    image: Float64
    radius: Float64
    motion: Motion

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape != self.radius.shape:
            raise InvalidSpec(f"only images can be moved, the items have shape {self.image.shape}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image."""
        return self.image.shape

    @property
    def dimensions(self) -> int:
        """Parameters of the motion."""
        return self.motion.dimensions

    @property
    def joints(self) -> tuple[float, ...]:
        """Cuts of the path into equal pieces on which no pixel moves much farther than ``_STRIDE``.

        On longer rows all that is known of a pixel is the range of its neighbours.
        """
        if self.dimensions != 1:
            return ()
        corners = _offsets(self.shape)[:, :: self.shape[2] - 1 or 1]
        places = np.stack([self.motion.at([t]) @ corners for t in np.linspace(0.0, 1.0, _LOOKS)])
        length = float(np.hypot(*np.diff(places, axis=0).transpose(1, 0, 2)).max(1).sum())
        pieces = min(_LOOKS, 2 ** math.ceil(math.log2(max(length / _STRIDE, 1.0))))
        return tuple(i / pieces for i in range(1, pieces))

    def at(self, t: Sequence[float]) -> Float64:
        """Return the image at ``t`` in float64."""
        offsets = _offsets(self.shape)
        x, y = self.motion.at(t) @ offsets
        _, height, width = self.shape
        return sample(self.image, x + (width - 1) / 2, y + (height - 1) / 2).reshape(self.shape)

    def loaded(self, device: torch.device) -> LoadedWarp:
        """Load the image and prepare its tables."""
        image, radius, offsets = (
            torch.tensor(array, dtype=torch.float64, device=device)
            for array in (self.image, self.radius, _offsets(self.shape))
        )
        return LoadedWarp(Table.of(image, radius), offsets, self.motion)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedWarp:
    """An image, its tables and its motion on a device.

    Attributes:
        table: of the image.
        offsets: shape (3, pixels): x and y of every pixel from the centre, exact, and one.
        motion: where sampling points go.
    """

    table: Table
    offsets: Tensor
    motion: Motion

    def enclose(self, middle: Tensor, half: Tensor) -> Enclosure:
        """Enclose the images, one row each, in blocks that stay in the processor's cache."""
        k, (channels, height, width) = middle.shape[1], self.table.shape
        pixels = height * width
        lines = middle.new_empty(1 + k, len(middle), channels, pixels)
        error = middle.new_empty(len(middle), channels, pixels)
        tracks = self._tracks(middle, half)
        block = max(1, _POINTS // pixels)
        for start in range(0, len(middle), block):
            rows = slice(start, start + block)
            found = interpolate(self.table, *(track(rows) for track in tracks))
            count = len(error[rows])
            lines[:, rows] = found[0].view(1 + k, channels, count, pixels).transpose(1, 2)
            error[rows] = found[1].view(channels, count, pixels).transpose(0, 1)
        shape = (len(middle), channels, height, width)
        return Enclosure(lines.view(1 + k, *shape), error.view(shape))

    def _tracks(self, middle: Tensor, half: Tensor) -> tuple[Coordinate, Coordinate]:
        _, height, width = self.table.shape
        across, down = self.motion.matrix(middle, half)
        return (
            Coordinate.of(across, (width - 1) / 2, self.offsets),
            Coordinate.of(down, (height - 1) / 2, self.offsets),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Coordinate:
    """One coordinate of every pixel's place, as a product of three terms with offsets that are exact.

    The product and the addition of ``centre`` take at most four roundings of numbers below the sum of the
    terms' absolute values, and the distance from a whole number one more.

    Attributes:
        orders: value, slopes and Hessian of the three entries, shape (1 + k + k (k + 1)/2, rows, 3).
        rest: of each row, shape (rows, 1).
        centre: of the image.
        offsets: shape (3, pixels).
        k: how many parameters there are.
    """

    orders: Tensor
    rest: Tensor
    centre: float
    offsets: Tensor
    k: int

    @classmethod
    def of(cls, entries: tuple[Jet, Jet, Jet], centre: float, offsets: Tensor) -> Coordinate:
        """Return the coordinate that the three entries of a matrix give."""
        k, extents = len(entries[0].first), offsets.abs().amax(1)
        orders = [torch.stack([e.value, *e.first, *(e.second[a, b] for a, b in pairs(k))]) for e in entries]
        rest = torch.stack([entry.rest for entry in entries], -1) @ extents
        size = torch.stack([entry.size for entry in entries], -1) @ extents + centre + 1
        rest = ((rest + size * CHARGE) * UP + TINY).unsqueeze(1)
        return cls(torch.stack(orders, -1), rest, centre, offsets, k)

    def __call__(self, rows: slice) -> Track:
        """Return the track of some rows, one after the other."""
        rest, pixels = self.rest[rows], self.offsets.shape[1]
        found = (self.orders[:, rows] @ self.offsets).flatten(1)
        value = found[0].add_(self.centre)
        return Track(value, found[1 : 1 + self.k], found[1 + self.k :], rest.expand(-1, pixels).flatten())


def sample(image: Float64, x: Float64, y: Float64) -> Float64:
    """Return the bilinear interpolant at places (x, y) of an image that is zero outside, in float64.

    Args:
        image: shape (channels, height, width).
        x: column coordinates, shape (points,).
        y: row coordinates, same shape.

    Returns:
        Shape (channels, points).
    """
    _, height, width = image.shape
    padded = np.pad(image, ((0, 0), (1, 2), (1, 2)))
    x, y = np.clip(x, -1.0, width), np.clip(y, -1.0, height)
    column, row = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    across, down = x - column, y - row
    above, below = (
        (1 - across) * padded[:, at, column + 1] + across * padded[:, at, column + 2]
        for at in (row + 1, row + 2)
    )
    return np.asarray((1 - down) * above + down * below)


def _offsets(shape: tuple[int, ...]) -> Float64:
    """Return x, y and 1 of every pixel, rows first; multiples of one half."""
    _, height, width = shape
    y, x = np.meshgrid(
        np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2, indexing="ij"
    )
    return np.stack([x.ravel(), y.ravel(), np.ones(height * width)])
