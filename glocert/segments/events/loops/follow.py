"""From event to event: the unit that is at zero next switches, and that goes through the network."""

from __future__ import annotations

import numpy as np

from glocert.compiled import fusing, inlined
from glocert.segments.events.loops.bend import bend, copy, earliest, move, switch
from glocert.segments.events.loops.scatter import gathered
from glocert.segments.events.loops.tables import (
    BENT,
    BLOCK,
    CHANNELS,
    DELTA,
    DUE,
    HEIGHT,
    KIND,
    OFFSET,
    PLACE,
    PLAN,
    SCORES,
    VALUE,
    WIDTH,
    Float64,
    Int64,
    Place,
    Plan,
)

_QUIET = 4
"""events for each vertex that there is room for: many events change no score"""


@fusing(f"({PLAN}, {PLACE}, UniTuple(float64, 2), Tuple((float64[::1], float64[:, ::1])))")
def follow(
    plan: Plan,
    place: Place,
    span: tuple[float, float],
    found: tuple[Float64, Float64],
) -> tuple[int, int, float]:
    """Follow a path until its end, or until there is no room for another vertex.

    Nothing is proven about the order or the number of events; what they cost is charged in ``bend``.

    Args:
        plan: the network.
        place: with the state at the start.
        span: start and end.
        found: gets t and scores, shapes (room,) and (room, scores): where the path begins, and wherever the
            slope of a score changes.

    Returns:
        How many vertices were written, how many units switched, and how far the path was followed.
    """
    layers, below = plan[0], plan[4]
    state, least, boxes, owner, chosen = place
    times, scores = found
    (now, stop), end = span, layers[len(layers) - 1]
    own = state[VALUE][end[OFFSET] : end[OFFSET] + end[HEIGHT] * end[WIDTH] * end[CHANNELS]]
    count, events = 1, 0
    times[0] = now
    copy(own, scores[0])
    while count < len(times) and (events < _QUIET * len(times) or now == span[0]):
        block = _first(least)
        if not least[block] < stop:
            return count, events, stop
        now, layer = max(now, least[block]), owner[block]
        at = now, stop - now
        some = chosen[: _due(state, least, layers[layer], now, chosen)]
        events += len(some)
        _alone(state, boxes, layers[layer], layer, some)
        for unit in some:
            state[DELTA, unit] = switch(state, unit, at, below[layer])
        for unit in some:
            own_block = unit // BLOCK
            least[own_block] = earliest(state[DUE][own_block * BLOCK : (own_block + 1) * BLOCK])
        if _spread(layer, plan, place, at):
            if now > times[count - 1]:
                times[count] = now
                count += 1
            copy(own, scores[count - 1])
    return count, events, now


@inlined
def _first(least: Float64) -> int:
    """Return the block with the earliest event; no time is NaN.

    The best of every eight is found without a branch: there may be hundreds of blocks for each event.
    """
    best, at, whole = np.inf, 0, len(least) - len(least) % 8
    for k in range(0, whole, 8):
        a, b = min(least[k], least[k + 1]), min(least[k + 2], least[k + 3])
        c, d = min(least[k + 4], least[k + 5]), min(least[k + 6], least[k + 7])
        lowest = min(min(a, b), min(c, d))
        if lowest < best:
            best, at = lowest, k
    for k in range(whole, len(least)):
        if least[k] < best:
            best, at = least[k], k
    while least[at] != best:
        at += 1
    return at


@inlined
def _due(state: Float64, least: Float64, shape: Int64, now: float, chosen: Int64) -> int:
    """Write which units of a layer are due, and return how many: on a plain background it may be all."""
    first = shape[OFFSET] // BLOCK
    size = shape[HEIGHT] * shape[WIDTH] * shape[CHANNELS]
    count = 0
    for block in range(first, first + (size + BLOCK - 1) // BLOCK):
        if least[block] <= now:
            for unit in range(block * BLOCK, (block + 1) * BLOCK):
                if state[DUE, unit] <= now:
                    chosen[count] = unit
                    count += 1
    return count


@inlined
def _alone(state: Float64, boxes: Int64, shape: Int64, layer: int, units: Int64) -> None:
    """Make the pixels of some units of a layer the only ones that change, and clear them."""
    for j in range(len(boxes)):
        boxes[j, 0], boxes[j, 1] = 0, 0
    top, bottom, left, right = shape[HEIGHT], 0, shape[WIDTH], 0
    for unit in units:
        pixel = (unit - shape[OFFSET]) // shape[CHANNELS]
        y, x = pixel // shape[WIDTH], pixel % shape[WIDTH]
        top, bottom, left, right = min(top, y), max(bottom, y + 1), min(left, x), max(right, x + 1)
    boxes[layer, 0], boxes[layer, 1], boxes[layer, 2], boxes[layer, 3] = top, bottom, left, right
    for y in range(top, bottom):
        start = shape[OFFSET] + (y * shape[WIDTH] + left) * shape[CHANNELS]
        state[DELTA][start : start + (right - left) * shape[CHANNELS]] = 0.0


@inlined
def _still(numbers: Float64, shape: Int64, box: Int64) -> bool:
    """Whether nothing in a box changes: all of its units are below zero, or lost against a larger one."""
    n = (box[3] - box[2]) * shape[CHANNELS]
    for y in range(box[0], box[1]):
        start = shape[OFFSET] + (y * shape[WIDTH] + box[2]) * shape[CHANNELS]
        for i in range(start, start + n):
            if numbers[i] != 0.0:
                return False
    return True


@fusing
def _spread(layer: int, plan: Plan, place: Place, at: tuple[float, float]) -> bool:
    """Take a change through all later layers; say whether it changes the scores."""
    layers, below = plan[0], plan[4]
    state, least, boxes, _, chosen = place
    for j in range(layer + 1, len(layers)):
        shape = layers[j]
        if not gathered(j, plan, boxes, state[DELTA], chosen):
            continue
        if shape[KIND] == SCORES:
            size = shape[HEIGHT] * shape[WIDTH] * shape[CHANNELS]
            move(state, shape[OFFSET], shape[OFFSET] + size, at[0], at[1])
            continue
        if shape[KIND] == BENT:
            bend(state, least, shape[OFFSET], boxes[j], (shape[WIDTH], shape[CHANNELS]), at, below[j])
        if _still(state[DELTA], shape, boxes[j]):
            boxes[j, 0], boxes[j, 1] = 0, 0
    return bool(boxes[len(layers) - 1, 1] > 0)
