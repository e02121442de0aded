"""A network as its file will hold it: every number in float32, names of our own.

What is certified is what is shipped, so the conversion comes first and the bound afterwards.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from glocert.errors import InvalidSpec
from glocert.graph.ir import Array, Attribute, Graph, Node
from glocert.graph.pooling import divisors, overhang
from glocert.graph.wrapped import INPUT, SCORES


def in_single(graph: Graph) -> Graph:
    """Return the network with float32 numbers; input and output are called ``x`` and ``logits``.

    Raises:
        InvalidSpec: a number does not fit float32.
    """
    graph = _with_sums(graph)
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


def _with_sums(graph: Graph) -> Graph:
    """Return the network with every mean written as a sum and a division, as the files say it.

    Runtimes disagree on what a mean at the border divides by.
    """
    nodes: list[Node] = []
    parameters, shapes = dict(graph.parameters), dict(graph.shapes)
    for node in graph.nodes:
        if node.operator != "AveragePool":
            nodes.append(node)
            continue
        ones, counts, sums = (f"{node.output}/{word}" for word in ("ones", "counts", "sums"))
        channels, *sizes = graph.shapes[node.inputs[0]]
        windows = graph.shapes[node.output]
        ends = (max(0, end) for end in overhang(node, tuple(sizes), windows[1:]))
        attributes: dict[str, Attribute] = {
            "strides": node.ints("strides"),
            "pads": (*node.ints("pads")[:2], *ends),
            "dilations": (1, 1),
            "group": channels,
        }
        parameters[ones] = np.ones((channels, 1, *node.ints("kernel_shape")), np.float32)
        parameters[counts] = np.asarray(divisors(node, tuple(sizes), windows[1:]), np.float32)
        shapes[sums] = windows
        nodes.append(Node(sums, "Conv", (node.inputs[0], ones), sums, attributes, node.source))
        nodes.append(Node(node.name, "Div", (sums, counts), node.output, {}, node.source))
    return replace(graph, nodes=tuple(nodes), parameters=parameters, shapes=shapes)


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
