"""Pairs of channels sorted: larger and smaller together move no further than the pair, whatever came before.

MinMax arrives in the graph as several nodes, since ``max(a, b) = b + relu(a - b)`` and ``min(a, b) = a -
relu(a - b)``. Bounding it node by node loses a factor of four. A region is recognised when it selects two
disjoint parts a and b of its input, which together are all of it, and returns exactly one larger and one
smaller of them, joined in any order and each in any arrangement. As a function of (a, b) that is a sort of
every pair. It keeps inner products from shrinking (the rearrangement inequality), so it is 1-Lipschitz.
"""

from __future__ import annotations

from glocert.graph.ir import Graph, Node
from glocert.lipschitz.pooled import pools_pairs

Term = tuple[str, str, str]
"""``(kind, a, b)``: kind is ``gap`` (a - b), ``lead`` (relu of it), ``max`` or ``min``."""


def sorts_pairs(region: Graph) -> bool:
    """Whether a region sorts pairs of its input: those that two halves make, or windows of two cells."""
    return _sorts_halves(region) or pools_pairs(region)


def _sorts_halves(region: Graph) -> bool:
    halves = [node for node in region.nodes if node.operator == "Gather"]
    last = region.nodes[-1]
    if len(halves) != 2 or last.operator != "Concat" or len(last.inputs) != 2:
        return False
    if not _cover(region, halves):
        return False
    terms = _terms(region, {node.output for node in halves})
    kinds = sorted(terms[name][0] for name in last.inputs if name in terms)
    return kinds == ["max", "min"]


def _cover(region: Graph, halves: list[Node]) -> bool:
    """Whether two selections take every position of one axis of the input, each once."""
    if any(node.inputs != (region.input,) for node in halves):
        return False
    axes = {int(node.number("axis")) for node in halves}
    if len(axes) != 1:
        return False
    positions = [position for node in halves for position in node.ints("indices")]
    return sorted(positions) == list(range(region.input_shape[axes.pop()]))


def _terms(region: Graph, halves: set[str]) -> dict[str, Term]:
    """Name what the tensors of a region are, as far as it is one of the four kinds."""
    terms: dict[str, Term] = {}
    for node in region.nodes:
        found = _term(node, terms, halves)
        if found is not None:
            terms[node.output] = found
    return terms


def _term(node: Node, terms: dict[str, Term], halves: set[str]) -> Term | None:
    if node.operator == "Sub" and set(node.inputs) == halves:
        return ("gap", node.inputs[0], node.inputs[1])
    if node.operator == "Relu" and terms.get(node.inputs[0], ("",))[0] == "gap":
        return ("lead", *terms[node.inputs[0]][1:])
    if node.operator == "Add":
        for half, lead in (node.inputs, node.inputs[::-1]):
            if half in halves and terms.get(lead, ("", "", ""))[::2] == ("lead", half):
                return ("max", *terms[lead][1:])
    if node.operator == "Sub" and node.inputs[0] in halves:
        half, lead = node.inputs
        if terms.get(lead, ("", ""))[:2] == ("lead", half):
            return ("min", *terms[lead][1:])
    if node.operator in {"Reshape", "Transpose"} and terms.get(node.inputs[0], ("",))[0] in {"max", "min"}:
        return terms[node.inputs[0]]
    return None
