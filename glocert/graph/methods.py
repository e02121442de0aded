"""Which methods admit a graph, and the nodes that stand in the way."""

from __future__ import annotations

from typing import Any

from glocert.graph.execution import unpromised
from glocert.graph.families import Family, family, is_bilinear, smooth_nodes
from glocert.graph.ir import Graph, Node

_BECAUSE = {
    Family.EXACT: "every operator is affine or piecewise linear",
    Family.ENCLOSURE: "smooth operators are bounded on parts of the path, as closely as time allows",
}


def methods(graph: Graph) -> dict[str, dict[str, Any]]:
    """Return for every method what it can say about the graph.

    Returns:
        ``segment``: ``admitted`` is ``exact`` or ``enclosure``, and ``nodes`` lists what forbids ``exact``;
        ``because`` gives the reason in a sentence, and ``unpromised`` lists what forbids the arithmetic
        ``float32``. What else admits it is for the rooms above to say.
    """
    kind = family(graph)
    return {
        "segment": {
            "admitted": kind.value,
            "because": _BECAUSE[kind],
            "nodes": [_obstacle(graph, node) for node in smooth_nodes(graph)],
            "unpromised": [
                {"where": offence.where, "operator": offence.operator, "detail": offence.detail}
                for offence in unpromised(graph)
            ],
        },
    }


def _obstacle(graph: Graph, node: Node) -> dict[str, str]:
    detail = "it multiplies two activations" if is_bilinear(graph, node) else "it is not piecewise linear"
    return {"where": node.name, "operator": node.source or node.operator, "detail": detail}
