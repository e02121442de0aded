"""Every operator backwards, alone, against exact arithmetic."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import glocert.forms.backward.ops  # noqa: F401
from glocert.forms.backward.registry import REGISTRY
from glocert.forms.ops.registry import Site
from glocert.graph.ir import Graph, Node
from tests.glocert.forms.exactness import ROWS, exact_node, member, parameters, random_form
from tests.glocert.segments.networks import Wild
from tests.glocert.segments.rational import exactly

FUNCTIONALS = 2


def worst_of_node(
    rng: np.random.Generator, graph: Graph, node: Node, whole: bool, dtype: torch.dtype
) -> float:
    """Return how far functionals are from what the node says, as a share of what it charges."""
    built = REGISTRY[node.operator](node, Site(graph, torch.device("cpu"), dtype))
    if built is None:
        return 0.0
    names = [name for name in node.inputs if graph.is_activation(name)]
    forms = {name: random_form(rng, graph.shapes[name], 1, whole, dtype) for name in names}
    local = built.local([forms[name] for name in names])
    shape = (ROWS, FUNCTIONALS, *graph.shapes[node.output])
    adjoint = torch.from_numpy(rng.standard_normal(shape)).to(dtype)
    parts = built.back(adjoint, local.gains)
    u = parameters(rng, 1)
    exact = {name: member(rng, form, u) for name, form in forms.items()}
    y = exact_node(graph, node, exact)
    a = exactly(adjoint.double().numpy()).reshape(ROWS, FUNCTIONALS, -1)
    missed = (a * y.reshape(ROWS, 1, -1)).sum(axis=2)
    for name, part in zip(names, parts, strict=True):
        given_back = exactly(part.double().numpy()).reshape(ROWS, FUNCTIONALS, -1)
        missed = missed - (given_back * exact[name].reshape(ROWS, 1, -1)).sum(axis=2)
    full = ROWS, *graph.shapes[node.output]
    if local.shift is not None:
        shift = exactly(local.shift.expand(full).double().numpy())
        missed = missed - (a * shift.reshape(ROWS, 1, -1)).sum(axis=2)
    charge = exactly(local.charge.expand(full).double().numpy())
    allowed = (abs(a) * charge.reshape(ROWS, 1, -1)).sum(axis=2)
    if local.floor is not None:
        allowed = allowed + exactly(local.floor.double().numpy()).reshape(ROWS, 1)
    return max(float(abs(m) / c) for m, c in zip(missed.ravel(), allowed.ravel(), strict=True))


@settings(max_examples=60)
@given(st.integers(0, 10**9), st.booleans(), st.sampled_from([torch.float64, torch.float32]))
def test_nodes_of_random_networks(seed, whole, dtype):
    rng = np.random.default_rng(seed)
    graph = Wild(rng, whole).build(int(rng.integers(1, 4)))
    for node in graph.nodes:
        assert worst_of_node(rng, graph, node, whole, dtype) <= 1.0, node.operator
