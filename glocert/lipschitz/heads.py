"""The scores of a classifier: what follows them, but keeps their order, is taken off.

Softmax over all classes, sigmoid and tangent, logarithms behind them and changes of shape leave the order
of the scores as it is. The label is the same, and the constants of the scores are far better.
"""

from __future__ import annotations

import math
from dataclasses import replace

from glocert.graph.ir import Graph, Node

_GROWING = frozenset({"Exp", "Log", "Sigmoid", "Tanh"})


def scored(graph: Graph) -> tuple[Graph, tuple[str, ...]]:
    """Return the network that ends with its scores, and the names of the nodes that were behind them."""
    nodes, output, taken = list(graph.nodes), graph.output, []
    held: list[Node] = []
    while nodes and nodes[-1].output == output and _keeps_order(graph, nodes[-1]):
        node = nodes.pop()
        held.append(node)
        output = node.inputs[0]
        if node.operator != "Reshape":
            taken = [each.name for each in held]
        if not nodes or nodes[-1].output != output:
            break
    if not taken:
        return graph, ()
    output = next(node.inputs[0] for node in held if node.name == taken[-1])
    kept = graph.nodes[: len(graph.nodes) - len(taken)]
    names = {graph.input, *(node.output for node in kept)}
    shapes = {name: shape for name, shape in graph.shapes.items() if name in names}
    return replace(graph, nodes=kept, output=output, shapes=shapes), tuple(reversed(taken))


def _keeps_order(graph: Graph, node: Node) -> bool:
    """Whether a node maps scores to scores in the same order."""
    if node.operator == "Softmax":
        shape = graph.shapes[node.inputs[0]]
        return shape[int(node.number("axis"))] == math.prod(shape)
    return node.operator in _GROWING or node.operator == "Reshape"
