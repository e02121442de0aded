"""How maps are kept as edges."""

from __future__ import annotations

import numpy as np

from glocert.segments.events.layers import Edge, Float64, Int64, Layer
from glocert.segments.events.loops.tables import CONVOLUTION, FACTORS, MATRIX, SPARSE
from glocert.segments.ops.registry import Shape, size


def matrix(source: Layer, weight: Float64) -> Edge:
    """Return a product with a matrix of shape (units of the source, units of the target)."""
    return Edge(source, MATRIX, np.ascontiguousarray(weight).reshape(-1), inputs=len(weight))


def factors(source: Layer, factor: Float64 | float) -> Edge:
    """Return a product of every unit with its own factor, into a layer of the same shape."""
    return Edge(source, FACTORS, np.broadcast_to(np.float64(factor), (size(source.shape),)).copy())


def convolution(source: Layer, weight: Float64, places: tuple[int, ...]) -> Edge:
    """Return a convolution, see ``loops.scatter``.

    Args:
        source: channels last.
        weight: shape (results, channels, kernel height, kernel width).
        places: strides, paddings in front, and the distance of the kernel's rows; its columns are neighbours.
    """
    results, channels, height, width = weight.shape
    stride = places[1]
    runs = -(-width // stride)
    packed = np.zeros((stride, channels, height, runs, results))
    for x in range(width):
        packed[x % stride, :, :, runs - 1 - x // stride] = weight[:, :, :, x].transpose(1, 2, 0)
    numbers = (height, width, *places)
    return Edge(source, CONVOLUTION, packed.reshape(-1), numbers, inputs=channels * height * width)


def sparse(source: Layer, target: Shape, sources: Int64, targets: Int64, weights: Float64 | float) -> Edge:
    """Return a map that is given product by product.

    Args:
        source: layer of the sources.
        target: shape of the layer that it leads to.
        sources: unit of the source of each product; any order.
        targets: unit of the target.
        weights: factor, of each or of all.
    """
    order = np.argsort(sources, kind="stable")
    counts = np.bincount(sources, minlength=size(source.shape))
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    inputs = int(np.bincount(targets).max(initial=1))
    values = np.broadcast_to(np.float64(weights), sources.shape)[order].copy()
    reached = _reach(source.shape, target, sources, targets)
    return Edge(source, SPARSE, values, (), (starts, targets[order].astype(np.int64), *reached), inputs)


def _reach(source: Shape, target: Shape, sources: Int64, targets: Int64) -> tuple[Int64, Int64]:
    """Return to which rows and to which columns of pixels products lead.

    Returns:
        For each row of the source's pixels the first row and the one after the last, flat; for each column
        likewise. Where there is none the first is the largest.
    """
    left, reached = sources // source[2], targets // target[2]
    rows = _ranges(left // source[1], reached // target[1], source[0], target[0])
    return rows, _ranges(left % source[1], reached % target[1], source[1], target[1])


def _ranges(source: Int64, target: Int64, count: int, most: int) -> Int64:
    ranges = np.empty((count, 2), np.int64)
    ranges[:, 0], ranges[:, 1] = most, 0
    np.minimum.at(ranges[:, 0], source, target)
    np.maximum.at(ranges[:, 1], source, target + 1)
    return ranges.reshape(-1)
