"""How far the scores of a running network may be from those of the theorem.

The bound is about real numbers; a client runs floats. Two numbers are kept for every tensor: ``size``, a
bound on its l2 norm over all inputs in question, and ``drift``, a bound on the l2 norm of what rounding
has changed. An affine node with norm sigma, and norm N of its absolute matrix, sums of n terms and bias b
makes

    drift' = sigma drift + gamma(n + 2) (N (size + drift) + |b|),    size' = sigma size + |b|,

with gamma of the executing number type. This holds for any order of summation, so for any thread count,
batch size and library, as long as products are summed as they are: no Winograd or FFT kernels, no TF32,
no reduced precision inside. Two scores at two inputs can each be off by ``drift``, so a lead must exceed
four of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from glocert.graph.families import is_nonlinear
from glocert.graph.ir import Graph, Node
from glocert.lipschitz.affine import affine_norm, schur_bound
from glocert.lipschitz.constants import constant
from glocert.lipschitz.explicit import roundings
from glocert.lipschitz.regions import Region, regions
from glocert.lipschitz.sorting import sorts_pairs
from glocert.rounding import grow

SINGLE = 2.0**-24
"""Unit roundoff of float32."""

_EXACT = frozenset({"Clip", "MaxPool", "Relu"})
_MOVES = frozenset({"Concat", "Gather", "Pad", "Reshape", "Transpose"})


@dataclass(frozen=True, slots=True)
class Drift:
    """Bounds for one tensor.

    Attributes:
        size: on its l2 norm, for every input in question.
        drift: on the l2 norm of the error of computing it.
    """

    size: float
    drift: float


def slack(graph: Graph, norm: float, unit: float = SINGLE) -> float:
    """Return by how much a lead must exceed what the theorem asks for, so that it holds when executed.

    Args:
        graph: the network.
        norm: bound on the l2 norm of every input, perturbed ones included.
        unit: unit roundoff of the executing type.

    Returns:
        Four times the drift of the scores; infinite where a node's rounding is not known.
    """
    here = Drift(norm, 0.0)
    for region in regions(graph):
        if sorts_pairs(region.graph):
            here = Drift(here.size, (here.drift + 8 * unit * (here.size + here.drift)) * grow(8))
        else:
            here = _through(region.graph, here, unit)
    return 4 * here.drift * grow(4)


def _through(region: Graph, entry: Drift, unit: float) -> Drift:
    """Follow both bounds through a region, node by node."""
    known = {region.input: entry}
    for node in region.nodes:
        arguments = [known[name] for name in node.inputs if name in known]
        if is_nonlinear(region, node):
            known[node.output] = _bent(region, node, arguments[0], unit)
        elif len(arguments) > 1:
            known[node.output] = _joined(node, arguments, unit)
        else:
            known[node.output] = _affine(region, node, arguments[0], unit)
    return known[region.output]


def _bent(region: Graph, node: Node, x: Drift, unit: float) -> Drift:
    steep = constant(region, node)
    if steep is None or node.operator not in _EXACT | {"LeakyRelu"}:
        return Drift(math.inf, math.inf)
    rest = 0.0
    if node.operator == "Clip":
        nearest = min(max(0.0, node.number("min")), node.number("max"))
        rest = abs(nearest) * math.sqrt(math.prod(region.shapes[node.output]))
    fresh = 0.0 if node.operator in _EXACT else 2 * unit * steep * (x.size + x.drift)
    return Drift((steep * x.size + rest) * grow(4), (steep * x.drift + fresh) * grow(4))


def _joined(node: Node, arguments: list[Drift], unit: float) -> Drift:
    if node.operator == "Concat":
        parts = [math.hypot(*(value.size for value in arguments)), math.hypot(*(v.drift for v in arguments))]
        return Drift(parts[0] * grow(8), parts[1] * grow(8))
    size, drift = sum(value.size for value in arguments), sum(value.drift for value in arguments)
    return Drift(size * grow(4), (drift + 2 * unit * (size + drift)) * grow(8))


def _affine(region: Graph, node: Node, x: Drift, unit: float) -> Drift:
    source = next(name for name in node.inputs if name in region.shapes)
    parameters = {name: region.parameters[name] for name in node.inputs if name in region.parameters}
    shapes = {name: region.shapes[name] for name in (source, node.output)}
    alone = Graph(source, node.output, (node,), parameters, shapes)
    part = Region(alone, affine=True)
    norm, added = affine_norm(part, [part]).upper, _added(alone, node)
    size = (norm * x.size + added) * grow(4)
    if node.operator in _MOVES:
        return Drift(size, norm * x.drift * grow(2))
    terms = roundings(alone, node) + 2
    gamma = 1.02 * terms * unit if terms * unit < 2.0**-6 else math.inf
    fresh = gamma * (schur_bound(alone) * (x.size + x.drift) + added)
    return Drift(size, (norm * x.drift + fresh) * grow(8))


def _added(region: Graph, node: Node) -> float:
    """Return a bound on the l2 norm of what an affine node adds."""
    output = math.prod(region.shapes[node.output])
    names = [name for name in node.inputs if name in region.parameters]
    if node.operator in {"Conv", "Gemm"}:
        names = names[1:]
    elif node.operator == "BatchNormalization":
        return _normalised(region, node)
    elif node.operator == "Pad":
        return abs(node.number("value")) * math.sqrt(output)
    elif node.operator not in {"Add", "Sub", "Concat"}:
        return 0.0
    peaks = [float(np.abs(region.parameters[name]).max()) for name in names]
    return max(peaks, default=0.0) * math.sqrt(output) * grow(4)


def _normalised(region: Graph, node: Node) -> float:
    scale, bias, mean, variance = (region.parameters[name].astype(np.float64) for name in node.inputs[1:])
    factor = np.abs(scale) / np.sqrt(variance + node.number("epsilon"))
    peak = float((np.abs(bias) + np.abs(mean) * factor).max())
    return peak * math.sqrt(math.prod(region.shapes[node.output])) * grow(8)
