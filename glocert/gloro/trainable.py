"""A network that was uploaded as one that learns to be certified: the same function, parameters that move.

The inert graph stays; its factors and summands become tensors with gradients. A region that is affine is
one linear map, whose norm is estimated by power iteration through the region itself, so residual sums,
pools and permutations count as what they are. Inside a region that bends, estimates are carried from tensor
to tensor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from glocert.errors import Offence, UnsupportedOperators
from glocert.gloro.network import Learner, distances
from glocert.graph.families import is_nonlinear
from glocert.graph.ir import Array, Graph, Node
from glocert.graph.run import run
from glocert.lipschitz.constants import constant
from glocert.lipschitz.explicit import linear_part
from glocert.lipschitz.regions import joined, runs
from glocert.lipschitz.sorting import sorts_pairs

_LEARNS = frozenset({"Add", "Conv", "Gemm", "MatMul"})
"""Operators whose parameters learn; means and deviations of preprocessing stay what they are."""
_NORMALISATION = "normalisation"
"""Source of the nodes that a folded normalisation becomes."""


class LinearMap(nn.Module):
    """The linear part of a region of affine nodes, with the iterate of its power iteration."""

    iterate: Tensor

    def __init__(self, region: Graph) -> None:
        super().__init__()
        self.linear = linear_part(region)
        kept = self.linear.parameters.items()
        self.shared = {name for name, array in kept if array is region.parameters.get(name)}
        self.register_buffer("iterate", torch.randn(1, *region.input_shape))

    def forward(self, x: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """Map a batch with the parameters that are the region's own."""
        return run(self.linear, x, {name: parameters[name] for name in self.shared if name in parameters})

    def stretch(self, parameters: Mapping[str, Tensor], steps: int) -> Tensor:
        """Iterate without gradient for the parameters, then measure with it."""
        still = {name: tensor.detach() for name, tensor in parameters.items()}
        x = self.iterate.clone()
        for _ in range(steps):
            with torch.enable_grad():
                x.requires_grad_()
                y = self(x, still)
                (x,) = torch.autograd.grad(y, x, y.detach())
            x = x.detach() / x.norm().clamp_min(1e-30)
        with torch.no_grad():
            self.iterate.copy_(x)
        size: Tensor = torch.linalg.vector_norm(self(self.iterate.clone(), parameters))
        return size


class Bend(nn.Module):
    """A region that is not affine: constants of what bends, estimates of what does not."""

    def __init__(self, region: Graph) -> None:
        super().__init__()
        self.region = region
        self.sorts = sorts_pairs(region)
        self.maps = nn.ModuleDict()
        for position, node in enumerate(region.nodes):
            varying = [name for name in node.inputs if region.is_activation(name)]
            if not self.sorts and len(varying) == 1 and not is_nonlinear(region, node):
                self.maps[str(position)] = LinearMap(_alone(region, node, varying[0]))

    def stretch(self, parameters: Mapping[str, Tensor], steps: int) -> Tensor | float:
        """Carry an estimate from tensor to tensor."""
        if self.sorts:
            return 1.0
        known: dict[str, Tensor | float] = {self.region.input: 1.0}
        for position, node in enumerate(self.region.nodes):
            if str(position) not in self.maps:
                known[node.output] = self._combined(node, known)
                continue
            own = self.maps[str(position)]
            assert isinstance(own, LinearMap)
            source = next(name for name in node.inputs if name in known)
            known[node.output] = own.stretch(parameters, steps) * known[source]
        return known[self.region.output]

    def _combined(self, node: Node, known: Mapping[str, Tensor | float]) -> Tensor | float:
        values = [known[name] for name in node.inputs if name in known]
        steep = constant(self.region, node)
        if steep is not None:
            return steep * values[0]
        if node.operator == "Concat":
            squares = sum(torch.as_tensor(value) ** 2 for value in values)
            return torch.sqrt(torch.as_tensor(squares))
        sizes = [math.prod(self.region.shapes[name]) for name in node.inputs]
        copies = [math.sqrt(math.prod(self.region.shapes[node.output]) / size) for size in sizes]
        total: Tensor | float = 0.0
        for copy, value in zip(copies, values, strict=True):
            total = total + copy * value
        return total


class TrainableGraph(Learner):
    """An inert graph whose weights learn.

    The parameters of convolutions, matrix products and sums learn; those of preprocessing do not.
    """

    def __init__(self, graph: Graph) -> None:
        """Make a classifier trainable; its function stays the same but for rounding.

        Args:
            graph: with output shape (classes,).

        Raises:
            UnsupportedOperators: a node has no Lipschitz constant, or nothing in the graph can learn.
        """
        super().__init__()
        self.source = folded(graph)
        _check(self.source)
        learning = _learning(self.source)
        arrays = {name: _tensor(array) for name, array in self.source.parameters.items()}
        self.names = sorted(learning)
        self.weights = nn.ParameterList([nn.Parameter(arrays[name]) for name in self.names])
        self.fixed = sorted(set(arrays) - learning)
        for place, name in enumerate(self.fixed):
            self.register_buffer(f"fixed{place}", arrays[name])
        groups = runs(self.source)
        last = groups.pop() if groups[-1][-1].affine else []
        self.parts = nn.ModuleList(
            (LinearMap if group[-1].affine else Bend)(joined(self.source, group).graph) for group in groups
        )
        self.head = LinearMap(joined(self.source, last).graph) if last else None

    @property
    def live(self) -> dict[str, Tensor]:
        """Every parameter by its name in the graph."""
        learning = dict(zip(self.names, self.weights, strict=True))
        return learning | {name: getattr(self, f"fixed{place}") for place, name in enumerate(self.fixed)}

    def forward(self, x: Tensor) -> Tensor:
        """Return scores of shape (N, classes)."""
        return run(self.source, x, self.live)

    def pairs(self, steps: int) -> Tensor:
        """Return estimates of how fast score differences change, shape (classes, classes), with gradient."""
        live = self.live
        product: Tensor | float = 1.0
        for part in self.parts:
            assert isinstance(part, LinearMap | Bend)
            product = product * part.stretch(live, steps)
        return product * distances(self._rows(live))

    def _rows(self, live: Mapping[str, Tensor]) -> Tensor:
        """Return the matrix of the last affine region, shape (classes, features)."""
        like = self.weights[0]
        if self.head is None:
            return torch.eye(math.prod(self.source.output_shape)).to(like)
        shape = self.head.linear.input_shape
        units = torch.eye(math.prod(shape)).to(like).reshape(-1, *shape)
        rows: Tensor = self.head(units, live).T
        return rows

    def restart(self, generator: torch.Generator) -> None:
        """Begin all power iterations anew."""
        for part in self.modules():
            if isinstance(part, LinearMap):
                part.iterate.copy_(torch.randn(part.iterate.shape, generator=generator))

    def graph(self) -> Graph:
        """Return the network as it is now."""
        return trained(self.source, self)


def trained(graph: Graph, network: TrainableGraph) -> Graph:
    """Return a graph with what was learned in the place of its parameters of the same names."""
    learned = {
        name: tensor.detach().cpu().numpy().astype(np.float32).copy()
        for name, tensor in zip(network.names, network.weights, strict=True)
    }
    own = {name: learned.get(name, array) for name, array in graph.parameters.items()}
    return replace(graph, parameters=own)


def folded(graph: Graph) -> Graph:
    """Return the graph with every normalisation as a factor and a summand per channel."""
    parameters = dict(graph.parameters)
    shapes, nodes = dict(graph.shapes), []
    for node in graph.nodes:
        if node.operator == "BatchNormalization":
            nodes.extend(_unfolded(graph, node, parameters, shapes))
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.inputs}
    kept = {name: array for name, array in parameters.items() if name in used}
    return replace(graph, nodes=tuple(nodes), parameters=kept, shapes=shapes)


def _unfolded(
    graph: Graph, node: Node, parameters: dict[str, Array], shapes: dict[str, tuple[int, ...]]
) -> list[Node]:
    """Return the product and the sum that a normalisation is, and store what they need."""
    scale, bias, mean, variance = (graph.parameters[name].astype(np.float64) for name in node.inputs[1:])
    factor = scale / np.sqrt(variance + node.number("epsilon"))
    column = (-1, *[1] * (len(shapes[node.output]) - 1))
    made = []
    taken = {*parameters, *shapes, *(other.name for other in graph.nodes)}
    for word in ("factor", "shift", "scaled"):
        name = f"{node.output}/{word}"
        while name in taken:
            name += "'"
        made.append(name)
    parameters[made[0]] = factor.reshape(column).astype(np.float32)
    parameters[made[1]] = (bias - mean * factor).reshape(column).astype(np.float32)
    shapes[made[2]] = shapes[node.output]
    return [
        Node(made[2], "Mul", (node.inputs[0], made[0]), made[2], {}, _NORMALISATION),
        Node(node.name, "Add", (made[2], made[1]), node.output, {}, _NORMALISATION),
    ]


def _check(graph: Graph) -> None:
    offences = [
        Offence(
            node.name, "it has no finite Lipschitz constant, so it cannot be trained for one", node.operator
        )
        for node in graph.nodes
        if is_nonlinear(graph, node) and constant(graph, node) is None
    ]
    if offences:
        names = ", ".join(sorted({offence.operator for offence in offences}))
        raise UnsupportedOperators(f"{names} cannot be trained towards a certificate", offences)
    if not _learning(graph):
        offences = [Offence(node.name, "it has no weights that learn", node.operator) for node in graph.nodes]
        raise UnsupportedOperators("nothing in the network can learn", offences)


def _learning(graph: Graph) -> set[str]:
    """Return the parameters that learn; one that is also read where it may not change does not."""
    learning: set[str] = set()
    fixed: set[str] = set()
    for node in graph.nodes:
        learns = node.operator in _LEARNS and node.source != "preprocessing"
        names = {name for name in node.inputs if name in graph.parameters}
        (learning if learns or node.source == _NORMALISATION else fixed).update(names)
    return learning - fixed


def _tensor(array: Array) -> Tensor:
    return torch.tensor(array, dtype=torch.float32)


def _alone(region: Graph, node: Node, source: str) -> Graph:
    parameters = {name: region.parameters[name] for name in node.inputs if name in region.parameters}
    return Graph(
        source, node.output, (node,), parameters, {n: region.shapes[n] for n in (source, node.output)}
    )
