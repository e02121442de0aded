"""Adding a node behind the output of a finished graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from glocert.graph.ir import Array, Attribute, Graph, Node
from glocert.graph.shapes import Shape


def appended(
    graph: Graph,
    operator: str,
    suffix: str,
    shape: Shape,
    parameter: Array | None = None,
    attributes: Mapping[str, Attribute] | None = None,
) -> Graph:
    """Return ``graph`` with one more node behind its output.

    Args:
        graph: any graph.
        operator: canonical operator of one activation.
        suffix: what the new output is called behind the name of the old one; a number makes it unique.
        shape: per-sample shape of the new output.
        parameter: second input of the operator, if it has one.
        attributes: of the node.
    """
    taken = {*graph.shapes, *graph.parameters, *(node.name for node in graph.nodes)}
    name, number = f"{graph.output}/{suffix}", 1
    while {name, f"{name}/constant"} & taken:
        number += 1
        name = f"{graph.output}/{suffix}_{number}"
    constants = {} if parameter is None else {f"{name}/constant": parameter}
    node = Node(name, operator, (graph.output, *constants), name, attributes or {}, "output")
    return replace(
        graph,
        output=name,
        nodes=(*graph.nodes, node),
        parameters={**graph.parameters, **constants},
        shapes={**graph.shapes, name: shape},
    )


def reshaped(graph: Graph, shape: Shape, suffix: str) -> Graph:
    """Return ``graph`` with its output in another shape of as many elements."""
    if graph.output_shape == shape:
        return graph
    return appended(graph, "Reshape", suffix, shape, attributes={"shape": shape})
