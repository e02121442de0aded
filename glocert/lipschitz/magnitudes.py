"""How large the numbers of a network are near given inputs, and so how far float execution can be off there.

``execution`` bounds size and drift for all inputs of a norm at once. Here both are followed from what the
network computes at one input x, for all inputs x' that are at most ``far`` from it. For an affine node with
matrix W and bias b, and h what it reads at x,

    | |W| |h'| + |b| |  <=  | |W| |h| + |b| |  +  N (reach + drift),

with N the norm of |W| and ``reach`` the Lipschitz constant of h times ``far``: the first term is computed,
where the bound for all inputs has N times the largest conceivable |h|. What is computed in float64 is off by
the drift of float64 at x, which is added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glocert.graph.families import is_nonlinear
from glocert.graph.ir import Graph, Node
from glocert.graph.run import run
from glocert.lipschitz.execution import LEAD, Ledger, Step, alone
from glocert.lipschitz.majorant import majorant, terms
from glocert.lipschitz.regions import regions
from glocert.lipschitz.sorting import sorts_pairs
from glocert.rounding import UNIT, grow


@dataclass(frozen=True, slots=True, eq=False)
class Magnitudes:
    """A network whose magnitudes can be measured.

    Attributes:
        network: ends with its scores.
        ledger: of the network.
        majorants: output of an affine node that is a step by itself -> what its roundings are relative to.
    """

    network: Graph
    ledger: Ledger
    majorants: Mapping[str, Graph]

    @classmethod
    def of(cls, network: Graph, ledger: Ledger) -> Magnitudes:
        """Prepare a network."""
        found = {}
        rounded = {step.output for step in ledger.steps if step.roundings > 0}
        for region in regions(network):
            if not sorts_pairs(region.graph):
                for node in region.nodes:
                    if node.output in rounded and _is_affine(region.graph, node):
                        found[node.output] = majorant(alone(region.graph, node))
        return cls(network, ledger, found)

    def measure(self, x: Tensor) -> tuple[Tensor, Measured]:
        """Run a batch in float64.

        Args:
            x: float64, shape (N, *input shape).

        Returns:
            Scores, shape (N, classes), and what was seen on the way.
        """
        sizes: dict[str, Tensor] = {}
        spreads: dict[str, Tensor] = {}

        def watch(node: Node, inputs: Sequence[Tensor]) -> None:
            for name, value in zip(node.inputs, inputs, strict=True):
                if self.network.is_activation(name) and name not in sizes:
                    sizes[name] = _norm(value)
            if node.output in self.majorants:
                part = self.majorants[node.output]
                value = inputs[node.inputs.index(part.input)]
                spreads[node.output] = _norm(run(part, value.abs())) * grow(4 * terms(part))

        scores = run(self.network, x, watch=watch).flatten(1)
        sizes[self.network.output] = _norm(scores)
        norms = sizes.setdefault(self.network.input, _norm(x))
        return scores, Measured(self.ledger, sizes, spreads, self.ledger.drifts(norms, UNIT))


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """What is proven of one tensor for all inputs that are close to each of a batch, l2, shape (N,).

    Attributes:
        size: of its exact value.
        reach: how far that is from its value at the given input.
        drift: how far an execution is from it.
        spread: of the sums of absolute products and summands, executed; 0 where the node is no affine step.
    """

    size: Tensor
    reach: Tensor
    drift: Tensor
    spread: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What was seen of a batch; every tensor has shape (N,).

    Attributes:
        ledger: of the network.
        sizes: tensor -> l2 norm of what float64 computes for it, rounded up.
        spreads: output of an affine step -> l2 norm of the sums of its absolute products and summands.
        lost: tensor -> how far float64 is off there.
    """

    ledger: Ledger
    sizes: Mapping[str, Tensor]
    spreads: Mapping[str, Tensor]
    lost: Mapping[str, Tensor]

    def near(self, far: Tensor, unit: float) -> dict[str, Near]:
        """Return what is proven of every tensor, for inputs that are close.

        Args:
            far: float64, shape (N,): how close in the l2 norm; may be infinite.
            unit: unit roundoff of the execution.
        """
        source = self.ledger.input
        none = torch.zeros_like(far)
        found = {source: Near((self.sizes[source] + far) * grow(2), far, none, none)}
        for step in self.ledger.steps:
            before = [found[name] for name in step.inputs]
            sizes, drifts = [one.size for one in before], [one.drift for one in before]
            reach, spread = step.reach([one.reach for one in before]), self._spread(step, before)
            size, drift = self._size(step, reach, sizes), step.drift(sizes, drifts, unit, spread)
            found[step.output] = Near(size, reach, drift, none if spread is None else spread)
        return found

    def drift(self, far: Tensor, unit: float) -> Tensor:
        """Return bounds on the l2 error of the scores of an execution, for inputs that are close."""
        return self.near(far, unit)[self.ledger.output].drift

    def slack(self, far: Tensor, unit: float) -> Tensor:
        """Return by how much a lead of the float64 scores must exceed what the theorem asks for.

        Two scores of an execution at an input that is close, and the two of float64 here, may be off.
        """
        total = self.drift(far, unit) + self.lost[self.ledger.output]
        return LEAD * total * grow(4)

    def _size(self, step: Step, reach: Tensor, before: Sequence[Tensor]) -> Tensor:
        largest = step.size(before)
        if step.output not in self.sizes:
            return largest
        here = self.sizes[step.output] + self.lost[step.output]
        return torch.minimum(largest, (here + reach) * grow(4))

    def _spread(self, step: Step, before: Sequence[Near]) -> Tensor | None:
        if step.output not in self.spreads:
            return None
        (source,) = step.inputs
        more = before[0].reach + before[0].drift + self.lost[source]
        return (self.spreads[step.output] + step.absolute * more) * grow(4)


def _is_affine(region: Graph, node: Node) -> bool:
    """Whether a node is an affine step of one activation."""
    varying = [name for name in node.inputs if region.is_activation(name)]
    return len(varying) == 1 and not is_nonlinear(region, node)


def _norm(values: Tensor) -> Tensor:
    norms: Tensor = values.flatten(1).norm(dim=1) * grow(values[0].numel())
    return norms
