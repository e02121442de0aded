"""A network as its file will hold it: every number in float32, names of our own.

What is certified is what is shipped, so the conversion comes first and the bound afterwards.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from glocert.errors import InvalidSpec
from glocert.graph.ir import Array, Attribute, Graph, Node
from glocert.graph.wrapped import INPUT, SCORES


def in_single(graph: Graph) -> Graph:
    """Return the network with float32 numbers; input and output are called ``x`` and ``logits``.

    Raises:
        InvalidSpec: a number does not fit float32.
    """
    names = {name: f"tensor{position}" for position, name in enumerate(graph.shapes)}
    names |= {name: f"weight{position}" for position, name in enumerate(sorted(graph.parameters))}
    names |= {graph.input: INPUT, graph.output: SCORES}
    return Graph(
        INPUT,
        SCORES,
        tuple(_node(node, names) for node in graph.nodes),
        {names[name]: _narrow(array) for name, array in graph.parameters.items()},
        {names[name]: shape for name, shape in graph.shapes.items()},
        graph.notes,
    )


def _node(node: Node, names: dict[str, str]) -> Node:
    inputs = tuple(names[name] for name in node.inputs)
    attributes = {key: _attribute(value) for key, value in node.attributes.items()}
    return replace(node, inputs=inputs, output=names[node.output], attributes=attributes)


def _attribute(value: Attribute) -> Attribute:
    """Return an attribute; a float is one that float32 has."""
    return float(_narrow(np.array(value))) if isinstance(value, float) and np.isfinite(value) else value


def _narrow(array: Array) -> Array:
    with np.errstate(over="ignore"):
        narrow = np.asarray(array, dtype=np.float32)
    if not np.isfinite(narrow).all():
        raise InvalidSpec("a number of the network does not fit float32")
    return narrow
