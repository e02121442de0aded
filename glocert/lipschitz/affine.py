"""The norm of an affine region: every bound that applies, the smallest counts.

- *schur*: the square root of the largest row sum times the largest column sum of the absolute matrix,
  from one run on ones and one run of the adjoint; for any region.
- *torus*: where the region is one convolution behind and in front of factors per channel.
- *explicit*: where the matrix has few enough entries, and its Gram matrix costs little enough.
- *product*: of the parts, where there is no matrix.

Reshapes and transpositions at either end keep every norm and are taken off first. What was found is kept
for equal regions: a network's bound and what rounding does to it need the same norms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from glocert.graph.ir import Graph, Node
from glocert.graph.run import run
from glocert.lipschitz.convolution import Window, torus_bound
from glocert.lipschitz.dense import free_bounds, matrix_norm, square_root
from glocert.lipschitz.explicit import linear_part, matrix_of, roundings
from glocert.lipschitz.norm import Norm, best
from glocert.lipschitz.regions import Region, part_of
from glocert.lipschitz.spectrum import lanczos
from glocert.rounding import TINY, dot, grow

LARGEST_MATRIX = 2**24
LARGEST_GRAM = 2**33
"""products of numbers that the Gram matrix of an explicit matrix may cost"""
LARGEST_SIDE = 1024
"""smaller side of a matrix whose Gram matrix is factorised for what rounding is relative to"""
_STEPS = 24
_KEPT = 256
_KEEPS_NORM = frozenset({"Reshape", "Transpose"})
_SHIFTS = frozenset({"Add", "Sub"})


def affine_norm(whole: Region, parts: Sequence[Region]) -> Norm:
    """Bound the norm of an affine region.

    Args:
        whole: the region.
        parts: the same, cut at every single tensor.
    """
    whole = _core(whole)
    if not whole.nodes:
        return Norm(1.0, 1.0, "keeps norms")
    key = whole.graph.digest()
    if key not in _FOUND:
        while len(_FOUND) >= _KEPT:
            del _FOUND[next(iter(_FOUND))]
        _FOUND[key] = _smallest(whole, [core for core in map(_core, parts) if core.nodes])
    return _FOUND[key]


_FOUND: dict[str, Norm] = {}


def _core(region: Region) -> Region:
    """Take off what keeps norms at both ends of a chain."""
    graph, nodes = region.graph, list(region.nodes)
    while nodes and nodes[0].operator in _KEEPS_NORM and not _reads(nodes[1:], nodes[0].inputs[0]):
        nodes.pop(0)
    while nodes and nodes[-1].operator in _KEEPS_NORM and nodes[-1].inputs[0] == _before_last(nodes):
        nodes.pop()
    return part_of(graph, graph.input if len(nodes) == 0 else _source(graph, nodes), nodes)


def _before_last(nodes: Sequence[Node]) -> str:
    """Return what the last but one node makes; for a single node, what it reads."""
    return nodes[-2].output if len(nodes) > 1 else nodes[-1].inputs[0]


def _reads(nodes: Sequence[Node], name: str) -> bool:
    return any(name in node.inputs for node in nodes)


def _source(graph: Graph, nodes: Sequence[Node]) -> str:
    """Return the tensor that comes from outside: the only one, as the region begins at a single tensor."""
    made = {node.output for node in nodes}
    return next(
        name for node in nodes for name in node.inputs if graph.is_activation(name) and name not in made
    )


def _smallest(whole: Region, parts: Sequence[Region]) -> Norm:
    """Return the smallest of the bounds that can be had."""
    if affordable(whole.graph):
        return best([_explicit(whole.graph), Norm(schur_bound(whole.graph), 0.0, "schur")])
    candidates = [Norm(schur_bound(whole.graph), estimate(whole.graph), "schur")]
    if len(parts) > 1:
        product = 1.0
        for part in parts:
            product *= affine_norm(part, [part]).upper * grow(1)
        candidates.append(Norm(product * grow(len(parts)), 0.0, "product"))
    torus = _torus(whole.graph, candidates[0].upper)
    return best(candidates if torus is None else [*candidates, torus])


def affordable(region: Graph) -> bool:
    """Whether the matrix of a region is small enough to be written down and multiplied by itself."""
    sides = sorted((math.prod(region.input_shape), math.prod(region.output_shape)))
    return sides[0] * sides[1] <= LARGEST_MATRIX and sides[0] ** 2 * sides[1] <= LARGEST_GRAM


def _explicit(region: Graph) -> Norm:
    matrix = matrix_of(region)
    found = matrix_norm(matrix.values)
    return Norm((found.upper + matrix.error) * grow(2), found.lower, "explicit")


def schur_bound(region: Graph) -> float:
    """Return a proven bound on the norm of a region of affine nodes, from its row and column sums."""
    absolute = linear_part(region, absolute=True)
    ones = torch.ones(1, *region.input_shape, dtype=torch.float64, requires_grad=True)
    rows = run(absolute, ones)
    (columns,) = torch.autograd.grad(rows.sum(), ones)
    terms = sum(roundings(region, node) for node in region.nodes)
    lift = (1 + dot(terms)) * grow(8)
    product = float(rows.detach().max()) * lift * float(columns.max()) * lift
    return square_root(product * grow(2)) + TINY


def absolute_norm(region: Graph) -> float:
    """Bound the norm of the absolute matrix of one affine node; that of a convolution is not written down.

    Args:
        region: the node alone.
    """
    (node,) = region.nodes
    bounds = [schur_bound(region)]
    if node.operator == "Conv":
        torus = _torus(linear_part(region, absolute=True), bounds[0])
        bounds += [] if torus is None else [torus.upper]
    if node.operator == "Gemm":
        weight = torch.from_numpy(region.parameters[node.inputs[1]].astype(np.float64)).abs()
        inside = min(weight.shape) <= LARGEST_SIDE
        bounds += [norm.upper for norm in ([matrix_norm(weight)] if inside else free_bounds(weight))]
    return min(bounds)


def estimate(region: Graph) -> float:
    """Return an unproven lower estimate of the norm: a Krylov space of the map and its adjoint."""
    linear = linear_part(region)

    def there_and_back(vector: Tensor) -> Tensor:
        x = vector.reshape(1, *region.input_shape).requires_grad_()
        y = run(linear, x)
        (back,) = torch.autograd.grad(y, x, y.detach())
        return back.detach().reshape(-1)

    found = lanczos(there_and_back, math.prod(region.input_shape), _STEPS)
    return math.sqrt(max(found, 0.0)) * (1 - 1e-12)


def _torus(region: Graph, crude: float) -> Norm | None:
    """Return the bound for one convolution among factors per channel, or None where there is more."""
    found = [node for node in region.nodes if node.operator == "Conv"]
    if len(found) != 1:
        return None
    before: list[Tensor] = []
    after: list[Tensor] = []
    here = found[0]
    for node in region.nodes:
        factor = None if node is here else _factor(region, node)
        if factor is None and node is not here:
            return None
        if factor is not None:
            (before if here.output not in _ancestors(region, node) else after).append(factor)
    weight = torch.tensor(region.parameters[here.inputs[1]], dtype=torch.float64)
    folded = _folded(weight, before, after, int(here.number("group")))
    if folded is None:
        return None
    height, width = region.shapes[here.inputs[0]][1:]
    strides, dilations, pads = here.ints("strides"), here.ints("dilations"), here.ints("pads")
    window = Window(
        (height, width),
        (strides[0], strides[1]),
        (pads[0], pads[1], pads[2], pads[3]),
        (dilations[0], dilations[1]),
        int(here.number("group")),
    )
    folding = dot(4 * len(region.nodes)) * crude if before or after else 0.0
    return Norm((torus_bound(folded, window) + folding) * grow(2), 0.0, "torus")


def _ancestors(region: Graph, node: Node) -> set[str]:
    """Return every tensor that a node of a chain depends on."""
    names: set[str] = set(node.inputs)
    for other in reversed(region.nodes):
        if other.output in names:
            names |= set(other.inputs)
    return names


def _factor(region: Graph, node: Node) -> Tensor | None:
    """Return the factor per channel of an elementwise node, of one number or of as many as channels."""
    shape = region.shapes[node.output]
    if len(shape) != 3 or sum(region.is_activation(name) for name in node.inputs) != 1:
        return None
    if region.shapes[next(name for name in node.inputs if region.is_activation(name))] != shape:
        return None
    if node.operator in _SHIFTS:
        varying = [region.is_activation(name) for name in node.inputs]
        return torch.full((1,), -1.0 if node.operator == "Sub" and varying[1] else 1.0, dtype=torch.float64)
    linear = linear_part(Graph(region.input, region.output, (node,), region.parameters, region.shapes))
    if linear.nodes[0].operator not in {"Mul", "Div"}:
        return None
    array = next(iter(linear.parameters.values())).astype(np.float64)
    if array.size not in {1, shape[0]} or (array.size > 1 and array.shape[-3:] != (shape[0], 1, 1)):
        return None
    factor = torch.tensor(array.reshape(-1), dtype=torch.float64)
    return 1 / factor if linear.nodes[0].operator == "Div" else factor


def _folded(weight: Tensor, before: list[Tensor], after: list[Tensor], group: int) -> Tensor | None:
    """Multiply factors into a kernel; one per input channel needs an ungrouped convolution."""
    for factor in before:
        if group > 1 and len(factor) > 1:
            return None
        weight = weight * factor.reshape(1, -1, 1, 1)
    for factor in after:
        weight = weight * factor.reshape(-1, 1, 1, 1)
    return weight
