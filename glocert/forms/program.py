"""A graph made ready for the form domain, once for all inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from glocert.errors import Offence, UnsupportedOperators
from glocert.forms import ops
from glocert.forms.form import Form
from glocert.forms.ops.registry import REGISTRY, Site, Transfer
from glocert.graph.ir import Graph, Node

assert ops.__all__, "importing the package fills the registry"

_TEMPORARIES = 3
"""How many copies of the live activations a transfer may need besides."""


@dataclass(frozen=True, slots=True)
class Step:
    """One node, ready to run.

    Attributes:
        transfer: what it does to forms.
        inputs: names of the activations that it reads.
        output: name of the activation that it makes.
        dead: activations that nobody reads after it.
    """

    transfer: Transfer
    inputs: tuple[str, ...]
    output: str
    dead: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A prepared graph; share it among all inputs of one network and device.

    Attributes:
        graph: what it was made from.
        steps: in topological order, only nodes on which the output depends.
        width: how many numbers all live activations of one row hold at most.
        device: where it runs.
    """

    graph: Graph
    steps: tuple[Step, ...]
    width: int
    device: torch.device

    def rows(self, memory: int, slopes: int = 1) -> int:
        """Return how many rows fit into so many bytes, at least one."""
        return max(1, memory // (8 * (2 + slopes) * self.width * _TEMPORARIES))

    def scores(self, x: Form) -> Form:
        """Take forms of the input through the network; the scores are flattened, shape (rows, classes)."""
        live = {self.graph.input: x}
        for step in self.steps:
            live[step.output] = step.transfer(*(live[name] for name in step.inputs))
            for name in step.dead:
                del live[name]
        output = live[self.graph.output]
        return Form.of(output.lines().flatten(2), output.error.flatten(1))


def prepare(graph: Graph, device: str = "cpu") -> Program:
    """Check every operator of the graph and prepare its parameters.

    Args:
        graph: the network.
        device: torch device on which paths will be followed.

    Raises:
        UnsupportedOperators: names every node that has no transfer of forms.
    """
    nodes = _needed(graph)
    offences = [
        Offence(node.name, "the operator has no transfer in the form engine", node.operator)
        for node in nodes
        if node.operator not in REGISTRY
    ]
    if offences:
        names = ", ".join(sorted({offence.operator for offence in offences}))
        raise UnsupportedOperators(f"the form engine cannot bound {names}", offences)
    site = Site(graph, torch.device(device))
    steps = _steps(graph, nodes, [REGISTRY[node.operator](node, site) for node in nodes])
    return Program(graph, steps, _width(graph, steps), site.device)


def _needed(graph: Graph) -> list[Node]:
    """Return the nodes on which the output depends."""
    wanted, kept = {graph.output}, []
    for node in reversed(graph.nodes):
        if node.output in wanted:
            kept.append(node)
            wanted.update(node.inputs)
    return kept[::-1]


def _steps(graph: Graph, nodes: list[Node], transfers: list[Transfer]) -> tuple[Step, ...]:
    last = {name: position for position, node in enumerate(nodes) for name in node.inputs}
    last[graph.output] = len(nodes)
    steps = []
    for position, (node, built) in enumerate(zip(nodes, transfers, strict=True)):
        inputs = tuple(name for name in node.inputs if graph.is_activation(name))
        dead = frozenset(name for name in inputs if last[name] == position)
        steps.append(Step(built, inputs, node.output, dead))
    return tuple(steps)


def _width(graph: Graph, steps: tuple[Step, ...]) -> int:
    """Return the most numbers that are alive at once."""
    live, widest = {graph.input}, 1
    for step in steps:
        live.add(step.output)
        widest = max(widest, sum(math.prod(graph.shapes[name]) for name in live))
        live -= step.dead
    return widest
