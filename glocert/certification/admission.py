"""Which methods admit a network, and why not, node by node: what the engines themselves say."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from glocert.engine import prepare
from glocert.errors import Offence, UnsupportedOperators
from glocert.graph.families import family, is_nonlinear
from glocert.graph.ir import Graph
from glocert.graph.methods import methods
from glocert.lipschitz.constants import constant, refusal
from glocert.lipschitz.heads import scored

FEWEST_SCORES = 2


def admission(graph: Graph) -> dict[str, Any]:
    """Return what can be done with a network, plain data.

    Returns:
        ``family`` (``exact`` or ``enclosure``) and ``methods`` as ``glocert.graph.methods`` has them, with
        ``segment`` refused where the engine of the family cannot take every node; and ``lipschitz``, whose
        ``admitted`` is ``yes`` or ``no``.
    """
    found = methods(graph)
    try:
        prepare(graph)
    except UnsupportedOperators as error:
        nodes = _nodes(error.offences)
        found["segment"] = {"admitted": "no", "because": str(error), "nodes": nodes}
    found["lipschitz"] = _lipschitz(graph)
    return {"family": family(graph).value, "methods": found}


def _lipschitz(graph: Graph) -> dict[str, Any]:
    """Say whether every node has a Lipschitz constant; no norm is computed, which keeps this cheap."""
    if prod(graph.output_shape) < FEWEST_SCORES:
        return {
            "admitted": "no",
            "because": "it compares scores, and the network has one output",
            "nodes": [],
        }
    network, _ = scored(graph)
    offences = [
        refusal(node)
        for node in network.nodes
        if is_nonlinear(network, node) and constant(network, node) is None
    ]
    if not offences:
        return {"admitted": "yes", "because": "every operator has a Lipschitz constant", "nodes": []}
    names = ", ".join(sorted({offence.operator for offence in offences}))
    return {
        "admitted": "no",
        "because": f"no Lipschitz constant is known for {names}",
        "nodes": _nodes(offences),
    }


def _nodes(offences: Sequence[Offence]) -> list[dict[str, str]]:
    return [
        {"where": offence.where, "operator": offence.operator, "detail": offence.detail}
        for offence in offences
    ]
