"""A graph while an importer grows it: unique names, inferred shapes, limits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from glocert.errors import InvalidGraph, ModelTooLarge, NonFiniteWeights, Offence
from glocert.graph.ir import Array, Graph, Node
from glocert.graph.limits import Limits
from glocert.graph.patterns import recognised
from glocert.graph.shapes import Shape, infer

RESERVED = "__metadata__"  # safetensors keeps this name for itself


@dataclass(slots=True)
class GraphBuilder:
    """Collects nodes in topological order.

    Attributes:
        input: name of the input activation.
        limits: what must not be exceeded.
        shapes: per-sample shape of every activation so far.
        parameters: every parameter so far.
        nodes: every node so far.
        remarks: what the user should know about the import, one sentence each.
    """

    input: str
    limits: Limits
    shapes: dict[str, Shape] = field(default_factory=dict)
    parameters: dict[str, Array] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)
    _suffixes: dict[str, int] = field(default_factory=dict)

    @classmethod
    def start(cls, name: str, shape: Shape, limits: Limits) -> GraphBuilder:
        """Begin with an input of the per-sample ``shape``.

        Raises:
            ModelTooLarge: the input alone exceeds the limit.
        """
        builder = cls("", limits)
        builder.input = builder.unique(name or "input")
        builder._check_size(name, shape)
        builder.shapes[builder.input] = shape
        return builder

    def unique(self, name: str) -> str:
        """Return ``name``, with a number where it is taken or cannot be used, and take it."""
        stem = name if name and name != RESERVED else "tensor"
        candidate = stem
        while candidate in self._names:
            self._suffixes[stem] = self._suffixes.get(stem, 1) + 1
            candidate = f"{stem}_{self._suffixes[stem]}"
        self._names.add(candidate)
        return candidate

    def parameter(self, array: Array, name: str) -> str:
        """Store a parameter; the same array is stored once."""
        if self.parameters.get(name) is array:
            return name
        taken = self.unique(name)
        self.parameters[taken] = array
        return taken

    def shape(self, name: str) -> Shape:
        """Per-sample shape of an activation, or the shape of a parameter."""
        return self.shapes[name] if name in self.shapes else self.parameters[name].shape

    def add(self, node: Node, *, ceil: bool = False) -> str:
        """Append ``node`` after giving its output a shape and a unique name, which is returned.

        Args:
            node: name and output are proposals; inputs exist already.
            ceil: count pooling windows that end outside.

        Raises:
            ShapeError: the inputs do not fit.
            ModelTooLarge: too many nodes, or too large an activation.
        """
        shape = infer(node.operator, node.attributes, *map(self.shape, node.inputs), ceil=ceil)
        self._check_size(node.name, shape)
        if len(self.nodes) >= self.limits.nodes:
            raise ModelTooLarge(f"The graph has more than {self.limits.nodes} nodes.")
        output = self.unique(node.output)
        self.nodes.append(Node(node.name, node.operator, node.inputs, output, node.attributes, node.source))
        self.shapes[output] = shape
        return output

    def remark(self, sentence: str) -> None:
        """Tell the user something, once."""
        if sentence not in self.remarks:
            self.remarks.append(sentence)

    def _check_size(self, name: str, shape: Shape) -> None:
        if math.prod(shape) > self.limits.activation:
            detail = f"its tensor of shape {list(shape)} has more than {self.limits.activation} elements"
            raise ModelTooLarge("A tensor of the model is too large.", [Offence(name, detail)])

    def finish(self, output: str, notes: Iterable[str] = ()) -> Graph:
        """Return the graph of what ``output`` needs.

        Raises:
            NonFiniteWeights: a parameter that is needed holds NaN or infinity.
            ModelTooLarge: the parameters exceed the limit.
            InvalidGraph: the output does not depend on the input.
        """
        nodes = self._needed(output)
        names = {name for node in nodes for name in node.inputs}
        parameters = {name: array for name, array in self.parameters.items() if name in names}
        check_parameters(parameters, self.limits)
        shapes = {name: self.shapes[name] for name in (self.input, *(node.output for node in nodes))}
        if self.input not in names and output != self.input:
            raise InvalidGraph("The output does not depend on the input.")
        remarks = (*notes, *self.remarks)
        return recognised(Graph(self.input, output, _uniquely_named(nodes), parameters, shapes, remarks))

    def _needed(self, output: str) -> list[Node]:
        wanted, nodes = {output}, []
        for node in reversed(self.nodes):
            if node.output in wanted:
                wanted |= set(node.inputs)
                nodes.append(node)
        return nodes[::-1]


def check_parameters(parameters: Mapping[str, Array], limits: Limits) -> None:
    """Refuse parameters that are too many or not finite.

    Raises:
        ModelTooLarge: more numbers than ``limits.parameters``.
        NonFiniteWeights: NaN or infinity; every tensor at fault is named.
    """
    if sum(array.size for array in parameters.values()) > limits.parameters:
        raise ModelTooLarge(f"The model has more than {limits.parameters} weights.")
    offences = [
        Offence(name, f"{int((~np.isfinite(array)).sum())} of its {array.size} weights are NaN or infinite")
        for name, array in parameters.items()
        if not np.isfinite(array).all()
    ]
    if offences:
        raise NonFiniteWeights("The weights contain NaN or infinity.", offences)


def _uniquely_named(nodes: list[Node]) -> tuple[Node, ...]:
    """Give nodes that share a name a number; the first keeps it."""
    taken: set[str] = set()
    result = []
    for node in nodes:
        name, number = node.name, 1
        while name in taken:
            number += 1
            name = f"{node.name}_{number}"
        taken.add(name)
        result.append(Node(name, node.operator, node.inputs, node.output, node.attributes, node.source))
    return tuple(result)
