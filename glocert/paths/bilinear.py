"""A bilinearly interpolated image along moving sampling points, enclosed to first order.

The image is zero outside, so the interpolant is ``B(y, x) = sum_ij X_ij hat(y - i) hat(x - j)`` on the whole
plane, ``hat(d) = max(0, 1 - |d|)``. Let (i, j) be the pixel nearest to the middle of a row, ``p = x - j``,
``q = y - i``. Where |p| <= 1 and |q| <= 1, the two cells on either side of each grid line give::

    B = sum_ab K_ab a(p) b(q),    a, b in {1, p, |p|} and {1, q, |q|}

exactly, with K made of the 3 x 3 pixels around (i, j): along one axis a function with the values f-, f0, f+
at -1, 0, 1 and straight between is ``f0 + (f+ - f-)/2 p + (f+ - 2 f0 + f-)/2 |p|``. The one kink is in |p|.
With ``l <= p <= r`` on the row and any slope ``-1 <= s <= 1``, ``|p| - s p`` lies between 0 and ``D = max(r
(1 - s), -l (1 + s))`` (l <= 0 <= r, else the nearer end is moved to 0), so it is ``D/2 +- D/2``. For ``s = (r
+ l)/(r - l)``, the chord, D is 0 wherever no grid line is crossed.

Replacing first |p| and then |q| leaves a polynomial ``P = p00 + p10 p + p01 q + p11 p q`` and two errors:
D_p/2 times the kink ``sum_b K_2b b(q)``, and D_q/2 times ``(L_02 + L_12 p)`` with L the coefficients after
the first replacement. Both factors are bounded by their value at the middle and how fast they change.

P is expanded about the middle (p0, q0). With ``p = p0 + sum p_a u_a + 1/2 sum p_ab u_a u_b +- rest`` and q
likewise, the coefficient of ``u_a u_b / 2`` is ``P_p p_ab + P_q q_ab + p11 (p_a q_b + p_b q_a)``: of its
diagonal terms half goes to the centre and half to the error, as u_a^2 is in [0, 1]. What remains is
``abs(P_p) rest_p + abs(P_q) rest_q`` and the products of p11 with terms of third order and above.

Rounding: with M the largest of the 3 x 3 pixels, |K_ab| <= 4M, |L_ab| <= 6M, the coefficients of P are at
most 9M, and every number that is added up on the way to centre, slope or error is below 2^7 M. There are
fewer than 2^7 operations, and no result is multiplied by more than 2 later on: in all less than 2^15 u M =
2^-38 M. That is charged, with the largest radius of the 3 x 3 pixels, as ``noise``.

Where a row is so wide that |p| or |q| may exceed 1, the image is between the smallest and the largest pixel
that can be reached (``glocert.paths.windows``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from glocert.paths.windows import Windows
from glocert.rounding import TINY, UP

MARGIN = 3
"""Rows and columns of zeros around the table: places from -2 to height + 1 have their 3 x 3 pixels in it."""
_NOISE = 2.0**-38


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Where one coordinate of the sampling points is, relative to the nearest whole number.

    Attributes:
        cell: the nearest whole number at the middle, float64, shape (rows, pixels).
        middle: the rest, in [-1/2, 1/2].
        first: first-order coefficients, shape (k, rows, pixels).
        second: Hessian in the order of ``pairs``, shape (k (k + 1)/2, rows, pixels).
        rest: bound on everything else, rounding included, shape (rows, 1).
    """

    cell: Tensor
    middle: Tensor
    first: Tensor
    second: Tensor
    rest: Tensor

    def swing(self) -> Tensor:
        """Bound on the first-order part."""
        return self.first.abs().sum(0) * UP

    def bend(self) -> Tensor:
        """Bound on everything after the first order."""
        size, k = self.second.abs(), len(self.first)
        whole = sum(
            (size[at] * (0.5 if a == b else 1.0) for at, (a, b) in enumerate(pairs(k))),
            start=torch.zeros_like(self.middle),
        )
        return (whole + self.rest) * UP


def pairs(k: int) -> list[tuple[int, int]]:
    """Return the index pairs a <= b of a symmetric matrix."""
    return [(a, b) for a in range(k) for b in range(a, k)]


@dataclass(frozen=True, slots=True, eq=False)
class Kink:
    """The line that stands for an absolute value on a row: ``|p| = slope p + lift +- lift``.

    Attributes:
        slope: in [-1, 1].
        lift: half of D, >= 0; 0 where p does not change its sign.
    """

    slope: Tensor
    lift: Tensor

    @classmethod
    def of(cls, middle: Tensor, reach: Tensor) -> Kink:
        """Return the line of ``|p|`` for p within ``reach`` of ``middle``."""
        low, high = (middle - reach).clamp_(max=0.0), (middle + reach).clamp_(min=0.0)
        slope = ((high + low) / (high - low).clamp_(min=TINY)).clamp_(-1.0, 1.0)
        most = torch.maximum(high * (1 - slope), -low * (1 + slope))
        return cls(slope, most * (0.5 * UP))


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Coefficients of the interpolant around every pixel of one image.

    Attributes:
        kernels: float64, shape (3, 3, channels, places): K_ab, a along x, b along y.
        noise: shape (channels, places).
        windows: ranges of larger neighbourhoods.
        shape: of the image, (channels, height, width).
    """

    kernels: Tensor
    noise: Tensor
    windows: Windows
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, image: Tensor, radius: Tensor) -> Table:
        """Prepare an image.

        Args:
            image: float64, shape (channels, height, width).
            radius: same shape: how far the exact pixels may be from it.
        """
        channels, height, width = image.shape
        padded, blurred = (pad(part, (MARGIN,) * 4) for part in (image, radius))
        size = padded.abs() * _NOISE + blurred * UP
        noise = max_pool2d(size.unsqueeze(0), 3, 1, 1)[0] * UP + TINY
        rows = [_stencil(part, -1) for part in _stencil(padded, -2)]
        kernels = torch.stack([torch.stack([rows[b][a] for b in range(3)]) for a in range(3)])
        windows = Windows.of(padded, blurred, max(height, width) + 2 * MARGIN)
        return cls(kernels.flatten(3), noise.flatten(1), windows, (channels, height, width))

    def places(self, x: Tensor, y: Tensor) -> Tensor:
        """Return where in the tables whole coordinates are; far outside all is zero, as it is at -2."""
        _, height, width = self.shape
        column = x.clamp(-2, width + 1).add_(MARGIN)
        row = y.clamp(-2, height + 1).add_(MARGIN)
        return row.mul_(width + 2 * MARGIN).add_(column).to(torch.int64)


def _stencil(values: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return f0, (f+ - f-)/2 and (f+ - 2 f0 + f-)/2 along an axis; wrong at its two ends, which are zeros."""
    after, before = values.roll(-1, axis), values.roll(1, axis)
    return values, (after - before) * 0.5, (after + before) * 0.5 - values


def interpolate(table: Table, x: Track, y: Track) -> tuple[Tensor, Tensor]:
    """Enclose the interpolant along the tracks.

    Returns:
        lines, shape (1 + k, channels, rows, pixels), and error, shape (channels, rows, pixels).
    """
    place = table.places(x.cell, y.cell)
    flat = place.flatten()
    kernel = table.kernels.index_select(3, flat).view(3, 3, -1, *place.shape)
    noise = table.noise.index_select(1, flat).view(-1, *place.shape)
    across, down = x.bend(), y.bend()
    lines, error = _expand(kernel, noise, x, y, (across, down))
    reach = (x.swing() + across) * UP, (y.swing() + down) * UP
    wide = torch.maximum(x.middle.abs() + reach[0], y.middle.abs() + reach[1]) * UP
    outside = ~(wide <= 1)
    if bool(outside.any()):
        centre, spread = table.windows.range(place[outside], wide[outside])
        lines[0, :, outside], lines[1:, :, outside] = centre, 0.0
        error[:, outside] = spread
    return lines, error


def _expand(
    kernel: Tensor, noise: Tensor, x: Track, y: Track, bend: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Replace the absolute values, then expand the polynomial; see the module."""
    across, down = (x.swing() + bend[0]) * UP, (y.swing() + bend[1]) * UP
    kink_x, kink_y = Kink.of(x.middle, across), Kink.of(y.middle, down)
    flat = kernel[0] + kink_x.lift * kernel[2]
    steep = kernel[1] + kink_x.slope * kernel[2]
    p00, p01 = flat[0] + kink_y.lift * flat[2], flat[1] + kink_y.slope * flat[2]
    p10, p11 = steep[0] + kink_y.lift * steep[2], steep[1] + kink_y.slope * steep[2]
    along_x, along_y = p10 + p11 * y.middle, p01 + p11 * x.middle
    centre = p00 + p01 * y.middle + along_x * x.middle
    lines = torch.stack([centre, *(along_x * a + along_y * b for a, b in zip(x.first, y.first, strict=True))])
    error = noise.clone()
    for at, (a, b) in enumerate(pairs(len(x.first))):
        curve = along_x * x.second[at] + along_y * y.second[at]
        curve += p11 * (x.first[a] * y.first[b] + x.first[b] * y.first[a])
        if a == b:
            curve *= 0.25
            lines[0] += curve
        error += curve.abs_()
    third = x.swing() * bend[1] + bend[0] * (y.swing() + bend[1])
    error += along_x.abs() * x.rest + along_y.abs() * y.rest + p11.abs() * third
    error += kink_x.lift * _most(kernel[2], y.middle, down)
    error += kink_y.lift * ((flat[2] + steep[2] * x.middle).abs() + steep[2].abs() * across)
    return lines, error * UP


def _most(kernel: Tensor, middle: Tensor, reach: Tensor) -> Tensor:
    """Bound ``|k0 + k1 q + k2 |q||`` for q within ``reach`` of ``middle``."""
    value = kernel[0] + kernel[1] * middle + kernel[2] * middle.abs()
    return value.abs() + (kernel[1].abs() + kernel[2].abs()) * reach
