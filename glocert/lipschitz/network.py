"""From a network to a proven bound on how fast its score differences can change.

Parts between single tensors multiply. Inside a part that bends, a bound is kept for every tensor: sums
add, concatenations add squares. The last affine part is not bounded by its norm: how fast the difference
of two scores changes is the norm of the difference of two rows of its matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.errors import Offence, UnsupportedOperators
from glocert.faithful import check_convolutions, check_products
from glocert.graph.families import is_nonlinear
from glocert.graph.ir import Graph, Node
from glocert.lipschitz.affine import affine_norm
from glocert.lipschitz.bent import halfway, steepest
from glocert.lipschitz.constants import constant, refusal
from glocert.lipschitz.explicit import Matrix, matrix_of
from glocert.lipschitz.norm import Norm, best
from glocert.lipschitz.regions import Region, joined, regions, runs
from glocert.lipschitz.sorting import sorts_pairs
from glocert.rounding import UP, dot, grow

LARGEST_COMPARISON = 2**34
"""numbers that comparing all pairs of rows may look at: a thousand classes of sixteen thousand features"""


@dataclass(frozen=True, slots=True)
class Part:
    """What is known about one part of a network.

    Attributes:
        nodes: names of its nodes.
        operators: their operators.
        norm: bound on its Lipschitz constant.
    """

    nodes: tuple[str, ...]
    operators: tuple[str, ...]
    norm: Norm


@dataclass(frozen=True, slots=True, eq=False)
class LipschitzBound:
    """Proven constants of a classifier, in the l2 norm of its input.

    Attributes:
        parts: every part in front of the last affine one, in order.
        features: bound on the Lipschitz constant of what the last affine part reads.
        pairs: float64, shape (classes, classes): how fast ``score_j - score_i`` can change at most.
        scores: bound on the Lipschitz constant of the whole vector of scores.
    """

    parts: tuple[Part, ...]
    features: float
    pairs: Tensor
    scores: float


def bound(graph: Graph) -> LipschitzBound:
    """Bound a classifier of output shape (classes,).

    Raises:
        UnsupportedOperators: names every node without a constant.
        UnfaithfulArithmetic: libraries multiply with fewer bits than float64 has.
    """
    check_products(torch.float64)
    check_convolutions(torch.float64)
    offences = [
        refusal(node) for node in graph.nodes if is_nonlinear(graph, node) and constant(graph, node) is None
    ]
    if offences:
        names = ", ".join(sorted({offence.operator for offence in offences}))
        raise UnsupportedOperators(f"no Lipschitz constant is known for {names}", offences)
    groups = runs(graph)
    last = groups.pop() if groups and groups[-1][-1].affine else []
    parts = tuple(_part(graph, group) for group in groups)
    features = 1.0
    for part in parts:
        features = features * part.norm.upper * grow(1)
    pairs, whole = _pairs(graph, last)
    lift = features * grow(2)
    return LipschitzBound(parts, features, pairs * lift * UP, whole.upper * lift)


def part_norm(graph: Graph, group: list[Region]) -> Norm:
    """Bound the Lipschitz constant of consecutive regions that belong together (``regions.runs``)."""
    region = joined(graph, group)
    return affine_norm(region, group) if region.affine else _bent(region.graph)


def _part(graph: Graph, group: list[Region]) -> Part:
    region, norm = joined(graph, group), part_norm(graph, group)
    nodes = tuple(node.name for node in region.nodes)
    return Part(nodes, tuple(node.operator for node in region.nodes), norm)


def _bent(region: Graph) -> Norm:
    """Bound a part that is not affine by a bound for every tensor, unless it sorts pairs."""
    if sorts_pairs(region):
        return Norm(1.0, 1.0, "sorts pairs")
    bounds = {region.input: 1.0}
    for node in region.nodes:
        bounds[node.output] = _of_node(region, node, bounds) * grow(4)
    lower = steepest(region)
    if len(region.nodes) == 1:
        return Norm(bounds[region.output], lower, "constant")
    candidates = [Norm(bounds[region.output], lower, "tensor by tensor")]
    halved = halfway(region, bounds, lambda source: _after(region, source))
    return best(candidates if halved is None else [*candidates, halved])


def _after(region: Graph, source: str) -> float:
    """Bound how fast the output of a region changes with one tensor inside it, all others held."""
    bounds = {source: 1.0}
    for node in region.nodes:
        if any(name in bounds for name in node.inputs) and node.output != source:
            bounds[node.output] = _of_node(region, node, bounds) * grow(4)
    return bounds[region.output]


def _of_node(region: Graph, node: Node, bounds: dict[str, float]) -> float:
    known = [bounds[name] for name in node.inputs if name in bounds]
    steep = constant(region, node)
    if steep is not None:
        return steep * known[0]
    if node.operator == "Concat":
        return math.sqrt(sum(value * value for value in known)) * grow(4)
    if node.operator in {"Add", "Sub"}:
        return sum(_copies(region, node, name) * bounds[name] for name in node.inputs if name in bounds)
    if len(known) == 1:
        return _single(region, node).upper * known[0]
    raise UnsupportedOperators(f"no Lipschitz constant is known for {node.operator}", [_unknown(node)])


def _copies(region: Graph, node: Node, name: str) -> float:
    """Return how much longer an operand gets when it is broadcast."""
    count = math.prod(region.shapes[node.output]) // math.prod(region.shapes[name])
    return math.sqrt(count) * grow(2)


def _unknown(node: Node) -> Offence:
    return Offence(node.name, "the combination of its inputs has no known Lipschitz constant", node.operator)


def _single(region: Graph, node: Node) -> Norm:
    """Bound one affine node by itself."""
    source = next(name for name in node.inputs if region.is_activation(name))
    parameters = {name: region.parameters[name] for name in node.inputs if name in region.parameters}
    shapes = {name: region.shapes[name] for name in (source, node.output)}
    alone = Region(Graph(source, node.output, (node,), parameters, shapes), affine=True)
    return affine_norm(alone, [alone])


def _pairs(graph: Graph, last: list[Region]) -> tuple[Tensor, Norm]:
    """Return how fast score differences change with the input of the last affine part, and its norm."""
    if not last:
        classes = math.prod(graph.output_shape)
        matrix = Matrix(torch.eye(classes, dtype=torch.float64), 0.0)
        whole = Norm(1.0, 1.0, "identity")
    else:
        region = joined(graph, last)
        whole = affine_norm(region, last)
        if not comparable(region.graph):
            classes = math.prod(graph.output_shape)
            any_two = torch.full(
                (classes, classes), whole.upper * math.sqrt(2) * grow(4), dtype=torch.float64
            )
            return any_two.fill_diagonal_(0.0), whole
        matrix = matrix_of(region.graph)
    rows = [_distances(matrix.values, j) for j in range(len(matrix.values))]
    inputs = matrix.values.shape[1]
    distances = torch.stack(rows) * grow(inputs) * (1 + dot(4)) + 1.5 * matrix.error
    distances.fill_diagonal_(0.0)
    return distances, whole


def comparable(region: Graph) -> bool:
    """Whether the rows of a last affine part can be compared pair by pair; else its norm stands for all."""
    outputs = math.prod(region.output_shape)
    return math.prod(region.input_shape) * outputs**2 <= LARGEST_COMPARISON


def _distances(rows: Tensor, j: int) -> Tensor:
    """Return the distances of all rows from row j, taken directly: no expanded square cancels."""
    distances: Tensor = torch.linalg.vector_norm(rows - rows[j], dim=1)
    return distances


__all__ = ["LipschitzBound", "Part", "bound", "regions"]
