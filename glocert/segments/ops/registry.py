"""How an operator becomes a transfer: the registry, and what a builder may ask.

A builder looks at one node once, before anything is computed. It settles the layout of the memory, so that
Reshape and Transpose cost nothing later, and prepares parameters in float64. Parameters are float32 or
float64, so the conversion is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocert.graph.execution import FACTOR_FLOOR, LARGEST, REAL, WEIGHT_FLOOR, Execution, lost, size_of
from glocert.graph.ir import Graph, Node
from glocert.rounding import TINY
from glocert.segments.grid import Grid
from glocert.segments.knots import Knots, spread

Order = NDArray[np.int64]
"""Memory position -> flat index (C order) in the per-sample shape, a permutation."""

Shape = tuple[int, ...]


class Affine(Protocol):
    """Transfer of an operator that is affine in its activations: makes no vertices."""

    def __call__(self, *inputs: Knots) -> Knots:
        """Map every vertex and bound the error of doing so; inputs are not changed."""


class Kink(Protocol):
    """Transfer of a piecewise linear operator of one activation."""

    def cuts(self, t: Tensor, x: Knots, joins: Tensor | None = None) -> Tensor:
        """Return the parameters, strictly inside pieces of ``t``, at which the operator bends; any order.

        Args:
            t: the grid.
            x: values on it.
            joins: pieces that belong to no path, see ``grid.joins``: not cut.
        """

    def bend(self, x: Knots, owned: bool, joins: Tensor | None = None) -> Knots:
        """Apply the operator at the vertices and charge every piece on which it still bends.

        Args:
            x: refined at the cuts, or at any others: soundness does not depend on where they are.
            owned: whether the memory of ``x`` may be overwritten.
            joins: pieces that belong to no path: not charged.
        """


class Follower(Protocol):
    """A kink that refines and bends in one pass where it can."""

    def follow(self, x: Knots, t: Tensor, grid: Grid | None, window: tuple[int, int]) -> Knots | None:
        """Do what ``grid.refine`` and then ``bend`` do; None where that takes both.

        Args:
            x: in front of the kink, on the grid without its new vertices.
            t: the grid with them.
            grid: where they are; None: there are none.
            window: the first and the last vertex that is wanted.
        """


@dataclass(frozen=True, slots=True)
class Charges:
    """What the roundings of one node cost.

    Attributes:
        executed: share of all absolute terms that executing the node may cost, about the *executed*
            activations; 0 where the answer is about real arithmetic.
        tiny: what may be lost by underflow, here and in execution.
    """

    executed: float = 0.0
    tiny: float = TINY

    def spread(self, x: Knots, own: float) -> Tensor:
        """Return the radius plus ``own`` of the peak, and ``executed`` of the largest executed activation."""
        total = spread(x, own + self.executed)
        return total.add_(x.radius, alpha=self.executed) if self.executed else total

    def closed(self, radius: Tensor) -> Tensor:
        """Add in place what underflows; forget what may overflow when executed."""
        radius.add_(self.tiny)
        return radius.masked_fill_(radius > LARGEST, torch.inf) if self.executed else radius


PLAIN = Charges()


@dataclass(frozen=True, slots=True)
class Site:
    """What a builder knows about its surroundings.

    Attributes:
        graph: the network.
        orders: memory order of every activation computed so far.
        device: where the parameters go.
        execution: roundings of the deployed network that count.
    """

    graph: Graph
    orders: dict[str, Order]
    device: torch.device
    execution: Execution = REAL

    def charges(self, node: Node) -> Charges:
        """Return what the roundings of a node cost."""
        return Charges(self.execution.relative(node), max(TINY, self.execution.tiny))

    def size(self, values: Tensor, floor: float = WEIGHT_FLOOR) -> Tensor:
        """Return what charges are relative to for a parameter: its absolute values."""
        return size_of(values, floor) if self.execution.charged else values.abs()

    def factor(self, values: Tensor) -> Tensor:
        """Return ``size`` of numbers that may be folded into weights."""
        return self.size(values, FACTOR_FLOOR)

    def lost(self, values: Tensor) -> Tensor:
        """Return by how much constants may change when the network is executed."""
        return lost(values) if self.execution.charged else torch.zeros_like(values)

    def shape(self, name: str) -> Shape:
        """Per-sample shape of an activation."""
        return self.graph.shapes[name]

    def is_activation(self, name: str) -> bool:
        """Whether ``name`` varies with t."""
        return self.graph.is_activation(name)

    def parameter(self, name: str) -> NDArray[np.float64]:
        """Return a parameter in float64."""
        return np.asarray(self.graph.parameters[name], dtype=np.float64)

    def tensor(self, array: NDArray[np.float64]) -> Tensor:
        """Return a float64 array on the device, contiguous."""
        return torch.tensor(np.ascontiguousarray(array), dtype=torch.float64, device=self.device)

    def index(self, array: Order) -> Tensor:
        """Return positions on the device."""
        return torch.tensor(np.ascontiguousarray(array), dtype=torch.int64, device=self.device)

    def gather(self, name: str, wanted: Order) -> Tensor | None:
        """Return the positions in the memory of ``name`` of the flat indices ``wanted``; None: as it lies."""
        order = self.orders[name]
        if np.array_equal(order, wanted):
            return None
        return self.index(inverse(order)[wanted])


Builder = Callable[[Node, Site], tuple[Affine | Kink, Order]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered builder and how many activations its operator takes at most."""

    build: Builder
    activations: int


REGISTRY: dict[str, Entry] = {}


def transfer(*operators: str, activations: int = 1) -> Callable[[Builder], Builder]:
    """Register the builder of ``operators``, which take at most ``activations`` inputs that vary with t."""

    def register(build: Builder) -> Builder:
        REGISTRY.update(dict.fromkeys(operators, Entry(build, activations)))
        return build

    return register


def size(shape: Shape) -> int:
    """Return how many numbers a shape holds."""
    return int(np.prod(shape, dtype=np.int64))


def inverse(order: Order) -> Order:
    """Return where in memory each flat index lies."""
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return places


def plain(shape: Shape) -> Order:
    """Return the memory order that is the C order of ``shape``."""
    return np.arange(size(shape), dtype=np.int64)


def channels_last(shape: Shape) -> Order:
    """Return the memory order (height, width, channel) of an image of shape (channel, height, width)."""
    return plain(shape).reshape(shape).transpose(1, 2, 0).ravel()


def natural(shape: Shape) -> Order:
    """Return the order in which an activation of this shape is kept where there is a choice."""
    return channels_last(shape) if len(shape) == 3 else plain(shape)


@dataclass(frozen=True, slots=True)
class Gathered:
    """An affine transfer whose input first has to be brought into another order."""

    index: Tensor
    then: Affine

    def __call__(self, *inputs: Knots) -> Knots:
        """Gather, then map."""
        return self.then(inputs[0].take(self.index))


def gathered(index: Tensor | None, then: Affine) -> Affine:
    """Put a gather in front of ``then`` where one is needed."""
    return then if index is None else Gathered(index, then)
