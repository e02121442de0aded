"""What changes of one layer mean to the next: products with the few numbers that change.

A box of pixels holds all changes of a layer. Every sum is made of at most as many products as a unit has
inputs, added in some order to a number that is there, so gamma(inputs) covers it, fused or not.
"""

from __future__ import annotations

from glocert.compiled import fusing, inlined
from glocert.segments.events.loops.tables import (
    CHANNELS,
    COLUMNS,
    CONVOLUTION,
    FACTORS,
    FIRST,
    HEIGHT,
    HOW,
    KERNEL_X,
    KERNEL_Y,
    KIND,
    LAST,
    MATRIX,
    OFFSET,
    PAD_X,
    PAD_Y,
    PLAN,
    ROWS,
    SCORES,
    SOURCE,
    SPARSE,
    STARTS,
    STEP_Y,
    STRIDE_X,
    STRIDE_Y,
    TARGETS,
    WEIGHTS,
    WIDTH,
    Box,
    Float64,
    Int64,
    Plan,
)


@inlined
def _choose(line: Float64, chosen: Int64) -> int:
    """Write which numbers are not zero, and return how many: no branch depends on them."""
    count = 0
    for i in range(len(line)):
        chosen[count] = i
        count += line[i] != 0.0
    return count


@inlined
def _add(line: Float64, chosen: Int64, rows: tuple[int, int], weights: Float64, out: Float64) -> None:
    """Add the rows of some numbers, each times its number, four at once.

    Args:
        line: the numbers.
        chosen: which of them.
        rows: where the row of the first number begins, and how far the rows are apart.
        weights: has the rows.
        out: is as long as a row.
    """
    (start, step), n = rows, len(out)
    whole = len(chosen) - len(chosen) % 4
    for q in range(0, whole, 4):
        i, j, k, m = chosen[q], chosen[q + 1], chosen[q + 2], chosen[q + 3]
        a, b, c, d = line[i], line[j], line[k], line[m]
        first, second = (
            weights[start + i * step : start + i * step + n],
            weights[start + j * step : start + j * step + n],
        )
        third, fourth = (
            weights[start + k * step : start + k * step + n],
            weights[start + m * step : start + m * step + n],
        )
        for e in range(n):
            out[e] += a * first[e] + b * second[e] + c * third[e] + d * fourth[e]
    for q in range(whole, len(chosen)):
        i = chosen[q]
        a, first = line[i], weights[start + i * step : start + i * step + n]
        for e in range(n):
            out[e] += a * first[e]


@inlined
def reached(edge: Int64, target: Int64, box: Box | Int64, positions: Int64) -> Box:
    """Return the pixels of the target that a box of the source may change."""
    how = edge[HOW]
    if how == FACTORS:
        return box[0], box[1], box[2], box[3]
    if how == MATRIX:
        return 0, target[HEIGHT], 0, target[WIDTH]
    if how == SPARSE:
        top, bottom = _span(positions, edge[ROWS], box[0], box[1])
        left, right = _span(positions, edge[COLUMNS], box[2], box[3])
        return top, bottom, left, right
    top = (box[0] + edge[PAD_Y] - (edge[KERNEL_Y] - 1) * edge[STEP_Y] + edge[STRIDE_Y] - 1) // edge[STRIDE_Y]
    left = (box[2] + edge[PAD_X] - edge[KERNEL_X] + edge[STRIDE_X]) // edge[STRIDE_X]
    bottom = (box[1] - 1 + edge[PAD_Y]) // edge[STRIDE_Y] + 1
    right = (box[3] - 1 + edge[PAD_X]) // edge[STRIDE_X] + 1
    return max(top, 0), min(bottom, target[HEIGHT]), max(left, 0), min(right, target[WIDTH])


@inlined
def _span(positions: Int64, start: int, first: int, last: int) -> tuple[int, int]:
    """Return the union of the ranges of some rows or columns; an empty one has its ends swapped."""
    low, high = positions[start + 2 * first], positions[start + 2 * first + 1]
    for row in range(first + 1, last):
        low = min(low, positions[start + 2 * row])
        high = max(high, positions[start + 2 * row + 1])
    return low, high


@fusing(f"(int64, {PLAN}, int64[:, ::1], float64[::1], int64[::1])")
def gathered(layer: int, plan: Plan, boxes: Int64, numbers: Float64, chosen: Int64) -> bool:
    """Write to ``numbers`` what all edges bring to a layer, and its box; say whether anything comes."""
    layers, edges, weights, positions, _ = plan
    target, own = layers[layer], boxes[layer]
    top, bottom, left, right = target[HEIGHT], 0, target[WIDTH], 0
    for e in range(target[FIRST], target[LAST]):
        box = boxes[edges[e, SOURCE]]
        if box[0] < box[1]:
            a, b, c, d = reached(edges[e], target, box, positions)
            if a < b and c < d:
                top, bottom, left, right = min(top, a), max(bottom, b), min(left, c), max(right, d)
    if top >= bottom:
        return False
    if target[KIND] == SCORES:  # all of them have one time
        top, bottom, left, right = 0, target[HEIGHT], 0, target[WIDTH]
    own[0], own[1], own[2], own[3] = top, bottom, left, right
    for y in range(top, bottom):
        start = target[OFFSET] + (y * target[WIDTH] + left) * target[CHANNELS]
        numbers[start : start + (right - left) * target[CHANNELS]] = 0.0
    for e in range(target[FIRST], target[LAST]):
        box = boxes[edges[e, SOURCE]]
        if box[0] < box[1]:
            scatter(edges[e], layers[edges[e, SOURCE]], target, box, numbers, weights, positions, chosen)
    return True


@fusing
def scatter(
    edge: Int64,
    source: Int64,
    target: Int64,
    box: Int64,
    numbers: Float64,
    weights: Float64,
    positions: Int64,
    chosen: Int64,
) -> None:
    """Add to the target what the numbers in a box of the source come to through an edge."""
    how, width, channels = edge[HOW], source[WIDTH], source[CHANNELS]
    size = target[HEIGHT] * target[WIDTH] * target[CHANNELS]
    out = numbers[target[OFFSET] : target[OFFSET] + size]
    for y in range(box[0], box[1]):
        first, last = (y * width + box[2]) * channels, (y * width + box[3]) * channels
        line = numbers[source[OFFSET] + first : source[OFFSET] + last]
        if how == CONVOLUTION:
            _convolved(edge, target, (y, box[2]), channels, line, out, weights, chosen)
        elif how == MATRIX:
            some = chosen[: _choose(line, chosen)]
            _add(line, some, (edge[WEIGHTS] + first * size, size), weights, out)
        elif how == FACTORS:
            factors, part = weights[edge[WEIGHTS] + first : edge[WEIGHTS] + last], out[first:last]
            for i in range(len(line)):
                part[i] += line[i] * factors[i]
        else:
            _listed(edge, first, line, out, weights, positions)


@inlined
def _listed(edge: Int64, first: int, line: Float64, out: Float64, weights: Float64, positions: Int64) -> None:
    for i in range(len(line)):
        if line[i] != 0.0:
            at = edge[STARTS] + first + i
            for k in range(positions[at], positions[at + 1]):
                out[positions[edge[TARGETS] + k]] += line[i] * weights[edge[WEIGHTS] + k]


@inlined
def _convolved(
    edge: Int64,
    target: Int64,
    pixel: tuple[int, int],
    channels: int,
    line: Float64,
    out: Float64,
    weights: Float64,
    chosen: Int64,
) -> None:
    """Do so for one row of pixels through a convolution.

    The weights of an input pixel depend on where it lies between two strides: with the remainder r of its
    column, it meets the kernel's columns r, r + stride, ..., whose results lie side by side, the last one
    leftmost. So they are kept as (remainder, channel, kernel row, kernel column from right to left, result).
    """
    height, width, results = target[HEIGHT], target[WIDTH], target[CHANNELS]
    stride, rows = edge[STRIDE_X], edge[KERNEL_Y]
    runs = (edge[KERNEL_X] + stride - 1) // stride
    step = rows * runs * results
    for p in range(len(line) // channels):
        last = (pixel[1] + p + edge[PAD_X]) // stride
        rest = pixel[1] + p + edge[PAD_X] - last * stride
        taps = (edge[KERNEL_X] - 1 - rest) // stride + 1 if rest < edge[KERNEL_X] else 0
        first = last - taps + 1
        left, right = max(first, 0), min(last + 1, width)
        if left >= right:
            continue
        n, numbers = (right - left) * results, line[p * channels : (p + 1) * channels]
        some = chosen[: _choose(numbers, chosen)]
        for ky in range(rows):
            y = pixel[0] + edge[PAD_Y] - ky * edge[STEP_Y]
            if y < 0 or y % edge[STRIDE_Y] != 0 or y // edge[STRIDE_Y] >= height:
                continue
            start = ((y // edge[STRIDE_Y]) * width + left) * results
            at = edge[WEIGHTS] + (rest * channels * rows + ky) * runs * results
            at += (runs - taps + left - first) * results
            _add(numbers, some, (at, step), weights, out[start : start + n])
