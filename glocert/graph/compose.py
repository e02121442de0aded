"""Two graphs as one: the second reads what the first one makes."""

from __future__ import annotations

from dataclasses import replace

from glocert.graph.ir import Graph, Node


def composed(first: Graph, second: Graph, prefix: str = "first") -> Graph:
    """Return the network ``second(first(x))``.

    The names of the second stay; those of the first get a prefix that no name of the second begins with.

    Args:
        first: any graph.
        second: takes inputs of the first one's output shape.
        prefix: what the names of the first begin with, before a dot.

    Raises:
        ValueError: the shapes do not fit.
    """
    if first.output_shape != second.input_shape:
        raise ValueError(f"an output of {first.output_shape} is no input of {second.input_shape}")
    taken = {*second.shapes, *second.parameters, *(node.name for node in second.nodes)}
    while any(name.startswith(f"{prefix}.") for name in taken):
        prefix += "_"
    front = renamed(first, prefix)
    join = {second.input: front.output}
    nodes = tuple(
        replace(node, inputs=tuple(join.get(name, name) for name in node.inputs)) for node in second.nodes
    )
    return Graph(
        input=front.input,
        output=join.get(second.output, second.output),
        nodes=(*front.nodes, *nodes),
        parameters={**front.parameters, **second.parameters},
        shapes={**front.shapes, **{name: s for name, s in second.shapes.items() if name != second.input}},
        notes=(*first.notes, *second.notes),
    )


def renamed(graph: Graph, prefix: str) -> Graph:
    """Return the same graph with a prefix and a dot before every name."""

    def new(name: str) -> str:
        return f"{prefix}.{name}"

    def moved(node: Node) -> Node:
        inputs = tuple(map(new, node.inputs))
        return replace(node, name=new(node.name), inputs=inputs, output=new(node.output))

    return Graph(
        input=new(graph.input),
        output=new(graph.output),
        nodes=tuple(map(moved, graph.nodes)),
        parameters={new(name): array for name, array in graph.parameters.items()},
        shapes={new(name): shape for name, shape in graph.shapes.items()},
        notes=graph.notes,
    )
