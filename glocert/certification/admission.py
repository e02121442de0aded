"""Which methods admit a network, and why not, node by node: what the engines themselves say."""

from __future__ import annotations

from typing import Any

from glocert.certification.engine import prepare
from glocert.errors import UnsupportedOperators
from glocert.graph.families import family
from glocert.graph.ir import Graph
from glocert.graph.methods import methods


def admission(graph: Graph) -> dict[str, Any]:
    """Return what can be done with a network, plain data.

    Returns:
        ``family`` (``exact`` or ``enclosure``) and ``methods`` as ``glocert.graph.methods`` has them, with
        ``segment`` refused where the engine of the family cannot take every node.
    """
    found = methods(graph)
    try:
        prepare(graph)
    except UnsupportedOperators as error:
        nodes = [
            {"where": offence.where, "operator": offence.operator, "detail": offence.detail}
            for offence in error.offences
        ]
        found["segment"] = {"admitted": "no", "because": str(error), "nodes": nodes}
    return {"family": family(graph).value, "methods": found}
