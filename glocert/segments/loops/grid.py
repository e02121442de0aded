"""Merging inserted vertices into a grid, and curves on the merged grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocert.compiled import compiled
from glocert.rounding import CHARGE, TINY, UP
from glocert.segments.loops.extents import peak

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Places = tuple[Float64, Int64, Int64, Float64]
"""The new grid of a block: its t, in which pieces that start at odd numbers lead from path to path; and for
each inserted vertex its position, the old piece in which it lies, and its ratio there."""


@compiled("(float64[::1], float64[::1])")
def merged(t: Float64, cuts: Float64) -> tuple[Float64, Int64, Int64, Int64, Float64]:
    """Return t, old, new, piece and share of a ``grid.Grid``; share is flat.

    Args:
        t: shape (vertices,), strictly increasing.
        cuts: sorted, equal ones allowed, each strictly inside a piece of ``t``.
    """
    most = len(cuts)
    grid, old = np.empty(len(t) + most), np.arange(len(t))
    new, piece, share = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most)
    left = count = 0
    for k in range(most):
        cut = cuts[k]
        if k > 0 and cut == cuts[k - 1]:
            continue
        while t[left + 1] < cut:
            left += 1
            grid[left + count] = t[left]
            old[left] += count
        new[count], piece[count] = left + 1 + count, left
        share[count] = (cut - t[left]) / (t[left + 1] - t[left])
        grid[left + 1 + count] = cut
        count += 1
    grid[0] = t[0]
    for i in range(left + 1, len(t)):
        grid[i + count] = t[i]
        old[i] += count
    return grid[: len(t) + count], old, new[:count], piece[:count], share[:count]


@compiled(
    "(float64[:, ::1], Tuple((int64[::1], int64[::1], float64[::1])), UniTuple(int64, 2), float64[:, ::1])"
)
def refined(
    values: Float64, inserted: tuple[Int64, Int64, Float64], window: tuple[int, int], out: Float64
) -> None:
    """Write some rows of the refined curve: old ones, and ``a + s (b - a)`` between them.

    Args:
        values: shape (old vertices, n).
        inserted: of each new vertex its position, the old piece in which it lies, and its ratio there.
        window: first and last vertex of the new grid that are wanted.
        out: shape (last - first + 1, n).
    """
    (new, piece, share), (first, last) = inserted, window
    at = np.searchsorted(new, first)
    for i in range(first, last + 1):
        if at < len(new) and new[at] == i:
            between(values[piece[at]], values[piece[at] + 1], share[at], out[i - first])
            at += 1
        else:
            out[i - first] = values[i - at]


@compiled
def between(a: Float64, b: Float64, share: float, out: Float64) -> None:
    """Write a vertex between two others."""
    for j in range(len(out)):
        out[j] = a[j] + share * (b[j] - a[j])


@compiled
def arrived(
    about: tuple[Float64, Float64, Float64],
    ends: tuple[Float64, Float64],
    inserted: bool | np.bool_,
    part: bool,
) -> tuple[Float64, Float64, Float64]:
    """Return radius, low and high on the new grid: those of ``knots.interpolated`` where a vertex is new.

    Args:
        about: the same on the whole old grid.
        ends: lowest and highest value of the part.
        inserted: whether a vertex of the part is new.
        part: whether it is not the whole block, so that its own extents count.
    """
    radius, low, high = about[0].copy(), about[1].copy(), about[2].copy()
    for j in range(len(radius)):
        if inserted:
            charge = peak(low[j], high[j]) * CHARGE
            radius[j] = (radius[j] + charge) * UP + TINY
            low[j] -= charge
            high[j] += charge
        if part:
            low[j], high[j] = ends[0][j], ends[1][j]
    return radius, low, high
