"""A network cut where it is a single tensor wide.

Behind such a place everything depends on that one tensor, so Lipschitz constants of the parts multiply.
Between two such places lies a *region*: one node, a residual block, an affine run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from glocert.graph.families import is_nonlinear
from glocert.graph.ir import Graph, Node


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A part of a network with one input tensor and one output tensor.

    Attributes:
        graph: the part as a network of its own.
        affine: whether every node is affine.
    """

    graph: Graph
    affine: bool

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Its nodes, in topological order."""
        return self.graph.nodes


def regions(graph: Graph) -> list[Region]:
    """Cut a network at every single tensor; neighbouring affine parts stay apart (see ``joined``)."""
    uses = graph.last_uses()
    parts: list[Region] = []
    source, begun, live = graph.input, 0, {graph.input}
    for position, node in enumerate(graph.nodes):
        live = {name for name in live if uses[name] > position}
        if uses[node.output] > position:
            live.add(node.output)
        if live == {node.output}:
            parts.append(part_of(graph, source, graph.nodes[begun : position + 1]))
            source, begun = node.output, position + 1
    return parts


def joined(graph: Graph, parts: Sequence[Region]) -> Region:
    """Return consecutive regions as one."""
    nodes = tuple(node for part in parts for node in part.nodes)
    return part_of(graph, parts[0].graph.input, nodes)


def runs(graph: Graph) -> list[list[Region]]:
    """Return the regions with neighbouring affine ones together."""
    groups: list[list[Region]] = []
    for region in regions(graph):
        if groups and region.affine and groups[-1][-1].affine:
            groups[-1].append(region)
        else:
            groups.append([region])
    return groups


def part_of(graph: Graph, source: str, nodes: Sequence[Node]) -> Region:
    """Return nodes that read one tensor, and make one that is read elsewhere, as a region."""
    names = {name for node in nodes for name in node.inputs}
    parameters = {name: array for name, array in graph.parameters.items() if name in names}
    shapes = {name: graph.shapes[name] for name in (source, *(node.output for node in nodes))}
    output = nodes[-1].output if nodes else source
    part = Graph(source, output, tuple(nodes), parameters, shapes)
    return Region(part, not any(is_nonlinear(graph, node) for node in nodes))
