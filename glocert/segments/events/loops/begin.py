"""Where every unit stands at the beginning of a path: values and slopes, layer by layer."""

from __future__ import annotations

import numpy as np

from glocert.compiled import fusing
from glocert.segments.events.loops.bend import copy, earliest, when
from glocert.segments.events.loops.scatter import scatter
from glocert.segments.events.loops.tables import (
    BENT,
    BLOCK,
    CHANNELS,
    DELTA,
    DUE,
    ERROR,
    FIRST,
    HEIGHT,
    HIGHEST,
    KIND,
    LAST,
    OFFSET,
    PLACE,
    PLAN,
    SENT,
    SIDE,
    SINCE,
    SLOPE,
    SOURCE,
    VALUE,
    WIDTH,
    Float64,
    Int64,
    Place,
    Plan,
)


@fusing(f"({PLAN}, {PLACE}, float64[::1], UniTuple(float64[::1], 2), UniTuple(float64, 2))")
def begin(
    plan: Plan,
    place: Place,
    shifts: Float64,
    line: tuple[Float64, Float64],
    span: tuple[float, float],
) -> None:
    """Write the state at the start of a path.

    Args:
        plan: the network.
        place: to be overwritten, but for the layers of the blocks.
        shifts: what is added to the sum of the edges of every unit.
        line: the network's input at the start of the path, and its change for a change of t by one.
        span: start and end.
    """
    layers = plan[0]
    state, least, boxes, _, chosen = place
    state[DUE], state[ERROR], state[SINCE] = np.inf, 0.0, span[0]
    rest = span[1] - span[0]
    for j in range(len(layers)):
        boxes[j, 0], boxes[j, 1], boxes[j, 2], boxes[j, 3] = 0, layers[j, HEIGHT], 0, layers[j, WIDTH]
    _arrive(plan, boxes, state, shifts, line[0], VALUE, chosen)
    _arrive(plan, boxes, state, shifts, line[1], SLOPE, chosen)
    for i in range(state.shape[1]):
        state[SENT, i] = abs(state[HIGHEST, i]) + abs(state[DELTA, i]) * rest
        state[HIGHEST, i] = state[VALUE, i]
    for j in range(1, len(layers)):
        if layers[j, KIND] == BENT:
            for i in range(layers[j, OFFSET], layers[j, OFFSET] + _size(layers[j])):
                state[DUE, i] = when(state[VALUE, i], state[SLOPE, i], state[SIDE, i], span[0])
    for b in range(len(least)):
        least[b] = earliest(state[DUE][b * BLOCK : (b + 1) * BLOCK])


@fusing
def _size(layer: Int64) -> int:
    return int(layer[HEIGHT] * layer[WIDTH] * layer[CHANNELS])


@fusing
def _arrive(
    plan: Plan, boxes: Int64, state: Float64, shifts: Float64, x: Float64, what: int, chosen: Int64
) -> None:
    """Fill the values (then ``HIGHEST`` gets what is sent on) or the slopes (then ``DELTA`` does)."""
    layers, edges, weights, positions, below = plan
    sent = state[HIGHEST] if what == VALUE else state[DELTA]
    copy(x, sent[: len(x)])
    for j in range(1, len(layers)):
        lo, hi = layers[j, OFFSET], layers[j, OFFSET] + _size(layers[j])
        if what == VALUE:
            copy(shifts[lo:hi], sent[lo:hi])
        else:
            sent[lo:hi] = 0.0
        for e in range(layers[j, FIRST], layers[j, LAST]):
            source = edges[e, SOURCE]
            scatter(edges[e], layers[source], layers[j], boxes[source], sent, weights, positions, chosen)
        copy(sent[lo:hi], state[what][lo:hi])
        if layers[j, KIND] == BENT:
            _sided(state, sent, lo, hi, what, below[j])


@fusing
def _sided(state: Float64, sent: Float64, lo: int, hi: int, what: int, below: float) -> None:
    """Settle on which side of zero units are, one at zero by its slope, and what they send on."""
    for i in range(lo, hi):
        if what == VALUE:
            state[SIDE, i] = 1.0 if state[VALUE, i] > 0.0 else -1.0
        elif state[VALUE, i] == 0.0:
            state[SIDE, i] = 1.0 if state[SLOPE, i] > 0.0 else -1.0
        sent[i] *= 1.0 if state[SIDE, i] > 0.0 else below
