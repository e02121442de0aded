"""The event loop without what proves it: the same events from the same beginning, no errors, no radius.

Only for measuring what the proof costs. What has no rounding terms is the library's own; the loops below are
its twins without the rows ``ERROR``, ``SENT`` and ``HIGHEST``. Values are never computed anew: that only
keeps the radius small.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numba.core import sigutils

from glocert.compiled import SIGNATURES, fusing, inlined
from glocert.segments.events.loops.begin import _sided, _size
from glocert.segments.events.loops.bend import copy, earliest, when
from glocert.segments.events.loops.follow import _QUIET, _alone, _due, _first, _still
from glocert.segments.events.loops.scatter import gathered, scatter
from glocert.segments.events.loops.tables import (
    BENT,
    BLOCK,
    CHANNELS,
    DELTA,
    DUE,
    FIRST,
    HEIGHT,
    KIND,
    LAST,
    OFFSET,
    PLACE,
    PLAN,
    SCORES,
    SIDE,
    SINCE,
    SLOPE,
    SOURCE,
    VALUE,
    WIDTH,
    Box,
    Float64,
    Int64,
    Place,
    Plan,
)
from glocert.segments.events.network import Loops, Network

ROOM = 2**14
"""vertices of a run: more than any path that is measured has"""


def without_errors(network: Network) -> Network:
    """Return a network that is followed through the same events and proves nothing; compile its loops."""
    for loop in (begin, follow, arrive):
        for text in SIGNATURES.get(loop, ()):
            loop.compile(sigutils.normalize_signature(text)[0])  # type: ignore[attr-defined]
    return replace(network, loops=Loops(begin, follow, arrive, ROOM))


@fusing(f"({PLAN}, {PLACE}, float64[::1], UniTuple(float64[::1], 2), UniTuple(float64, 2))")
def begin(
    plan: Plan, place: Place, shifts: Float64, line: tuple[Float64, Float64], span: tuple[float, float]
) -> None:
    """Write the state at the start of a path."""
    layers = plan[0]
    state, least, boxes, _, chosen = place
    state[DUE], state[SINCE] = np.inf, span[0]
    for j in range(len(layers)):
        boxes[j, 0], boxes[j, 1], boxes[j, 2], boxes[j, 3] = 0, layers[j, HEIGHT], 0, layers[j, WIDTH]
    _passed(plan, boxes, state, shifts, line[0], VALUE, chosen)
    _passed(plan, boxes, state, shifts, line[1], SLOPE, chosen)
    for j in range(1, len(layers)):
        if layers[j, KIND] == BENT:
            for i in range(layers[j, OFFSET], layers[j, OFFSET] + _size(layers[j])):
                state[DUE, i] = when(state[VALUE, i], state[SLOPE, i], state[SIDE, i], span[0])
    for b in range(len(least)):
        least[b] = earliest(state[DUE][b * BLOCK : (b + 1) * BLOCK])


@fusing
def _passed(
    plan: Plan, boxes: Int64, state: Float64, shifts: Float64, x: Float64, what: int, chosen: Int64
) -> None:
    """Fill the values or the slopes; nobody asks later what was sent on."""
    layers, edges, weights, positions, below = plan
    sent = state[DELTA]
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


@fusing(f"({PLAN}, {PLACE}, UniTuple(float64, 2), Tuple((float64[::1], float64[:, ::1])))")
def follow(
    plan: Plan, place: Place, span: tuple[float, float], found: tuple[Float64, Float64]
) -> tuple[int, int, float]:
    """Follow a path until its end, or until there is no room for another vertex."""
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
        some = chosen[: _due(state, least, layers[layer], now, chosen)]
        events += len(some)
        _alone(state, boxes, layers[layer], layer, some)
        for unit in some:
            state[DELTA, unit] = _switch(state, unit, now, below[layer])
        for unit in some:
            own_block = unit // BLOCK
            least[own_block] = earliest(state[DUE][own_block * BLOCK : (own_block + 1) * BLOCK])
        if _spread(layer, plan, place, now):
            if now > times[count - 1]:
                times[count] = now
                count += 1
            copy(own, scores[count - 1])
    return count, events, now


@fusing
def _spread(layer: int, plan: Plan, place: Place, now: float) -> bool:
    """Take a change through all later layers; say whether it changes the scores."""
    layers, below = plan[0], plan[4]
    state, least, boxes, _, chosen = place
    for j in range(layer + 1, len(layers)):
        shape = layers[j]
        if not gathered(j, plan, boxes, state[DELTA], chosen):
            continue
        if shape[KIND] == SCORES:
            size = shape[HEIGHT] * shape[WIDTH] * shape[CHANNELS]
            _move(state, shape[OFFSET], shape[OFFSET] + size, now)
            continue
        if shape[KIND] == BENT:
            _bend(state, least, shape[OFFSET], boxes[j], (shape[WIDTH], shape[CHANNELS]), now, below[j])
        if _still(state[DELTA], shape, boxes[j]):
            boxes[j, 0], boxes[j, 1] = 0, 0
    return bool(boxes[len(layers) - 1, 1] > 0)


@fusing
def _bend(
    state: Float64,
    least: Float64,
    start: int,
    pixels: Box | Int64,
    shape: tuple[int, int],
    now: float,
    below: float,
) -> None:
    """Take the changes in a box of a rectified layer, and write what it sends on in their place."""
    width, channels = shape
    first, last, n = pixels[0], pixels[1], (pixels[3] - pixels[2]) * channels
    if pixels[3] - pixels[2] == width:
        n, last = (last - first) * n, first + 1
    for y in range(first, last):
        lo = start + (y * width + pixels[2]) * channels
        hi = lo + n
        d, v, g, since = state[DELTA][lo:hi], state[VALUE][lo:hi], state[SLOPE][lo:hi], state[SINCE][lo:hi]
        side, due = state[SIDE][lo:hi], state[DUE][lo:hi]
        for i in range(n):
            value, slope = v[i] + g[i] * (now - since[i]), g[i] + d[i]
            out = d[i] * (1.0 if side[i] > 0.0 else below)
            v[i], g[i], since[i], d[i] = value, slope, now, out
            due[i] = when(value, slope, side[i], now)
        for b in range(lo // BLOCK, (hi - 1) // BLOCK + 1):
            least[b] = earliest(state[DUE][b * BLOCK : (b + 1) * BLOCK])


@inlined
def _move(state: Float64, lo: int, hi: int, now: float) -> None:
    """Take the changes of the scores."""
    d, v, g, since = state[DELTA][lo:hi], state[VALUE][lo:hi], state[SLOPE][lo:hi], state[SINCE][lo:hi]
    for i in range(hi - lo):
        v[i] += g[i] * (now - since[i])
        g[i] += d[i]
        since[i] = now


@inlined
def _switch(state: Float64, i: int, now: float, below: float) -> float:
    """Let a unit pass zero; return the change of slope that it sends on."""
    value = state[VALUE, i] + state[SLOPE, i] * (now - state[SINCE, i])
    side = -state[SIDE, i]
    state[VALUE, i], state[SINCE, i], state[SIDE, i] = value, now, side
    state[DUE, i] = when(value, state[SLOPE, i], side, now)
    return float((1.0 - below) * state[SLOPE, i] * side)


@fusing(f"({PLAN}, {PLACE}, UniTuple(float64[::1], 2), float64, UniTuple(float64[::1], 2), float64[::1])")
def arrive(
    plan: Plan,
    place: Place,
    known: tuple[Float64, Float64],  # noqa: ARG001  # as the radius is called
    now: float,
    factors: tuple[Float64, Float64],  # noqa: ARG001
    out: Float64,
) -> None:
    """Bring the scores to the end of the path, in place of the radius, which becomes zero."""
    end, state = plan[0][len(plan[0]) - 1], place[0]
    lo = end[OFFSET]
    for i in range(lo, lo + end[HEIGHT] * end[WIDTH] * end[CHANNELS]):
        state[VALUE, i] += state[SLOPE, i] * (now - state[SINCE, i])
        state[SINCE, i] = now
    out[:] = 0.0
