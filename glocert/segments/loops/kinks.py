"""Where functions of one number bend on a block, and the refined block behind them, in one pass each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocert.compiled import compiled
from glocert.graph.execution import LARGEST
from glocert.rounding import CHARGE, UP
from glocert.segments.loops.extents import close, peak, widen
from glocert.segments.loops.grid import Places, arrived, between

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_STRIDE = 64
"""columns that are compared at once before any is looked at"""
_FINITE = float(np.finfo(np.float64).max)


Rule = tuple[float, float, float]
"""slope, least, greatest: ``min(max(s(x), least), greatest)`` with ``s(x) = slope x`` below zero, x above."""

Costs = tuple[float, float, float, float, float, float]
"""jump, steepness, what levels may move by, and below which number the function is constant (-inf: nowhere),
see ``Bent``; the share of all terms that executing costs, and what underflows, see ``Charges``."""


@compiled("(float64[::1], float64[:, ::1], float64[::1])")
def crossed(t: Float64, values: Float64, levels: Float64) -> Float64:
    """Return the parameters strictly inside pieces at which a coordinate crosses a level, level by level.

    Args:
        t: shape (vertices,), see ``Places``; nothing between two paths is cut.
        values: shape (vertices, n).
        levels: finite numbers.
    """
    rows, width = values.shape
    found, count = np.empty(256), 0
    for level in levels:
        for i in range(rows - 1):
            if t[i] % 2.0 == 1.0:
                continue
            for first in range(0, width, _STRIDE):
                before = values[i, first : first + _STRIDE]
                after = values[i + 1, first : first + _STRIDE]
                differ = _differ(before, after, level)
                if differ == 0:
                    continue
                if count + differ > len(found):
                    found = np.append(found, np.empty(count + differ))
                for j in range(len(before)):
                    a, b = before[j], after[j]
                    if (a < level) != (b < level):
                        cut = t[i] + (level - a) / (b - a) * (t[i + 1] - t[i])
                        if t[i] < cut < t[i + 1]:
                            found[count] = cut
                            count += 1
    return found[:count]


@compiled
def _differ(before: Float64, after: Float64, level: float) -> int:
    """Return how many coordinates are on both sides of a level."""
    count = 0
    for j in range(len(before)):
        count += (before[j] < level) != (after[j] < level)
    return count


@compiled(
    "(float64[:, ::1], UniTuple(float64[::1], 3), float64[:, ::1],"
    " Tuple((float64[::1], int64[::1], int64[::1], float64[::1])), UniTuple(int64, 2),"
    " Tuple((UniTuple(float64, 3), float64[::1], UniTuple(float64, 6))))"
)
def bent(
    values: Float64,
    about: tuple[Float64, Float64, Float64],
    out: Float64,
    places: Places,
    window: tuple[int, int],
    bend: tuple[Rule, Float64, Costs],
) -> tuple[Float64, Float64, Float64]:
    """Insert vertices, bend and charge in one pass; return radius, low and high behind the kink.

    The numbers are those of ``grid.refine`` and ``Bent.bend`` and are proven there: an interpolated value is
    ``a + s (b - a)``, and for each level a coordinate is charged the largest of ``min(|a - level|, |b -
    level|)`` over the new pieces with one end below the level and the other not.

    Args:
        values: shape (old vertices, n).
        about: radius, low and high of the block, shape (n,) each.
        out: shape (last - first + 1, n), filled.
        places: the new grid.
        window: first and last vertex of it that are wanted.
        bend: the function, its levels, and what it costs.
    """
    rule, levels, _ = bend
    t, new, piece, share = places
    first, last = window
    width = values.shape[1]
    part = first > 0 or last < len(t) - 1
    rows, worst = np.empty((2, width)), np.zeros((len(levels), width))
    ends, rest = np.empty((2, width)), np.zeros(width)
    start = np.searchsorted(new, first)
    at = start
    for i in range(first, last + 1):
        row, before = rows[i % 2], rows[1 - i % 2]
        if at < len(new) and new[at] == i:
            between(values[piece[at]], values[piece[at] + 1], share[at], row)
            at += 1
        else:
            row[:] = values[i - at]
        if i > first and t[i - 1] % 2.0 != 1.0:
            for k in range(len(levels)):
                _hide(before, row, levels[k], worst[k])
        if part:
            if i == first:
                ends[0] = row
                ends[1] = row
            widen(row, ends[0], ends[1], rest)
        ruled(row, out[i - first], rule)
    if part:
        close(ends[0], ends[1], rest)
    return _charged(about, (ends, worst), at > start, part, bend)


@compiled
def _hide(before: Float64, after: Float64, level: float, worst: Float64) -> None:
    """Raise ``worst`` to what a piece hides: nothing unless its ends are on both sides of the level."""
    for j in range(len(worst)):
        a, b = before[j], after[j]
        miss = min(abs(a - level), abs(b - level)) if (a < level) != (b < level) else 0.0
        worst[j] = max(worst[j], miss)


@compiled
def ruled(row: Float64, out: Float64, rule: Rule) -> None:
    """Apply the function to a row: at most one rounding, and a NaN stays one."""
    slope, least, greatest = rule
    for j in range(len(row)):
        x = row[j]
        x = slope * x if x < 0.0 else x
        x = least if x < least else x
        out[j] = greatest if x > greatest else x


@compiled
def _charged(
    about: tuple[Float64, Float64, Float64],
    found: tuple[Float64, Float64],
    inserted: bool | np.bool_,
    part: bool,
    bend: tuple[Rule, Float64, Costs],
) -> tuple[Float64, Float64, Float64]:
    """Return radius, low and high behind the kink: those of ``interpolated``, then those of ``Bent.bend``."""
    ends, worst = found
    radius, low, high = arrived(about, (ends[0], ends[1]), inserted, part)
    jump, steepest, lost, flat, executed, tiny = bend[2]
    for j in range(len(radius)):
        own = radius[j] + (CHARGE + executed) * peak(low[j], high[j])
        if executed > 0.0:
            own += executed * radius[j]
        for k in range(len(worst)):
            own += worst[k, j] * (jump * UP)
        own = (own * steepest + lost) * UP + tiny
        if executed > 0.0 and own > LARGEST:
            own = np.inf
        off = high[j] + radius[j] < flat and low[j] > -_FINITE
        radius[j] = 0.0 if off else own
    ruled(low, low, bend[0])
    ruled(high, high, bend[0])
    return radius, low, high
