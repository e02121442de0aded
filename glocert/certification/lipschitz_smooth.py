"""Scores of networks with smooth functions, computed so that their error is known.

How a library rounds its sigmoid is not known, so nothing can be certified with it. Here the functions that
stand alone between two parts of the network are computed by arithmetic with proven errors instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from glocert import elementary
from glocert.elementary import Enclosed
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.lipschitz.regions import regions
from glocert.rounding import grow

_FUNCTIONS: Mapping[str, Callable[[Tensor], Enclosed]] = {
    "Cos": elementary.cos,
    "Erf": elementary.erf,
    "Sigmoid": elementary.sigmoid,
    "Sin": elementary.sin,
    "Softplus": elementary.softplus,
    "Tanh": elementary.tanh,
}


def enclosed_scores(network: Graph, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a network with functions whose errors are known.

    Args:
        network: ends with its scores.
        x: float64, shape (N, *input shape).

    Returns:
        Scores, float64, shape (N, classes); and for the output of each such function the l2 norm of its own
        error, shape (N,).
    """
    values, errors = x, {}
    for region in regions(network):
        node = region.nodes[0]
        if len(region.nodes) == 1 and node.operator in _FUNCTIONS:
            found = _FUNCTIONS[node.operator](values)
            values = found.value
            lengths: Tensor = found.errors().flatten(1).norm(dim=1) * grow(values[0].numel())
            errors[node.output] = lengths
        else:
            values = run(region.graph, values)
    return values.flatten(1), errors
