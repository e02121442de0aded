"""Units whose slopes change: where they are now, when they will switch, and what they send on.

All that is rounded is written down, see ``loops.radius``. When a unit switches is nowhere relied on: a unit
that is found on the wrong side of zero, or switches elsewhere than at zero, has that distance charged.
"""

from __future__ import annotations

import numpy as np

from glocert.compiled import fusing, inlined
from glocert.segments.events.loops.tables import (
    BLOCK,
    DELTA,
    DUE,
    ERROR,
    HIGHEST,
    SENT,
    SIDE,
    SINCE,
    SLOPE,
    VALUE,
    Box,
    Float64,
    Int64,
)

UNITS = 2.0**53
"""a distance in units of roundoff"""


@inlined
def copy(numbers: Float64, out: Float64) -> None:
    """Copy a line."""
    for i in range(len(out)):
        out[i] = numbers[i]


@inlined
def when(value: float, slope: float, side: float, now: float) -> float:
    """Return when a unit will be at zero; one on the wrong side, at once."""
    distance = value * side
    ratio = (distance if distance > 0.0 else 0.0) / (-slope * side)
    return now + ratio if slope * side < 0.0 else np.inf


@inlined
def earliest(due: Float64) -> float:
    """Return the smallest time of a block; four comparisons at a time wait for no other."""
    a, b, c, d = np.inf, np.inf, np.inf, np.inf
    for i in range(0, BLOCK, 4):
        a = due[i] if due[i] < a else a
        b = due[i + 1] if due[i + 1] < b else b
        c = due[i + 2] if due[i + 2] < c else c
        d = due[i + 3] if due[i + 3] < d else d
    a, c = (b if b < a else a), (d if d < c else c)
    return c if c < a else a


@fusing(
    "(float64[:, ::1], float64[::1], int64, int64[::1], UniTuple(int64, 2), UniTuple(float64, 2), float64)"
)
def bend(
    state: Float64,
    least: Float64,
    start: int,
    pixels: Box | Int64,
    shape: tuple[int, int],
    at: tuple[float, float],
    below: float,
) -> None:
    """Take the changes in a box of a rectified layer, and write what it sends on in their place.

    Args:
        state: of the network.
        least: earliest event of each block of units, renewed.
        start: the layer's first unit.
        pixels: the box.
        shape: width of the layer, and its channels.
        at: t, and how much of the path is left.
        below: slope of the function below zero.
    """
    (width, channels), (now, rest) = shape, at
    first, last, n = pixels[0], pixels[1], (pixels[3] - pixels[2]) * channels
    if pixels[3] - pixels[2] == width:
        n, last = (last - first) * n, first + 1
    for y in range(first, last):
        lo = start + (y * width + pixels[2]) * channels
        hi = lo + n
        d, v, g, since = state[DELTA][lo:hi], state[VALUE][lo:hi], state[SLOPE][lo:hi], state[SINCE][lo:hi]
        side, due, err = state[SIDE][lo:hi], state[DUE][lo:hi], state[ERROR][lo:hi]
        sent, top = state[SENT][lo:hi], state[HIGHEST][lo:hi]
        for i in range(n):
            moved = g[i] * (now - since[i])
            value, slope = v[i] + moved, g[i] + d[i]
            out = d[i] * (1.0 if side[i] > 0.0 else below)
            wrong = -value * side[i]
            v[i], g[i], since[i], d[i] = value, slope, now, out
            err[i] += (
                abs(value) + 2.0 * abs(moved) + abs(slope) * rest + (wrong * UNITS if wrong > 0.0 else 0.0)
            )
            sent[i] += abs(out) * rest
            top[i] = value if value > top[i] else top[i]
            due[i] = when(value, slope, side[i], now)
        for b in range(lo // BLOCK, (hi - 1) // BLOCK + 1):
            least[b] = earliest(state[DUE][b * BLOCK : (b + 1) * BLOCK])


@inlined
def move(state: Float64, lo: int, hi: int, now: float, rest: float) -> None:
    """Take the changes of the scores."""
    d, v, g, since, err = (
        state[DELTA][lo:hi],
        state[VALUE][lo:hi],
        state[SLOPE][lo:hi],
        state[SINCE][lo:hi],
        state[ERROR][lo:hi],
    )
    for i in range(hi - lo):
        moved = g[i] * (now - since[i])
        v[i] += moved
        g[i] += d[i]
        since[i] = now
        err[i] += abs(v[i]) + 2.0 * abs(moved) + abs(g[i]) * rest


@inlined
def switch(state: Float64, i: int, at: tuple[float, float], below: float) -> float:
    """Let a unit pass zero; return the change of slope that it sends on."""
    now, rest = at
    moved = state[SLOPE, i] * (now - state[SINCE, i])
    value = state[VALUE, i] + moved
    side = -state[SIDE, i]
    change = (1.0 - below) * state[SLOPE, i] * side
    state[VALUE, i], state[SINCE, i], state[SIDE, i] = value, now, side
    state[ERROR, i] += abs(value) + 2.0 * abs(moved) + abs(value) * (2.0 * UNITS)
    state[SENT, i] += abs(change) * rest
    state[HIGHEST, i] = np.inf
    state[DUE, i] = when(value, state[SLOPE, i], side, now)
    return float(change)
