"""How far the scores of a running network may be from those of the theorem.

The bound is about real numbers; a client runs floats. Two numbers are kept for every tensor: ``size``, a
bound on its l2 norm over all inputs in question, and ``drift``, a bound on the l2 norm of what rounding
has changed. An affine node with norm sigma, and norm N of its absolute matrix, sums of n terms and bias b
makes

    drift' = sigma drift + gamma(n + 2) (N (size + drift) + |b|),    size' = sigma size + |b|,

with gamma of the executing number type. This holds for any order of summation, so for any thread count,
batch size and library, as long as products are summed as they are: no Winograd or FFT kernels, no TF32,
no reduced precision inside. Numbers that fall below the smallest normal one lose that much each. Two scores
are off by no more than the square root of two times the drift between them, which is an l2 norm, and that at
two inputs: so much must a lead exceed what the theorem asks for. ``magnitudes`` has smaller sizes, for inputs
near a given one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glocert.graph.families import is_nonlinear
from glocert.graph.ir import Graph, Node
from glocert.lipschitz.affine import absolute_norm, affine_norm
from glocert.lipschitz.constants import constant
from glocert.lipschitz.explicit import sum_length
from glocert.lipschitz.regions import Region, regions
from glocert.lipschitz.sorting import sorts_pairs
from glocert.rounding import UNIT, grow

LEAD = math.sqrt(2.0)
"""bounds the difference of two coordinates of an error by its l2 norm; the float64 number is not below it"""
SINGLE = 2.0**-24
"""Unit roundoff of float32."""

_SMALLEST: Mapping[float, float] = {
    UNIT: 2.0**-1022,
    SINGLE: 2.0**-126,
    2.0**-8: 2.0**-126,
    2.0**-11: 2.0**-14,
}
"""unit roundoff -> smallest normal number of float64, float32, bfloat16 and float16"""

_AT_ZERO: Mapping[str, float] = {"Cos": 1.0, "Sigmoid": 0.5, "Softmax": 1.0, "Softplus": 0.6932}
"""what smooth functions that are not zero at zero are there, at most"""

_EXACT = frozenset({"Clip", "MaxPool", "Relu"})
_MOVES = frozenset({"Concat", "Gather", "Pad", "Reshape", "Transpose"})


@dataclass(frozen=True, slots=True)
class Step:
    """What one node, or a region that sorts pairs, makes of size and drift.

    Attributes:
        inputs: tensors that it reads; several are added, or joined side by side where ``joins``.
        output: tensor that it makes.
        norm: bound on its Lipschitz constant (each input's own, where there are several).
        added: bound on the l2 norm of what it adds.
        absolute: norm of its absolute matrix: what roundings are relative to.
        roundings: that one number meets, 0 for what only moves numbers; -1 where they are not known.
        limit: bound on the l2 norm of its output, whatever it reads.
        outputs: how many numbers it makes.
        joins: whether several inputs are put side by side.
    """

    inputs: tuple[str, ...]
    output: str
    norm: float = 1.0
    added: float = 0.0
    absolute: float = 0.0
    roundings: int = 0
    limit: float = math.inf
    outputs: int = 1
    joins: bool = False

    def size(self, sizes: Sequence[Tensor]) -> Tensor:
        """Return the bound on the norm of the output."""
        total = _length(sizes) if self.joins else sum(sizes, torch.zeros(()))
        return ((self.norm * total + self.added) * grow(8)).clamp_max(self.limit)

    def reach(self, reaches: Sequence[Tensor]) -> Tensor:
        """Return how far the exact output can move when the inputs move so far."""
        total = _length(reaches) if self.joins else sum(reaches, torch.zeros(()))
        return self.norm * total * grow(8)

    def drift(
        self, sizes: Sequence[Tensor], drifts: Sequence[Tensor], unit: float, spread: Tensor | None = None
    ) -> Tensor:
        """Return the bound on the norm of the error of the output.

        Args:
            sizes: bounds on the exact inputs.
            drifts: bounds on their errors.
            unit: unit roundoff.
            spread: a bound on the norm of the sums of absolute products and summands, where one is known.
        """
        if self.roundings < 0 or self.roundings * unit >= 2.0**-6:
            return torch.full_like(sizes[0], math.inf)
        old = _length(drifts) if self.joins else sum(drifts, torch.zeros(()))
        if self.roundings == 0:
            return self.norm * old * grow(8)
        whole = sum(sizes, torch.zeros(())) + sum(drifts, torch.zeros(()))
        lost = self.roundings * _SMALLEST.get(unit, 2.0**-14) * math.sqrt(self.outputs) * (1 + whole)
        sums = self.absolute * whole + self.added
        if spread is not None:
            sums = torch.minimum(sums, spread)
        fresh = 1.02 * self.roundings * unit * sums
        return (self.norm * old + fresh + lost) * grow(8)


def _length(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).square().sum(0).sqrt()


@dataclass(frozen=True, slots=True)
class Ledger:
    """A network as far as size and drift are concerned; holds for every norm of inputs and number type.

    Attributes:
        input: name of the input tensor.
        output: name of the tensor of scores.
        steps: in the order of execution.
    """

    input: str
    output: str
    steps: tuple[Step, ...]

    def drifts(
        self, norms: Tensor, unit: float, known: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Return bounds on the l2 error of every tensor that ends a step.

        Args:
            norms: float64, any shape: bounds on the l2 norm of inputs.
            unit: unit roundoff of the executing type.
            known: own errors of steps whose rounding is not known otherwise, by their output.
        """
        own = known or {}
        sizes, drifts = {self.input: norms}, {self.input: torch.zeros_like(norms)}
        for step in self.steps:
            before, errors = ([table[name] for name in step.inputs] for table in (sizes, drifts))
            sizes[step.output] = step.size(before)
            if step.output in own:
                drifts[step.output] = (step.norm * errors[0] + own[step.output]) * grow(8)
            else:
                drifts[step.output] = step.drift(before, errors, unit)
        return drifts

    def drift(self, norms: Tensor, unit: float) -> Tensor:
        """Return bounds on the l2 error of the scores."""
        return self.drifts(norms, unit)[self.output]

    def slack(self, norms: Tensor, unit: float) -> Tensor:
        """Return by how much a computed lead must exceed what the theorem asks for."""
        return 2 * LEAD * self.drift(norms, unit) * grow(4)

    def to_json(self) -> dict[str, Any]:
        """Return the ledger as plain data; floats survive exactly."""
        steps = [asdict(step) | {"limit": step.limit.hex()} for step in self.steps]
        return {"input": self.input, "output": self.output, "steps": steps}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Ledger:
        """Read what ``to_json`` wrote."""
        steps = (
            Step(**(step | {"inputs": tuple(step["inputs"]), "limit": float.fromhex(step["limit"])}))
            for step in data["steps"]
        )
        return cls(data["input"], data["output"], tuple(steps))


def slack(graph: Graph, norm: float, unit: float = SINGLE) -> float:
    """Return by how much a lead must exceed what the theorem asks for, so that it holds when executed.

    Args:
        graph: the network.
        norm: bound on the l2 norm of every input, perturbed ones included.
        unit: unit roundoff of the executing type.

    Returns:
        What two scores at two inputs may be off; infinite where a node's rounding is not known.
    """
    return float(ledger(graph).slack(torch.tensor(norm, dtype=torch.float64), unit))


def ledger(graph: Graph) -> Ledger:
    """Return what is needed to bound size and drift in a network."""
    steps: list[Step] = []
    for region in regions(graph):
        if sorts_pairs(region.graph):
            steps.append(
                Step(
                    (region.graph.input,),
                    region.graph.output,
                    absolute=1.0,
                    roundings=8,
                    outputs=math.prod(region.graph.output_shape),
                )
            )
        else:
            steps += [_step(region.graph, node) for node in region.nodes]
    return Ledger(graph.input, graph.output, tuple(steps))


def _step(region: Graph, node: Node) -> Step:
    varying = tuple(name for name in node.inputs if region.is_activation(name))
    if is_nonlinear(region, node):
        return _bent(region, node)
    outputs = math.prod(region.shapes[node.output])
    if len(varying) > 1 and node.operator == "Concat":
        return Step(varying, node.output, added=_added(region, node), outputs=outputs, joins=True)
    if len(varying) > 1:
        copies = math.sqrt(max(outputs // math.prod(region.shapes[name]) for name in varying)) * grow(2)
        return Step(varying, node.output, copies, absolute=copies, roundings=2, outputs=outputs)
    return _affine(region, node)


def _bent(region: Graph, node: Node) -> Step:
    steep, outputs = constant(region, node), math.prod(region.shapes[node.output])
    if steep is None or node.operator not in _EXACT | {"LeakyRelu"}:
        return _smooth(node, steep, outputs)
    if node.operator == "LeakyRelu":
        return Step(node.inputs, node.output, steep, absolute=steep, roundings=2, outputs=outputs)
    if node.operator != "Clip":
        return Step(node.inputs, node.output, steep)
    ends = node.number("min"), node.number("max")
    nearest = min(max(0.0, ends[0]), ends[1])
    rest, limit = (abs(value) * math.sqrt(outputs) * grow(4) for value in (nearest, max(map(abs, ends))))
    if all(float(np.float32(end)) == end for end in ends):
        return Step(node.inputs, node.output, added=rest, limit=limit)
    finite = max(abs(end) for end in ends if math.isfinite(end)) * math.sqrt(outputs)
    return Step(
        node.inputs, node.output, added=max(rest, finite * grow(4)), roundings=2, limit=limit, outputs=outputs
    )


def _smooth(node: Node, steep: float | None, outputs: int) -> Step:
    """A function whose rounding is not known: how large its output is still is."""
    side = math.sqrt(outputs) * grow(4)
    bounded = node.operator in {"Cos", "Erf", "Sigmoid", "Sin", "Softmax", "Tanh"}
    return Step(
        node.inputs[:1],
        node.output,
        math.inf if steep is None else steep,
        _AT_ZERO.get(node.operator, 0.0) * side,
        roundings=-1,
        limit=side if bounded else math.inf,
        outputs=outputs,
    )


def alone(region: Graph, node: Node) -> Graph:
    """Return a node with one activation as a network of its own."""
    source = next(name for name in node.inputs if name in region.shapes)
    parameters = {name: region.parameters[name] for name in node.inputs if name in region.parameters}
    shapes = {name: region.shapes[name] for name in (source, node.output)}
    return Graph(source, node.output, (node,), parameters, shapes)


def _affine(region: Graph, node: Node) -> Step:
    own = alone(region, node)
    source, part = own.input, Region(own, affine=True)
    norm, added = affine_norm(part, [part]).upper, _added(own, node)
    outputs = math.prod(own.output_shape)
    if node.operator in _MOVES:
        return Step((source,), node.output, norm, added, outputs=outputs)
    terms = sum_length(own, node) + 6
    return Step((source,), node.output, norm, added, absolute_norm(own), terms, outputs=outputs)


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
