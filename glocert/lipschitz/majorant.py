"""What rounding errors of an affine region are relative to.

Every number that a region computes is a sum of products along paths; each product meets at most n roundings.
So the number is off by at most ``gamma(n)`` times the sum of absolute products, which is what the region
computes from absolute inputs once all its factors and all that it adds are replaced by their absolute values.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from glocert.graph.ir import Array, Graph, Node
from glocert.lipschitz.explicit import roundings


def majorant(region: Graph) -> Graph:
    """Return a region of affine nodes with every factor and every summand made positive."""
    parameters: dict[str, Array] = {name: np.abs(array) for name, array in region.parameters.items()}
    for node in region.nodes:
        if node.operator == "BatchNormalization":
            parameters[node.inputs[3]] = -parameters[node.inputs[3]]
    nodes = tuple(_positive(node) for node in region.nodes)
    return Graph(region.input, region.output, nodes, parameters, region.shapes)


def _positive(node: Node) -> Node:
    if node.operator == "Sub":
        return replace(node, operator="Add")
    if node.operator == "Pad":
        return replace(node, attributes={**node.attributes, "value": abs(node.number("value"))})
    return node


def terms(region: Graph) -> int:
    """Return how many roundings one product meets in a region of affine nodes."""
    return sum(roundings(region, node) + 2 for node in region.nodes)
