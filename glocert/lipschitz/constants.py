"""Lipschitz constants of the operators that bend, in the l2 norm over all coordinates.

A function of one number acts on each coordinate by itself, so its constant is the largest absolute slope.
Slopes of smooth functions are rounded up generously; the tests compare every one with a dense grid and
with random pairs. What has no finite constant on all of R^n is not in the table and is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from glocert.errors import Offence
from glocert.graph.ir import Graph, Node
from glocert.graph.pooling import dilations
from glocert.rounding import UP

_SLOPES: Mapping[str, float] = {
    "Clip": 1.0,
    "Cos": 1.0,
    "Erf": 1.12838,  # 2 / sqrt(pi) at 0
    "HardSwish": 1.5,  # at 3
    "Mish": 1.0886,
    "Relu": 1.0,
    "Sigmoid": 0.25,
    "Silu": 1.0999,
    "Sin": 1.0,
    "Softmax": 0.5,  # the Jacobian diag(p) - p p' has no eigenvalue above 1/2
    "Softplus": 1.0,
    "Tanh": 1.0,
}
_GELU: Mapping[str, float] = {"none": 1.12891, "tanh": 1.129}


def _steepest(node: Node) -> float:
    return max(1.0, abs(node.number("alpha")))


def _elu(node: Node) -> float:
    return max(1.0, abs(node.number("alpha")))


_BY_ATTRIBUTE: Mapping[str, Callable[[Node], float]] = {
    "Elu": _elu,
    "Gelu": lambda node: _GELU[str(node.attributes["approximate"])],
    "LeakyRelu": _steepest,
}


def constant(graph: Graph, node: Node) -> float | None:
    """Return a bound on the Lipschitz constant of a node that bends, or None where there is none."""
    if node.operator in _SLOPES:
        return _SLOPES[node.operator]
    if node.operator in _BY_ATTRIBUTE:
        return _BY_ATTRIBUTE[node.operator](node)
    if node.operator == "MaxPool":
        return math.sqrt(_readers(graph, node)) * UP
    return None


def refusal(node: Node) -> Offence:
    """Say why a node has no constant."""
    detail = "it has no finite Lipschitz constant on all inputs"
    return Offence(node.name, detail, node.operator, "Use the segment methods for this network.")


def _readers(graph: Graph, node: Node) -> int:
    """Return how many windows of a MaxPool read one cell at most.

    Each output changes by no more than the largest change in its window, so the sum of squares of all changes
    counts every cell at most that often.
    """
    sizes, windows = graph.shapes[node.inputs[0]][1:], graph.shapes[node.output][1:]
    return math.prod(_most_read(node, axis, sizes[axis], windows[axis]) for axis in range(len(sizes)))


def _most_read(node: Node, axis: int, size: int, windows: int) -> int:
    first = np.arange(windows) * node.ints("strides")[axis] - node.ints("pads")[axis]
    taps = np.arange(node.ints("kernel_shape")[axis]) * dilations(node)[axis]
    cells = (first[:, None] + taps).ravel()
    inside = cells[(cells >= 0) & (cells < size)]
    return int(np.bincount(inside, minlength=1).max())
