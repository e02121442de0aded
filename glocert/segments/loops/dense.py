"""Products of a curve with a matrix: the radius, and what may be left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocert.compiled import compiled
from glocert.graph.execution import LARGEST
from glocert.segments.loops.extents import peak

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@compiled("(UniTuple(float64[::1], 3), float64[:, ::1], float64[::1], UniTuple(float64, 4))")
def through(
    about: tuple[Float64, Float64, Float64],
    weight: Float64,
    floor: Float64,
    costs: tuple[float, float, float, float],
) -> tuple[Float64, Int64]:
    """Return the radius behind a product, and the coordinates in front of it that are not zero all along.

    Per coordinate the product takes the radius, ``own + executed`` of the peak and ``executed`` of the
    radius; where that is zero it adds exactly zero, as every weight is finite, and is left out. What
    ``Dense`` says about the sum holds in any order of adding.

    Args:
        about: radius, low and high in front, shape (k,) each.
        weight: shape (k, n), finite: its absolute values count.
        floor: shape (n,), what the bias adds.
        costs: own and executed shares, the factor that lifts the sum, and what underflows.
    """
    radius, low, high = about
    own, executed, lift, tiny = costs
    terms, live = np.empty(len(radius)), np.empty(len(radius), np.int64)
    kept = 0
    for k in range(len(radius)):
        top = peak(low[k], high[k])
        if top != 0.0:
            live[kept] = k
            kept += 1
        terms[k] = radius[k] + (own + executed) * top
        if executed > 0.0:
            terms[k] += executed * radius[k]
    out = times(terms, weight)
    for j in range(len(out)):
        out[j] = (out[j] + floor[j]) * lift + tiny
        if executed > 0.0 and out[j] > LARGEST:
            out[j] = np.inf
    return out, live[:kept]


@compiled
def times(row: Float64, matrix: Float64) -> Float64:
    """Return ``row @ |matrix|``, several rows of the matrix at a time, without those that add nothing."""
    out, wanted = np.zeros(matrix.shape[1]), np.nonzero(row)[0]
    paired = len(wanted) // 4 * 4
    for at in range(0, paired, 4):
        a, b, c, d = wanted[at], wanted[at + 1], wanted[at + 2], wanted[at + 3]
        first, second, third, fourth = matrix[a], matrix[b], matrix[c], matrix[d]
        p, q, r, s = row[a], row[b], row[c], row[d]
        for j in range(len(out)):
            out[j] += (p * abs(first[j]) + q * abs(second[j])) + (r * abs(third[j]) + s * abs(fourth[j]))
    for at in range(paired, len(wanted)):
        k = wanted[at]
        for j in range(len(out)):
            out[j] += row[k] * abs(matrix[k, j])
    return out


@compiled("(float64[:, ::1], float64[:, ::1], int64[::1])")
def packed(values: Float64, weight: Float64, live: Int64) -> tuple[Float64, Float64]:
    """Return the columns ``live`` of ``values`` and the rows ``live`` of ``weight``, without gaps."""
    columns, rows = np.empty((len(values), len(live))), np.empty((len(live), weight.shape[1]))
    for i in range(len(values)):
        for k in range(len(live)):
            columns[i, k] = values[i, live[k]]
    for k in range(len(live)):
        rows[k] = weight[live[k]]
    return columns, rows
