"""What a float32 runtime may do to a network, as roundings that are charged node by node.

Every node is executed with float32 operations in some order. For all of them at once it is enough to know how
many roundings one term of its sums meets at most, as in ``gamma(n)``: any order, fused or not. Runtimes also
merge nodes, and three ways of it are counted in:

- what acts on each number by itself after a convolution or a matrix product (BatchNormalization, Mul, Div,
  Add, Sub) may be folded into its weights and its bias, up to four such nodes in a row;
- an activation that is added to a product may be what the product's sum starts with;
- numbers may be moved about (Reshape, Transpose, Gather, Concat, Pad) between these.

So every node downstream adds the few roundings of its folding to the product's terms, and what it adds takes
part in the product's sum. A sum that nothing downstream may join, as there is a kink in between, is charged
its own terms only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from glocert.errors import Offence, UnsupportedOperators
from glocert.graph.families import is_bilinear, is_smooth
from glocert.graph.ir import Graph, Node
from glocert.graph.lowering_resample import is_interpolation
from glocert.report import SegmentReport
from glocert.rounding import SINGLE
from glocert.spec import Arithmetic, Verdict

_BY_ROUNDING = frozenset({"tie", "numeric"})
_NEXT_STEP = (
    "float32 executions may round the best scores to either side of each other there: ask for arithmetic "
    "real, or for a path that ends before that point"
)
WEIGHT_FLOOR = 2.0**-40
"""A parameter smaller than that is charged like one of this size: then relative charges cover underflow."""
FACTOR_FLOOR = 2.0**-15
"""The same for factors: folded into a weight, four of them still leave enough to cover 2^-126."""
LARGEST = 2.0**40
"""Larger errors and parameters count as infinite. An error holds at least 2^-23 of every absolute term, so no
partial sum of what is known exceeds 2^63, and no execution overflows."""

_FOLD = 8
"""Roundings of folding one node: of its parameters, its factor, the product with a weight, its shift."""
_POINTWISE = 16
_EXTREME = 2.0**20
_MOVES = frozenset({"Reshape", "Transpose", "Gather", "Concat", "Pad"})
_SUMS = frozenset({"Conv", "Gemm", "MatMul", "AveragePool", "ReduceSum"})
_ALONE = frozenset({"Add", "Sub", "Mul", "Div", "BatchNormalization"})


@dataclass(frozen=True, slots=True)
class Execution:
    """The roundings of the deployed network that are part of an answer.

    Attributes:
        roundings: node name -> how many are charged; empty where the answer is about real arithmetic.
        charged: whether any are.
    """

    roundings: Mapping[str, int] = field(default_factory=dict)
    charged: bool = False

    def relative(self, node: Node) -> float:
        """Return the share of all absolute terms of a node's sums that executing it may cost; 0 in reals."""
        return SINGLE.dot(self.roundings.get(node.name, 0)) if self.charged else 0.0

    def explained(self, report: SegmentReport) -> SegmentReport:
        """Return an answer with what helps where the rounding of executions keeps it undecided."""
        if not self.charged or report.verdict is not Verdict.UNDECIDED or report.reason not in _BY_ROUNDING:
            return report
        return replace(report, reason="numeric", next_step=_NEXT_STEP)

    @property
    def entry(self) -> float:
        """Return what rounding an image to float32 costs, once as float64 and once as float32."""
        return 2 * SINGLE.unit if self.charged else 0.0

    @property
    def tiny(self) -> float:
        """Return what one node may lose by underflow."""
        return SINGLE.tiny if self.charged else 0.0


REAL = Execution()


def execution(graph: Graph, arithmetic: Arithmetic) -> Execution:
    """Return what the executed network is charged for.

    Args:
        graph: the network with its preprocessing.
        arithmetic: whose scores the answer is about.

    Raises:
        UnsupportedOperators: names every node that float32 runtimes execute with an error nobody promises.
    """
    if arithmetic is Arithmetic.REAL:
        return REAL
    offences = unpromised(graph)
    if offences:
        names = ", ".join(sorted({offence.operator for offence in offences}))
        raise UnsupportedOperators(f"float32 runtimes promise no accuracy for {names}", offences)
    before, after = _joined_before(graph), _joined_after(graph)
    return Execution({node.name: _roundings(graph, node, before, after) for node in graph.nodes}, True)


def unpromised(graph: Graph) -> list[Offence]:
    """Return an offence for every node whose float32 result may be off by an unknown amount."""
    return [
        Offence(
            node.name,
            "how a float32 runtime rounds it is not specified",
            node.source or node.operator,
            'Ask for "arithmetic": "real".',
        )
        for node in graph.nodes
        if (is_smooth(graph, node) and not is_bilinear(graph, node)) or _interpolates(graph, node)
    ]


def _interpolates(graph: Graph, node: Node) -> bool:
    """Whether the weights are what each runtime computes from coordinates on its own."""
    return node.operator == "MatMul" and any(
        is_interpolation(name) for name in node.inputs if not graph.is_activation(name)
    )


def terms(graph: Graph, node: Node) -> int:
    """Return how many products one sum of the node has; zero for a node that is no sum of products."""
    shapes = {**graph.shapes, **{name: array.shape for name, array in graph.parameters.items()}}
    if node.operator == "Conv":
        return math.prod(shapes[node.inputs[1]][1:])
    if node.operator == "Gemm":
        return int(shapes[node.inputs[1]][1])
    if node.operator == "MatMul":
        return int(shapes[node.inputs[0]][-1])
    if node.operator == "AveragePool":
        return math.prod(node.ints("kernel_shape")) + 1
    if node.operator == "ReduceSum":
        return math.prod(shapes[node.inputs[0]][axis] for axis in node.ints("axes"))
    return 0


def _roundings(graph: Graph, node: Node, before: Mapping[str, int], after: Mapping[str, int]) -> int:
    if node.operator in _SUMS:
        return terms(graph, node) + _FOLD + after[node.output]
    joined = max(before.get(name, 0) for name in node.inputs)
    return max(joined, _POINTWISE) + _FOLD + after[node.output]


def _joined_before(graph: Graph) -> dict[str, int]:
    """Return how many roundings something meets that is folded into the sum that makes an activation."""
    found: dict[str, int] = {graph.input: 0}
    for node in graph.nodes:
        inputs = max((found[name] for name in node.inputs if graph.is_activation(name)), default=0)
        if node.operator in _SUMS:
            found[node.output] = terms(graph, node) + _FOLD
        elif node.operator in _MOVES:
            found[node.output] = inputs
        else:
            found[node.output] = inputs + _FOLD if inputs and node.operator in _ALONE else 0
    return found


def _joined_after(graph: Graph) -> dict[str, int]:
    """Return how many more roundings a term may meet by what is folded into its sum downstream."""
    before = _joined_before(graph)
    found = dict.fromkeys([graph.input, *(node.output for node in graph.nodes)], 0)
    for node in reversed(graph.nodes):
        varying = [name for name in node.inputs if graph.is_activation(name)]
        for name in varying:
            if node.operator in _MOVES:
                more = found[node.output]
            elif node.operator in _ALONE:
                others = [before[other] for other in varying if other != name]
                more = found[node.output] + _FOLD + max(others, default=0)
            else:
                continue
            found[name] = max(found[name], more)
    return found


def size_of(values: Tensor, floor: float = WEIGHT_FLOOR) -> Tensor:
    """Return what charges are relative to, for parameters that may be rounded to float32.

    That is their absolute values, at least ``floor`` except for zeros, and infinite where too large.
    """
    absolute = values.abs()
    absolute = torch.where(absolute > 0, absolute.clamp(min=floor), absolute)
    return absolute.masked_fill(absolute > LARGEST, torch.inf)


def lost(values: Tensor) -> Tensor:
    """Return by how much float64 numbers may change where they are rounded to float32, or underflow."""
    change = (values - values.to(torch.float32)).abs()
    moved = (change != 0) | ((values != 0) & (values.abs() < WEIGHT_FLOOR))
    return torch.where(moved, change * SINGLE.up + 2 * SINGLE.tiny, 0.0)


def level_lost(value: float) -> float:
    """Return ``lost`` of the level of a Clip or a Pad; one that float32 has not is beyond all numbers."""
    exact = torch.tensor(float(value), dtype=torch.float64)
    return float(lost(exact)) if torch.isfinite(exact.to(torch.float32)) else 0.0


def extreme(scale: Tensor, mean: Tensor, variance: Tensor, epsilon: float) -> Tensor:
    """Return where some way of executing a normalisation may overflow, underflow or cancel."""
    root = torch.sqrt(variance + epsilon)
    wide = (scale.abs() > _EXTREME) | (mean.abs() > _EXTREME)
    return wide | ~((root <= _EXTREME) & (root >= 1 / _EXTREME) & (variance >= 0))
