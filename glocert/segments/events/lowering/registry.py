"""How an operator becomes layers: the registry, and what a builder may ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from glocert.graph.ir import Graph, Node
from glocert.segments.events import edges
from glocert.segments.events.layers import Float64, Layer, View, frame
from glocert.segments.events.loops.tables import LINEAR
from glocert.segments.ops.registry import Order, inverse, natural

MOST = 2**20
"""weights from which products with whole batches are faster: an event reads them for few numbers"""


class Beyond(Exception):
    """A node that the event loop does not take; the curve is followed in another way then."""


@dataclass(eq=False, slots=True)
class Draft:
    """A graph on its way.

    Attributes:
        graph: what is lowered.
        views: of the activations so far.
        readers: how many nodes read a name; the output counts as one more.
    """

    graph: Graph
    views: dict[str, View] = field(default_factory=dict)
    readers: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.readers.update(name for node in self.graph.nodes for name in node.inputs)
        self.readers[self.graph.output] += 1
        shape = self.graph.input_shape
        self.views[self.graph.input] = View(Layer.empty(frame(shape)), natural(shape), alone=False)

    def varies(self, name: str) -> bool:
        """Whether ``name`` depends on the input."""
        return self.graph.is_activation(name)

    def shape(self, name: str) -> tuple[int, ...]:
        """Per-sample shape of an activation."""
        return self.graph.shapes[name]

    def parameter(self, name: str) -> Float64:
        """Return a parameter in float64: exact."""
        return np.asarray(self.graph.parameters[name], np.float64)

    def put(self, node: Node, layer: Layer, order: Order, *, alone: bool = True) -> None:
        """Say what a node makes."""
        self.views[node.output] = View(layer, order, alone)

    def alone(self, name: str) -> bool:
        """Whether only one node reads what this name stands for, under any name."""
        return self.readers[name] == 1 and self.views[name].alone

    def sum_of(self, name: str) -> Layer:
        """Return a layer that is the activation and may be changed: shifted, bent, or given more edges."""
        view = self.views[name]
        if self.alone(name) and view.layer.kind == LINEAR and view.layer.edges:
            return view.layer
        layer = Layer.empty(view.layer.shape)
        layer.edges.append(edges.factors(view.layer, 1.0))
        return layer

    def in_order(self, name: str, order: Order) -> Layer:
        """Return a layer whose units are the activation's in the order that is asked for, and its frame."""
        view, wanted = self.views[name], frame(self.shape(name))
        if np.array_equal(view.order, order) and view.layer.shape == wanted:
            return view.layer
        layer = Layer.empty(wanted)
        places = inverse(order)[view.order]
        layer.edges.append(edges.sparse(view.layer, wanted, np.arange(len(order)), places, 1.0))
        return layer

    def places(self, name: str) -> Order:
        """Return where in its layer each flat index of an activation lies."""
        return inverse(self.views[name].order)


Builder = Callable[[Node, Draft], None]
REGISTRY: dict[str, Builder] = {}


def lowers(*operators: str) -> Callable[[Builder], Builder]:
    """Register the builder of ``operators``."""

    def register(build: Builder) -> Builder:
        REGISTRY.update(dict.fromkeys(operators, build))
        return build

    return register
