"""A graph made ready for the form domain, once for all inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from glocert.errors import Offence, UnsupportedOperators
from glocert.faithful import check_products
from glocert.forms import ops
from glocert.forms.form import Form, rounding_of
from glocert.forms.ops.convolution import check_library
from glocert.forms.ops.registry import REGISTRY, Site, Transfer
from glocert.graph.execution import LARGEST, Execution, execution
from glocert.graph.ir import Graph, Node
from glocert.spec import Arithmetic

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
        dtype: number type that it computes in; its rounding is part of every error.
        execution: roundings of the deployed network that are part of every error as well.
    """

    graph: Graph
    steps: tuple[Step, ...]
    width: int
    device: torch.device
    dtype: torch.dtype
    execution: Execution

    def rows(self, memory: int, slopes: int = 1) -> int:
        """Return how many rows fit into so many bytes, at least one."""
        return max(1, memory // (self.dtype.itemsize * (2 + slopes) * self.width * _TEMPORARIES))

    def scores(self, x: Form) -> Form:
        """Take forms of the input through the network.

        Args:
            x: forms of the path, in any number type.

        Returns:
            Scores in the program's type, flattened, shape (rows, classes).
        """
        live = {self.graph.input: self.entered(x)}
        for step in self.steps:
            live[step.output] = step.transfer(*(live[name] for name in step.inputs))
            for name in step.dead:
                del live[name]
        output = live[self.graph.output]
        return Form.of(output.lines().flatten(2), output.error.flatten(1))

    def entered(self, x: Form) -> Form:
        """Return forms of the path as forms of the network's input, as computed and as executed.

        An execution reads float32 images: each number of the path is rounded, by ``entry`` of itself.
        """
        if self.execution.charged:
            moved = (x.error + x.peak() * self.execution.entry) * x.rounding.up + self.execution.tiny
            x = Form.of(x.lines(), moved.masked_fill(moved > LARGEST, torch.inf))
        return x.to(self.dtype)


def prepare(
    graph: Graph,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
    arithmetic: Arithmetic = Arithmetic.REAL,
) -> Program:
    """Check every operator of the graph and prepare its parameters.

    Args:
        graph: the network.
        device: torch device on which paths will be followed.
        dtype: float64 or float32: what the program computes in. Either is proven; float32 is faster, and its
            errors are larger.
        arithmetic: whose scores the bounds are about: those of real arithmetic, or also those of every
            float32 execution.

    Raises:
        UnsupportedOperators: names every node that has no transfer of forms, or every node whose float32
            execution is not specified.
        UnfaithfulArithmetic: libraries multiply with fewer bits than the type has.
        ValueError: another number type.
    """
    rounding_of(dtype)
    check_products(dtype, device)
    check_library(dtype, torch.device(device))
    nodes = _needed(graph)
    offences = [
        Offence(node.name, "the operator has no transfer in the form engine", node.operator)
        for node in nodes
        if node.operator not in REGISTRY
    ]
    if offences:
        names = ", ".join(sorted({offence.operator for offence in offences}))
        raise UnsupportedOperators(f"the form engine cannot bound {names}", offences)
    site = Site(graph, torch.device(device), dtype, execution(graph, arithmetic))
    steps = _steps(graph, nodes, [REGISTRY[node.operator](node, site) for node in nodes])
    return Program(graph, steps, _width(graph, steps), site.device, dtype, site.execution)


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
