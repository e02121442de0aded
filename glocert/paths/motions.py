"""Motions of the plane: which point of an image every pixel of its mutant shows.

Coordinates are in pixels, from the centre of the image: x to the right along a row, y downwards along a
column. A motion maps the place of an output pixel to the place of the input that it shows, by an affine map
whose six numbers depend on the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.elementary import Enclosed, cos, reciprocal, sin
from glocert.elementary.constants import PI_FIXED, to_float
from glocert.paths.jets import Jet, Parameter
from glocert.rounding import UP

Float64 = NDArray[np.float64]
Matrix = tuple[tuple[Jet, Jet, Jet], tuple[Jet, Jet, Jet]]
"""``x' = m00 x + m01 y + m02``, ``y' = m10 x + m11 y + m12``."""

_RADIANS = to_float(PI_FIXED // 180)
"""Radians of one degree, rounded once."""


class Motion(Protocol):
    """A family of affine maps of the plane over t in [0, 1]^k."""

    @property
    def dimensions(self) -> int:
        """How many parameters k there are."""
        ...

    def matrix(self, middle: Tensor, half: Tensor) -> Matrix:
        """Enclose the maps on boxes ``t_j = middle_j + half_j u_j``.

        Args:
            middle: float64, shape (rows, k).
            half: same shape, >= 0.
        """
        ...

    def at(self, t: Sequence[float]) -> Float64:
        """Return the map at ``t`` in float64, shape (2, 3): close, not proven."""
        ...


@dataclass(frozen=True, slots=True)
class Rotation:
    """Turn the picture counter-clockwise, as it is seen, about its centre.

    ``x' = cos(a) x - sin(a) y``, ``y' = sin(a) x + cos(a) y`` with y downwards: at 90 degrees the topmost
    pixel shows what was rightmost.

    Attributes:
        start: angle at t = 0, degrees.
        stop: angle at t = 1, degrees.
    """

    start: float
    stop: float

    @property
    def dimensions(self) -> int:
        """One parameter."""
        return 1

    def matrix(self, middle: Tensor, half: Tensor) -> Matrix:
        """Enclose cosine and sine: every derivative of them is at most 1."""
        angle = Parameter.between(self.start, self.stop, middle[:, 0], half[:, 0]).scaled(_RADIANS, 1)
        turned = angle.value.errors()
        along, across = (_moved(function(angle.value.value), turned) for function in (cos, sin))
        x = angle.jet(along, -across, -along, 1.0)
        y = angle.jet(across, along, -across, 1.0)
        nothing = Jet.constant(0.0, x)
        return (x, -y, nothing), (y, x, nothing)

    def at(self, t: Sequence[float]) -> Float64:
        """Return the map at ``t``; whole quarter turns are exact."""
        along, across = _turn(_between(self.start, self.stop, t[0]))
        return np.array([[along, -across, 0.0], [across, along, 0.0]])


@dataclass(frozen=True, slots=True)
class Scaling:
    """Stretch the picture about its centre: ``x' = x / s``, ``y' = y / s``.

    Attributes:
        start: factor s at t = 0, > 0; above 1 things grow.
        stop: factor at t = 1, > 0.
    """

    start: float
    stop: float

    @property
    def dimensions(self) -> int:
        """One parameter."""
        return 1

    def matrix(self, middle: Tensor, half: Tensor) -> Matrix:
        """Enclose the reciprocal: its derivatives are -1/s^2, 2/s^3 and -6/s^4."""
        factor = Parameter.between(self.start, self.stop, middle[:, 0], half[:, 0])
        size = factor.value
        inverse = Enclosed.exact(torch.ones_like(size.value)) / size
        square = inverse * inverse
        least = (size.value - size.errors() - factor.step.value.abs() - factor.step.errors()) * (2 - UP)
        third = reciprocal(least * least * (least * least) * (2 - UP)).high() * (6 * UP)
        known = torch.where(least > 0, third, torch.inf)
        share = factor.jet(inverse, -square, (square * inverse).scaled(2.0), known)
        nothing = Jet.constant(0.0, share)
        return (share, nothing, nothing), (nothing, share, nothing)

    def at(self, t: Sequence[float]) -> Float64:
        """Return the map at ``t``."""
        share = 1.0 / _between(self.start, self.stop, t[0])
        return np.array([[share, 0.0, 0.0], [0.0, share, 0.0]])


@dataclass(frozen=True, slots=True)
class Shear:
    """Slant the picture along its rows: a row y pixels below the centre moves by ``-s y`` to the right.

    ``x' = x + s y``, ``y' = y``: with a factor s above 0 the upper half leans to the right, as italic letters
    do.

    Attributes:
        start: factor s at t = 0.
        stop: factor at t = 1.
    """

    start: float
    stop: float

    @property
    def dimensions(self) -> int:
        """One parameter."""
        return 1

    def matrix(self, middle: Tensor, half: Tensor) -> Matrix:
        """Enclose the factor, which is linear."""
        factor = Parameter.between(self.start, self.stop, middle[:, 0], half[:, 0]).itself()
        one, nothing = Jet.constant(1.0, factor), Jet.constant(0.0, factor)
        return (one, factor, nothing), (nothing, one, nothing)

    def at(self, t: Sequence[float]) -> Float64:
        """Return the map at ``t``."""
        return np.array([[1.0, _between(self.start, self.stop, t[0]), 0.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True, slots=True)
class Translation:
    """Move the picture along a straight line: ``x' = x - d``, ``y' = y - e``.

    Attributes:
        start: (d, e) at t = 0, pixels to the right and downwards.
        stop: (d, e) at t = 1.
    """

    start: tuple[float, float]
    stop: tuple[float, float]

    @property
    def dimensions(self) -> int:
        """One parameter."""
        return 1

    def matrix(self, middle: Tensor, half: Tensor) -> Matrix:
        """Enclose both shifts, which are linear."""
        right, down = (
            Parameter.between(start, stop, middle[:, 0], half[:, 0]).itself()
            for start, stop in zip(self.start, self.stop, strict=True)
        )
        one, nothing = Jet.constant(1.0, right), Jet.constant(0.0, right)
        return (one, nothing, -right), (nothing, one, -down)

    def at(self, t: Sequence[float]) -> Float64:
        """Return the map at ``t``."""
        right, down = (_between(start, stop, t[0]) for start, stop in zip(self.start, self.stop, strict=True))
        return np.array([[1.0, 0.0, -right], [0.0, 1.0, -down]])


@dataclass(frozen=True, slots=True)
class Joined:
    """Several motions with parameters of their own: the picture makes the first one, then the next.

    It is resampled once: an output pixel shows ``first(second(... p))``.

    Attributes:
        parts: at least one; their parameters follow each other.
    """

    parts: tuple[Motion, ...]

    @property
    def dimensions(self) -> int:
        """Parameters of all parts."""
        return sum(part.dimensions for part in self.parts)

    def matrix(self, middle: Tensor, half: Tensor) -> Matrix:
        """Multiply the matrices of the parts."""
        found, offset = [], 0
        for part in self.parts:
            own = slice(offset, offset + part.dimensions)
            matrix = part.matrix(middle[:, own], half[:, own])
            found.append(_embedded(matrix, self.dimensions, offset))
            offset += part.dimensions
        return reduce(_product, found)

    def at(self, t: Sequence[float]) -> Float64:
        """Return the map at ``t``."""
        whole, offset = np.eye(3), 0
        for part in self.parts:
            step = np.vstack([part.at(t[offset : offset + part.dimensions]), [0.0, 0.0, 1.0]])
            whole, offset = whole @ step, offset + part.dimensions
        return whole[:2]


def _embedded(matrix: Matrix, dimensions: int, offset: int) -> Matrix:
    above, below = (tuple(entry.embedded(dimensions, offset) for entry in row) for row in matrix)
    return (above[0], above[1], above[2]), (below[0], below[1], below[2])


def _product(first: Matrix, then: Matrix) -> Matrix:
    """Return the map that applies ``then`` to an output's place, and ``first`` to the result."""
    x, y = then
    rows = [
        (
            row[0] * x[0] + row[1] * y[0],
            row[0] * x[1] + row[1] * y[1],
            row[0] * x[2] + row[1] * y[2] + row[2],
        )
        for row in first
    ]
    return rows[0], rows[1]


def _moved(found: Enclosed, argument: Tensor) -> Enclosed:
    """Add what an error of the argument does to a function whose slope is at most 1."""
    return Enclosed(found.value, (found.errors() + argument) * UP)


def _between(start: float, stop: float, t: float) -> float:
    return (1.0 - t) * start + t * stop


def _turn(degrees: float) -> tuple[float, float]:
    """Return cosine and sine."""
    quarters, rest = divmod(degrees, 90.0)
    along, across = math.cos(math.radians(rest)), math.sin(math.radians(rest))
    for _ in range(int(quarters) % 4):
        along, across = -across, along
    return along, across
