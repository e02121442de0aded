"""What the roundings of a followed path come to at the scores: one pass through the network.

Write y for the exact number in front of a unit's function f, and m for the model of it that the state is:
value plus slope times (t - since), in real arithmetic. Write X for what the unit sends on, the exact integral
of all changes of slope that it sent, from what it sent at the start.

* The exact number is ``y = sum w x + b`` of the exact inputs x. The model's slopes were summed from products
  of what the inputs sent, so ``|m - (sum w X + b)|`` is at most gamma of ``sum |w| sent + |b|`` with ``sent``
  the absolute start, slope and changes, each change times what was left of the path, plus what was rounded
  when the state was renewed: a unit of the new value, two of the step, a unit of the new slope for the rest
  of the path. ``ERROR`` adds those up.
* A unit is on one side between two of its events, and there X changes by the model's slope (above zero), so
  ``|X - f(m)|`` is at most: what renewals rounded (``ERROR`` again), how far the model was on the wrong side
  of zero, and how far from zero it was when it switched. Both are in ``ERROR`` too. Between two renewals the
  model is a line, so it is nowhere further on the wrong side than at one of them: the last is at the end.
* ``f`` raises a distance by at most ``steepest = max(1, |slope below zero|)``.
* A unit that never switched, and whose exact number is below zero all along, sends exactly nothing.
"""

from __future__ import annotations

import numpy as np

from glocert.compiled import fusing
from glocert.rounding import TINY, UNIT, UP
from glocert.segments.events.loops.bend import UNITS, copy
from glocert.segments.events.loops.scatter import scatter
from glocert.segments.events.loops.tables import (
    BENT,
    CHANNELS,
    DELTA,
    ERROR,
    FIRST,
    HEIGHT,
    HIGHEST,
    KIND,
    LAST,
    LINEAR,
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

SLACK = 1.04
"""for the second order terms of all that is counted in units, and for adding them up"""


@fusing(f"({PLAN}, {PLACE}, UniTuple(float64[::1], 2), float64, UniTuple(float64[::1], 2), float64[::1])")
def radius(
    plan: Plan,
    place: Place,
    known: tuple[Float64, Float64],
    now: float,
    factors: tuple[Float64, Float64],
    out: Float64,
) -> None:
    """Write by how much each score may be off, anywhere on the path from its start to ``now``.

    Args:
        plan: the network, with the absolute weights.
        place: after the last event, overwritten but for the layers of the blocks.
        known: by how much the input may be off, and the size of the shifts of all units.
        now: where the path ends.
        factors: for each layer gamma of the longest sum that it takes part in, and what lifts a sum to it.
        out: shape (scores,).
    """
    layers, below = plan[0], plan[4]
    state, _, boxes, _, chosen = place
    own = state[DELTA]
    for j in range(len(layers)):
        boxes[j, 0], boxes[j, 1], boxes[j, 2], boxes[j, 3] = 0, layers[j, HEIGHT], 0, layers[j, WIDTH]
        gamma, lift = factors[0][j], factors[1][j]
        lo = layers[j, OFFSET]
        hi = lo + layers[j, HEIGHT] * layers[j, WIDTH] * layers[j, CHANNELS]
        if j == 0:
            for i in range(lo, hi):
                own[i] = known[0][i] + gamma * state[SENT, i]
            continue
        _summed(j, plan, boxes, own, chosen)
        for i in range(lo, hi):
            own[i] = own[i] * lift + gamma * known[1][i]
        if layers[j, KIND] == LINEAR:
            _summed(j, plan, boxes, state[SENT], chosen)
            for i in range(lo, hi):
                state[SENT, i] *= lift
                own[i] = (own[i] + gamma * state[SENT, i]) * UP + TINY
        else:
            _units(state, lo, hi, now, gamma, (layers[j, KIND] == BENT, below[j]))
    copy(own[lo:hi], out)


@fusing
def _units(
    state: Float64, lo: int, hi: int, now: float, gamma: float, function: tuple[bool | np.bool_, float]
) -> None:
    """Add to what units are off what was rounded at them, and take it through their function."""
    bent, below = function
    _close(state, lo, hi, now, bent)
    own = state[DELTA]
    for i in range(lo, hi):
        rounded = (SLACK * UNIT) * state[ERROR, i]
        before = (own[i] + rounded) * UP + TINY
        if bent:
            own[i] = _behind(state, i, before, rounded, below) + gamma * state[SENT, i] * UP
        else:
            own[i] = (before + rounded) * UP


@fusing
def _close(state: Float64, lo: int, hi: int, now: float, bent: bool | np.bool_) -> None:
    """Look at units for the last time: at the end of the path."""
    for i in range(lo, hi):
        moved = state[SLOPE, i] * (now - state[SINCE, i])
        value = state[VALUE, i] + moved
        state[ERROR, i] += abs(value) + 2.0 * abs(moved)
        state[VALUE, i] = value
        if bent:
            state[ERROR, i] += max(-value * state[SIDE, i], 0.0) * UNITS
            state[HIGHEST, i] = max(state[HIGHEST, i], value)


@fusing
def _summed(layer: int, plan: Plan, boxes: Int64, numbers: Float64, chosen: Int64) -> None:
    """Write what the edges of a layer make of numbers of the earlier ones."""
    layers, edges, weights, positions, _ = plan
    lo = layers[layer, OFFSET]
    numbers[lo : lo + layers[layer, HEIGHT] * layers[layer, WIDTH] * layers[layer, CHANNELS]] = 0.0
    for e in range(layers[layer, FIRST], layers[layer, LAST]):
        source = edges[e, SOURCE]
        scatter(edges[e], layers[source], layers[layer], boxes[source], numbers, weights, positions, chosen)


@fusing
def _behind(state: Float64, i: int, before: float, rounded: float, below: float) -> float:
    """Return by how much what a unit sends is off, given how much the number before its function is."""
    if below == 0.0 and state[SIDE, i] < 0.0 and state[HIGHEST, i] + before < 0.0:
        return 0.0
    more = 4.0 * UNIT * state[SENT, i] if below != 0.0 else 0.0
    return (before * max(1.0, abs(below)) + (1.0 + abs(below)) * rounded + more) * UP + TINY
