"""What bounding and following cost, in nanoseconds of one core. No answer depends on it, only speed.

The constants were fitted to the networks of ``benchmarks``: products cost by their operations, everything
else by the numbers that it goes through, and each node costs its calls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from glocert.graph.families import BENT
from glocert.graph.ir import Graph, Node
from glocert.segments.events.network import Network
from glocert.segments.events.workload import workload

_BOUND_CALLS = 150e3
"""of one node in a round, forwards and, more often than not, backwards"""
_BOUND = {True: (0.05, 5.0), False: (0.15, 10.0)}
"""of an operation and of a number in a row of bounds, by whether it is float32"""
_FOLLOW_CALLS = 60e3
"""of one node on a part of a path that is followed"""
_FOLLOW = 0.012, 1.6
"""of an operation and of a number at a breakpoint"""
_RADIUS = 4
"""breakpoints that cost as much as the ends of a part and its radius"""
_ON = 0.2
"""share of the numbers in front of a matrix that are not zero all along: no others are multiplied"""
_EVENT = 400.0, 0.045, 4.0
"""of an event itself, of a product, and of a unit whose slope changes"""
_BEGIN = 100e3, 0.15, 40.0
"""of beginning to follow events: calls, each product of a pass through the network, each unit"""
_PRODUCTS = 0.5
"""share of changes that are not zero behind a rectifier"""
_DENSITY = 0.4
"""breakpoints for each nonlinear unit on a path between two images"""
_MATRICES = frozenset({"Gemm", "MatMul"})
_ROUND = 8
"""rows of a first round"""
_ROUNDS = 4
"""rounds that most paths are decided in"""
_FOLLOWED = 24
"""as many rounds a path may cost that is followed event by event: its price falls with its length"""
_TOGETHER = 10e6
"""cost of a path up to which calls are most of its time"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Costs of one network.

    Attributes:
        operations: of one forward pass.
        followed: those that are left for the curve domain.
        numbers: of all activations.
        nodes: how many nodes it has.
        units: nonlinear units.
        event: of a breakpoint where events are followed; 0 where they are not.
        start: of beginning to follow them.
        convolutional: whether it has a convolution.
    """

    operations: float
    followed: float
    numbers: int
    nodes: int
    units: int
    event: float = 0.0
    start: float = 0.0
    convolutional: bool = False

    @classmethod
    def of(cls, graph: Graph, events: Network | None = None) -> Cost:
        """Count.

        Args:
            graph: the network.
            events: the same for the event loop, where that follows it.
        """
        operations = [(node.operator, _operations(graph, node)) for node in graph.nodes]
        total = sum(count for _, count in operations)
        zero = sum(count * (1 - _ON) for operator, count in operations if operator in _MATRICES)
        sizes = {node.output: math.prod(graph.shapes[node.output]) for node in graph.nodes}
        units = sum(sizes[node.output] for node in graph.nodes if node.operator in BENT)
        counts = total, total - zero, sum(sizes.values()), len(graph.nodes), units
        convolutional = any(node.operator == "Conv" for node in graph.nodes)
        event, start = (0.0, 0.0) if events is None else _of_events(events)
        return cls(*counts, event, start, convolutional)

    def bounding(self, rows: int, single: bool, together: int = 1) -> float:
        """Return the cost of so many rows in a round that so many paths share."""
        operation, number = _BOUND[single]
        each = self.operations * operation + self.numbers * number
        return rows * each + self.nodes * _BOUND_CALLS / together

    def following(self, breakpoints: float, parts: int = 1) -> float:
        """Return the cost of so many breakpoints on so many parts of a path."""
        if self.event:
            return breakpoints * self.event + parts * self.start
        operation, number = _FOLLOW
        each = self.followed * operation + self.numbers * number
        return (breakpoints + _RADIUS * parts) * each + parts * self.nodes * _FOLLOW_CALLS

    @property
    def whole(self) -> float:
        """Cost of following a whole path between two images."""
        return self.following(_DENSITY * self.units)

    @property
    def mostly_calls(self) -> bool:
        """Whether following a whole path costs calls rather than operations, so that paths gain together."""
        return self.whole <= _TOGETHER

    @property
    def small(self) -> bool:
        """Whether a whole path is followed before a search would have come to its end."""
        rounds = _FOLLOWED if self.event else _ROUNDS
        return self.whole <= rounds * self.bounding(_ROUND, single=True)


def _of_events(events: Network) -> tuple[float, float]:
    """Return the cost of an event, on average over all units, and of beginning to follow them."""
    each, product, unit = _EVENT
    calls, dense, renewed = _BEGIN
    work = workload(events, _PRODUCTS)
    start = calls + work.everything * dense + events.units * renewed
    return each + work.products * product + work.renewed * unit, start


def _operations(graph: Graph, node: Node) -> float:
    """Return the operations of one node in a product."""
    out = math.prod(graph.shapes[node.output])
    if node.operator == "Conv":
        return 2.0 * out * math.prod(graph.parameters[node.inputs[1]].shape[1:])
    if node.operator in _MATRICES:
        first = node.inputs[0]
        inner = graph.shapes[first][-1] if first in graph.shapes else graph.parameters[first].shape[-1]
        return 2.0 * out * inner
    return 0.0
