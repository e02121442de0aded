"""Bounds of every coordinate over the vertices of a block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocert.compiled import compiled

Float64 = NDArray[np.float64]


@compiled("(float64[:, ::1],)")
def extents(values: Float64) -> tuple[Float64, Float64]:
    """Return the smallest and the largest value of each column; NaN where one of them is not finite.

    Args:
        values: shape (vertices, n), at least one vertex.
    """
    low, high, rest = values[0].copy(), values[0].copy(), np.zeros(values.shape[1])
    for i in range(len(values)):
        widen(values[i], low, high, rest)
    close(low, high, rest)
    return low, high


@compiled
def widen(row: Float64, low: Float64, high: Float64, rest: Float64) -> None:
    """Take a row into the extents; ``rest`` becomes NaN where it is not finite: comparisons overlook NaN."""
    for j in range(len(row)):
        value = row[j]
        low[j] = min(value, low[j])
        high[j] = max(value, high[j])
        rest[j] += value * 0.0


@compiled
def close(low: Float64, high: Float64, rest: Float64) -> None:
    """Make both ends NaN where ``rest`` is."""
    for j in range(len(rest)):
        low[j] += rest[j]
        high[j] += rest[j]


@compiled
def peak(low: float, high: float) -> float:
    """Return a bound on the absolute values of a coordinate; NaN where its extent is."""
    return max(-low, high) if low <= high else np.nan
