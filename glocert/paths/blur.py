"""A Gaussian blur of rising width: the true kernel at every sigma, truncated and normalised.

The output is ``sum_ab w_a w_b X[r + a, c + b]``, a and b from -R to R, ``w_i`` proportional to ``exp(-i^2 /
(2 sigma^2))`` with sum one; at sigma 0 it is the image. R is four times the largest sigma of the path,
rounded up, and stays the same on the whole path, so that nothing jumps. Beyond its borders the image is
reflected, ``d c b a | a b c d | d c b a``: a constant image stays what it is, no light is lost, and any size
will do.

With ``w(u)`` to second order (``glocert.paths.kernel``) and A(u) the matrix of one axis, the image is ``A(u)
X B(u)^T``. Its value, slope and second derivative at the middle are computed as images; half of the second
derivative goes to the centre and half to the error. The rest is ``sum W''' X / 6`` somewhere on the row. As
the weights add up to one, W''' adds up to zero, and this is at most ``sum |W'''| / 12`` times the spread
``max - min`` of the pixels in reach; ``sum |W'''| <= 2 N3 + 6 N2 N1`` with N_k the bound on the k-th
derivative's sum.

Near sigma 0, where that is of no use, the image of the middle serves with slope zero: with S the most weight
that anything but the middle pixel has, two kernels of the row differ by at most 2 S in one dimension, in sum,
or N1 if that is less; by twice that in two dimensions, and so the images by that times the spread.

Rounding: with n_k the sums of the absolute coefficients, e their errors in sum (with what making the matrices
costs) and g the relative error of two products of matrices, all the errors together are below ``2 (2 e n +
e^2 + g n^2) max|X|``, n = n_0 + n_1 + n_2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import max_pool2d

from glocert.errors import InvalidSpec
from glocert.paths.jets import Parameter
from glocert.paths.kernel import LIFT, Weights, weights
from glocert.paths.path import Enclosure
from glocert.rounding import TINY, dot

Float64 = NDArray[np.float64]
_TRUNCATED = 4


@dataclass(frozen=True, slots=True, eq=False)
class Blur:
    """The images that a Gaussian makes of one image.

    Attributes:
        image: float64, shape (channels, height, width).
        radius: same shape, >= 0: proven bound on how far ``image`` is from the exact one.
        start: sigma at t = 0, pixels, >= 0.
        stop: sigma at t = 1, pixels, >= 0.
    """

    image: Float64
    radius: Float64
    start: float
    stop: float

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape != self.radius.shape:
            raise InvalidSpec(f"only images can be blurred, the items have shape {self.image.shape}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image."""
        return self.image.shape

    @property
    def dimensions(self) -> int:
        """One parameter."""
        return 1

    @property
    def joints(self) -> tuple[float, ...]:
        """None: the path is one piece."""
        return ()

    @property
    def reach(self) -> int:
        """How many pixels the kernel goes to each side."""
        return max(1, math.ceil(_TRUNCATED * max(self.start, self.stop)))

    def at(self, t: Sequence[float]) -> Float64:
        """Return the image at ``t`` in float64."""
        sigma = (1.0 - t[0]) * self.start + t[0] * self.stop
        bell = np.zeros(self.reach + 1)
        bell[0] = 1.0
        if sigma > 1e-3:  # below it every other weight is far less than any float64
            bell = np.exp(-((np.arange(self.reach + 1) / sigma) ** 2) / 2)
        bell /= bell[0] + 2 * bell[1:].sum()
        rows, columns = (np.tensordot(bell, shifts(n, self.reach), 1) for n in self.shape[1:])
        return np.asarray(rows @ self.image @ columns.T)

    def loaded(self, device: torch.device) -> LoadedBlur:
        """Load the image and what its pixels differ by within reach of the kernel."""
        image, radius = (
            torch.tensor(array, dtype=torch.float64, device=device) for array in (self.image, self.radius)
        )
        side, reach = 2 * self.reach + 1, self.reach
        most, least = (
            max_pool2d(max_pool2d(part.unsqueeze(0), (side, 1), 1, (reach, 0)), (1, side), 1, (0, reach))[0]
            for part in (image + radius, radius - image)
        )
        rows, columns = (
            torch.tensor(shifts(n, reach), dtype=torch.float64, device=device).flatten(1)
            for n in self.shape[1:]
        )
        spread = (most + least) * LIFT + (most.abs() + least.abs()) * (LIFT - 1)
        return LoadedBlur(image, radius.amax(), spread, rows, columns, (self.start, self.stop))


@dataclass(frozen=True, slots=True, eq=False)
class LoadedBlur:
    """An image and the shifts of its axes on a device.

    Attributes:
        image: float64, shape (channels, height, width).
        radius: bound on the error of any pixel.
        spread: shape of the image: what the pixels within reach differ by.
        rows: shape (R + 1, height * height): number i adds the pixels i above and below.
        columns: shape (R + 1, width * width).
        sigma: at t = 0 and at t = 1.
    """

    image: Tensor
    radius: Tensor
    spread: Tensor
    rows: Tensor
    columns: Tensor
    sigma: tuple[float, float]

    def enclose(self, middle: Tensor, half: Tensor) -> Enclosure:
        """Enclose the images, one row each."""
        found = weights(Parameter.between(*self.sigma, middle[:, 0], half[:, 0]), len(self.rows) - 1)
        centre, slope, curve = self._orders(found)
        first, second, third = found.sums
        rest = (2 * third + 6 * second * first) * (LIFT / 12)
        jump = (torch.minimum(2 * found.spread, first) * LIFT).clamp(max=1.0)
        smooth = rest + (second + first * first) / 4 < jump
        shape = (-1, 1, 1, 1)
        curve = torch.where(smooth.view(shape), curve * 0.25, 0.0)
        lines = torch.stack([centre + curve, torch.where(smooth.view(shape), slope, 0.0)])
        wide = torch.where(smooth, rest, jump).view(shape) * self.spread + curve.abs()
        error = (wide + self._rounding(found).view(shape) + self.radius) * LIFT + TINY
        return Enclosure(lines, error)

    def _orders(self, found: Weights) -> tuple[Tensor, Tensor, Tensor]:
        """Return the image, its slope and its second derivative in u at the middles of the rows."""
        _, height, width = self.image.shape
        across = [(part @ self.columns).view(-1, 1, width, width).mT for part in _parts(found)]
        down = [(part @ self.rows).view(-1, 1, height, height) for part in _parts(found)]
        half = [part @ self.image for part in down]
        centre = half[0] @ across[0]
        slope = half[1] @ across[0] + half[0] @ across[1]
        curve = half[2] @ across[0] + 2 * (half[1] @ across[1]) + half[0] @ across[2]
        return centre, slope, curve

    def _rounding(self, found: Weights) -> Tensor:
        """Bound what the roundings and the errors of the weights move any pixel by, shape (rows,)."""
        _, height, width = self.image.shape
        size = sum((2 * part.abs().sum(1) for part in _parts(found)), start=torch.zeros_like(found.rounding))
        size, terms = size * LIFT, len(self.rows)
        error = found.rounding + size * dot(terms + 4)
        share = 2 * (2 * error * size + error * error + size * size * (dot(height + 4) + dot(width + 4)))
        return share * (self.image.abs().amax() + self.radius) * LIFT


def _parts(found: Weights) -> tuple[Tensor, Tensor, Tensor]:
    return found.value, found.first, found.second


def shifts(length: int, reach: int) -> Float64:
    """Return the matrices that add the pixels i before and i after, i = 0..reach, with reflected borders.

    Returns:
        Counts, shape (reach + 1, length, length): [0] is the identity, the rows of the others add up to 2.
    """
    found = np.zeros((reach + 1, length, length))
    places = np.arange(length)
    for distance in range(-reach, reach + 1):
        there = (places + distance) % (2 * length)
        np.add.at(found[abs(distance)], (places, np.minimum(there, 2 * length - 1 - there)), 1.0)
    return found
