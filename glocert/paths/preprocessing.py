"""Put the clamp and the preprocessing in front of a network, so that both are part of what is certified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from glocert.errors import InvalidSpec
from glocert.graph.ir import Array, Attribute, Graph, Node
from glocert.spec import Preprocessing


def prepend_preprocessing(graph: Graph, item_shape: Sequence[int], preprocessing: Preprocessing) -> Graph:
    """Return the network as a function of an image of the domain.

    The new nodes are, as far as they are needed: Clip to the domain, Sub of the mean, Div by the standard
    deviation, Transpose for NHWC networks, Reshape to the network's own input. Means and deviations stay
    float64, so that the statement is about the numbers that the user gave.

    Args:
        graph: the imported network.
        item_shape: ``(channels, height, width)`` or ``(features,)``, the image domain.
        preprocessing: what to prepend.

    Returns:
        A graph whose input has ``item_shape``; everything after the new nodes is ``graph`` unchanged.

    Raises:
        InvalidSpec: item and network have different sizes or incompatible axes, or mean and std do not fit.
    """
    front = _Front(graph, tuple(item_shape))
    front.add("Clip", {"min": preprocessing.lower, "max": preprocessing.upper})
    if preprocessing.mean:
        front.add("Sub", parameter=_per_channel("mean", preprocessing.mean, front.shape))
    if preprocessing.std:
        front.add("Div", parameter=_per_channel("std", preprocessing.std, front.shape))
    if preprocessing.layout == "NHWC" and len(front.shape) == 3:
        front.add("Transpose", {"perm": (1, 2, 0)}, shape=(*front.shape[1:], front.shape[0]))
    _check_shapes(tuple(item_shape), front.shape, graph.input_shape)
    if front.shape != graph.input_shape:
        front.add("Reshape", {"shape": graph.input_shape}, shape=graph.input_shape)
    return front.join()


class _Front:
    """The nodes before the network, under names that it does not use."""

    def __init__(self, graph: Graph, shape: tuple[int, ...]) -> None:
        self._graph = graph
        self._taken = {*graph.shapes, *graph.parameters, *(node.name for node in graph.nodes)}
        self._input = self._last = self._fresh("item")
        self._nodes: list[Node] = []
        self._parameters: dict[str, Array] = {}
        self._shapes = {self._input: shape}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape that the next node receives."""
        return self._shapes[self._last]

    def add(
        self,
        operator: str,
        attributes: Mapping[str, Attribute] | None = None,
        *,
        parameter: Array | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        """Append one node that reads the last one."""
        name = self._fresh(operator.lower())
        inputs = [self._last]
        if parameter is not None:
            inputs.append(self._fresh(f"{operator.lower()}.value"))
            self._parameters[inputs[1]] = parameter
        self._nodes.append(Node(name, operator, tuple(inputs), name, attributes or {}, "preprocessing"))
        self._shapes[name] = self.shape if shape is None else shape
        self._last = name

    def join(self) -> Graph:
        """Return the network behind the nodes: its first activation is the last of theirs."""
        graph = self._graph
        renamed = {graph.input: self._last}
        nodes = (
            replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs))
            for node in graph.nodes
        )
        return Graph(
            input=self._input,
            output=renamed.get(graph.output, graph.output),
            nodes=(*self._nodes, *nodes),
            parameters={**graph.parameters, **self._parameters},
            shapes={**self._shapes, **{name: s for name, s in graph.shapes.items() if name != graph.input}},
            notes=graph.notes,
        )

    def _fresh(self, word: str) -> str:
        name = f"preprocessing.{word}"
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name


def _per_channel(what: str, values: Sequence[float], shape: tuple[int, ...]) -> Array:
    """Return one number per channel (or for all of them), ready to broadcast."""
    array = np.asarray(values, dtype=np.float64)
    if array.size not in {1, shape[0]}:
        raise InvalidSpec(
            f"{what} has {array.size} values, the items of shape {shape} have {shape[0]} channels"
        )
    if not np.isfinite(array).all() or (what == "std" and (array <= 0).any()):
        raise InvalidSpec(
            f"{what} must be finite{' and positive' if what == 'std' else ''}, got {list(values)}"
        )
    return array.reshape(-1, *[1] * (len(shape) - 1))


def _check_shapes(item: tuple[int, ...], arranged: tuple[int, ...], network: tuple[int, ...]) -> None:
    """A reshape may add unit axes, unroll or roll up; it never mixes up two different axes."""
    if prod(item) != prod(network):
        raise InvalidSpec(f"items of shape {item} do not fit the model's input of shape {network}")
    ours, theirs = (tuple(size for size in shape if size != 1) for shape in (arranged, network))
    if ours != theirs and len(ours) > 1 and len(theirs) > 1:
        raise InvalidSpec(
            f"items of shape {item} reach the model as {arranged}, but its input has shape {network}: "
            "is preprocessing.layout right?"
        )
