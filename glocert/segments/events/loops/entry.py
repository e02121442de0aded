"""Paths as they enter a network."""

from __future__ import annotations

import numpy as np

from glocert.compiled import compiled
from glocert.rounding import CHARGE, UP
from glocert.segments.events.loops.tables import Float64, Int64

_ENDS = "UniTuple(float64[:, ::1], 3)"


@compiled(f"({_ENDS}, int64[::1])")
def entered(ends: tuple[Float64, Float64, Float64], order: Int64) -> tuple[Float64, Float64, Float64]:
    """Return start, change and error of paths, their inputs in another order.

    The change has a rounding, and a point on the path three more, all of numbers no larger than twice the
    largest of the ends: ``CHARGE`` is more.

    Args:
        ends: start, stop and error of the stored paths, shape (paths, inputs).
        order: which input comes where.
    """
    first, last, radius = ends
    start, change, off = np.empty(first.shape), np.empty(first.shape), np.empty(first.shape)
    for p in range(len(first)):
        for i in range(len(order)):
            a, b = first[p, order[i]], last[p, order[i]]
            start[p, i], change[p, i] = a, b - a
            off[p, i] = (radius[p, order[i]] + CHARGE * max(abs(a), abs(b))) * UP
    return start, change, off
