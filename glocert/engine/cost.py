"""What bounding and following cost, in floating-point operations. No answer depends on it, only speed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from glocert.graph.families import BENT
from glocert.graph.ir import Graph, Node

_CALL = 5e6
"""operations that a processor does in the time of the calls for one node of a batch"""
_BOUND = 12.0
"""forward passes that bounding a row costs in float64: centre, slope and error, and what the kinks cost"""
_SINGLE = 0.4
"""what float32 costs of float64"""
_FOLLOW = 1.2
"""forward passes that a breakpoint costs in the curve domain, with its share of the radius"""
_ON = 0.5
"""share of the units in front of a matrix that are not off all along: no others are followed"""
_STEP = 2e6
"""operations that a processor does in the time of the calls for one node that is followed"""
_DENSITY = 0.4
"""breakpoints for each nonlinear unit on a path between two images"""
_MATRICES = frozenset({"Gemm", "MatMul"})

_TOGETHER = 2e8
"""operations of a path up to which the calls are most of its time"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Costs of one network.

    Attributes:
        forward: operations of one forward pass.
        followed: those that are left for the curve domain.
        nodes: how many nodes it has.
        units: nonlinear units.
    """

    forward: float
    followed: float
    nodes: int
    units: int

    @classmethod
    def of(cls, graph: Graph) -> Cost:
        """Count."""
        operations = [(node.operator, _operations(graph, node)) for node in graph.nodes]
        forward = sum(count for _, count in operations)
        off = sum(count * (1 - _ON) for operator, count in operations if operator in _MATRICES)
        units = sum(math.prod(graph.shapes[node.output]) for node in graph.nodes if node.operator in BENT)
        return cls(forward, forward - off, len(graph.nodes), units)

    def bounding(self, rows: int, single: bool) -> float:
        """Return the cost of a round with so many rows."""
        return rows * self.forward * _BOUND * (_SINGLE if single else 1.0) + 3 * self.nodes * _CALL

    def following(self, breakpoints: float, parts: int = 1) -> float:
        """Return the cost of so many breakpoints on so many parts of a path."""
        return (breakpoints + 2 * parts) * self.followed * _FOLLOW + 2 * parts * self.nodes * _STEP

    @property
    def mostly_calls(self) -> bool:
        """Whether following a whole path costs calls rather than operations, so that paths gain together."""
        return _DENSITY * self.units * self.forward <= _TOGETHER

    @property
    def small(self) -> bool:
        """Whether a whole path is followed before a search would have come to its second round."""
        return self.following(_DENSITY * self.units) <= 4 * self.bounding(8, single=False)


def _operations(graph: Graph, node: Node) -> float:
    """Return the operations of one node."""
    out = math.prod(graph.shapes[node.output])
    if node.operator == "Conv":
        return 2.0 * out * math.prod(graph.parameters[node.inputs[1]].shape[1:])
    if node.operator in _MATRICES:
        first = node.inputs[0]
        inner = graph.shapes[first][-1] if first in graph.shapes else graph.parameters[first].shape[-1]
        return 2.0 * out * inner
    return 10.0 * out
