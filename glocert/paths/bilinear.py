"""A bilinearly interpolated image along moving sampling points, enclosed to first order.

The image is zero outside, so the interpolant is ``B(x, y) = sum_ij X_ij hat(y - i) hat(x - j)`` on the whole
plane, ``hat(d) = max(0, 1 - |d|)``.

**Inside one cell.** Where a point stays in the cell [j, j+1] x [i, i+1] on the whole row, with ``p = x - j``
and ``q = y - i`` B is the polynomial ``P = c0 + cx p + cy q + cxy p q``. It is expanded about the middle (p0,
q0). With ``p = p0 + sum p_a u_a + 1/2 sum p_ab u_a u_b +- rest`` and q likewise, the coefficient of ``u_a u_b
/ 2`` is ``P_p p_ab + P_q q_ab + cxy (p_a q_b + p_b q_a)``. As u_a^2 is in [0, 1], half of its diagonal terms
goes to the centre and half to the error; the others go to the error. What remains is ``abs(P_p) rest_p +
abs(P_q) rest_q`` and ``abs(cxy)`` times the terms of third order and above in the product of p and q. P_p and
P_q are weighted means of differences of the cell's four pixels, so at most their spread ``max - min``; cxy is
at most twice that.

**Across grid lines.** Let now (i, j) be the pixel nearest to the middle. Where |p| <= 1 and |q| <= 1 on the
row, the cells on either side of each grid line give exactly::

    B = sum_ab K_ab a(p) b(q),    a in {1, p, |p|}, b in {1, q, |q|}

with K made of the 3 x 3 pixels around (i, j): along one axis a function with the values f-, f0, f+ at -1, 0,
1 and straight between is ``f0 + (f+ - f-)/2 p + (f+ - 2 f0 + f-)/2 |p|``. With ``l <= p <= r`` on the row, l
<= 0 <= r, and any slope ``-1 <= s <= 1``, ``|p| - s p`` lies between 0 and ``D = max(r (1 - s), -l (1 +
s))``, so it is ``D/2 +- D/2``; s is the chord's slope, and D is 0 where p keeps its sign. Replacing first |p|
and then |q| leaves a polynomial of the kind above and two errors: D_p/2 times the kink ``sum_b K_2b b(q)``,
and D_q/2 times ``(L_02 + L_12 p)`` with L the coefficients after the first replacement. Both factors are
bounded by their value at the middle and how fast they change. The rest is bounded with the polynomial's own
P_p, P_q and cxy.

**Further.** Where |p| or |q| may exceed 1, the image is between the smallest and the largest pixel that can
be reached (``glocert.paths.windows``).

**Rounding.** Let M be the largest of the pixels involved. |K_ab| <= 4M, |L_ab| <= 6M, the coefficients of P
are at most 9M, and every number that is added up on the way to centre, slope or error is below 2^7 M. There
are fewer than 2^7 operations, and no result is multiplied by more than 2 later on: in all less than 2^15 u M
= 2^-38 M. That is charged, with the largest radius of these pixels, as ``noise``.
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
    """One coordinate of the sampling points of many rows.

    Attributes:
        value: at the middle of the row, float64, shape (points,).
        first: first-order coefficients, shape (k, points).
        second: Hessian in the order of ``pairs``, shape (k (k + 1)/2, points).
        rest: bound on everything else, rounding included, also that of ``value`` less a whole number.
    """

    value: Tensor
    first: Tensor
    second: Tensor
    rest: Tensor

    def chosen(self, points: Tensor) -> Track:
        """Return some of the points."""
        parts = (self.value, self.first, self.second, self.rest)
        value, first, second, rest = (part.index_select(-1, points) for part in parts)
        return Track(value, first, second, rest)

    def swing(self) -> Tensor:
        """Bound on the first-order part."""
        return self.first[0].abs() if len(self.first) == 1 else self.first.abs().sum(0).mul_(UP)

    def bend(self) -> Tensor:
        """Bound on everything after the first order."""
        total = self.rest.clone()
        for at, (a, b) in enumerate(pairs(len(self.first))):
            total.add_(self.second[at].abs(), alpha=0.5 if a == b else 1.0)
        return total.mul_(UP)


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
    """Coefficients of the interpolant of one image around every pixel.

    Attributes:
        cells: float64, shape (6 * channels, places): of the cell right of and below every place, all channels
            of c0, then of cx, cy, cxy, spread and noise.
        kernels: shape (3, 3, channels, places): K_ab, a along x, b along y.
        noise: shape (channels, places): of the kernels.
        windows: ranges of larger neighbourhoods.
        shape: of the image, (channels, height, width).
    """

    cells: Tensor
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
        cells = torch.cat([part.flatten(1) for part in (*_cells(padded), noise)])
        return cls(cells, kernels.flatten(3), noise.flatten(1), windows, (channels, height, width))

    def places(self, x: Tensor, y: Tensor) -> Tensor:
        """Return where in the tables whole coordinates are; far outside all is zero, as it is at -2."""
        _, height, width = self.shape
        column = x.clamp(-2, width + 1).add_(MARGIN)
        row = y.clamp(-2, height + 1).add_(MARGIN)
        return row.mul_(width + 2 * MARGIN).add_(column).to(torch.int64)


def _stencil(values: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return f0, (f+ - f-)/2 and (f+ - 2 f0 + f-)/2 along an axis, around whose ends are zeros."""
    after, before = values.roll(-1, axis), values.roll(1, axis)
    return values, (after - before) * 0.5, (after + before) * 0.5 - values


def _cells(values: Tensor) -> tuple[Tensor, ...]:
    """Return c0, cx, cy, cxy and the spread of the cell at every pixel."""
    right, below = values.roll(-1, -1), values.roll(-1, -2)
    across = right.roll(-1, -2)
    four = torch.stack([values, right, below, across])
    spread = (four.amax(0) - four.amin(0)) * UP
    return values, right - values, below - values, (across - below) - (right - values), spread


def interpolate(table: Table, x: Track, y: Track) -> tuple[Tensor, Tensor]:
    """Enclose the interpolant along the tracks.

    Returns:
        lines, shape (1 + k, channels, points), and error, shape (channels, points).
    """
    bend = x.bend(), y.bend()
    swing = x.swing(), y.swing()
    reach = (swing[0] + bend[0]).mul_(UP), (swing[1] + bend[1]).mul_(UP)
    lines, error, inside = _in_cells(table, x, y, swing, bend, reach)
    points = torch.nonzero(~inside).flatten()
    if len(points):
        lines[..., points], error[:, points] = _across(table, x, y, points, reach)
    return lines, error


Both = tuple[Tensor, Tensor]


def _in_cells(
    table: Table, x: Track, y: Track, swing: Both, bend: Both, reach: Both
) -> tuple[Tensor, Tensor, Tensor]:
    """Enclose what stays in one cell, and say which points do."""
    left, top = x.value.floor(), y.value.floor()
    p, q = x.value - left, y.value - top
    inside = (p >= reach[0]) & (q >= reach[1]) & (p + reach[0] <= 1) & (q + reach[1] <= 1)
    place = table.places(left, top)
    cells = table.cells.gather(1, place.expand(len(table.cells), -1)).view(6, -1, len(place))
    polynomial = Polynomial(cells[0], cells[1], cells[2], cells[3])
    rest = (swing[0] * bend[1]).addcmul_(swing[1], bend[0]).addcmul_(bend[0], bend[1])
    rest = rest.mul_(2 * UP).add_(x.rest).add_(y.rest).mul_(UP)
    error = cells[5].addcmul_(cells[4], rest)
    lines = polynomial.expanded(x, y, (p, q), error)[0]
    return lines, error.mul_(UP), inside


@dataclass(frozen=True, slots=True, eq=False)
class Polynomial:
    """``c0 + cx p + cy q + cxy p q``; all of one shape, (channels, points)."""

    c0: Tensor
    cx: Tensor
    cy: Tensor
    cxy: Tensor

    def expanded(self, x: Track, y: Track, middle: Both, error: Tensor) -> tuple[Tensor, Both]:
        """Expand about the middle of the tracks to second order.

        Args:
            x: track of p.
            y: track of q.
            middle: (p, q) there.
            error: what the second order costs is added to it.

        Returns:
            lines, shape (1 + k, channels, points), and (P_p, P_q).
        """
        p, q = middle
        along, down = torch.addcmul(self.cx, self.cxy, q), torch.addcmul(self.cy, self.cxy, p)
        lines = self.c0.new_empty(1 + len(x.first), *self.c0.shape)
        torch.addcmul(self.c0, self.cy, q, out=lines[0]).addcmul_(along, p)
        for a in range(len(x.first)):
            torch.mul(along, x.first[a], out=lines[1 + a]).addcmul_(down, y.first[a])
        for at, (a, b) in enumerate(pairs(len(x.first))):
            mixed = (x.first[a] * y.first[b]).addcmul_(x.first[b], y.first[a])
            curve = (self.cxy * mixed).addcmul_(along, x.second[at]).addcmul_(down, y.second[at])
            if a == b:
                lines[0] += curve.mul_(0.25)
            error += curve.abs_()
        return lines, (along, down)


def _across(table: Table, x: Track, y: Track, points: Tensor, reach: Both) -> tuple[Tensor, Tensor]:
    """Enclose points that cross grid lines."""
    x, y = x.chosen(points), y.chosen(points)
    across, down = (part.index_select(0, points) for part in reach)
    column, row = x.value.round(), y.value.round()
    p, q = x.value - column, y.value - row
    place = table.places(column, row)
    kernel = table.kernels.flatten(0, 2).gather(1, place.expand(9 * len(table.noise), -1))
    error = table.noise.index_select(1, place)
    lines = _expand(kernel.view(3, 3, -1, len(place)), error, x, y, (p, q), (across, down))
    wide = torch.maximum(p.abs() + across, q.abs() + down) * UP
    outside = torch.nonzero(~(wide <= 1)).flatten()
    if len(outside):
        centre, spread = table.windows.range(place[outside], wide[outside])
        lines[0, :, outside], lines[1:, :, outside] = centre, 0.0
        error[:, outside] = spread
    return lines, error


def _expand(kernel: Tensor, error: Tensor, x: Track, y: Track, middle: Both, reach: Both) -> Tensor:
    """Replace the absolute values, then expand the polynomial; ``error`` is completed in place."""
    (p, q), (across, down) = middle, reach
    kink_x, kink_y = Kink.of(p, across), Kink.of(q, down)
    flat = kernel[0] + kink_x.lift * kernel[2]
    steep = kernel[1] + kink_x.slope * kernel[2]
    polynomial = Polynomial(
        flat[0] + kink_y.lift * flat[2],
        steep[0] + kink_y.lift * steep[2],
        flat[1] + kink_y.slope * flat[2],
        steep[1] + kink_y.slope * steep[2],
    )
    lines, (along_x, along_y) = polynomial.expanded(x, y, middle, error)
    third = x.swing() * y.bend() + x.bend() * (y.swing() + y.bend())
    error += along_x.abs() * x.rest + along_y.abs() * y.rest + polynomial.cxy.abs() * third
    kink = kernel[2, 0] + kernel[2, 1] * q + kernel[2, 2] * q.abs()
    error += kink_x.lift * (kink.abs() + (kernel[2, 1].abs() + kernel[2, 2].abs()) * down)
    error += kink_y.lift * ((flat[2] + steep[2] * p).abs() + steep[2].abs() * across)
    error *= UP
    return lines
