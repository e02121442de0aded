"""A graph made ready for the engine, once for all inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.errors import Offence, UnsupportedOperators
from glocert.faithful import check_products
from glocert.graph.execution import LARGEST, Execution, execution
from glocert.graph.ir import Graph, Node
from glocert.rounding import UP
from glocert.segments import ops
from glocert.segments.events import network
from glocert.segments.events.network import Network
from glocert.segments.fusion import fuse
from glocert.segments.knots import Knots
from glocert.segments.ops.registry import REGISTRY, Affine, Kink, Order, Site, natural, size
from glocert.spec import Arithmetic

assert ops.__all__, "importing the package fills the registry"


@dataclass(frozen=True, slots=True)
class Step:
    """One node, ready to run.

    Attributes:
        transfer: what it does to curves.
        inputs: names of the activations that it reads.
        output: name of the activation that it makes.
        dead: activations that nobody reads after it.
        width: how many numbers a vertex holds at most from here to the next kink.
    """

    transfer: Affine | Kink
    inputs: tuple[str, ...]
    output: str
    dead: frozenset[str]
    width: int


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A prepared graph; share it among all inputs of one network and device.

    Attributes:
        graph: what it was made from, two nodes made one where that changes nothing.
        steps: in topological order, only nodes on which the output depends.
        entry: memory order of the input.
        exit: where each output score lies in memory.
        device: where it runs.
        execution: roundings of the deployed network that are part of every radius.
        events: the same network for the event loop, on a processor and where that suits it.
    """

    graph: Graph
    steps: tuple[Step, ...]
    entry: Order
    exit: Tensor
    device: torch.device
    execution: Execution
    events: Network | None = None

    def load(self, array: NDArray[np.float64]) -> Tensor:
        """Return an array of the input's shape as one row in memory order."""
        flat = np.ascontiguousarray(array, dtype=np.float64).reshape(-1)[self.entry]
        return self._sent(flat)

    def lines(self, *arrays: NDArray[np.float64]) -> Tensor:
        """Return arrays of the input's shape as rows in memory order."""
        rows = np.empty((len(arrays), len(self.entry)))
        for row, array in zip(rows, arrays, strict=True):
            row[:] = array.reshape(-1)[self.entry]
        return self._sent(rows)

    def _sent(self, array: NDArray[np.float64]) -> Tensor:
        tensor = torch.from_numpy(array)
        return tensor if self.device.type == "cpu" else tensor.to(self.device)

    def entered(self, x: Knots) -> Knots:
        """Return whole paths as the network's input: an execution reads them rounded to float32."""
        if not self.execution.charged:
            return x
        moved = (x.radius + (x.peak() + x.radius) * self.execution.entry) * UP + self.execution.tiny
        return Knots(x.values, moved.masked_fill(moved > LARGEST, torch.inf), x.low, x.high)


def prepare(graph: Graph, device: str = "cpu", arithmetic: Arithmetic = Arithmetic.REAL) -> Program:
    """Check every operator of the graph and settle layouts and parameters.

    Args:
        graph: the network.
        device: torch device on which segments will be followed.
        arithmetic: whose scores radii are about: those of real arithmetic, or also those of every float32
            execution. The curve itself is computed in float64 either way.

    Raises:
        UnsupportedOperators: names every node that the engine cannot follow, or every node whose float32
            execution is not specified.
        UnfaithfulArithmetic: libraries multiply with fewer bits than float64 has.
    """
    check_products(torch.float64, device)
    _check(graph, _needed(graph))
    graph = fuse(graph)
    nodes = _needed(graph)
    orders = {graph.input: natural(graph.input_shape)}
    site = Site(graph, orders, torch.device(device), execution(graph, arithmetic))
    transfers = []
    for node in nodes:
        built, order = REGISTRY[node.operator].build(node, site)
        site.orders[node.output] = order
        transfers.append(built)
    exit_order = np.argsort(site.orders[graph.output], kind="stable")
    steps = _steps(graph, nodes, transfers)
    exit_index = site.index(exit_order)
    bent = any(is_kink(transfer) for transfer in transfers)
    suited = bent and site.device.type == "cpu" and not site.execution.charged
    events = network.prepare(graph) if suited else None
    return Program(graph, steps, orders[graph.input], exit_index, site.device, site.execution, events)


def is_kink(transfer: Affine | Kink) -> bool:
    """Whether the operator makes vertices."""
    return hasattr(transfer, "cuts")


def _needed(graph: Graph) -> list[Node]:
    """Return the nodes on which the output depends."""
    wanted, kept = {graph.output}, []
    for node in reversed(graph.nodes):
        if node.output in wanted:
            kept.append(node)
            wanted.update(node.inputs)
    return kept[::-1]


def _check(graph: Graph, nodes: list[Node]) -> None:
    offences = [offence for node in nodes if (offence := _offence(graph, node))]
    if offences:
        names = ", ".join(sorted({offence.operator for offence in offences}))
        raise UnsupportedOperators(f"the segment engine cannot follow {names}", offences)


def _offence(graph: Graph, node: Node) -> Offence | None:
    entry = REGISTRY.get(node.operator)
    if entry is None:
        detail = "the operator is not piecewise linear or has no transfer in the segment engine"
        return Offence(node.name, detail, node.operator)
    if sum(graph.is_activation(name) for name in node.inputs) > entry.activations:
        return Offence(node.name, "more than one of its inputs depends on the network's input", node.operator)
    return None


def _steps(graph: Graph, nodes: list[Node], transfers: list[Affine | Kink]) -> tuple[Step, ...]:
    last = {name: position for position, node in enumerate(nodes) for name in node.inputs}
    last[graph.output] = len(nodes)
    inputs = [tuple(name for name in node.inputs if graph.is_activation(name)) for node in nodes]
    dead = [
        frozenset(name for name in inputs[position] if last[name] == position)
        for position in range(len(nodes))
    ]
    widths = _widths(graph, nodes, transfers, dead)
    return tuple(
        Step(transfers[i], inputs[i], node.output, dead[i], widths[i]) for i, node in enumerate(nodes)
    )


def _widths(
    graph: Graph, nodes: list[Node], transfers: list[Affine | Kink], dead: list[frozenset[str]]
) -> list[int]:
    """Return for every node the most that a vertex holds from it to the next kink, both included."""
    live, held = {graph.input}, []
    for node, gone in zip(nodes, dead, strict=True):
        live.add(node.output)
        held.append(sum(size(graph.shapes[name]) for name in live))
        live -= gone
    widest, widths = 0, []
    for numbers, transfer in zip(reversed(held), reversed(transfers), strict=True):
        widths.append(max(widest, numbers))
        widest = numbers if is_kink(transfer) else widths[-1]
    return widths[::-1]
