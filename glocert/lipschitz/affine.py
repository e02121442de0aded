"""The norm of an affine region: every bound that applies, the smallest counts.

- *schur*: the square root of the largest row sum times the largest column sum of the absolute matrix,
  from one run on ones and one run of the adjoint; for any region.
- *torus*: where the region is one convolution behind and in front of factors per channel.
- *explicit*: where the matrix has few enough entries.
- *product*: of the parts.
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
from glocert.lipschitz.dense import matrix_norm, square_root
from glocert.lipschitz.explicit import linear_part, matrix_of, roundings
from glocert.lipschitz.norm import Norm, best
from glocert.lipschitz.regions import Region
from glocert.rounding import TINY, dot, grow

LARGEST_MATRIX = 2**24
_POWER = 60
_KEEPS_NORM = frozenset({"Reshape", "Transpose", "Pad"})
_SHIFTS = frozenset({"Add", "Sub"})


def affine_norm(whole: Region, parts: Sequence[Region]) -> Norm:
    """Bound the norm of an affine region.

    Args:
        whole: the region.
        parts: the same, cut at every single tensor.
    """
    candidates = [Norm(schur_bound(whole.graph), estimate(whole.graph), "schur")]
    if len(parts) > 1:
        product = 1.0
        for part in parts:
            product *= affine_norm(part, [part]).upper * grow(1)
        candidates.append(Norm(product * grow(len(parts)), 0.0, "product"))
    torus = _torus(whole.graph, candidates[0].upper)
    if torus is not None:
        candidates.append(torus)
    if math.prod(whole.graph.input_shape) * math.prod(whole.graph.output_shape) <= LARGEST_MATRIX:
        candidates.append(_explicit(whole.graph))
    return best(candidates)


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


def estimate(region: Graph) -> float:
    """Return an unproven lower estimate of the norm: power iteration with the adjoint."""
    linear = linear_part(region)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, *region.input_shape, generator=generator, dtype=torch.float64)
    found = 0.0
    for _ in range(_POWER):
        x = (x / x.norm().clamp_min(TINY)).requires_grad_()
        y = run(linear, x)
        found = float(y.detach().norm())
        (x,) = torch.autograd.grad(y, x, y.detach())
        x = x.detach()
    return found * (1 - 1e-12)


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
