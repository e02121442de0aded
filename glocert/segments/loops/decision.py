"""Margins of one label on a run of pieces, and where they are above or below zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocert.compiled import compiled
from glocert.rounding import CHARGE, UP

Float64 = NDArray[np.float64]
Spans = tuple[Float64, Float64]


@compiled("(float64[:, ::1], float64[::1], int64, float64)")
def compared(scores: Float64, radius: Float64, label: int, margin: float) -> tuple[Float64, Float64]:
    """Return the margins of a label over the others and their errors, infinite where a number is not finite.

    Args:
        scores: shape (vertices, classes).
        radius: shape (classes,).
        label: 0 <= label < classes.
        margin: required, subtracted.
    """
    rows, classes = scores.shape
    values, error = np.empty((rows, classes - 1)), np.empty(classes - 1)
    finite = 0.0
    own = _peak(scores[:, label])
    for k in range(classes - 1):
        j = k + (k >= label)
        rounding = (own + _peak(scores[:, j]) + abs(margin)) * CHARGE
        error[k] = (radius[label] + radius[j] + rounding) * UP
        finite += error[k] * 0.0
        for i in range(rows):
            values[i, k] = scores[i, label] - scores[i, j] - margin
            finite += values[i, k] * 0.0
    if finite != 0.0:
        error[:] = np.inf
    return values, error


@compiled
def _peak(column: Float64) -> float:
    top = 0.0
    for value in column:
        top = max(top, abs(value))
    return top


@compiled("(float64[::1], float64[:, ::1], float64[::1], float64)")
def spans(t: Float64, values: Float64, error: Float64, sign: float) -> Spans:
    """Return one interval per piece, empty where its stop is not above its start.

    With ``sign`` -1 the part where every margin exceeds its error, its ends moved inwards; with 1 the part
    where no margin is below minus its error, its ends moved outwards. Where a crossing is not a number the
    first is empty and the second ends at no such place.

    Args:
        t: shape (vertices,), increasing.
        values: shape (vertices, others).
        error: shape (others,), finite.
        sign: -1 or 1.
    """
    pieces, others = len(t) - 1, len(error)
    start, stop = t[:-1].copy(), t[1:].copy()
    for i in range(pieces):
        left, right = t[i], t[i + 1]
        for k in range(others):
            a, b = values[i, k] + sign * error[k], values[i + 1, k] + sign * error[k]
            before, after = (a > 0.0, b > 0.0) if sign < 0.0 else (a >= 0.0, b >= 0.0)
            if before and after:
                continue
            if not (before or after):
                start[i], stop[i] = left, left
                break
            crossing = left + a / (a - b) * (right - left)
            if after:
                crossing -= sign * CHARGE
                start[i] = max(start[i], _within(crossing, left, right, right if sign < 0.0 else left))
            else:
                crossing += sign * CHARGE
                stop[i] = min(stop[i], _within(crossing, left, right, left if sign < 0.0 else right))
    return start, stop


@compiled
def _within(value: float, low: float, high: float, otherwise: float) -> float:
    """Return a value clipped to an interval."""
    return min(max(value, low), high) if value == value else otherwise


@compiled
def joined(start: Float64, stop: Float64) -> Spans:
    """Return the intervals that have a length, those that touch joined; they come in order of t."""
    first, last = np.empty(len(start)), np.empty(len(start))
    count = 0
    for i in range(len(start)):
        if not stop[i] > start[i]:
            continue
        if count == 0 or start[i] > last[count - 1]:
            first[count] = start[i]
            count += 1
        last[count - 1] = stop[i]
    return first[:count], last[:count]


@compiled
def vertices(t: Float64, values: Float64, error: Float64) -> tuple[Float64, Float64, int]:
    """Return the smallest margin of each vertex, the same where one is proven negative, and how many hold.

    The second is infinite elsewhere; the third counts vertices from the first on, as long as every margin is
    proven positive.

    Args:
        t: shape (vertices,).
        values: shape (vertices, others).
        error: shape (others,), finite.
    """
    smallest, wrong, holds = np.full(len(t), np.inf), np.full(len(t), np.inf), len(t)
    for i in range(len(t)):
        below = False
        for k in range(len(error)):
            smallest[i] = min(smallest[i], values[i, k])
            below |= values[i, k] + error[k] < 0.0
            if holds > i and not values[i, k] - error[k] > 0.0:
                holds = i
        if below:
            wrong[i] = smallest[i]
    return smallest, wrong, holds


@compiled("(float64[::1], float64[:, ::1], float64[::1], int64, float64)")
def decided(
    t: Float64, scores: Float64, radius: Float64, label: int, margin: float
) -> tuple[Spans, Spans, Spans, Float64]:
    """Return what a run says about a label, see ``segments.decision.Decided``.

    Returns:
        Parts that are proven; parts that are possible; t of vertices where a margin is proven negative, and
        the smallest margin there; and six numbers: the smallest margin and its t, up to where the property
        is proven and whether at every vertex, the largest error, the largest score. A run that is not finite
        has no such numbers.
    """
    values, error = compared(scores, radius, label, margin)
    if not np.isfinite(error[0]):
        none = np.empty(0)
        return (none, none), (t[:1].copy(), t[-1:].copy()), (none, none), none
    safe, maybe = spans(t, values, error, -1.0), spans(t, values, error, 1.0)
    smallest, wrong, holds = vertices(t, values, error)
    reach = -1.0
    if holds > 0:
        reach = t[holds - 1] if holds == len(t) else max(t[holds - 1], safe[1][holds - 1])
    at, below = np.argmin(smallest), np.nonzero(wrong < np.inf)[0]
    scale = max(np.max(scores), -np.min(scores))
    found = np.array([smallest[at], t[at], reach, 1.0 if holds == len(t) else 0.0, np.max(error), scale])
    return joined(*safe), joined(*maybe), (t[below], wrong[below]), found
