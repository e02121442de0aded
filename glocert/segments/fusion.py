"""Nodes that are one operation written as two."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from glocert.graph.ir import Array, Graph, Node


def fuse(graph: Graph) -> Graph:
    """Return a graph in which ``x W + b`` written as MatMul and Add is one Gemm.

    The function is the same in real arithmetic, and it takes one pass over the activations instead of two.
    """
    readers = Counter(name for node in graph.nodes for name in node.inputs)
    makers = {node.output: node for node in graph.nodes}
    parameters, nodes = dict(graph.parameters), []
    replaced: dict[str, Node] = {}
    for node in graph.nodes:
        product = next((makers[name] for name in node.inputs if name in makers), None)
        if product is None or product.output == graph.output or readers[product.output] != 1:
            continue
        fused = _gemm(graph, product, node, parameters)
        if fused is not None:
            replaced[node.name], replaced[product.name] = fused, fused
    for node in graph.nodes:
        fused = replaced.get(node.name)
        if fused is None or fused.output == node.output:
            nodes.append(fused or node)
    return replace(graph, nodes=tuple(nodes), parameters=parameters)


def _gemm(graph: Graph, product: Node, add: Node, parameters: dict[str, Array]) -> Node | None:
    """Return the node that stands for both, or None; its parameters are added."""
    if (product.operator, add.operator) != ("MatMul", "Add"):
        return None
    x, weight = product.inputs
    shift = next(name for name in add.inputs if name != product.output)
    shapes = graph.shapes
    if graph.is_activation(weight) or graph.is_activation(shift) or len(shapes[x]) != 1:
        return None
    matrix = graph.parameters[weight]
    if matrix.ndim != 2 or shapes[add.output] != shapes[product.output]:
        return None
    names = f"{add.name}:weight", f"{add.name}:bias"
    parameters |= {names[0]: np.ascontiguousarray(matrix.T), names[1]: graph.parameters[shift].reshape(-1)}
    return Node(add.name, "Gemm", (x, *names), add.output)
