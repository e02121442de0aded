"""Where pooling windows lie; ``ir`` defines what they mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocert.graph.ir import Node

Counts = NDArray[np.int64]


def dilations(node: Node) -> tuple[int, ...]:
    """Return the dilations of a pooling node, (1, 1) where it has none."""
    return node.ints("dilations") if "dilations" in node.attributes else (1, 1)


def overhang(node: Node, sizes: tuple[int, ...], windows: tuple[int, ...]) -> tuple[int, int]:
    """Return how far the last window reaches beyond the bottom and the right of the unpadded input.

    Args:
        node: a MaxPool or AveragePool.
        sizes: height and width of its input.
        windows: height and width of its output.

    Returns:
        Positions along each axis; negative where the last window ends inside.
    """
    bottom, right = (
        (windows[axis] - 1) * node.ints("strides")[axis]
        + (node.ints("kernel_shape")[axis] - 1) * dilations(node)[axis]
        + (1 - node.ints("pads")[axis] - sizes[axis])
        for axis in range(2)
    )
    return bottom, right


def real_positions(node: Node, sizes: tuple[int, ...], windows: tuple[int, ...]) -> Counts:
    """Count the positions of each window that lie on the unpadded input, shape ``windows``."""
    counts = [_inside(node, axis, windows[axis], 0, sizes[axis]) for axis in range(2)]
    return counts[0][:, None] * counts[1]


def divisors(node: Node, sizes: tuple[int, ...], windows: tuple[int, ...]) -> Counts:
    """Return what each window of an AveragePool divides by, shape ``windows``."""
    if not node.number("count_include_pad"):
        return real_positions(node, sizes, windows)
    pads = node.ints("pads")
    counts = [
        _inside(node, axis, windows[axis], -pads[axis], sizes[axis] + pads[2 + axis]) for axis in range(2)
    ]
    return counts[0][:, None] * counts[1]


def _inside(node: Node, axis: int, windows: int, start: int, stop: int) -> Counts:
    """Count the positions of each window along ``axis`` in [start, stop)."""
    first = np.arange(windows) * node.ints("strides")[axis] - node.ints("pads")[axis]
    kernel, dilation = node.ints("kernel_shape")[axis], dilations(node)[axis]
    before, until = (np.clip(-((first - bound) // dilation), 0, kernel) for bound in (start, stop))
    return np.asarray(until - before, np.int64)
