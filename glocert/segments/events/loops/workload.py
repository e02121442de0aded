"""How much an event in the middle of a layer sets in motion. No answer depends on it."""

from __future__ import annotations

from glocert.compiled import fusing
from glocert.segments.events.loops.scatter import reached
from glocert.segments.events.loops.tables import (
    BENT,
    CHANNELS,
    CONVOLUTION,
    FIRST,
    HEIGHT,
    HOW,
    KERNEL_X,
    KERNEL_Y,
    KIND,
    LAST,
    LINEAR,
    MATRIX,
    PLAN,
    SOURCE,
    SPARSE,
    STARTS,
    STRIDE_X,
    STRIDE_Y,
    WIDTH,
    Float64,
    Int64,
    Plan,
)


@fusing(f"({PLAN}, int64, float64, int64[:, ::1], float64[::1], float64[::1])")
def event(plan: Plan, first: int, share: float, boxes: Int64, counts: Float64, found: Float64) -> None:
    """Follow one unit through the network.

    Args:
        plan: the network.
        first: layer of the unit.
        share: of changes behind a rectifier that are not zero.
        boxes: of pixels, overwritten.
        counts: of units that change, of each layer, overwritten.
        found: gets how many products are made and how many units are renewed.
    """
    layers, edges, _, positions, _ = plan
    boxes[:], counts[:], found[:] = 0, 0.0, 0.0
    y, x = layers[first, HEIGHT] // 2, layers[first, WIDTH] // 2
    boxes[first, 0], boxes[first, 1], boxes[first, 2], boxes[first, 3] = y, y + 1, x, x + 1
    counts[first] = 1.0
    for j in range(first + 1, len(layers)):
        top, bottom, left, right = layers[j, HEIGHT], 0, layers[j, WIDTH], 0
        for e in range(layers[j, FIRST], layers[j, LAST]):
            source = edges[e, SOURCE]
            if counts[source] > 0.0:
                found[0] += counts[source] * fan(edges[e], layers[source], layers[j], positions)
                a, b, c, d = reached(edges[e], layers[j], boxes[source], positions)
                top, bottom, left, right = min(top, a), max(bottom, b), min(left, c), max(right, d)
        units = float(max(bottom - top, 0) * max(right - left, 0) * layers[j, CHANNELS])
        boxes[j, 0], boxes[j, 1], boxes[j, 2], boxes[j, 3] = top, bottom, left, right
        counts[j] = units * (share if layers[j, KIND] == BENT else 1.0)
        found[1] += units if layers[j, KIND] != LINEAR else 0.0


@fusing(f"({PLAN}, int64)")
def products(plan: Plan, layer: int) -> float:
    """Return how many products all edges of a layer make when every unit of their sources changes."""
    layers, edges, _, positions, _ = plan
    total = 0.0
    for e in range(layers[layer, FIRST], layers[layer, LAST]):
        source = layers[edges[e, SOURCE]]
        size = float(source[HEIGHT] * source[WIDTH] * source[CHANNELS])
        total += size * fan(edges[e], source, layers[layer], positions)
    return total


@fusing
def fan(edge: Int64, source: Int64, target: Int64, positions: Int64) -> float:
    """Return how many products a unit takes part in, on average."""
    if edge[HOW] == MATRIX:
        return float(target[HEIGHT] * target[WIDTH] * target[CHANNELS])
    if edge[HOW] == CONVOLUTION:
        taps = edge[KERNEL_Y] * edge[KERNEL_X] / (edge[STRIDE_Y] * edge[STRIDE_X])
        return float(taps * target[CHANNELS])
    if edge[HOW] == SPARSE:
        size = source[HEIGHT] * source[WIDTH] * source[CHANNELS]
        return float(positions[edge[STARTS] + size] / size)
    return 1.0
